//! Compares methods on one task, on the terms of `burn_goft_compare`: the same search, data, seeds and steps for each.

mod contrast;
mod drift;
mod experiment;
mod forgetting;
mod grid;
mod machine;
mod splits;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn_goft_compare::{Comparison, Method as Row, Metric, Observer, Protocol, Report};

use crate::error::Error;
use crate::files;
use crate::folder::ModelFiles;
use crate::methods::{METHODS, Method};
use crate::settings::RunConfig;
use crate::split::digest;
use crate::task::Task;

use experiment::Tuning;
use forgetting::Pairs;
use splits::Splits;

/// The settings of a comparison. [`CompareConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareConfig {
    /// What all runs share. `out` is the comparison's folder; method, seed, learning rates, penalty, targets, patience and
    /// `resume` are not looked at. Without `steps`, every run makes those of all `epochs`.
    pub run: RunConfig,
    /// Names of the methods. The others' differences are to the first.
    pub methods: Vec<String>,
    /// Learning rates that each method tries: its default times 1, 3, 0.3, 10, 0.1 and so on.
    pub rates_per_method: usize,
    /// Seeds of the runs that choose a learning rate, from 0.
    pub tuning_seeds: u64,
    /// Seeds of the runs that are reported, the next ones.
    pub test_seeds: u64,
    /// At most so many training examples, those held out for validation included, drawn at random; all without it.
    pub limit_train: Option<usize>,
    /// At most so many test examples, drawn at random; all without it.
    pub limit_eval: Option<usize>,
    /// Labelled pairs of another task, on which the sentence embeddings are measured before and after.
    pub forgetting: Option<PathBuf>,
    /// Make runs again that failed, unless the loss was not finite.
    pub retry: bool,
}

impl CompareConfig {
    /// Full fine-tuning against all other methods: five rates with two seeds, then three other seeds.
    pub fn new(run: RunConfig) -> Self {
        Self {
            run,
            methods: method_names(),
            rates_per_method: 5,
            tuning_seeds: 2,
            test_seeds: 3,
            limit_train: None,
            limit_eval: None,
            forgetting: None,
            retry: false,
        }
    }
}

impl CompareConfig {
    /// Refuses numbers that no comparison can have.
    fn check(&self) -> Result<(), Error> {
        self.run.check()?;
        let refuse = |what: String| Err(Error::Settings(what));
        for (name, number) in [
            (
                "number of rates for each method",
                self.rates_per_method as u64,
            ),
            ("number of seeds to choose a rate", self.tuning_seeds),
            ("number of seeds to test with", self.test_seeds),
        ] {
            if !(1..=MOST).contains(&number) {
                return refuse(format!("the {name} is {number}; it has to be 1 to {MOST}"));
            }
        }
        for (name, limit) in [("training", self.limit_train), ("test", self.limit_eval)] {
            if limit == Some(0) {
                return refuse(format!(
                    "the limit of {name} examples is 0; it has to be at least 1, or none"
                ));
            }
        }
        let mut seen = BTreeSet::new();
        match self.methods.iter().find(|name| !seen.insert(*name)) {
            Some(twice) => refuse(format!("the method `{twice}` is named twice; name it once")),
            None => Ok(()),
        }
    }
}

/// More rates, or seeds, are a slip of the keyboard.
const MOST: u64 = 99;

/// All methods, `full` first.
pub(crate) fn method_names() -> Vec<String> {
    let mut names = METHODS.map(|method| method.name);
    names.sort_by_key(|name| *name != "full");
    names.map(String::from).to_vec()
}

/// Makes the runs that are not recorded in `run.out` yet, and the table of all.
///
/// No run stops early: each makes the same number of steps and is measured in its last state. Learning rates are chosen on the
/// validation split, the table is of the test split. The drift of the runs on the test split is measured as well and, with pairs of
/// another task, their forgetting and KL(pretrained ‖ tuned).
///
/// # Errors
///
/// [`Error::Compare`] for a folder of other settings and when `interrupted` became true, with every finished run recorded;
/// settings, model and data that no run could use. A run that fails is no error but a row of the table.
pub fn compare(
    config: &CompareConfig,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Report, Error> {
    config.check()?;
    let methods = config.methods.iter().map(|name| Method::named(name));
    let methods = methods.collect::<Result<Vec<_>, _>>()?;
    let splits = Splits::read(config)?;
    let task = splits.task(&config.run);
    let task = task.map_err(|error| drawn_without(error, config.limit_train))?;
    let pairs = config.forgetting.as_deref().map(Pairs::read).transpose()?;
    let with_pairs = pairs.is_some();
    let protocol = protocol(config, &methods, &splits, &task, pairs.as_ref())?;
    files::make_folder(&config.run.out)?;
    let tuning = Tuning::new(&config.run, &splits, pairs, interrupted)?;
    let comparison = Comparison::new(protocol, &config.run.out);
    let comparison = match config.retry {
        true => comparison.with_retry(),
        false => comparison,
    };
    let report = comparison.run(&tuning, observer)?;
    let report = report
        .with_title(format!(
            "Fine-tuning {} on {}",
            last_name(Path::new(&config.run.model)),
            last_name(&config.run.train)
        ))
        .with_note(ABOUT_MEMORY)
        .with_note(ABOUT_DRIFT);
    let report = tuning.notes.iter().fold(report, Report::with_note);
    let report = match with_pairs {
        true => report.with_note(ABOUT_KL),
        false => report,
    };
    report.write(&config.run.out)?;
    Ok(report)
}

/// A label that the training examples do not have may be one of those that were not drawn.
fn drawn_without(error: Error, limit: Option<usize>) -> Error {
    let Some(limit) = limit else {
        return error;
    };
    let about = |reason: String| {
        format!(
            "{reason}; at most {limit} examples were drawn (`--limit-train`), draw more if the file has others"
        )
    };
    match error {
        Error::Line { path, line, reason } => Error::Line {
            path,
            line,
            reason: about(reason),
        },
        Error::Data { path, reason } => Error::data(path, about(reason)),
        other => other,
    }
}

const ABOUT_MEMORY: &str = "Peak memory is the most bytes of the process's heap in use at a time while a run trains, less those in use \
     before it (the data, and a pretrained encoder to compare with). A GPU's memory is not on the heap.";

const ABOUT_DRIFT: &str = "The angle between neurons is of 32 neurons of each weight, drawn at random, and the representations are those of \
     up to 256 texts of the test split.";

const ABOUT_KL: &str = "KL(pretrained ‖ tuned) is of finding a pair's second text among those of up to 32 consecutive pairs of the \
     forgetting file by its cosine, p(j | i) = softmax_j(20 cos(a_i, b_j)), the distribution that sentence encoders are trained on; \
     mean over the pairs.";

fn protocol(
    config: &CompareConfig,
    methods: &[&'static Method],
    splits: &Splits,
    task: &Task,
    pairs: Option<&Pairs>,
) -> Result<Protocol, Error> {
    let metric = match task {
        Task::Classification { .. } => Metric::highest("accuracy").with_unit("%").with_digits(1),
        Task::Regression { .. } => Metric::highest("Pearson correlation"),
    };
    let Some((first, others)) = methods.split_first() else {
        return Err(Error::Settings("there is no method to compare".into()));
    };
    let count = config.rates_per_method;
    let run = &config.run;
    let steps = run.steps.unwrap_or_else(|| splits.steps(run));
    let protocol =
        Protocol::new(metric, row(first, count, run)).with_rates(grid::rates(first, count));
    let protocol = others.iter().fold(protocol, |protocol, method| {
        protocol.with_method(row(method, count, run))
    });
    let protocol = protocol
        .with_tuning_seeds(0..config.tuning_seeds)
        .with_test_seeds(config.tuning_seeds..config.tuning_seeds + config.test_seeds)
        .with_steps(steps as u64)
        .with_context("model", model_name(&run.model)?)
        .with_context("training file", name_of(&run.train)?)
        .with_context("test file", name_of(&run.eval)?)
        .with_context("training examples", splits.training.rows.len())
        .with_context("validation examples", splits.validation.rows.len())
        .with_context("test examples", splits.test.rows.len())
        .with_context("examples in a step", run.batch_size * run.accumulation)
        .with_context("batch size", run.batch_size)
        .with_context("warm-up", run.warmup)
        .with_context("longest text, tokens", run.max_length)
        .with_context("optimizer", "AdamW without weight decay");
    let protocol = match &run.validation {
        Some(path) => protocol.with_context("validation file", name_of(path)?),
        None => protocol,
    };
    Ok(match (pairs, &config.forgetting) {
        (Some(pairs), Some(path)) => protocol
            .with_forgetting(pairs.metric())
            .with_context("forgetting file", name_of(path)?),
        _ => protocol,
    })
}

/// A method with its grid, and what else decides its result.
fn row(method: &Method, count: usize, run: &RunConfig) -> Row {
    let row = Row::new(method.name)
        .with_rates(grid::rates(method, count))
        .with_setting("trains", method.summary)
        .with_setting("head's rate / rate", grid::head_ratio(method));
    let row = match method.penalty {
        Some(strength) => row.with_setting("penalty", strength),
        None => row,
    };
    match method.name {
        "lora" => row.with_setting("rank", run.rank),
        _ => row,
    }
}

/// Name and digest of a file: it may be moved, and may not be changed.
fn name_of(path: &Path) -> Result<String, Error> {
    Ok(format!(
        "{}, SHA-256 {}",
        last_name(path),
        &digest(path)?[..12]
    ))
}

fn model_name(model: &str) -> Result<String, Error> {
    let weights = digest(ModelFiles::find(model)?.weights())?;
    let name = match Path::new(model).is_dir() {
        true => last_name(Path::new(model)),
        false => model.into(),
    };
    Ok(format!("{name}, SHA-256 of the weights {}", &weights[..12]))
}

fn last_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
