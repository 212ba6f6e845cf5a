//! What is learned from, and what is held out.

use std::path::{Path, PathBuf};

use burn_goft_finetune::{Error, files};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use sha2::{Digest, Sha256};

use super::examples::read;
use super::tokens::{Skip, TextTokenizer, Trained};

/// The examples of a run as tokens.
#[derive(Clone, Debug)]
pub struct Data {
    /// To learn from.
    pub training: Vec<Trained>,
    /// To validate on.
    pub validation: Vec<Trained>,
    /// SHA-256 of the files, and of the tokens that tokenizer and template make of them: a template
    /// may write the day's date.
    pub digests: Vec<String>,
    /// What is to be known of them.
    pub notes: Vec<String>,
}

impl Data {
    /// Reads `train.jsonl` and `valid.jsonl` of a folder, or one file, of which a share is held out.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Line`] and [`Error::Data`] for what is no example; with `strict`
    /// also for examples that are cut or from which nothing is learned.
    pub fn read(
        path: &Path,
        tokenizer: &TextTokenizer,
        share: f64,
        seed: u64,
        strict: bool,
    ) -> Result<Self, Error> {
        let (training, validation) = paths(path)?;
        let mut notes = Vec::new();
        let mut digests = vec![files::digest(&training)?];
        let mut learned = encode(&training, tokenizer, strict, &mut notes)?;
        let validation = match validation {
            Some(path) => {
                digests.push(files::digest(&path)?);
                encode(&path, tokenizer, strict, &mut notes)?
            }
            None => {
                learned.shuffle(&mut StdRng::seed_from_u64(seed));
                let held = (share * learned.len() as f64).round() as usize;
                if learned.len() < 2 {
                    let notes = notes.iter().map(|note| format!("; {note}"));
                    return Err(Error::data(
                        &training,
                        format!(
                            "one example of it can be learned from, and one to validate on is needed too; name a folder with a \
                             `train.jsonl` and a `valid.jsonl`{}",
                            notes.collect::<String>()
                        ),
                    ));
                }
                learned.split_off(learned.len() - held.clamp(1, learned.len() - 1))
            }
        };
        digests.push(digest(learned.iter().chain(&validation)));
        Ok(Self {
            training: learned,
            validation,
            digests,
            notes,
        })
    }
}

fn digest<'a>(examples: impl Iterator<Item = &'a Trained>) -> String {
    let mut hash = Sha256::new();
    for example in examples {
        for (id, learned) in example.ids.iter().zip(&example.learned) {
            hash.update(id.to_le_bytes());
            hash.update([u8::from(*learned)]);
        }
        hash.update([2]);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn paths(path: &Path) -> Result<(PathBuf, Option<PathBuf>), Error> {
    if !path.is_dir() {
        return Ok((path.into(), None));
    }
    let training = path.join("train.jsonl");
    if !training.is_file() {
        return Err(Error::data(
            path,
            "the folder has no `train.jsonl`; name a file, or a folder that has one",
        ));
    }
    let validation = path.join("valid.jsonl");
    Ok((training, Some(validation).filter(|path| path.is_file())))
}

/// The examples of a file as tokens, and what is to be known of them.
pub(crate) fn encode(
    path: &Path,
    tokenizer: &TextTokenizer,
    strict: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<Trained>, Error> {
    let sources = read(path)?;
    let all = sources.len();
    let (mut trained, mut cut, mut skipped) = (Vec::new(), 0, [0, 0]);
    for source in sources {
        let line = |reason: String| Error::Line {
            path: path.into(),
            line: source.line,
            reason,
        };
        match tokenizer.trained(&source.example).map_err(line)? {
            Ok(one) if strict && one.cut => {
                return Err(line(
                    "it is longer than the limit of length, and would be cut".into(),
                ));
            }
            Ok(one) => {
                cut += usize::from(one.cut);
                trained.push(one);
            }
            Err(skip) if strict => return Err(line(format!("such examples {}", skip.reason()))),
            Err(skip) => skipped[skip as usize] += 1,
        }
    }
    let name = path.display();
    if cut > 0 {
        notes.push(format!(
            "`{name}`: {cut} of {all} examples are longer than the limit and lose their end"
        ));
    }
    for (skip, count) in [Skip::NothingLearned, Skip::NoPrefix]
        .into_iter()
        .zip(skipped)
    {
        if count > 0 {
            notes.push(format!(
                "`{name}`: {count} of {all} examples are left out: they {}",
                skip.reason()
            ));
        }
    }
    match trained.is_empty() {
        false => Ok(trained),
        true => Err(Error::data(
            path,
            format!("nothing can be learned from it: {}", notes.join("; ")),
        )),
    }
}
