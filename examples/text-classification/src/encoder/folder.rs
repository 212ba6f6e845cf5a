//! Where a model's files are: in a folder, or on the Hugging Face hub.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_goft_finetune::{ADAPTER, Error};
use hf_folder::HubModel;

use super::bert::Bert;
use super::config::BertConfig;
use super::tokenizer::TextTokenizer;
use super::weights::load_bert;

/// The files of a pretrained model.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    config: PathBuf,
    weights: PathBuf,
    tokenizer: TokenizerFile,
}

#[derive(Clone, Debug)]
enum TokenizerFile {
    Json(PathBuf),
    Vocabulary(PathBuf),
}

/// An encoder with its settings and tokenizer.
#[derive(Clone, Debug)]
pub struct Pretrained {
    /// The sizes.
    pub config: BertConfig,
    /// The weights.
    pub bert: Bert,
    /// The tokenizer, with the limit of length asked for.
    pub tokenizer: TextTokenizer,
}

impl ModelFiles {
    /// The files of a folder, or, if there is none of that name, of the model of that name on the
    /// hub, downloaded with a progress bar into Hugging Face's cache.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the folder lacks a file; [`Error::Hub`].
    pub fn find(model: &str) -> Result<Self, Error> {
        let folder = Path::new(model);
        if folder.is_dir() {
            return Self::in_folder(folder);
        }
        if !HubModel::is_name(model) {
            return Err(Error::model(
                folder,
                "no such folder, and no name on the Hugging Face hub either (`owner/name`)",
            ));
        }
        Self::on_hub(model)
    }

    /// The files of a folder: `config.json`, `tokenizer.json` or `vocab.txt`, and
    /// `model.safetensors` or the only `.safetensors` there is.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if one is missing.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let config = file("config.json")
            .ok_or_else(|| Error::model(folder, "the folder has no config.json"))?;
        let tokenizer = match (file("tokenizer.json"), file("vocab.txt")) {
            (Some(json), _) => TokenizerFile::Json(json),
            (None, Some(words)) => TokenizerFile::Vocabulary(words),
            (None, None) => {
                return Err(Error::model(
                    folder,
                    "the folder has neither tokenizer.json nor vocab.txt",
                ));
            }
        };
        let weights = match file("model.safetensors") {
            Some(weights) => weights,
            None => only_safetensors(folder)?,
        };
        Ok(Self {
            config,
            weights,
            tokenizer,
        })
    }

    /// The file of the weights.
    pub(crate) fn weights(&self) -> &Path {
        &self.weights
    }

    fn on_hub(model: &str) -> Result<Self, Error> {
        let hub = HubModel::named(model, true).map_err(refused)?;
        let config = hub.file("config.json").map_err(refused)?;
        let tokenizer = match hub.optional("tokenizer.json").map_err(refused)? {
            Some(json) => TokenizerFile::Json(json),
            None => TokenizerFile::Vocabulary(hub.file("vocab.txt").map_err(refused)?),
        };
        Ok(Self {
            config,
            weights: hub.file("model.safetensors").map_err(refused)?,
            tokenizer,
        })
    }

    /// Reads the model. Its tokenizer cuts texts at `max_length` tokens, or at the model's
    /// positions if those are fewer.
    ///
    /// # Errors
    ///
    /// The errors of [`BertConfig::load`], [`load_bert`] and [`TextTokenizer`]; [`Error::Model`] if
    /// the tokenizer has more tokens than the model.
    pub fn load(&self, max_length: usize, device: &Device) -> Result<Pretrained, Error> {
        let config = BertConfig::load(&self.config)?;
        let max_length = max_length.min(config.positions);
        if let TokenizerFile::Vocabulary(path) = &self.tokenizer
            && !config.kind.word_pieces
        {
            return Err(Error::model(
                path,
                format!(
                    "a vocabulary does not say how the tokenizer of a `{}` works; add its tokenizer.json, which the transformers library \
                     writes (`save_pretrained` of the tokenizer)",
                    config.kind.name
                ),
            ));
        }
        let (path, tokenizer) = match &self.tokenizer {
            TokenizerFile::Json(path) => (path, TextTokenizer::from_json(path, max_length)?),
            TokenizerFile::Vocabulary(path) => {
                (path, TextTokenizer::from_vocabulary(path, max_length)?)
            }
        };
        if tokenizer.vocabulary() > config.vocabulary {
            return Err(Error::model(
                path,
                format!(
                    "the tokenizer has {} tokens, and config.json says {}; the two do not belong together",
                    tokenizer.vocabulary(),
                    config.vocabulary
                ),
            ));
        }
        let bert = load_bert(&self.weights, &config, device)?;
        Ok(Pretrained {
            config,
            bert,
            tokenizer,
        })
    }
}

fn only_safetensors(folder: &Path) -> Result<PathBuf, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("listing", folder))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    // An adapter may lie beside the weights.
    let is_weights = |path: &PathBuf| {
        let named = |name: &str| path.file_name().is_some_and(|found| found == name);
        path.extension().is_some_and(|e| e == "safetensors") && !named(ADAPTER)
    };
    let mut found: Vec<_> = paths.filter(is_weights).collect();
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::model(
            folder,
            "the folder has no .safetensors file; weights in pytorch_model.bin have to be converted first",
        )),
        _ => {
            let names = found.iter().filter_map(|path| path.file_name()?.to_str());
            let names: Vec<_> = names.collect();
            Err(Error::model(
                folder,
                format!(
                    "the folder has {}, and none is called model.safetensors; leave one of them",
                    names.join(", ")
                ),
            ))
        }
    }
}

fn refused(error: hf_folder::Error) -> Error {
    match error {
        hf_folder::Error::Hub {
            model,
            file,
            reason,
        } => Error::Hub {
            model,
            file,
            reason,
        },
        other => Error::other(other),
    }
}
