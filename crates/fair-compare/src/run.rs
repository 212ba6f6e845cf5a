//! One run: what is asked of it, and what is kept of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::method::Method;

/// What a run has to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSpec {
    /// The method, with its settings.
    pub method: Method,
    /// Learning rate, the peak one if there is a schedule.
    pub rate: f64,
    /// Decides whatever is random: initial values, order of the data, dropout. Runs of different
    /// methods with one seed are compared pair by pair, so the same seed has to mean the same data
    /// in the same order for all methods.
    pub seed: u64,
    /// The data to measure on after training.
    pub split: Split,
    /// Training steps to make, no more and no less.
    pub steps: u64,
}

/// The data that a run is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For choosing the learning rate.
    Validation,
    /// For the table.
    Test,
}

/// What tells a run from the others of its protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Name of the method.
    pub method: String,
    /// Learning rate.
    pub rate: f64,
    /// Seed.
    pub seed: u64,
    /// The data that it was measured on.
    pub split: Split,
}

/// What a run measured. Numbers have to be finite; a run with one that is not has failed.
///
/// ```
/// use fair_compare::{BeforeAfter, Outcome};
///
/// let outcome = Outcome {
///     adapter_bytes: Some(31_204),
///     forgetting: Some(BeforeAfter { before: 96.6, after: 58.8 }),
///     drift: [("angles, deg".to_string(), 1.37)].into(),
///     ..Outcome::new(87.9, 7072)
/// };
/// assert_eq!((outcome.metric, outcome.kl), (87.9, None));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The protocol's metric on [`RunSpec::split`].
    pub metric: f64,
    /// Number of trainable parameters.
    pub trainable_parameters: u64,
    /// Size of the file that holds what was trained.
    pub adapter_bytes: Option<u64>,
    /// The most memory that was in use during the run, without what was in use before it.
    pub peak_memory_bytes: Option<u64>,
    /// What a second of training goes through, such as tokens: [`Protocol::with_throughput`] says of
    /// what. The median over the steps.
    ///
    /// [`Protocol::with_throughput`]: crate::Protocol::with_throughput
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<f64>,
    /// The protocol's metric of forgetting, on data that the training had nothing to do with.
    pub forgetting: Option<BeforeAfter>,
    /// KL(pretrained ‖ tuned) in nats, for models that give a distribution; see
    /// [`kl_divergence`](crate::kl_divergence). On inputs of the new task where the pretrained
    /// model has one for them, otherwise on data that [`Report::with_note`] names.
    ///
    /// [`Report::with_note`]: crate::Report::with_note
    pub kl: Option<f64>,
    /// Named numbers that say how far the model has moved.
    pub drift: BTreeMap<String, f64>,
}

/// A number of the pretrained model and the same number of the tuned one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeforeAfter {
    /// Before training.
    pub before: f64,
    /// After training.
    pub after: f64,
}

impl Outcome {
    /// An outcome with nothing but what every run has. A tuning run needs no more.
    pub fn new(metric: f64, trainable_parameters: u64) -> Self {
        Self {
            metric,
            trainable_parameters,
            adapter_bytes: None,
            peak_memory_bytes: None,
            throughput: None,
            forgetting: None,
            kl: None,
            drift: BTreeMap::new(),
        }
    }

    /// The numbers beside the metric that may be anything but must be finite.
    pub(crate) fn side_numbers(&self) -> Vec<(&str, f64)> {
        let mut numbers = Vec::new();
        let throughput = self.throughput;
        numbers.extend(throughput.map(|items| ("what a second goes through", items)));
        if let Some(forgetting) = self.forgetting {
            numbers.push(("the forgetting metric before training", forgetting.before));
            numbers.push(("the forgetting metric after training", forgetting.after));
        }
        numbers.extend(self.kl.map(|kl| ("the KL divergence", kl)));
        numbers.extend(self.drift.iter().map(|(name, value)| (&**name, *value)));
        numbers
    }
}

impl RunSpec {
    /// What the run is known by.
    pub fn run(&self) -> Run {
        Run {
            method: self.method.name.clone(),
            rate: self.rate,
            seed: self.seed,
            split: self.split,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method, rate, seed, ..
        } = self;
        let split = match self.split {
            Split::Validation => "validation",
            Split::Test => "test",
        };
        write!(f, "{method}, rate {rate:e}, seed {seed}, {split}")
    }
}
