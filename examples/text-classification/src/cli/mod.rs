//! The command line: options in, lines and progress bars out. Everything else is in the rest of the
//! crate.

mod compare;
mod devices;
mod options;
mod shared;
mod show;

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use burn_goft_finetune::{Error, Method};

use crate::data::{Examples, Text, read_texts};
use crate::device::device;
use crate::predict::Predictor;
use crate::training::Progress;

pub use compare::Compare;
pub use options::{Command, Eval, Options, Predict, Train, Use};
pub use shared::Shared;
use show::Show;

/// Runs a command. Results go to `out`, progress and notes to standard error if that is a terminal,
/// or to `notes`.
///
/// A run is interrupted, with its state saved, once `interrupted` is true.
///
/// # Errors
///
/// The errors of the command; [`Error::Io`] if `out` cannot be written.
pub fn run(
    options: &Options,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    match &options.command {
        Command::Train(options) => train(options, out, notes, interrupted),
        Command::Eval(options) => eval(options, out, notes),
        Command::Predict(options) => predict(options, out, notes),
        Command::Compare(options) => compare::compare(options, out, notes, interrupted),
    }
}

fn train(
    options: &Train,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    let config = options.config();
    if options.shared.rank.is_some() && !Method::named(&config.method)?.has_rank {
        return Err(Error::Settings(format!(
            "`{}` has no rank; leave out --rank, which is for lora and hra",
            config.method
        )));
    }
    let mut show = Show::new(notes);
    let mut on_progress = |progress: &Progress| {
        show.show(progress);
        match interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let outcome = crate::run::run(&config, &mut on_progress);
    show.finish();
    let outcome = outcome?;
    let kept = match config.steps {
        Some(steps) => format!("the state after {steps} steps"),
        None => format!(
            "epoch {} of at most {}",
            outcome.best_epoch + 1,
            config.epochs
        ),
    };
    let lines = [
        format!("validation: {}", outcome.validation),
        format!("test: {}", outcome.test),
        format!(
            "{}: trained {} of {} numbers, adapter of {} bytes, {:.3} s a step, kept is {kept}",
            outcome.method,
            outcome.trainable_parameters,
            outcome.total_parameters,
            outcome.adapter_bytes,
            outcome.seconds_per_step,
        ),
        format!("the adapter is in `{}`", config.out.display()),
    ];
    lines.iter().try_for_each(|line| write_line(out, line))
}

fn eval(options: &Eval, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), Error> {
    let predictor = load(&options.adapter)?;
    let examples = Examples::read(&options.eval)?;
    let texts: Vec<Text> = examples.rows.iter().map(|row| row.text.clone()).collect();
    let metrics = predictor.evaluate(&examples)?;
    note_truncation(&predictor, &texts, notes)?;
    match options.json {
        true => {
            let json = serde_json::to_string(&metrics).expect("plain data");
            write_line(out, &json)
        }
        false => write_line(out, &metrics.to_string()),
    }
}

fn predict(options: &Predict, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), Error> {
    let predictor = load(&options.adapter)?;
    let texts = read_texts(&options.input, predictor.takes_pairs())?;
    let predictions = predictor.predict(&texts)?;
    note_truncation(&predictor, &texts, notes)?;
    for (text, prediction) in texts.iter().zip(&predictions) {
        let mut columns = vec![prediction.label.clone()];
        columns.extend(prediction.probability.map(|p| format!("{p:.4}")));
        columns.push(text.first.clone());
        columns.extend(text.second.clone());
        write_line(out, &columns.join("\t"))?;
    }
    Ok(())
}

fn load(from: &Use) -> Result<Predictor, Error> {
    let device = device(&from.device).map_err(Error::Settings)?;
    match &from.model {
        Some(model) if from.other_weights => {
            Predictor::load_on_other_weights(&from.adapter, model, &device)
        }
        model => Predictor::load(&from.adapter, model.as_deref(), &device),
    }
}

fn note_truncation(
    predictor: &Predictor,
    texts: &[Text],
    notes: &mut dyn Write,
) -> Result<(), Error> {
    match predictor.about_truncation(texts)? {
        Some(note) => write_line(notes, &note),
        None => Ok(()),
    }
}

/// What errors call the place of results.
pub const OUTPUT: &str = "the output";

fn write_line(out: &mut dyn Write, line: &str) -> Result<(), Error> {
    writeln!(out, "{line}").map_err(Error::io("writing to", OUTPUT))
}
