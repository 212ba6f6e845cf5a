//! Compares methods on one task, on the terms of `fair_compare`: the same search, data, seeds and
//! steps for each.

mod config;
mod contrast;
mod drift;
mod experiment;
mod forgetting;
mod splits;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn_goft_finetune::files::{self, digest};
use burn_goft_finetune::{Contender, Error, Method, grid};
use fair_compare::{Comparison, Method as Row, Metric, Observer, Protocol, Report};

use crate::data::Task;
use crate::encoder::ModelFiles;
use crate::settings::RunConfig;
use crate::training::BODY;

pub use config::CompareConfig;
pub(crate) use config::method_names;
use experiment::Tuning;
use forgetting::Pairs;
use splits::Splits;

/// Makes the runs that are not recorded in `run.out` yet, and the table of all.
///
/// No run stops early: each makes the same number of steps and is measured in its last state.
/// Learning rates are chosen on the validation split, the table is of the test split. The drift of
/// the runs on the test split is measured as well and, with pairs of another task, their forgetting
/// and KL(pretrained ‖ tuned).
///
/// # Errors
///
/// [`Error::Other`] for a folder of other settings and when `interrupted` became true, with every
/// finished run recorded; settings, model and data that no run could use. A run that fails is no
/// error but a row of the table.
pub fn compare(
    config: &CompareConfig,
    observer: &mut dyn Observer,
    interrupted: &AtomicBool,
) -> Result<Report, Error> {
    config.check()?;
    let methods = Contender::all(&config.methods, config.run.rank)?;
    let splits = Splits::read(config)?;
    let task = splits.task(&config.run);
    let task = task.map_err(|error| drawn_without(error, config.limit_train))?;
    let pairs = config.forgetting.as_deref().map(Pairs::read).transpose()?;
    let with_pairs = pairs.is_some();
    let protocol = protocol(config, &methods, &splits, &task, pairs.as_ref())?;
    files::make_folder(&config.run.out)?;
    let tuning = Tuning::new(&config.run, &methods, &splits, pairs, interrupted)?;
    let comparison = Comparison::new(protocol, &config.run.out);
    let comparison = match config.retry {
        true => comparison.with_retry(),
        false => comparison,
    };
    let report = comparison.run(&tuning, observer).map_err(Error::other)?;
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
    report.write(&config.run.out).map_err(Error::other)?;
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
    methods: &[Contender],
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
    let run = &config.run;
    let steps = run.course().steps(splits.training.rows.len());
    let rates = |method: &Method| grid::rates(method, config.rates_per_method, steps);
    let row = |one: &Contender, name: &str| row(one, name, run).with_rates(rates(one.method));
    let names = &config.methods;
    let protocol = Protocol::new(metric, row(first, &names[0])).with_rates(rates(first.method));
    let others = others.iter().zip(&names[1..]);
    let protocol = others.fold(protocol, |protocol, (one, name)| {
        protocol.with_method(row(one, name))
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
    let protocol = match run.shards {
        1 => protocol,
        shards => protocol.with_context("shards of a batch", shards),
    };
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

/// A method with what decides its result beside the learning rate.
fn row(one: &Contender, name: &str, run: &RunConfig) -> Row {
    let method = one.method;
    let row = Row::new(name)
        .with_setting("trains", method.summary(&BODY))
        .with_setting("head's rate / rate", grid::head_ratio(method));
    let row = match method.penalty {
        Some(strength) => row.with_setting("penalty", strength),
        None => row,
    };
    if method.has_rank {
        row.with_setting("rank", one.rank_or(run.rank))
    } else {
        row
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
