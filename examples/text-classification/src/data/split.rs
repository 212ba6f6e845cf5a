//! The data files of a run, and which examples are held out.

use burn_goft_finetune::Error;
use burn_goft_finetune::files::digest;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::examples::{Examples, refuse_other_shape};
use crate::settings::RunConfig;

/// The data files, split.
pub(crate) struct Data {
    /// The training file as it is.
    pub(crate) all: Examples,
    pub(crate) training: Examples,
    pub(crate) validation: Examples,
    pub(crate) test: Examples,
    /// SHA-256 of each file.
    pub(crate) digests: Vec<String>,
}

impl Data {
    /// Reads and checks the files that the settings name.
    pub(crate) fn read(config: &RunConfig) -> Result<Self, Error> {
        let all = Examples::read(&config.train)?;
        let test = Examples::read(&config.eval)?;
        refuse_other_shape(&test, all.are_pairs())?;
        let mut paths = vec![&config.train, &config.eval];
        let (training, validation) = match &config.validation {
            Some(path) => {
                paths.push(path);
                let validation = Examples::read(path)?;
                refuse_other_shape(&validation, all.are_pairs())?;
                (all.clone(), validation)
            }
            None => hold_out(&all, config.validation_share, config.seed)?,
        };
        let digests = paths.into_iter().map(|path| digest(path));
        Ok(Self {
            digests: digests.collect::<Result<_, _>>()?,
            all,
            training,
            validation,
            test,
        })
    }
}

/// A random share of the examples, at least one, and the rest, at least one.
pub(crate) fn hold_out(
    all: &Examples,
    share: f64,
    seed: u64,
) -> Result<(Examples, Examples), Error> {
    let count = all.rows.len();
    if count < 2 {
        return Err(Error::data(
            &all.path,
            "it has one example, and one has to be held out for validation; add examples, or name a file for validation",
        ));
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let held = ((share * count as f64).round() as usize).clamp(1, count - 1);
    let part = |chosen: &[usize]| {
        let mut chosen = chosen.to_vec();
        chosen.sort_unstable();
        Examples {
            path: all.path.clone(),
            rows: chosen.into_iter().map(|i| all.rows[i].clone()).collect(),
        }
    };
    Ok((part(&order[held..]), part(&order[..held])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Example, Text};

    fn examples(count: usize) -> Examples {
        let row = |line| Example {
            label: "a".into(),
            text: Text {
                first: "text".into(),
                second: None,
            },
            line,
        };
        Examples {
            path: "data.tsv".into(),
            rows: (1..=count).map(row).collect(),
        }
    }

    #[test]
    fn a_share_is_held_out_and_nothing_is_lost() {
        let lines = |part: &Examples| part.rows.iter().map(|row| row.line).collect::<Vec<_>>();
        let (training, held) = hold_out(&examples(50), 0.1, 3).unwrap();
        assert_eq!(held.rows.len(), 5);
        let mut all = [lines(&training), lines(&held)].concat();
        all.sort_unstable();
        assert_eq!(all, (1..=50).collect::<Vec<_>>());
        let (_, again) = hold_out(&examples(50), 0.1, 3).unwrap();
        assert_eq!(lines(&again), lines(&held));
        let (_, other) = hold_out(&examples(50), 0.1, 4).unwrap();
        assert_ne!(lines(&other), lines(&held));
    }

    #[test]
    fn neither_part_is_empty() {
        for share in [0.01, 0.99] {
            let (training, held) = hold_out(&examples(2), share, 0).unwrap();
            assert_eq!((training.rows.len(), held.rows.len()), (1, 1));
        }
        let message = hold_out(&examples(1), 0.5, 0).unwrap_err().to_string();
        assert!(message.contains("one has to be held out"), "{message}");
    }
}
