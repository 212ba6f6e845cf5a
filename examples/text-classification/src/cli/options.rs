//! The options of each command.

use std::path::PathBuf;

use burn_goft_finetune::{METHODS, resumed_shards, shards};
use clap::{Args, Parser, Subcommand};

use super::compare::Compare;
use super::devices::DEVICES;
use super::shared::Shared;
use crate::settings::RunConfig;

/// Fine-tunes an encoder of BERT's family on texts.
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
    /// Trains on a labeled file and writes an adapter.
    Train(Box<Train>),
    /// Measures an adapter on a labeled file.
    Eval(Eval),
    /// Labels texts: label TAB probability TAB text.
    Predict(Predict),
    /// Trains by several methods on equal terms and prints a table of them.
    Compare(Box<Compare>),
}

impl Command {
    /// Whether it has a state to save when it is interrupted.
    pub fn trains(&self) -> bool {
        matches!(self, Self::Train(_) | Self::Compare(_))
    }
}

/// Options of `train`. Of an option that is named twice, as after a script's, the last counts.
#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)]
pub struct Train {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub shared: Shared,
    /// Share of the training examples that is held out for early stopping.
    #[arg(long, default_value_t = 0.1, conflicts_with = "validation")]
    pub validation_share: f64,
    /// Folder for adapter, log, checkpoints and metrics.
    #[arg(long)]
    pub out: PathBuf,
    /// How to fine-tune.
    #[arg(long, default_value = "goft", value_parser = METHODS.map(|method| method.name))]
    pub method: String,
    /// Globs on parameter paths, such as '*.query.weight'; all that the method can be applied to by
    /// default.
    #[arg(long, overrides_with = "targets", num_args = 1..)]
    pub targets: Vec<String>,
    /// Decides the head, LoRA's factors, the held-out share and the order of the data.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Updates, instead of passes over the training data; the last state is kept, not the best one.
    #[arg(long, conflicts_with_all = ["epochs", "patience"])]
    pub steps: Option<usize>,
    /// Batches in an update.
    #[arg(long, default_value_t = 1)]
    pub accumulation: usize,
    /// Parts into which a batch is dealt, computed at the same time on a share of the threads each; on a CPU as many as there are
    /// threads by default, one elsewhere. They change the order of sums: a run is resumed with as many as it began with.
    #[arg(long)]
    pub shards: Option<usize>,
    /// Peak learning rate in the encoder; the method's own for the number of updates by default.
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Peak learning rate of the head; the method's own for the number of updates by default.
    #[arg(long)]
    pub head_learning_rate: Option<f64>,
    /// Strength of the orthogonality penalty, for methods that have one.
    #[arg(long)]
    pub penalty: Option<f64>,
    /// Share of all updates over which the learning rate rises.
    #[arg(long, default_value_t = 0.1)]
    pub warmup: f64,
    /// Epochs without a better validation before training stops.
    #[arg(long, default_value_t = 3)]
    pub patience: usize,
    /// Go on from the latest checkpoint in --out.
    #[arg(long)]
    pub resume: bool,
}

/// Options of `eval`.
#[derive(Clone, Debug, Args)]
pub struct Eval {
    /// Labeled file.
    #[arg(long)]
    pub eval: PathBuf,
    /// The metrics as one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub adapter: Use,
}

/// Options of `predict`.
#[derive(Clone, Debug, Args)]
pub struct Predict {
    /// A text a line, or text TAB text for pairs; - is standard input.
    #[arg(long, default_value = "-")]
    pub input: PathBuf,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub adapter: Use,
}

/// Which adapter is used, and on what.
#[derive(Clone, Debug, Args)]
pub struct Use {
    /// The --out of a training.
    #[arg(long)]
    pub adapter: PathBuf,
    /// The pretrained model, if it is no longer where the training found it.
    #[arg(long)]
    pub model: Option<String>,
    /// Use that model although its weights are not those that the adapter was trained on, such as
    /// the same ones in another precision.
    #[arg(long, requires = "model")]
    pub other_weights: bool,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

impl Train {
    pub(crate) fn config(&self) -> RunConfig {
        RunConfig {
            validation_share: self.validation_share,
            targets: self.targets.clone(),
            seed: self.seed,
            steps: self.steps,
            accumulation: self.accumulation,
            shards: self
                .shards
                .or_else(|| resumed_shards(&self.out).filter(|_| self.resume))
                .unwrap_or_else(|| shards(&self.shared.device, self.shared.batch_size)),
            learning_rate: self.learning_rate,
            head_learning_rate: self.head_learning_rate,
            penalty: self.penalty,
            warmup: self.warmup,
            patience: Some(self.patience),
            resume: self.resume,
            ..self.shared.config(&self.out, &self.method)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        let words = ["text-classification"].into_iter().chain(line.split(' '));
        Options::try_parse_from(words).expect(line).command
    }

    #[test]
    fn of_an_option_that_is_given_twice_the_last_one_counts() {
        let files = "--model m --train a.tsv --eval b.tsv --out run";
        let asked = "--method lora --targets *.query.weight --seed 1 --method oft --targets *.key.weight --seed 2";
        let Command::Train(train) = parsed(&format!("train {files} {asked}")) else {
            panic!("it is a training");
        };
        assert_eq!((train.method.as_str(), train.seed), ("oft", 2));
        assert_eq!(train.targets, ["*.key.weight"]);

        let asked = "--methods goft,lora --steps 5 --methods full --steps 7";
        let Command::Compare(compare) = parsed(&format!("compare {files} {asked}")) else {
            panic!("it is a comparison");
        };
        assert_eq!(
            (&compare.methods[..], compare.steps),
            (&["full".into()][..], Some(7))
        );
    }
}
