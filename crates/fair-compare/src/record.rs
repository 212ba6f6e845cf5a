//! What is stored of a run.

use serde::{Deserialize, Serialize};

use crate::run::{Outcome, Run};

/// A run that is over: one line of the file of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Which run.
    pub run: Run,
    /// What became of it.
    pub result: RunResult,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// It trained all its steps and measured finite numbers.
    Finished(Finished),
    /// It did not. Its numbers, if it had any, count nowhere.
    Failed(Failure),
}

/// A run that went well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// What the experiment measured.
    pub outcome: Outcome,
    /// Median over the training steps.
    pub seconds_per_step: f64,
    /// The machine that it ran on.
    pub machine: String,
}

/// A run that did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// In one word.
    pub kind: FailureKind,
    /// In its own words.
    pub message: String,
}

/// How a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The loss or the metric is not a number.
    Diverged,
    /// The device has not enough memory.
    OutOfMemory,
    /// An error of the experiment.
    Error,
    /// A panic in the experiment.
    Panic,
    /// It came back with an outcome that cannot be compared: other than the agreed steps, or a side
    /// number that is not finite.
    Refused,
}

impl FailureKind {
    /// For the table.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Diverged => "diverged",
            Self::OutOfMemory => "out of memory",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Refused => "refused",
        }
    }
}

impl Record {
    /// The measurements, `None` of a failed run.
    pub fn finished(&self) -> Option<&Finished> {
        match &self.result {
            RunResult::Finished(finished) => Some(finished),
            RunResult::Failed(_) => None,
        }
    }

    /// The failure, `None` of a finished run.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.result {
            RunResult::Finished(_) => None,
            RunResult::Failed(failure) => Some(failure),
        }
    }
}
