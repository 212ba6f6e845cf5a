//! Compares methods on one task, on the terms of `fair_compare`: the same search, data, seeds and
//! steps for each.

mod config;
mod experiment;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn_goft_finetune::files::{self, digest};
use burn_goft_finetune::{Contender, Error, grid};
use fair_compare::{Comparison, Method as Row, Metric, Observer, Protocol, Report};

use crate::folder::{find, weights_digest};
use crate::rates;
use crate::training::BODY;

pub use config::CompareConfig;
pub(crate) use config::method_names;
use experiment::Tuning;

/// Makes the runs that are not recorded in `run.out` yet, and the table of all.
///
/// No run stops early: each makes the same number of steps and is measured in its last state. The
/// metric is the mean cross entropy of the tokens that are learned. Learning rates are chosen on the
/// validation split, the table is of the test split, with the drift of each run and, where they were
/// asked for, its answers and what it has forgotten.
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
    let tuning = Tuning::new(config, &methods, interrupted)?;
    let protocol = protocol(config, &methods, &tuning)?;
    files::make_folder(&config.run.out)?;
    let comparison = Comparison::new(protocol, &config.run.out);
    let comparison = match config.retry {
        true => comparison.with_retry(),
        false => comparison,
    };
    let report = comparison.run(&tuning, observer).map_err(Error::other)?;
    let report = report
        .with_title(format!(
            "Fine-tuning {} on {}",
            last_name(&config.run.model),
            last_name(&config.run.data)
        ))
        .with_note(ABOUT_DRIFT)
        .with_note(tuning.before());
    report.write(&config.run.out).map_err(Error::other)?;
    Ok(report)
}

const ABOUT_DRIFT: &str = "The angle between neurons is of 32 neurons of each weight, drawn at random; the cosine is of the last \
     layer's vectors, the mean over the tokens of each of up to 64 test examples. Peak memory is of the process's heap while a run \
     trains, less what was in use before it (the pretrained model among it); a GPU's memory is not on the heap.";

fn protocol(
    config: &CompareConfig,
    methods: &[Contender],
    tuning: &Tuning<'_>,
) -> Result<Protocol, Error> {
    let Some((first, others)) = methods.split_first() else {
        return Err(Error::Settings("there is no method to compare".into()));
    };
    let run = &config.run;
    let steps = run.course().steps(tuning.rows());
    let tried =
        |one: &Contender| grid::rates(&rates::of(one.method), config.rates_per_method, steps);
    let row = |one: &Contender, name: &String| {
        let method = one.method;
        let row = Row::new(name).with_setting("trains", method.summary(&BODY));
        let row = match method.penalty {
            Some(strength) => row.with_setting("penalty", strength),
            None => row,
        };
        let row = match method.has_rank {
            true => row.with_setting("rank", one.rank_or(run.rank)),
            false => row,
        };
        row.with_rates(tried(one))
    };
    let metric = Metric::lowest("loss").with_digits(4);
    let names = &config.methods;
    let protocol = Protocol::new(metric, row(first, &names[0])).with_rates(tried(first));
    let others = others.iter().zip(&names[1..]);
    let protocol = others.fold(protocol, |protocol, (one, name)| {
        protocol.with_method(row(one, name))
    });
    let folder = find(&run.model)?;
    let [training, validation, test] = tuning.counts();
    let protocol = protocol
        .with_tuning_seeds(0..config.tuning_seeds)
        .with_test_seeds(config.tuning_seeds..config.tuning_seeds + config.test_seeds)
        .with_steps(steps as u64)
        .with_context(
            "model",
            format!(
                "{}, SHA-256 of the weights {}",
                last_name(&run.model),
                &weights_digest(&folder)?[..12]
            ),
        )
        .with_context("data", tuning.digest())
        .with_context("training examples", training)
        .with_context("validation examples", validation)
        .with_context("test examples", test)
        .with_context("rows in a step", run.batch_size * run.accumulation)
        .with_context("packed", run.packing)
        .with_context("frozen weights kept in", format!("{:?}", run.base))
        .with_context("layers recomputed", run.recompute)
        .with_context("warm-up", run.warmup)
        .with_context("longest row, tokens", run.max_length)
        .with_context("targets", run.targets.join(" "))
        .with_context("answers compared", config.answers)
        .with_context("optimizer", "AdamW without weight decay")
        .with_throughput("tokens");
    let protocol = match run.shards {
        1 => protocol,
        shards => protocol.with_context("shards of a batch", shards),
    };
    Ok(match &config.forgetting {
        None => protocol,
        Some(path) => protocol
            .with_forgetting(Metric::lowest("loss on other text").with_digits(4))
            .with_context(
                "other text",
                format!(
                    "{}, SHA-256 {}, its first {} bytes",
                    last_name(path),
                    &digest(path)?[..12],
                    config.forgetting_bytes
                ),
            ),
    })
}

fn last_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
