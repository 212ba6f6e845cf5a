//! What labels mean: classes, or numbers.

use burn_goft_finetune::Error;
use serde::{Deserialize, Serialize};

use super::examples::{Example, Examples};

/// What the head predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of these classes, in alphabetical order.
    Classification {
        /// Their names.
        classes: Vec<String>,
    },
    /// A number. The head predicts it less the mean, in units of the deviation.
    Regression {
        /// Mean of the training labels.
        mean: f64,
        /// Standard deviation of the training labels.
        deviation: f64,
    },
}

/// A label as the loss and the metrics take it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    Class(usize),
    /// In the units of the file.
    Number(f64),
}

impl Task {
    /// The classes, or the mean and deviation, of training data.
    ///
    /// # Errors
    ///
    /// [`Error::Line`] for a label that is not a number in regression; [`Error::Data`] if all
    /// labels are the same.
    pub fn of(examples: &Examples, regression: bool) -> Result<Self, Error> {
        if regression {
            return Self::regression(examples);
        }
        let mut classes: Vec<_> = examples.rows.iter().map(|row| row.label.clone()).collect();
        classes.sort();
        classes.dedup();
        match classes.len() {
            1 => Err(Error::data(
                &examples.path,
                format!(
                    "every example has the label `{}`; a classifier needs two",
                    classes[0]
                ),
            )),
            _ => Ok(Self::Classification { classes }),
        }
    }

    fn regression(examples: &Examples) -> Result<Self, Error> {
        let numbers = examples.rows.iter().map(|row| number(row, examples));
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let variance = numbers.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / count;
        match numbers.iter().any(|number| *number != numbers[0]) {
            true => Ok(Self::Regression {
                mean,
                deviation: variance.sqrt(),
            }),
            false => Err(Error::data(
                &examples.path,
                format!(
                    "every example has the label {}; there is nothing to learn",
                    numbers[0]
                ),
            )),
        }
    }

    /// Width of the head.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classification { classes } => classes.len(),
            Self::Regression { .. } => 1,
        }
    }

    /// The labels of a file; a class that training did not have is refused.
    pub(crate) fn targets(&self, examples: &Examples) -> Result<Vec<Target>, Error> {
        let target = |row: &Example| match self {
            Self::Regression { .. } => Ok(Target::Number(number(row, examples)?)),
            Self::Classification { classes } => match classes.binary_search(&row.label) {
                Ok(class) => Ok(Target::Class(class)),
                Err(_) => Err(Error::Line {
                    path: examples.path.clone(),
                    line: row.line,
                    reason: format!(
                        "the label `{}` is not in the training data, which has {}",
                        row.label,
                        listing(classes)
                    ),
                }),
            },
        };
        examples.rows.iter().map(target).collect()
    }
}

fn number(row: &Example, examples: &Examples) -> Result<f64, Error> {
    match row.label.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(Error::Line {
            path: examples.path.clone(),
            line: row.line,
            reason: format!(
                "regression needs a number as the label, found `{}`",
                row.label
            ),
        }),
    }
}

/// At most eight names.
fn listing(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
