//! `compare`: several methods on equal terms.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn_goft_finetune::{Contender, Error};
use clap::Args;
use fair_compare::{Bars, Lines, Record, Split};

use super::shared::Shared;
use crate::compare::{CompareConfig, compare as run, method_names};
use crate::settings::RunConfig;

/// Options of `compare`. Of an option that is named twice, as after a script's, the last counts.
#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)]
pub struct Compare {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "clap would take it for the help of the command"
    )]
    pub shared: Shared,
    /// Share of the training examples on which learning rates are chosen.
    #[arg(long, default_value_t = 0.2, conflicts_with = "validation")]
    pub validation_share: f64,
    /// As those of `train`, but one by default, for the same numbers on every machine.
    #[arg(long, default_value_t = 1)]
    pub shards: usize,
    /// Folder for records and table. The same command goes on where it was.
    #[arg(long)]
    pub out: PathBuf,
    /// The methods, separated by commas, a rank of its own after a colon (`lora:1`); differences are
    /// to the first.
    #[arg(long, overrides_with = "methods", value_delimiter = ',', default_values_t = method_names(), value_parser = contender)]
    pub methods: Vec<String>,
    /// Learning rates that each method tries, around its default: 5 are 0.1, 0.3, 1, 3 and 10 times
    /// it, 3 are 0.3 to 3 times.
    #[arg(long, default_value_t = 5)]
    pub rates_per_method: usize,
    /// Runs at each rate, to choose one.
    #[arg(long, default_value_t = 2)]
    pub tuning_seeds: u64,
    /// Runs at the chosen rate, with other seeds, for the table.
    #[arg(long, default_value_t = 3)]
    pub test_seeds: u64,
    /// Updates of every run, instead of passes over the training data.
    #[arg(long, conflicts_with = "epochs")]
    pub steps: Option<usize>,
    /// How many of the training examples to use, drawn at random, validation included.
    #[arg(long)]
    pub limit_train: Option<usize>,
    /// So many of the test examples, drawn at random.
    #[arg(long)]
    pub limit_eval: Option<usize>,
    /// Labeled pairs of another task: how well the cosine of their embeddings fits the labels,
    /// before and after, and how far the encoder has moved on them. Labels are numbers, or
    /// `entailment` and `contradiction`.
    #[arg(long)]
    pub forgetting: Option<PathBuf>,
    /// Make runs again that failed for a reason that has been fixed since.
    #[arg(long)]
    pub retry: bool,
}

/// What `--methods` takes.
fn contender(text: &str) -> Result<String, Error> {
    text.parse::<Contender>()?;
    Ok(text.into())
}

impl Compare {
    fn config(&self) -> CompareConfig {
        CompareConfig {
            run: RunConfig {
                validation_share: self.validation_share,
                steps: self.steps,
                shards: self.shards,
                ..self.shared.config(&self.out, "")
            },
            methods: self.methods.clone(),
            rates_per_method: self.rates_per_method,
            tuning_seeds: self.tuning_seeds,
            test_seeds: self.test_seeds,
            limit_train: self.limit_train,
            limit_eval: self.limit_eval,
            forgetting: self.forgetting.clone(),
            retry: self.retry,
        }
    }
}

pub(super) fn compare(
    options: &Compare,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    let config = options.config();
    let report = match std::io::stderr().is_terminal() {
        true => run(&config, &mut Bars::new(), interrupted),
        false => run(&config, &mut Lines::new(notes), interrupted),
    }?;
    super::write_line(out, report.markdown().trim_end())?;
    let tested = |record: &Record| record.run.split == Split::Test && record.finished().is_some();
    match report.records().iter().any(tested) {
        true => Ok(()),
        false => Err(Error::Settings(
            "no run of the table was finished; the table says why of each".into(),
        )),
    }
}
