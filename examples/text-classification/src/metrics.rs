//! How good predictions are.

use burn_goft_finetune::Score;
use serde::{Deserialize, Serialize};

/// Metrics over a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Metrics {
    /// Of a classifier.
    Classification {
        /// Number of examples.
        examples: usize,
        /// Mean cross-entropy.
        loss: f64,
        /// Share of right answers.
        accuracy: f64,
        /// Mean of the classes' F1, over the classes that occur as label or answer.
        macro_f1: f64,
    },
    /// Of a regression, in the units of the labels.
    Regression {
        /// Number of examples.
        examples: usize,
        /// Mean squared error.
        mse: f64,
        /// Correlation; none if labels or predictions are all the same.
        pearson: Option<f64>,
        /// Correlation of ranks; none if labels or predictions are all the same.
        spearman: Option<f64>,
    },
}

impl Metrics {
    /// The number that early stopping compares: accuracy, or Pearson's correlation. Higher is
    /// better; 0 where there is none.
    pub fn score(&self) -> f64 {
        match self {
            Self::Classification { accuracy, .. } => *accuracy,
            Self::Regression { pearson, .. } => pearson.unwrap_or(0.0),
        }
    }

    /// What decides between equal scores. Lower is better.
    pub fn loss(&self) -> f64 {
        match self {
            Self::Classification { loss, .. } => *loss,
            Self::Regression { mse, .. } => *mse,
        }
    }

    /// From labels and answers as class numbers, and each example's cross-entropy.
    pub(crate) fn of_classes(labels: &[usize], answers: &[usize], losses: &[f64]) -> Self {
        let right = labels.iter().zip(answers).filter(|(a, b)| a == b).count();
        Self::Classification {
            examples: labels.len(),
            loss: mean(losses),
            accuracy: right as f64 / labels.len() as f64,
            macro_f1: macro_f1(labels, answers),
        }
    }

    pub(crate) fn of_numbers(labels: &[f64], answers: &[f64]) -> Self {
        let errors = labels.iter().zip(answers).map(|(a, b)| (a - b).powi(2));
        Self::Regression {
            examples: labels.len(),
            mse: mean(&errors.collect::<Vec<_>>()),
            pearson: pearson(labels, answers),
            spearman: pearson(&ranks(labels), &ranks(answers)),
        }
    }
}

impl Score for Metrics {
    /// Higher score, or the same score and lower loss.
    fn is_better_than(&self, other: &Self) -> bool {
        (self.score(), -self.loss()) > (other.score(), -other.loss())
    }

    fn loss(&self) -> f64 {
        self.loss()
    }
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or_none = |value: &Option<f64>| match value {
            Some(value) => format!("{value:.3}"),
            None => "none".into(),
        };
        match self {
            Self::Classification {
                examples,
                loss,
                accuracy,
                macro_f1,
            } => write!(
                f,
                "accuracy {:.1} %, macro F1 {:.1} %, loss {loss:.4} ({examples} examples)",
                100.0 * accuracy,
                100.0 * macro_f1
            ),
            Self::Regression {
                examples,
                mse,
                pearson,
                spearman,
            } => write!(
                f,
                "Pearson {}, Spearman {}, squared error {mse:.4} ({examples} examples)",
                or_none(pearson),
                or_none(spearman)
            ),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// `F1 = 2 tp / (2 tp + fp + fn)` of each class.
fn macro_f1(labels: &[usize], answers: &[usize]) -> f64 {
    let classes = labels
        .iter()
        .chain(answers)
        .max()
        .map_or(0, |last| last + 1);
    let mut scores = Vec::new();
    for class in 0..classes {
        let count = |of: &[usize]| of.iter().filter(|c| **c == class).count();
        let both = labels.iter().zip(answers);
        let hits = both.filter(|(a, b)| **a == class && **b == class).count();
        // 2 tp + fp + fn is the number of labels and answers of the class.
        let all = count(labels) + count(answers);
        if all > 0 {
            scores.push(2.0 * hits as f64 / all as f64);
        }
    }
    mean(&scores)
}

fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| {
        let terms = a.iter().zip(b).map(|(a, b)| f(a - mean_a, b - mean_b));
        terms.sum::<f64>()
    };
    let scale = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    (scale > 0.0).then(|| sum(&|a, b| a * b) / scale)
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let first = order.iter().position(|i| *i == tied[0]).expect("a member") + 1;
        let shared = first as f64 + (tied.len() - 1) as f64 / 2.0;
        for index in tied {
            ranks[*index] = shared;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classification_by_hand() {
        // Class 0: tp 2, fp 1, fn 1. Class 1: tp 1, fp 1, fn 1. Class 2: tp 0, fp 0, fn 0. Class 3:
        // tp 1.
        let labels = [0, 0, 0, 1, 1, 3];
        let answers = [0, 0, 1, 0, 1, 3];
        let Metrics::Classification {
            accuracy,
            macro_f1,
            loss,
            examples,
        } = Metrics::of_classes(&labels, &answers, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        else {
            panic!("classes");
        };
        assert_eq!((examples, loss), (6, 3.5));
        assert!((accuracy - 4.0 / 6.0).abs() < 1e-12);
        let expected = (4.0 / 6.0 + 2.0 / 4.0 + 1.0) / 3.0;
        assert!((macro_f1 - expected).abs() < 1e-12);
    }

    #[test]
    fn regression_by_hand() {
        let labels = [1.0, 2.0, 3.0, 4.0];
        let answers = [1.0, 3.0, 2.0, 10.0];
        let Metrics::Regression {
            mse,
            pearson,
            spearman,
            ..
        } = Metrics::of_numbers(&labels, &answers)
        else {
            panic!("numbers");
        };
        assert_eq!(mse, (0.0 + 1.0 + 1.0 + 36.0) / 4.0);
        // Deviations -1.5 -0.5 0.5 1.5 and -3 -1 -2 6: 13 / sqrt(5 * 50); ranks differ by 1 twice:
        // 1 - 6 * 2 / (4 * 15).
        assert!((pearson.unwrap() - 13.0 / 250f64.sqrt()).abs() < 1e-12);
        assert!((spearman.unwrap() - 0.8).abs() < 1e-12);
    }

    #[test]
    fn ties_share_their_rank_and_constants_have_no_correlation() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 0.0]), [3.5, 2.0, 3.5, 1.0]);
        let constant = Metrics::of_numbers(&[1.0, 2.0], &[3.0, 3.0]);
        assert_eq!(constant.score(), 0.0);
        assert!(constant.to_string().contains("Pearson none"));
    }

    #[test]
    fn better_is_a_higher_score_or_the_same_and_a_lower_loss() {
        let metrics = |accuracy, loss| Metrics::Classification {
            examples: 1,
            loss,
            accuracy,
            macro_f1: 0.0,
        };
        assert!(metrics(0.8, 2.0).is_better_than(&metrics(0.7, 1.0)));
        assert!(metrics(0.8, 1.0).is_better_than(&metrics(0.8, 2.0)));
        assert!(!metrics(0.8, 1.0).is_better_than(&metrics(0.8, 1.0)));
        assert!(!metrics(0.8, f64::NAN).is_better_than(&metrics(0.8, 1.0)));
    }
}
