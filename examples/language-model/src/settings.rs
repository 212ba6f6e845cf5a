//! The settings of a run.

use std::path::PathBuf;

use burn_goft_finetune::{Course, Error, Method, Rates, is_one_shard, one_shard};
use serde::{Deserialize, Serialize};

use crate::folder::Base;

/// The settings of a run. [`RunConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    pub model: PathBuf,
    /// A folder with `train.jsonl` and, if there is one, `valid.jsonl`; or a file to learn from.
    pub data: PathBuf,
    /// Without a `valid.jsonl`, the share of the examples that is held out to validate on.
    pub validation_share: f64,
    /// Folder for adapter, log, checkpoints and metrics.
    pub out: PathBuf,
    /// Name of the method.
    pub method: String,
    /// Presets, names of layers or globs on parameter paths ([`globs`](crate::globs)); the linear
    /// weights of all layers without any.
    pub targets: Vec<String>,
    /// Rank of LoRA, or number of HRA's reflections.
    pub rank: usize,
    /// Decides what starts at random, the held-out share and the order of the examples.
    pub seed: u64,
    /// What the frozen weights are kept in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub base: Base,
    /// Whether the layers' vectors are computed a second time in the backward pass instead of kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recompute: bool,
    /// Longest example in tokens; what is longer is cut.
    pub max_length: usize,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Whether several examples stand in one row, as many as `max_length` has room for. None looks at
    /// another one; a batch then has so many rows.
    pub packing: bool,
    /// Batches in an update.
    pub accumulation: usize,
    /// Parts into which a batch is dealt, computed at the same time; see [`Course`].
    #[serde(default = "one_shard", skip_serializing_if = "is_one_shard")]
    pub shards: usize,
    /// Passes over the examples.
    pub epochs: usize,
    /// Updates, instead of passes.
    pub steps: Option<usize>,
    /// Peak learning rate; the method's own by default.
    pub learning_rate: Option<f64>,
    /// Strength of the orthogonality penalty, for methods that have one.
    pub penalty: Option<f64>,
    /// Share of all updates over which the learning rate rises.
    pub warmup: f64,
    /// The greatest length of an update's gradient.
    pub clip: Option<f64>,
    /// Epochs without a better validation before training stops.
    pub patience: Option<usize>,
    /// Whether an example that is cut or from which nothing is learned ends the run.
    pub strict_data: bool,
    /// Updates between two answers to the prompt of the first held-out example; none asks nothing.
    pub sample_every: Option<usize>,
    /// Name of the device.
    pub device: String,
    /// Whether to go on from the latest checkpoint.
    pub resume: bool,
}

/// Settings that are not written where they are as in runs that did not have them.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl RunConfig {
    /// The defaults.
    pub fn new(
        model: impl Into<PathBuf>,
        data: impl Into<PathBuf>,
        out: impl Into<PathBuf>,
        method: &str,
    ) -> Self {
        Self {
            model: model.into(),
            data: data.into(),
            validation_share: 0.1,
            out: out.into(),
            method: method.into(),
            targets: Vec::new(),
            rank: 8,
            base: Base::F32,
            recompute: false,
            seed: 0,
            max_length: 512,
            batch_size: 4,
            packing: false,
            accumulation: 1,
            shards: 1,
            epochs: 3,
            steps: None,
            learning_rate: None,
            penalty: None,
            warmup: 0.1,
            clip: Some(1.0),
            patience: None,
            strict_data: false,
            sample_every: None,
            device: "flex".into(),
            resume: false,
        }
    }

    /// Refuses what no run can have.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`].
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Settings(what));
        self.course().check()?;
        if self.max_length < 2 {
            return refuse(format!(
                "the longest example is to have {} tokens; at least 2 are needed, one to predict the other from",
                self.max_length
            ));
        }
        if self.rank == 0 {
            return refuse("the rank is 0; it has to be at least 1".into());
        }
        if !(self.validation_share > 0.0 && self.validation_share < 1.0) {
            return refuse(format!(
                "a share of {} of the examples is to be held out; it has to be above 0 and below 1",
                self.validation_share
            ));
        }
        for (name, number) in [
            ("learning rate", self.learning_rate),
            ("penalty", self.penalty),
        ] {
            if let Some(number) = number
                && !(number.is_finite() && number >= 0.0)
            {
                return refuse(format!(
                    "the {name} is {number}; it has to be a number, at least 0"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn course(&self) -> Course {
        Course {
            seed: self.seed,
            batch_size: self.batch_size,
            accumulation: self.accumulation,
            epochs: self.epochs,
            steps: self.steps,
            warmup: self.warmup,
            patience: self.patience,
            clip: self.clip,
            sample_every: self.sample_every,
            shards: self.shards,
        }
    }

    pub(crate) fn rates(&self, method: &Method, steps: usize) -> Rates {
        let rates = method.rates(steps);
        Rates {
            body: self.learning_rate.unwrap_or(rates.body),
            penalty: self.penalty.or(rates.penalty),
            ..rates
        }
    }
}
