//! What an application brings.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use crate::run::{Outcome, RunSpec};

/// A task with data, a pretrained model, and methods to tune it by.
pub trait Experiment {
    /// Trains the pretrained model as `spec` says and measures it on `spec.split`.
    ///
    /// Every run starts from the pretrained model. Every training step passes through `steps`,
    /// which counts and times it.
    ///
    /// # Errors
    /// An error, and likewise a panic, makes a failed run: it is recorded with its message, and the
    /// comparison goes on. [`RunError`] tells why, where it matters.
    fn run(&self, spec: &RunSpec, steps: &mut Steps<'_>) -> Result<Outcome, Box<dyn Error>>;

    /// The machine and the device, for the columns that depend on them, and which program it is;
    /// asked for every run.
    fn machine(&self) -> String;
}

/// Why a run has no outcome. Any other error will do as well; these are told apart.
///
/// ```
/// use std::error::Error;
/// use fair_compare::RunError;
///
/// fn load(path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
///     // Without data every run would fail.
///     let missing = |error| RunError::Stop(format!("reading `{path}`: {error}"));
///     Ok(std::fs::read(path).map_err(missing)?)
/// }
/// assert!(load("no/such/file").unwrap_err().to_string().starts_with("reading `no/such/file`"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The loss is not a number. A property of the method at this rate: it is not tried again.
    #[error("{0}")]
    Diverged(String),
    /// The device has not enough memory.
    #[error("{0}")]
    OutOfMemory(String),
    /// Not the run's fault (the data are missing, the user pressed a key): nothing is recorded, the
    /// comparison stops, and the next start makes this run again.
    #[error("{0}")]
    Stop(String),
}

/// Counts the training steps of a run and times them, for all methods in the same way.
pub struct Steps<'a> {
    durations: Vec<Duration>,
    report: &'a mut dyn FnMut(u64),
}

impl<'a> Steps<'a> {
    /// A count from zero. `report` hears of every step; runs that are made by a
    /// [`Comparison`](crate::Comparison) get theirs from it.
    ///
    /// ```
    /// use fair_compare::Steps;
    /// use std::time::Duration;
    ///
    /// let mut heard = Vec::new();
    /// let mut report = |done| heard.push(done);
    /// let mut steps = Steps::new(&mut report);
    /// let loss = steps.time(|| 0.5);
    /// steps.done(Duration::from_millis(20));
    /// assert_eq!((loss, steps.count()), (0.5, 2));
    /// assert_eq!(heard, [1, 2]);
    /// ```
    pub fn new(report: &'a mut dyn FnMut(u64)) -> Self {
        Self {
            durations: Vec::new(),
            report,
        }
    }

    /// Makes a step: data in hand, forward, backward, update. Devices work on after a call returns,
    /// so the closure has to wait for its device, which reading the loss does.
    pub fn time<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = step();
        self.done(start.elapsed());
        result
    }

    /// Counts a step that was made and timed elsewhere.
    pub fn done(&mut self, took: Duration) {
        self.durations.push(took);
        let count = self.count();
        (self.report)(count);
    }

    /// Steps so far.
    pub fn count(&self) -> u64 {
        self.durations.len() as u64
    }

    /// Passes a loss on if it is finite.
    ///
    /// # Errors
    /// [`RunError::Diverged`], which names the step.
    ///
    /// ```
    /// use fair_compare::Steps;
    ///
    /// let mut report = |_| {};
    /// let mut steps = Steps::new(&mut report);
    /// let loss = steps.time(|| f64::NAN);
    /// let error = steps.finite(loss).unwrap_err();
    /// assert_eq!(error.to_string(), "the loss is NaN after step 1");
    /// ```
    pub fn finite(&self, loss: f64) -> Result<f64, RunError> {
        if loss.is_finite() {
            return Ok(loss);
        }
        let step = self.count();
        Err(RunError::Diverged(format!(
            "the loss is {loss} after step {step}"
        )))
    }

    pub(crate) fn seconds(&self) -> Vec<f64> {
        self.durations.iter().map(Duration::as_secs_f64).collect()
    }
}

impl fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
