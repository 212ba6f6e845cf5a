//! What becomes of what a run came back with.

use std::any::Any;
use std::error::Error as StdError;

use crate::error::Error;
use crate::experiment::RunError;
use crate::record::{Failure, FailureKind, Finished};
use crate::run::{Outcome, RunSpec};
use crate::statistics::median;

/// Takes an outcome, or says why it cannot stand beside the others.
pub(crate) fn examine(
    spec: &RunSpec,
    outcome: Outcome,
    seconds: &[f64],
    machine: &str,
) -> Result<Finished, Failure> {
    let fail = |kind, message| Err(Failure { kind, message });
    if !outcome.metric.is_finite() {
        return fail(
            FailureKind::Diverged,
            format!("the metric is {}", outcome.metric),
        );
    }
    let (agreed, made) = (spec.steps, seconds.len() as u64);
    if agreed != made {
        return fail(
            FailureKind::Refused,
            format!("{agreed} training steps are agreed and {made} were made"),
        );
    }
    let mut numbers = outcome.side_numbers().into_iter();
    if let Some((name, value)) = numbers.find(|(_, value)| !value.is_finite()) {
        return fail(FailureKind::Refused, format!("{name} is {value}"));
    }
    let seconds_per_step = median(seconds).expect("a protocol has at least one step");
    Ok(Finished {
        outcome,
        seconds_per_step,
        machine: machine.into(),
    })
}

/// The failure that an error is, unless it asks to stop.
pub(crate) fn failure_of(error: Box<dyn StdError>, spec: &RunSpec) -> Result<Failure, Error> {
    let kind = match error.downcast_ref::<RunError>() {
        Some(RunError::Diverged(_)) => FailureKind::Diverged,
        Some(RunError::OutOfMemory(_)) => FailureKind::OutOfMemory,
        Some(RunError::Stop(reason)) => {
            return Err(Error::Stopped {
                run: spec.run().to_string(),
                reason: reason.clone(),
            });
        }
        None => FailureKind::Error,
    };
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message += &format!(": {error}");
        cause = error.source();
    }
    Ok(Failure { kind, message })
}

/// What a panic says.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".into())
}
