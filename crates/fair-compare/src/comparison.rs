//! Makes the runs of a protocol, each once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::error::Error;
use crate::experiment::{Experiment, Steps};
use crate::observer::Observer;
use crate::protocol::Protocol;
use crate::record::{Failure, FailureKind, Record, RunResult};
use crate::report::Report;
use crate::run::RunSpec;
use crate::store::Store;
use crate::verdict::{examine, failure_of, message_of};

/// A protocol and the folder of its records.
///
/// ```
/// # use std::error::Error;
/// # use fair_compare::{Comparison, Experiment, Method, Metric, Outcome, Protocol, RunError, RunSpec, Steps};
/// # struct Toy { power: std::cell::Cell<usize> }
/// # impl Experiment for Toy {
/// #     fn run(&self, spec: &RunSpec, steps: &mut Steps<'_>) -> Result<Outcome, Box<dyn Error>> {
/// #         let power = self.power.get().checked_sub(1);
/// #         self.power.set(power.ok_or(RunError::Stop("no power".into()))?);
/// #         steps.time(|| ());
/// #         Ok(Outcome::new(spec.seed as f64, 1))
/// #     }
/// #     fn machine(&self) -> String { "a bicycle".into() }
/// # }
/// # let folder = tempfile::tempdir()?;
/// let protocol = Protocol::new(Metric::highest("accuracy"), Method::new("full"))
///     .with_rates([1e-3, 1e-2])
///     .with_tuning_seeds([0])
///     .with_test_seeds([1, 2])
///     .with_steps(1);
/// let comparison = Comparison::new(protocol, folder.path());
///
/// // `Toy` asks to stop after three runs, and goes on later.
/// # let toy = Toy { power: 3.into() };
/// let error = comparison.run(&toy, &mut ()).unwrap_err();
/// assert!(error.to_string().starts_with("stopped at full, rate 1e-3, seed 2, test"));
/// # toy.power.set(1);
/// let report = comparison.run(&toy, &mut ())?; // makes the one run that is missing
/// assert_eq!(report.rows()[0].finished, 2);
/// # Ok::<(), Box<dyn Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Comparison {
    protocol: Protocol,
    folder: PathBuf,
    retry: bool,
}

impl Comparison {
    /// Runs of `protocol` are recorded in `folder`, which is made if need be.
    pub fn new(protocol: Protocol, folder: impl Into<PathBuf>) -> Self {
        Self {
            protocol,
            folder: folder.into(),
            retry: false,
        }
    }

    /// Makes failed runs again, except those that diverged: that is a result. For failures that
    /// have been fixed since, such as a full device or a mistake in the experiment.
    ///
    /// A retry that changes the choice of a learning rate leaves test runs at the old one behind;
    /// the report says how many.
    pub fn with_retry(mut self) -> Self {
        self.retry = true;
        self
    }

    /// Makes the runs that are not recorded yet: first those that choose the learning rates, then
    /// those that are reported. Writes the table at the end.
    ///
    /// It may be killed at any moment; the next call goes on after the last recorded run.
    ///
    /// # Errors
    /// An invalid protocol, a folder that holds another protocol or a damaged file, a file
    /// system that refuses, and an experiment that asks to [stop](crate::RunError::Stop). A failed
    /// run is no error.
    pub fn run<E: Experiment>(
        &self,
        experiment: &E,
        observer: &mut dyn Observer,
    ) -> Result<Report, Error> {
        self.protocol.check()?;
        let mut store = Store::open(&self.folder, &self.protocol)?;
        if store.torn > 0 {
            observer.notice(&format!(
                "the last line of the records was cut off after {} bytes; its run is made again",
                store.torn
            ));
        }
        let mut runs = Runs {
            experiment,
            observer,
            machine: experiment.machine(),
            retry: self.retry,
            number: 0,
            total: self.protocol.run_count(),
        };
        let tuning_runs = self.protocol.tuning_runs();
        runs.make(&tuning_runs, &mut store)?;
        let test_runs = store.ledger.test_runs();
        runs.total = tuning_runs.len() + test_runs.len();
        runs.make(&test_runs, &mut store)?;
        let report = Report::new(store.ledger);
        report.write(&self.folder)?;
        Ok(report)
    }
}

/// The runs on their way.
struct Runs<'a, E> {
    experiment: &'a E,
    observer: &'a mut dyn Observer,
    machine: String,
    retry: bool,
    number: usize,
    total: usize,
}

impl<E: Experiment> Runs<'_, E> {
    fn make(&mut self, specs: &[RunSpec], store: &mut Store) -> Result<(), Error> {
        for spec in specs {
            self.number += 1;
            let earlier = store.ledger.find(&spec.run());
            match earlier.filter(|record| !self.again(record)) {
                Some(record) => self.observer.skipped(record, self.number, self.total),
                None => self.make_one(spec, store)?,
            }
        }
        Ok(())
    }

    fn again(&self, record: &Record) -> bool {
        let mended = |failure: &Failure| failure.kind != FailureKind::Diverged;
        self.retry && record.failure().is_some_and(mended)
    }

    fn make_one(&mut self, spec: &RunSpec, store: &mut Store) -> Result<(), Error> {
        self.observer.started(spec, self.number, self.total);
        let record = Record {
            run: spec.run(),
            result: self.result(spec)?,
        };
        store.append(record.clone())?;
        self.observer.finished(&record);
        Ok(())
    }

    fn result(&mut self, spec: &RunSpec) -> Result<RunResult, Error> {
        let observer = &mut *self.observer;
        let mut report = |done| observer.step(done);
        let mut steps = Steps::new(&mut report);
        let run = || self.experiment.run(spec, &mut steps);
        // What the panic has left half done is the steps, which are dropped, and the experiment,
        // which starts every run anew.
        let outcome = catch_unwind(AssertUnwindSafe(run));
        let result = match outcome {
            Ok(Ok(outcome)) => examine(spec, outcome, &steps.seconds(), &self.machine),
            Ok(Err(error)) => Err(failure_of(error, spec)?),
            Err(panic) => Err(Failure {
                kind: FailureKind::Panic,
                message: message_of(&*panic),
            }),
        };
        Ok(match result {
            Ok(finished) => RunResult::Finished(finished),
            Err(failure) => RunResult::Failed(failure),
        })
    }
}
