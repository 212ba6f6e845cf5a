//! The settings of a run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::methods::Method;

/// Peak learning rates and the strength of the penalty, chosen or the method's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) encoder: f64,
    pub(crate) head: f64,
    pub(crate) penalty: Option<f64>,
}

/// The settings of a run. [`RunConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    pub model: String,
    /// Labelled file to learn from.
    pub train: PathBuf,
    /// Labelled file for the final metrics.
    pub eval: PathBuf,
    /// Labelled file for early stopping; without one, a share of the training examples is held out.
    pub validation: Option<PathBuf>,
    /// That share.
    pub validation_share: f64,
    /// Folder for adapter, log, checkpoints and metrics.
    pub out: PathBuf,
    /// Name of the [`Method`].
    pub method: String,
    /// Globs on parameter paths; none means all that the method can be applied to.
    pub targets: Vec<String>,
    /// Labels are numbers.
    pub regression: bool,
    /// Decides the head, LoRA's factors, the held-out share and the order of the data.
    pub seed: u64,
    /// Texts in a batch.
    pub batch_size: usize,
    /// Batches in an update.
    pub accumulation: usize,
    /// Passes over the training data, fewer with early stopping.
    pub epochs: usize,
    /// So many updates instead, whatever the validation says; the last state is kept, not the best.
    #[serde(default)]
    pub steps: Option<usize>,
    /// Peak learning rate in the encoder; the method's where none is given.
    pub learning_rate: Option<f64>,
    /// Peak learning rate of the head; the method's where none is given.
    pub head_learning_rate: Option<f64>,
    /// Strength of the orthogonality penalty; the method's where none is given.
    pub penalty: Option<f64>,
    /// Rank of LoRA.
    pub rank: usize,
    /// Share of all updates over which the learning rate rises.
    pub warmup: f64,
    /// Longest text in tokens, if the model has so many positions; what is longer is cut.
    pub max_length: usize,
    /// Epochs without a better validation before training stops; none trains all epochs.
    pub patience: Option<usize>,
    /// Name of the device.
    pub device: String,
    /// Go on from the latest checkpoint in `out`.
    pub resume: bool,
}

impl RunConfig {
    /// The defaults, for a pretrained model, two data files, a folder and a method.
    pub fn new(
        model: impl Into<String>,
        train: impl Into<PathBuf>,
        eval: impl Into<PathBuf>,
        out: impl Into<PathBuf>,
        method: impl Into<String>,
    ) -> Self {
        Self {
            model: model.into(),
            train: train.into(),
            eval: eval.into(),
            validation: None,
            validation_share: 0.1,
            out: out.into(),
            method: method.into(),
            targets: Vec::new(),
            regression: false,
            seed: 0,
            batch_size: 16,
            accumulation: 1,
            epochs: 5,
            steps: None,
            learning_rate: None,
            head_learning_rate: None,
            penalty: None,
            rank: 8,
            warmup: 0.1,
            max_length: 128,
            patience: Some(3),
            device: "flex".into(),
            resume: false,
        }
    }

    /// Refuses numbers that no run can have.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Settings(what));
        for (name, number) in [
            ("batch size", self.batch_size),
            ("accumulation", self.accumulation),
            ("number of epochs", self.epochs),
            ("rank", self.rank),
        ] {
            if number == 0 {
                return refuse(format!("the {name} is 0; it has to be at least 1"));
            }
        }
        if self.steps == Some(0) {
            return refuse("the number of steps is 0; it has to be at least 1, or none".into());
        }
        if self.patience == Some(0) {
            return refuse("the patience is 0; it has to be at least 1, or none".into());
        }
        for (name, rate) in [
            ("learning rate", self.learning_rate),
            ("head's learning rate", self.head_learning_rate),
            ("penalty", self.penalty),
        ] {
            if rate.is_some_and(|rate| !rate.is_finite() || rate < 0.0) {
                return refuse(format!(
                    "the {name} is {}; it has to be a number that is not negative",
                    rate.expect("just seen")
                ));
            }
        }
        if !(0.0..1.0).contains(&self.warmup) {
            return refuse(format!(
                "the warm-up is {} of the updates; it has to be at least 0 and below 1",
                self.warmup
            ));
        }
        if !(self.validation_share > 0.0 && self.validation_share < 1.0) {
            return refuse(format!(
                "the share for validation is {}; it has to be between 0 and 1",
                self.validation_share
            ));
        }
        Ok(())
    }

    /// The rates that were chosen, or the method's.
    pub(crate) fn rates(&self, method: &Method) -> Result<Rates, Error> {
        if self.penalty.is_some() && method.penalty.is_none() {
            return Err(Error::Settings(format!(
                "`{}` has no orthogonality penalty; leave out the strength",
                method.name
            )));
        }
        if self.learning_rate.is_some_and(|rate| rate > 0.0) && method.trains_head_only() {
            return Err(Error::Settings(format!(
                "`{}` trains the head only; its rate is the head's learning rate, leave out the other one",
                method.name
            )));
        }
        Ok(Rates {
            encoder: self.learning_rate.unwrap_or(method.learning_rate),
            head: self.head_learning_rate.unwrap_or(method.head_learning_rate),
            penalty: self.penalty.or(method.penalty),
        })
    }
}
