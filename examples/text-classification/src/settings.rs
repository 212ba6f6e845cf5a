//! The settings of a run.

use std::path::PathBuf;

use burn_goft_finetune::{Course, Error, Method, Rates, is_one_shard, one_shard};
use serde::{Deserialize, Serialize};

/// The settings of a run. [`RunConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    pub model: String,
    /// Labeled file to learn from.
    pub train: PathBuf,
    /// Labeled file for the final metrics.
    pub eval: PathBuf,
    /// Labeled file for early stopping; without one, a share of the training examples is held out.
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
    /// Parts into which a batch is dealt, computed at the same time; see [`Course`].
    #[serde(default = "one_shard", skip_serializing_if = "is_one_shard")]
    pub shards: usize,
    /// Passes over the training data, fewer with early stopping.
    pub epochs: usize,
    /// So many updates instead, whatever the validation says; the last state is kept, not the best.
    #[serde(default)]
    pub steps: Option<usize>,
    /// Peak learning rate in the encoder; the method's for the number of updates where none is
    /// given.
    pub learning_rate: Option<f64>,
    /// Peak learning rate of the head; the method's for the number of updates where none is given.
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
            shards: 1,
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

    /// Batches and updates.
    pub(crate) fn course(&self) -> Course {
        Course {
            seed: self.seed,
            batch_size: self.batch_size,
            accumulation: self.accumulation,
            epochs: self.epochs,
            steps: self.steps,
            warmup: self.warmup,
            patience: self.patience,
            clip: None,
            sample_every: None,
            shards: self.shards,
        }
    }

    /// Refuses numbers that no run can have.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.course().check()?;
        let refuse = |what: String| Err(Error::Settings(what));
        if self.rank == 0 {
            return refuse("the rank is 0; it has to be at least 1".into());
        }
        for (name, rate) in [
            ("learning rate", self.learning_rate),
            ("head's learning rate", self.head_learning_rate),
            ("penalty", self.penalty),
        ] {
            if let Some(rate) = rate.filter(|rate| !rate.is_finite() || *rate < 0.0) {
                return refuse(format!(
                    "the {name} is {rate}; it has to be a number that is not negative"
                ));
            }
        }
        if !(self.validation_share > 0.0 && self.validation_share < 1.0) {
            return refuse(format!(
                "the share for validation is {}; it has to be between 0 and 1",
                self.validation_share
            ));
        }
        Ok(())
    }

    /// Refuses rates and a penalty that the method has no use for.
    pub(crate) fn check_rates(&self, method: &Method) -> Result<(), Error> {
        if self.penalty.is_some() && method.penalty.is_none() {
            return Err(Error::Settings(format!(
                "`{}` has no orthogonality penalty; leave out the strength",
                method.name
            )));
        }
        if self.learning_rate.is_some_and(|rate| rate > 0.0) && method.trains_heads_only() {
            return Err(Error::Settings(format!(
                "`{}` trains the head only; its rate is the head's learning rate, leave out the other one",
                method.name
            )));
        }
        Ok(())
    }

    /// The rates that were chosen, or the method's for a training of so many updates.
    pub(crate) fn rates(&self, method: &Method, steps: usize) -> Rates {
        let default = method.rates(steps);
        Rates {
            body: self.learning_rate.unwrap_or(default.body),
            head: self.head_learning_rate.unwrap_or(default.head),
            penalty: self.penalty.or(default.penalty),
        }
    }
}
