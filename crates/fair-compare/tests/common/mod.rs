//! An experiment with known answers, and what the tests share around it.
#![allow(dead_code, reason = "every test file uses its part")]

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fair_compare::{
    BeforeAfter, Comparison, Error, Experiment, Method, Metric, Outcome, Protocol, Report, Run,
    RunError, RunSpec, Split, Steps,
};
use tempfile::TempDir;

/// What a run does instead of going well.
pub(crate) type Mishap = fn(&RunSpec, &mut Steps<'_>) -> Option<Result<Outcome, Box<dyn StdError>>>;

/// Measures what a formula says, and remembers what it was asked.
pub(crate) struct Fake {
    pub(crate) metric: fn(&RunSpec) -> f64,
    pub(crate) mishap: Mishap,
    pub(crate) asked: RefCell<Vec<Run>>,
    pub(crate) machine: &'static str,
    /// Runs to make before asking to stop.
    pub(crate) patience: Cell<usize>,
}

impl Fake {
    pub(crate) fn new(metric: fn(&RunSpec) -> f64) -> Self {
        Self {
            metric,
            mishap: |_, _| None,
            asked: RefCell::default(),
            machine: "an abacus",
            patience: Cell::new(usize::MAX),
        }
    }

    pub(crate) fn with_mishap(mut self, mishap: Mishap) -> Self {
        self.mishap = mishap;
        self
    }

    pub(crate) fn on(mut self, machine: &'static str) -> Self {
        self.machine = machine;
        self
    }

    pub(crate) fn stopping_after(self, runs: usize) -> Self {
        self.patience.set(runs);
        self
    }

    pub(crate) fn asked(&self) -> Vec<Run> {
        self.asked.borrow().clone()
    }
}

impl Experiment for Fake {
    fn run(&self, spec: &RunSpec, steps: &mut Steps<'_>) -> Result<Outcome, Box<dyn StdError>> {
        let left = self.patience.get().checked_sub(1);
        let left = left.ok_or_else(|| RunError::Stop("the power went".into()))?;
        self.patience.set(left);
        self.asked.borrow_mut().push(spec.run());
        if let Some(result) = (self.mishap)(spec, steps) {
            return result;
        }
        make_steps(spec, steps);
        Ok(outcome(spec, (self.metric)(spec)))
    }

    fn machine(&self) -> String {
        self.machine.into()
    }
}

/// Steps of 10, 20, 30, .. ms, longer by 1 ms for each unit of the seed.
pub(crate) fn make_steps(spec: &RunSpec, steps: &mut Steps<'_>) {
    for step in 1..=spec.steps {
        steps.done(Duration::from_millis(10 * step + spec.seed));
    }
}

/// An outcome with everything in it.
pub(crate) fn outcome(spec: &RunSpec, metric: f64) -> Outcome {
    let seed = spec.seed as f64;
    Outcome {
        adapter_bytes: Some(4 * 1000 + spec.seed),
        peak_memory_bytes: Some((3 << 20) + spec.seed),
        throughput: Some(200.0 + 2.0 * seed),
        forgetting: Some(BeforeAfter {
            before: 96.5,
            after: 60.0 + seed,
        }),
        kl: Some(0.01 * seed),
        drift: [("angle, deg".to_string(), 1.5 * seed)].into(),
        ..Outcome::new(metric, 1000)
    }
}

/// Highest at the rate 1e-2 on the validation split and at 1e-1 on the test split; half a point
/// more for each unit of the seed; `good` has three points more than the others.
pub(crate) fn accuracy(spec: &RunSpec) -> f64 {
    let best = match spec.split {
        Split::Validation => -2.0,
        Split::Test => -1.0,
    };
    let bonus = if spec.method.name() == "good" {
        3.0
    } else {
        0.0
    };
    let wobble = if spec.method.name() == "good" {
        0.25 * (spec.seed % 3) as f64
    } else {
        0.0
    };
    let distance = (spec.rate.log10().round() - best).abs();
    80.0 + bonus + wobble + 0.5 * spec.seed as f64 - 10.0 * distance
}

/// Two methods, three rates, two tuning seeds, three test seeds: 18 runs.
pub(crate) fn protocol() -> Protocol {
    Protocol::new(accuracy_metric(), Method::new("base"))
        .with_method(Method::new("good").with_setting("rank", 8))
        .with_rates([1e-3, 1e-2, 1e-1])
        .with_tuning_seeds([0, 1])
        .with_test_seeds([2, 3, 4])
        .with_steps(3)
}

pub(crate) fn accuracy_metric() -> Metric {
    Metric::highest("accuracy").with_unit("%").with_digits(1)
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

pub(crate) fn compare(protocol: &Protocol, folder: &Path, fake: &Fake) -> Result<Report, Error> {
    Comparison::new(protocol.clone(), folder).run(fake, &mut ())
}

/// Records and table of a comparison that nobody disturbed.
pub(crate) fn undisturbed(protocol: &Protocol, metric: fn(&RunSpec) -> f64) -> Report {
    compare(protocol, folder().path(), &Fake::new(metric)).expect("nothing in the way")
}

pub(crate) fn records(folder: &Path) -> PathBuf {
    folder.join("runs-v1.jsonl")
}

/// The files of a folder, by name.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(&path).expect("a file"))
        })
        .collect();
    files.sort();
    files
}
