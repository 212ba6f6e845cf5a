//! The examples of a comparison, the same for all its runs.

use std::collections::HashSet;
use std::path::Path;

use burn_goft_finetune::{Error, files};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::config::CompareConfig;
use crate::data::{Example, Examples, Task, hold_out, refuse_other_shape};
use crate::settings::RunConfig;

/// Decides which examples are drawn and which are held out. Not a run's seed: runs differ in what
/// they draw from the same data.
const SEED: u64 = 0;

pub(super) struct Splits {
    pub(super) training: Examples,
    pub(super) validation: Examples,
    pub(super) test: Examples,
}

impl Splits {
    pub(super) fn read(config: &CompareConfig) -> Result<Self, Error> {
        let run = &config.run;
        let all = drawn(Examples::read(&run.train)?, config.limit_train);
        let test = drawn(Examples::read(&run.eval)?, config.limit_eval);
        refuse_other_shape(&test, all.are_pairs())?;
        let (training, validation) = match &run.validation {
            Some(path) => {
                let validation = Examples::read(path)?;
                refuse_other_shape(&validation, all.are_pairs())?;
                (all, validation)
            }
            None => hold_out(&all, run.validation_share, SEED)?,
        };
        Ok(Self {
            training,
            validation,
            test,
        })
    }

    /// The task of the training examples, which the others have to fit.
    pub(super) fn task(&self, run: &RunConfig) -> Result<Task, Error> {
        if !run.regression && run.validation.is_none() {
            self.refuse_lost_label()?;
        }
        let task = Task::of(&self.training, run.regression)?;
        task.targets(&self.validation)?;
        task.targets(&self.test)?;
        Ok(task)
    }

    /// A label of which all examples are held out.
    fn refuse_lost_label(&self) -> Result<(), Error> {
        let known: HashSet<&str> = self.training.rows.iter().map(|row| &*row.label).collect();
        let mut held_out = self.validation.rows.iter();
        match held_out.find(|row| !known.contains(&*row.label)) {
            None => Ok(()),
            Some(row) => Err(Error::data(
                &self.training.path,
                format!(
                    "all examples with the label `{}` are held out for validation; take more examples, or name a file for \
                     validation",
                    row.label
                ),
            )),
        }
    }

    /// Writes the splits as data files.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        for (name, examples) in [
            (TRAINING, &self.training),
            (VALIDATION, &self.validation),
            (TEST, &self.test),
        ] {
            let lines = examples.rows.iter().map(line);
            // With a header, so that a first example of the class `label` is not taken for one.
            let text: String = std::iter::once("label\ttext\n".into())
                .chain(lines)
                .collect();
            files::write(&folder.join(name), text.as_bytes())?;
        }
        Ok(())
    }
}

pub(super) const TRAINING: &str = "training.tsv";
pub(super) const VALIDATION: &str = "validation.tsv";
pub(super) const TEST: &str = "test.tsv";

fn line(row: &Example) -> String {
    let mut columns = vec![row.label.as_str(), &row.text.first];
    columns.extend(row.text.second.as_deref());
    columns.join("\t") + "\n"
}

/// At most `limit` examples, at random, in the order of the file.
fn drawn(mut examples: Examples, limit: Option<usize>) -> Examples {
    let count = examples.rows.len();
    let limit = limit.unwrap_or(count).clamp(1, count);
    let mut random = StdRng::seed_from_u64(SEED);
    let mut chosen = rand::seq::index::sample(&mut random, count, limit).into_vec();
    chosen.sort_unstable();
    let rows = chosen.into_iter().map(|index| examples.rows[index].clone());
    examples.rows = rows.collect();
    examples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Text;

    fn examples(count: usize) -> Examples {
        let row = |line: usize| Example {
            label: ["label", "pos"][line % 2].into(),
            text: Text {
                first: format!("text {line}"),
                second: line.is_multiple_of(3).then(|| "second".into()),
            },
            line,
        };
        Examples {
            path: "data.tsv".into(),
            rows: (0..count).map(row).collect(),
        }
    }

    #[test]
    fn drawn_examples_are_some_of_all_in_order() {
        let lines = |part: &Examples| part.rows.iter().map(|row| row.line).collect::<Vec<_>>();
        let all = drawn(examples(50), None);
        assert_eq!(lines(&all), (0..50).collect::<Vec<_>>());
        let some = lines(&drawn(examples(50), Some(10)));
        assert_eq!(some.len(), 10);
        assert!(some.is_sorted());
        assert_ne!(some, (0..10).collect::<Vec<_>>());
        assert_eq!(some, lines(&drawn(examples(50), Some(10))));
        assert_eq!(lines(&drawn(examples(5), Some(10))).len(), 5);
    }

    #[test]
    fn a_label_that_is_held_out_altogether_is_named() {
        let only = |label: &str| {
            let mut part = examples(20);
            part.rows.retain(|row| row.label == label);
            part
        };
        let splits = Splits {
            training: only("pos"),
            validation: only("label"),
            test: examples(4),
        };
        let mut run = RunConfig::new("model", "data.tsv", "test.tsv", "out", "");
        let message = splits.task(&run).unwrap_err().to_string();
        assert!(
            message.contains("all examples with the label `label` are held out"),
            "{message}"
        );
        run.validation = Some("validation.tsv".into());
        let message = splits.task(&run).unwrap_err().to_string();
        assert!(
            message.contains("every example has the label `pos`"),
            "{message}"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let single = |from: usize| {
            let mut part = examples(40);
            part.rows
                .retain(|row| row.line >= from && row.text.second.is_none());
            part
        };
        let mut pairs = examples(12);
        pairs.rows.retain(|row| row.text.second.is_some());
        let splits = Splits {
            training: single(0),
            validation: single(20),
            test: pairs,
        };
        splits.write(folder.path()).unwrap();
        for (name, expected) in [
            (TRAINING, &splits.training),
            (VALIDATION, &splits.validation),
            (TEST, &splits.test),
        ] {
            let read = Examples::read(&folder.path().join(name)).unwrap();
            let content = |part: &Examples| {
                let rows = part
                    .rows
                    .iter()
                    .map(|row| (row.label.clone(), row.text.clone()));
                rows.collect::<Vec<_>>()
            };
            assert_eq!(content(&read), content(expected));
        }
    }
}
