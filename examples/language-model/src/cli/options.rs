//! The options of each command.

use std::path::PathBuf;

use burn_goft_finetune::METHODS;
use clap::{Args, Parser, Subcommand};

use crate::generate::Sampling;
use crate::settings::RunConfig;

/// Fine-tunes language models.
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
    /// Trains on examples and writes an adapter.
    Train(Box<Train>),
    /// Answers a prompt.
    Generate(Box<Generate>),
    /// Merges an adapter (goft, goft-star, qgoft, oft, hra, road) into a copy of the model's folder,
    /// which other programs load.
    Merge(Merge),
}

impl Command {
    /// Whether it has a state to save when it is interrupted.
    pub fn trains(&self) -> bool {
        matches!(self, Self::Train(_))
    }
}

/// What `--device` takes.
const DEVICES: &str = "flex, or with the feature of that name: ndarray, wgpu, wgpu-cpu (software adapters), vulkan, metal, \
                       webgpu, cuda";

/// Options of `train`.
#[derive(Clone, Debug, Args)]
pub struct Train {
    /// Folder of the pretrained model.
    #[arg(long)]
    pub model: PathBuf,
    /// Folder with train.jsonl and, if there is one, valid.jsonl; or one such file.
    #[arg(long)]
    pub data: PathBuf,
    /// Folder for adapter, log, checkpoints and metrics.
    #[arg(long)]
    pub out: PathBuf,
    /// How to fine-tune.
    #[arg(long, default_value = "goft", value_parser = METHODS.map(|method| method.name))]
    pub method: String,
    /// Globs on parameter paths, such as '*.q_proj.weight'; the linear weights of all layers by
    /// default.
    #[arg(long, num_args = 1..)]
    pub targets: Vec<String>,
    /// Rank of LoRA, or number of HRA's reflections.
    #[arg(long, default_value_t = 8)]
    pub rank: usize,
    /// Decides what starts at random, the held-out share and the order of the examples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Longest example in tokens; what is longer is cut.
    #[arg(long, default_value_t = 512)]
    pub max_length: usize,
    /// Examples in a batch.
    #[arg(long, default_value_t = 4)]
    pub batch_size: usize,
    /// Batches in an update.
    #[arg(long, default_value_t = 1)]
    pub accumulation: usize,
    /// Passes over the examples.
    #[arg(long, default_value_t = 3)]
    pub epochs: usize,
    /// Updates, instead of passes; the last state is kept, not the best one.
    #[arg(long, conflicts_with_all = ["epochs", "patience"])]
    pub steps: Option<usize>,
    /// Peak learning rate; the method's own for the number of updates by default.
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Strength of the orthogonality penalty, for methods that have one.
    #[arg(long)]
    pub penalty: Option<f64>,
    /// Share of all updates over which the learning rate rises.
    #[arg(long, default_value_t = 0.1)]
    pub warmup: f64,
    /// The greatest length of an update's gradient.
    #[arg(long, default_value_t = 1.0)]
    pub clip: f64,
    /// Epochs without a better validation before training stops; all epochs by default.
    #[arg(long)]
    pub patience: Option<usize>,
    /// Without a valid.jsonl, the share of the examples that is held out to validate on.
    #[arg(long, default_value_t = 0.1)]
    pub validation_share: f64,
    /// An example that is cut, or from which nothing is learned, ends the run.
    #[arg(long)]
    pub strict_data: bool,
    /// Go on from the latest checkpoint in --out.
    #[arg(long)]
    pub resume: bool,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

impl Train {
    pub(super) fn config(&self) -> RunConfig {
        RunConfig {
            model: self.model.clone(),
            data: self.data.clone(),
            validation_share: self.validation_share,
            out: self.out.clone(),
            method: self.method.clone(),
            targets: self.targets.clone(),
            rank: self.rank,
            seed: self.seed,
            max_length: self.max_length,
            batch_size: self.batch_size,
            accumulation: self.accumulation,
            epochs: self.epochs,
            steps: self.steps,
            learning_rate: self.learning_rate,
            penalty: self.penalty,
            warmup: self.warmup,
            clip: Some(self.clip),
            patience: self.patience,
            strict_data: self.strict_data,
            device: self.device.clone(),
            resume: self.resume,
        }
    }
}

/// Options of `generate`.
#[derive(Clone, Debug, Args)]
pub struct Generate {
    /// Folder of the pretrained model, or of a merged one.
    #[arg(long)]
    pub model: PathBuf,
    /// The --out of a training.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// What to answer: a question in the model's chat format, if it has one.
    #[arg(long)]
    pub prompt: String,
    /// The text goes on as it is, without the chat format.
    #[arg(long, conflicts_with = "system")]
    pub plain: bool,
    /// What the model is told before the conversation.
    #[arg(long)]
    pub system: Option<String>,
    /// The most tokens of the answer.
    #[arg(long, default_value_t = 256)]
    pub max_tokens: usize,
    /// Divides logits; at 0 the likeliest token is taken.
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f64,
    /// How many of the likeliest tokens are left.
    #[arg(long)]
    pub top_k: Option<usize>,
    /// The probability that the tokens which are left reach together.
    #[arg(long)]
    pub top_p: Option<f64>,
    /// The least probability of a token, as a share of the likeliest one's.
    #[arg(long)]
    pub min_p: Option<f64>,
    /// Makes tokens less likely that the text has already; 1 for not at all.
    #[arg(long, default_value_t = 1.0)]
    pub repetition_penalty: f64,
    /// What random choices begin with.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

impl Generate {
    pub(super) fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
        }
    }
}

/// Options of `merge`.
#[derive(Clone, Debug, Args)]
pub struct Merge {
    /// Folder of the pretrained model.
    #[arg(long)]
    pub model: PathBuf,
    /// The --out of a training.
    #[arg(long)]
    pub adapter: PathBuf,
    /// The folder to write.
    #[arg(long)]
    pub out: PathBuf,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}
