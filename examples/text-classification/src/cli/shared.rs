//! The options that `train` and `compare` share.

use std::path::{Path, PathBuf};

use clap::Args;

use super::devices::DEVICES;
use crate::settings::RunConfig;

/// Model, data and sizes of a training.
#[derive(Clone, Debug, Args)]
pub struct Shared {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    #[arg(long)]
    pub model: String,
    /// Labeled file to learn from: label TAB text, or label TAB text TAB text. A first line that
    /// starts with the column name `label` is a header.
    #[arg(long)]
    pub train: PathBuf,
    /// Labeled file for the final metrics.
    #[arg(long)]
    pub eval: PathBuf,
    /// Labeled file to validate on, instead of a share of the training examples.
    #[arg(long)]
    pub validation: Option<PathBuf>,
    /// Labels are numbers.
    #[arg(long)]
    pub regression: bool,
    /// Texts in a batch.
    #[arg(long, default_value_t = 16)]
    pub batch_size: usize,
    /// Passes over the training data.
    #[arg(long, default_value_t = 5)]
    pub epochs: usize,
    /// Rank of LoRA, or number of HRA's reflections, 8 by default.
    #[arg(long)]
    pub rank: Option<usize>,
    /// Longest text in tokens; what is longer is cut.
    #[arg(long, default_value_t = 128)]
    pub max_length: usize,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

impl Shared {
    /// The settings of a run, those that are not options here at their defaults.
    pub(super) fn config(&self, out: &Path, method: &str) -> RunConfig {
        let defaults = RunConfig::new(&self.model, &self.train, &self.eval, out, method);
        RunConfig {
            validation: self.validation.clone(),
            regression: self.regression,
            batch_size: self.batch_size,
            epochs: self.epochs,
            rank: self.rank.unwrap_or(defaults.rank),
            max_length: self.max_length,
            device: self.device.clone(),
            ..defaults
        }
    }
}
