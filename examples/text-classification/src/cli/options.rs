//! The options of each command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::compare::Compare;
use crate::methods::METHODS;
use crate::settings::RunConfig;

/// Fine-tunes a BERT encoder on texts.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command with its options.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Trains on a labelled file and writes an adapter.
    Train(Box<Train>),
    /// Measures an adapter on a labelled file.
    Eval(Eval),
    /// Labels texts: label TAB probability TAB text.
    Predict(Predict),
    /// Trains by several methods on equal terms and prints a table of them.
    Compare(Box<Compare>),
}

pub(super) const DEVICES: &str = "flex, or with the feature of that name: ndarray, wgpu, wgpu-cpu (software adapters), vulkan, metal, \
                       webgpu, cuda";

/// Options of `train`.
#[derive(Clone, Debug, Args)]
pub struct Train {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    #[arg(long)]
    pub model: String,
    /// Labelled file to learn from: label TAB text, or label TAB text TAB text. A first line that starts with the column name
    /// `label` is a header.
    #[arg(long)]
    pub train: PathBuf,
    /// Labelled file for the final metrics.
    #[arg(long)]
    pub eval: PathBuf,
    /// Labelled file for early stopping, instead of a share of the training examples.
    #[arg(long)]
    pub validation: Option<PathBuf>,
    /// Share of the training examples that is held out for early stopping.
    #[arg(long, default_value_t = 0.1, conflicts_with = "validation")]
    pub validation_share: f64,
    /// Folder for adapter, log, checkpoints and metrics.
    #[arg(long)]
    pub out: PathBuf,
    /// How to fine-tune.
    #[arg(long, default_value = "goft", value_parser = METHODS.map(|method| method.name))]
    pub method: String,
    /// Globs on parameter paths, such as '*.query.weight'; all that the method can be applied to by default.
    #[arg(long, num_args = 1..)]
    pub targets: Vec<String>,
    /// Labels are numbers.
    #[arg(long)]
    pub regression: bool,
    /// Decides the head, LoRA's factors, the held-out share and the order of the data.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Texts in a batch.
    #[arg(long, default_value_t = 16)]
    pub batch_size: usize,
    /// Batches in an update.
    #[arg(long, default_value_t = 1)]
    pub accumulation: usize,
    /// Passes over the training data.
    #[arg(long, default_value_t = 5)]
    pub epochs: usize,
    /// Peak learning rate in the encoder; the method's own by default.
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Peak learning rate of the head; the method's own by default.
    #[arg(long)]
    pub head_learning_rate: Option<f64>,
    /// Strength of the orthogonality penalty, for methods that have one.
    #[arg(long)]
    pub penalty: Option<f64>,
    /// Rank of LoRA.
    #[arg(long, default_value_t = 8)]
    pub rank: usize,
    /// Share of all updates over which the learning rate rises.
    #[arg(long, default_value_t = 0.1)]
    pub warmup: f64,
    /// Longest text in tokens; what is longer is cut.
    #[arg(long, default_value_t = 128)]
    pub max_length: usize,
    /// Epochs without a better validation before training stops.
    #[arg(long, default_value_t = 3)]
    pub patience: usize,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
    /// Go on from the latest checkpoint in --out.
    #[arg(long)]
    pub resume: bool,
}

/// Options of `eval`.
#[derive(Clone, Debug, Args)]
pub struct Eval {
    /// The --out of a training.
    #[arg(long)]
    pub adapter: PathBuf,
    /// Labelled file.
    #[arg(long)]
    pub eval: PathBuf,
    /// The pretrained model, if it is no longer where the training found it.
    #[arg(long)]
    pub model: Option<String>,
    /// The metrics as one JSON object.
    #[arg(long)]
    pub json: bool,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

/// Options of `predict`.
#[derive(Clone, Debug, Args)]
pub struct Predict {
    /// The --out of a training.
    #[arg(long)]
    pub adapter: PathBuf,
    /// A text a line, or text TAB text for pairs; - is standard input.
    #[arg(long, default_value = "-")]
    pub input: PathBuf,
    /// The pretrained model, if it is no longer where the training found it.
    #[arg(long)]
    pub model: Option<String>,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

impl Train {
    pub(crate) fn config(&self) -> RunConfig {
        RunConfig {
            model: self.model.clone(),
            train: self.train.clone(),
            eval: self.eval.clone(),
            validation: self.validation.clone(),
            validation_share: self.validation_share,
            out: self.out.clone(),
            method: self.method.clone(),
            targets: self.targets.clone(),
            regression: self.regression,
            seed: self.seed,
            batch_size: self.batch_size,
            accumulation: self.accumulation,
            epochs: self.epochs,
            steps: None,
            learning_rate: self.learning_rate,
            head_learning_rate: self.head_learning_rate,
            penalty: self.penalty,
            rank: self.rank,
            warmup: self.warmup,
            max_length: self.max_length,
            patience: Some(self.patience),
            device: self.device.clone(),
            resume: self.resume,
        }
    }
}
