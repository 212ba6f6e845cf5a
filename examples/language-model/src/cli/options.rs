//! The options of each command.

use std::path::PathBuf;

use burn_goft_finetune::{Contender, Error, METHODS, resumed_shards, shards};
use clap::{Args, Parser, Subcommand};

use super::loaded::Loaded;
use crate::compare::{CompareConfig, method_names};
use crate::folder::Base;
use crate::generate::{Generation, Sampling};
use crate::run::NONE;
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
    /// Answers a prompt, or a file of them.
    Generate(Box<Generate>),
    /// Talks, line by line.
    Chat(Box<Chat>),
    /// Measures a model: answers to choose from, answers to be written, and text to be predicted.
    Eval(Box<Eval>),
    /// Compares methods on equal terms: the same data, steps, search and seeds.
    Compare(Box<Compare>),
    /// Measures what a training step and generating take on this machine, with random tokens.
    Bench(Bench),
    /// Merges what a run has trained into a copy of the model's folder, which other programs load.
    Merge(Merge),
}

impl Command {
    /// Whether it has a state to save when it is interrupted.
    pub fn trains(&self) -> bool {
        matches!(self, Self::Train(_) | Self::Compare(_))
    }
}

/// What `--device` takes.
const DEVICES: &str = "flex, or with the feature of that name: ndarray, wgpu, wgpu-cpu (software adapters), vulkan, metal, \
                       webgpu, cuda, rocm, cpu (compiled by CubeCL)";

/// What `compare --methods` takes.
fn contender(text: &str) -> Result<String, Error> {
    text.parse::<Contender>()?;
    Ok(text.into())
}

/// What `train --method` takes.
fn names() -> Vec<&'static str> {
    METHODS
        .iter()
        .map(|method| method.name)
        .chain([NONE])
        .collect()
}

/// Options of `train`. Of an option that is named twice, as after a script's, the last counts.
#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)]
pub struct Train {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    #[arg(long)]
    pub model: PathBuf,
    /// Folder with train.jsonl and, if there is one, valid.jsonl; or one such file.
    #[arg(long)]
    pub data: PathBuf,
    /// Folder for adapter, log, checkpoints and metrics.
    #[arg(long)]
    pub out: PathBuf,
    /// How to fine-tune; none measures the pretrained model and trains nothing.
    #[arg(long, default_value = "goft", value_parser = names())]
    pub method: String,
    /// all-linear (the default), attention, feed-forward; names of layers, such as q_proj; or globs
    /// on parameter paths, such as '*.3.*.q_proj.weight'.
    #[arg(long, overrides_with = "targets", num_args = 1..)]
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
    /// Several examples in a row, as many as --max-length has room for; none looks at another one, and
    /// a batch has --batch-size rows.
    #[arg(long)]
    pub packing: bool,
    /// Batches in an update.
    #[arg(long, default_value_t = 1)]
    pub accumulation: usize,
    /// Parts into which a batch is dealt, computed at the same time on a share of the threads each; on a CPU as many as there are
    /// threads by default, one elsewhere. They change the order of sums: a run is resumed with as many as it began with.
    #[arg(long)]
    pub shards: Option<usize>,
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
    /// Updates between two answers to the prompt of the first held-out example.
    #[arg(long)]
    pub sample_every: Option<usize>,
    /// Go on from the latest checkpoint in --out.
    #[arg(long)]
    pub resume: bool,
    /// What the frozen weights of the layers are kept in.
    #[arg(long, value_enum, default_value_t)]
    pub base: Base,
    /// Compute each layer's vectors a second time in the backward pass instead of keeping them: less
    /// memory, about 1.4 times the time.
    #[arg(long)]
    pub recompute: bool,
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
            packing: self.packing,
            accumulation: self.accumulation,
            shards: self
                .shards
                .or_else(|| resumed_shards(&self.out).filter(|_| self.resume))
                .unwrap_or_else(|| shards(&self.device, self.batch_size)),
            epochs: self.epochs,
            steps: self.steps,
            learning_rate: self.learning_rate,
            penalty: self.penalty,
            warmup: self.warmup,
            clip: Some(self.clip),
            patience: self.patience,
            strict_data: self.strict_data,
            sample_every: self.sample_every,
            base: self.base,
            recompute: self.recompute,
            device: self.device.clone(),
            resume: self.resume,
        }
    }
}

/// The model that is used.
#[derive(Clone, Debug, Args)]
pub struct Used {
    /// Folder of the pretrained model or of a merged one, or a name on the Hugging Face hub.
    #[arg(long)]
    pub model: PathBuf,
    /// The --out of a training; while one talks it can be switched on and off.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// What the weights of the layers are kept in; that of the training, or f32, by default.
    #[arg(long, value_enum)]
    pub base: Option<Base>,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

impl Used {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// Those of [`Loaded::new`].
    pub fn load(&self) -> Result<Loaded, Error> {
        Loaded::new(&self.model, self.adapter.as_ref(), self.base, &self.device)
    }
}

/// Options of `generate`.
#[derive(Clone, Debug, Args)]
pub struct Generate {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its options have help of their own")]
    pub used: Used,
    /// What to answer: a question in the model's chat format, if it has one.
    #[arg(long, conflicts_with = "input")]
    pub prompt: Option<String>,
    /// A file of prompts, one JSON object a line as for a training; answers in them are passed over.
    #[arg(long)]
    pub input: Option<PathBuf>,
    /// The file to write the answers of --input to, one JSON object a line; they are printed without it.
    #[arg(long, requires = "input")]
    pub output: Option<PathBuf>,
    /// Prompts of --input that are answered at once.
    #[arg(long, default_value_t = 8)]
    pub batch_size: usize,
    /// The text goes on as it is, without the chat format.
    #[arg(long, conflicts_with = "system")]
    pub plain: bool,
    /// What the model is told before the conversation.
    #[arg(long)]
    pub system: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its options have help of their own")]
    pub choice: Choice,
}

/// How the tokens of answers are chosen, and where answers end.
#[derive(Clone, Debug, Args)]
pub struct Choice {
    /// The most tokens of an answer.
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
    /// Words that end an answer and are no part of it.
    #[arg(long)]
    pub stop: Vec<String>,
    /// What random choices begin with.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl Choice {
    pub(super) fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
        }
    }

    pub(super) fn generation(&self, ends: &[u32]) -> Generation {
        Generation {
            sampling: self.sampling(),
            max_tokens: self.max_tokens,
            ends: ends.to_vec(),
            stops: self
                .stop
                .iter()
                .filter(|stop| !stop.is_empty())
                .cloned()
                .collect(),
            seed: self.seed,
        }
    }
}

/// Options of `chat`.
#[derive(Clone, Debug, Args)]
pub struct Chat {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its options have help of their own")]
    pub used: Used,
    /// What the model is told before the conversation.
    #[arg(long)]
    pub system: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its options have help of their own")]
    pub choice: Choice,
}

/// Options of `eval`.
#[derive(Clone, Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its options have help of their own")]
    pub used: Used,
    /// Questions with answers to choose from, {"context", "choices", "gold"} a line, scored by
    /// log-likelihood as lm-evaluation-harness does.
    #[arg(long)]
    pub choices: Option<PathBuf>,
    /// Questions whose answers are to be written, as for a training; compared word for word, by the number
    /// after #### and by the last number, as GSM8K is.
    #[arg(long)]
    pub answers: Option<PathBuf>,
    /// A text to be predicted.
    #[arg(long)]
    pub text: Option<PathBuf>,
    /// Questions that are read; all of them by default.
    #[arg(long)]
    pub limit: Option<usize>,
    /// Tokens that are looked at together.
    #[arg(long, default_value_t = 1024)]
    pub window: usize,
    /// How far windows of --text begin apart; half of one by default.
    #[arg(long)]
    pub stride: Option<usize>,
    /// Questions of --answers that are answered at once.
    #[arg(long, default_value_t = 8)]
    pub batch_size: usize,
    /// The most tokens of an answer.
    #[arg(long, default_value_t = 256)]
    pub max_tokens: usize,
    /// Words that end an answer and are no part of it.
    #[arg(long)]
    pub stop: Vec<String>,
    /// Questions of --answers are texts to go on with, without the chat format.
    #[arg(long)]
    pub plain: bool,
}

/// Options of `compare`. Of an option that is named twice, as after a script's, the last counts.
#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)]
pub struct Compare {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    #[arg(long)]
    pub model: PathBuf,
    /// Folder with train.jsonl, test.jsonl and, if there is one, valid.jsonl.
    #[arg(long)]
    pub data: PathBuf,
    /// Folder for records and table. The same command goes on where it was.
    #[arg(long)]
    pub out: PathBuf,
    /// The methods, separated by commas, a rank of its own after a colon (`lora:1`); differences are
    /// to the first.
    #[arg(long, overrides_with = "methods", value_delimiter = ',', default_values_t = method_names(), value_parser = contender)]
    pub methods: Vec<String>,
    /// Updates of every run.
    #[arg(long)]
    pub steps: usize,
    /// Learning rates that each method tries, around its default: 5 are 0.1, 0.3, 1, 3 and 10 times
    /// it, 3 are 0.3 to 3 times.
    #[arg(long, default_value_t = 3)]
    pub rates_per_method: usize,
    /// Runs at each rate, to choose one.
    #[arg(long, default_value_t = 1)]
    pub tuning_seeds: u64,
    /// Runs at the chosen rate, with other seeds, for the table.
    #[arg(long, default_value_t = 3)]
    pub test_seeds: u64,
    /// As those of `train`.
    #[arg(long, overrides_with = "targets", num_args = 1..)]
    pub targets: Vec<String>,
    /// Rank of LoRA, or number of HRA's reflections.
    #[arg(long, default_value_t = 8)]
    pub rank: usize,
    /// Longest row in tokens; what is longer is cut.
    #[arg(long, default_value_t = 512)]
    pub max_length: usize,
    /// Rows in a batch.
    #[arg(long, default_value_t = 4)]
    pub batch_size: usize,
    /// As those of `train`, but one by default, for the same numbers on every machine.
    #[arg(long, default_value_t = 1)]
    pub shards: usize,
    /// Several examples in a row, as many as --max-length has room for.
    #[arg(long)]
    pub packing: bool,
    /// The first so many training examples.
    #[arg(long)]
    pub limit_train: Option<usize>,
    /// The first so many validation examples, and test examples.
    #[arg(long)]
    pub limit_eval: Option<usize>,
    /// A text that the training has nothing to do with, whose cross entropy is measured before and
    /// after.
    #[arg(long)]
    pub forgetting: Option<PathBuf>,
    /// Bytes of that text that are read.
    #[arg(long, default_value_t = 50_000)]
    pub forgetting_bytes: usize,
    /// Test examples whose answers are written and compared by their last number.
    #[arg(long, default_value_t = 0)]
    pub answers: usize,
    /// The most tokens of such an answer.
    #[arg(long, default_value_t = 160)]
    pub max_tokens: usize,
    /// Make runs again that failed for a reason that has been fixed since.
    #[arg(long)]
    pub retry: bool,
    /// What the frozen weights of the layers are kept in.
    #[arg(long, value_enum, default_value_t)]
    pub base: Base,
    /// Compute each layer's vectors a second time in the backward pass instead of keeping them: less
    /// memory, about 1.4 times the time.
    #[arg(long)]
    pub recompute: bool,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

impl Compare {
    pub(super) fn config(&self) -> CompareConfig {
        CompareConfig {
            run: RunConfig {
                targets: self.targets.clone(),
                rank: self.rank,
                max_length: self.max_length,
                batch_size: self.batch_size,
                packing: self.packing,
                shards: self.shards,
                steps: Some(self.steps),
                base: self.base,
                recompute: self.recompute,
                device: self.device.clone(),
                ..RunConfig::new(&self.model, &self.data, &self.out, "")
            },
            methods: self.methods.clone(),
            rates_per_method: self.rates_per_method,
            tuning_seeds: self.tuning_seeds,
            test_seeds: self.test_seeds,
            limit_train: self.limit_train,
            limit_eval: self.limit_eval,
            forgetting: self.forgetting.clone(),
            forgetting_bytes: self.forgetting_bytes,
            answers: self.answers,
            max_tokens: self.max_tokens,
            retry: self.retry,
        }
    }
}

/// Options of `bench`.
#[derive(Clone, Debug, Args)]
pub struct Bench {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    #[arg(long)]
    pub model: PathBuf,
    /// How to fine-tune; training is not measured without it.
    #[arg(long, value_parser = METHODS.map(|method| method.name))]
    pub method: Option<String>,
    /// As those of `train`.
    #[arg(long, num_args = 1..)]
    pub targets: Vec<String>,
    /// Rank of LoRA, or number of HRA's reflections.
    #[arg(long, default_value_t = 8)]
    pub rank: usize,
    /// Examples in a batch.
    #[arg(long, default_value_t = 4)]
    pub batch_size: usize,
    /// As those of `train`.
    #[arg(long)]
    pub shards: Option<usize>,
    /// Tokens of an example, all of which are learned.
    #[arg(long, default_value_t = 256)]
    pub length: usize,
    /// Steps that are measured, after two that are not.
    #[arg(long, default_value_t = 5)]
    pub steps: usize,
    /// Tokens that are generated after a prompt of 16; generating is not measured with 0.
    #[arg(long, default_value_t = 128)]
    pub tokens: usize,
    /// What the frozen weights of the layers are kept in.
    #[arg(long, value_enum, default_value_t)]
    pub base: Base,
    /// Compute each layer's vectors a second time in the backward pass instead of keeping them: less
    /// memory, about 1.4 times the time.
    #[arg(long)]
    pub recompute: bool,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

/// Options of `merge`.
#[derive(Clone, Debug, Args)]
pub struct Merge {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    #[arg(long)]
    pub model: PathBuf,
    /// The --out of a training.
    #[arg(long)]
    pub adapter: PathBuf,
    /// The folder to write.
    #[arg(long)]
    pub out: PathBuf,
    /// Do not compare the logits of the folder that was written with those of the adapted model, for
    /// which each is read into memory.
    #[arg(long)]
    pub unchecked: bool,
    #[arg(long, default_value = "flex", help = DEVICES)]
    #[allow(missing_docs, reason = "its help is DEVICES")]
    pub device: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        let words = ["goft-lm"].into_iter().chain(line.split(' '));
        Options::try_parse_from(words).expect(line).command
    }

    #[test]
    fn of_an_option_that_is_named_twice_the_last_counts() {
        let folders = "--model m --data d --out run";
        let asked =
            "--method lora --targets q_proj --seed 1 --method oft --targets k_proj --seed 2";
        let Command::Train(train) = parsed(&format!("train {folders} {asked}")) else {
            panic!("it is a training");
        };
        assert_eq!((train.method.as_str(), train.seed), ("oft", 2));
        assert_eq!(train.targets, ["k_proj"]);

        let asked = "--methods goft,lora --steps 5 --targets q_proj --methods full --steps 7 --targets v_proj";
        let Command::Compare(compare) = parsed(&format!("compare {folders} {asked}")) else {
            panic!("it is a comparison");
        };
        assert_eq!(
            (&compare.methods[..], compare.steps),
            (&["full".into()][..], 7)
        );
        assert_eq!(compare.targets, ["v_proj"]);
    }
}
