//! The runs that are over, and what they say about each method.

use std::path::Path;

use crate::choose::{Choice, RateScores, choose};
use crate::error::Error;
use crate::method::Method;
use crate::protocol::Protocol;
use crate::record::{Finished, Record};
use crate::run::{Run, RunSpec, Split};

/// A protocol and the records of its runs, in the order in which they were made.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub(crate) protocol: Protocol,
    /// At most one of each run.
    records: Vec<Record>,
}

impl Ledger {
    /// Reads records. If a run has several, the last counts, and the others must have failed.
    pub(crate) fn new(
        path: &Path,
        protocol: Protocol,
        records: Vec<Record>,
    ) -> Result<Self, Error> {
        let mut ledger = Self {
            protocol,
            records: Vec::new(),
        };
        for (index, record) in records.into_iter().enumerate() {
            if let Some(reason) = ledger.objection(&record) {
                return Err(Error::Damaged {
                    path: path.into(),
                    line: index + 2,
                    reason,
                });
            }
            ledger.push(record);
        }
        Ok(ledger)
    }

    fn objection(&self, record: &Record) -> Option<String> {
        let run = &record.run;
        if !self.protocol.has(run) {
            return Some(format!("the protocol has no run {run}"));
        }
        let earlier = self.find(run)?;
        let repeated = earlier.finished().is_some();
        repeated.then(|| format!("the run {run} has finished in an earlier line"))
    }

    /// Replaces an earlier record of the run.
    pub(crate) fn push(&mut self, record: Record) {
        self.records.retain(|earlier| earlier.run != record.run);
        self.records.push(record);
    }

    pub(crate) fn find(&self, run: &Run) -> Option<&Record> {
        self.records.iter().find(|record| record.run == *run)
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The grid of `method` on the validation split.
    pub(crate) fn tuning(&self, method: &Method) -> Vec<RateScores> {
        let rates = self.protocol.rates_of(method).iter();
        rates.map(|rate| self.tuning_at(method, *rate)).collect()
    }

    fn tuning_at(&self, method: &Method, rate: f64) -> RateScores {
        let mut at = RateScores {
            rate,
            scores: Vec::new(),
            failed: 0,
            missing: 0,
        };
        for &seed in &self.protocol.tuning_seeds {
            let spec = self.protocol.spec(method, rate, seed, Split::Validation);
            match self.find(&spec.run()).map(Record::finished) {
                Some(Some(finished)) => at.scores.push(finished.outcome.metric),
                Some(None) => at.failed += 1,
                None => at.missing += 1,
            }
        }
        at
    }

    /// Whether no tuning run of `method` is missing.
    pub(crate) fn tuned(&self, method: &Method) -> bool {
        self.tuning(method).iter().all(|rate| rate.missing == 0)
    }

    /// `None` while tuning runs are missing, and if every rate has a failed one.
    pub(crate) fn choice(&self, method: &Method) -> Option<Choice> {
        match self.tuned(method) {
            true => choose(&self.tuning(method), self.protocol.metric.direction),
            false => None,
        }
    }

    /// The runs to report, seed by seed and within a seed method beside method.
    pub(crate) fn test_runs(&self) -> Vec<RunSpec> {
        let methods = self.protocol.methods.iter();
        let chosen: Vec<_> = methods
            .filter_map(|method| Some((method, self.choice(method)?.rate)))
            .collect();
        let seeds = self.protocol.test_seeds.iter();
        let runs =
            seeds.flat_map(|seed| chosen.iter().map(|(method, rate)| (*method, *rate, *seed)));
        runs.map(|(method, rate, seed)| self.protocol.spec(method, rate, seed, Split::Test))
            .collect()
    }

    /// The test runs of `method` at its chosen rate that have finished, by seed.
    pub(crate) fn tested(&self, method: &Method) -> Vec<(u64, &Finished)> {
        let tests = self.tests(method).into_iter();
        tests
            .filter_map(|record| Some((record.run.seed, record.finished()?)))
            .collect()
    }

    /// How many test runs of `method` at its chosen rate have failed.
    pub(crate) fn failed_tests(&self, method: &Method) -> usize {
        let tests = self.tests(method).into_iter();
        tests.filter_map(Record::failure).count()
    }

    fn tests(&self, method: &Method) -> Vec<&Record> {
        let Some(choice) = self.choice(method) else {
            return Vec::new();
        };
        let seeds = self.protocol.test_seeds.iter();
        let specs = seeds.map(|seed| self.protocol.spec(method, choice.rate, *seed, Split::Test));
        specs.filter_map(|spec| self.find(&spec.run())).collect()
    }
}

impl Protocol {
    fn has(&self, run: &Run) -> bool {
        let seeds = match run.split {
            Split::Validation => &self.tuning_seeds,
            Split::Test => &self.test_seeds,
        };
        let mut methods = self.methods.iter();
        let method = methods.find(|method| method.name == run.method);
        method.is_some_and(|method| self.rates_of(method).contains(&run.rate))
            && seeds.contains(&run.seed)
    }
}
