//! One method in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::choose::Choice;
use crate::ledger::Ledger;
use crate::method::Method;
use crate::record::Finished;
use crate::run::Outcome;
use crate::statistics::{Spread, median};

/// What the table says of a method. Spreads and medians are over the test runs at the chosen rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the method.
    pub method: String,
    /// The learning rate, `None` if there is none: tuning is not over, or a run failed at every
    /// rate.
    pub choice: Option<Choice>,
    /// Test runs that finished.
    pub finished: usize,
    /// Test runs of the protocol.
    pub planned: usize,
    /// Test runs that failed.
    pub failed: usize,
    /// Whether tuning is over and left no rate.
    pub every_rate_failed: bool,
    /// The metric.
    pub metric: Option<Spread>,
    /// The metric less the baseline's, seed by seed. The baseline has none.
    pub difference: Option<Difference>,
    /// Fewest and most over the runs.
    pub trainable_parameters: Option<(u64, u64)>,
    /// Smallest and largest over the runs.
    pub adapter_bytes: Option<(u64, u64)>,
    /// Median over runs of the median over steps.
    pub seconds_per_step: Option<f64>,
    /// Median over runs of what a second goes through.
    pub throughput: Option<f64>,
    /// Largest over the runs.
    pub peak_memory_bytes: Option<u64>,
    /// The forgetting metric of the pretrained model.
    pub forgetting_before: Option<Spread>,
    /// The forgetting metric of the tuned model.
    pub forgetting_after: Option<Spread>,
    /// KL(pretrained ‖ tuned), nats.
    pub kl: Option<Spread>,
    /// Drift by name.
    pub drift: BTreeMap<String, Spread>,
}

/// A method's metric less the baseline's, over the seeds that both have finished.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Seed by seed.
    pub by_seed: Vec<SeedDifference>,
    /// Mean and spread over the seeds.
    pub spread: Spread,
    /// Half the width of the interval for the mean, at 95 % for all methods together (Bonferroni:
    /// each at 1 - 0.05 / methods). One difference has none, and neither have equal ones: the
    /// metric is too coarse to show a spread, or the seed does not reach the training.
    pub half_width: Option<f64>,
    /// Whether there is an interval, it leaves out zero, and no test run of the two methods failed
    /// or is missing.
    pub established: bool,
}

/// A difference of two runs with the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeedDifference {
    /// The seed.
    pub seed: u64,
    /// Metric of the method less metric of the baseline.
    pub difference: f64,
}

/// The rows of all methods.
pub(super) fn all(ledger: &Ledger) -> Vec<Row> {
    let protocol = &ledger.protocol;
    let methods = protocol.methods.iter();
    let mut rows: Vec<Row> = methods.map(|method| row(ledger, method)).collect();
    let confidence = confidence(rows.len());
    let baseline = ledger.tested(protocol.baseline());
    for (row, method) in rows.iter_mut().zip(&protocol.methods).skip(1) {
        row.difference = difference(&ledger.tested(method), &baseline, row.planned, confidence);
    }
    rows
}

/// The confidence of each interval, such that all of them hold together with 95 %.
pub(super) fn confidence(methods: usize) -> f64 {
    1.0 - 0.05 / (methods.max(2) - 1) as f64
}

fn row(ledger: &Ledger, method: &Method) -> Row {
    let tested = ledger.tested(method);
    let runs: Vec<&Finished> = tested.iter().map(|(_, finished)| *finished).collect();
    let outcomes: Vec<&Outcome> = runs.iter().map(|run| &run.outcome).collect();
    let spread = |number: fn(&Outcome) -> Option<f64>| {
        let values: Vec<f64> = outcomes.iter().filter_map(|run| number(run)).collect();
        Spread::of(&values)
    };
    let seconds: Vec<f64> = runs.iter().map(|run| run.seconds_per_step).collect();
    let throughput = outcomes.iter().filter_map(|run| run.throughput);
    let throughput: Vec<f64> = throughput.collect();
    Row {
        method: method.name.clone(),
        choice: ledger.choice(method),
        finished: runs.len(),
        planned: ledger.protocol.test_seeds.len(),
        failed: ledger.failed_tests(method),
        every_rate_failed: ledger.tuned(method) && ledger.choice(method).is_none(),
        metric: spread(|run| Some(run.metric)),
        difference: None,
        trainable_parameters: range(outcomes.iter().map(|run| run.trainable_parameters)),
        adapter_bytes: range(outcomes.iter().filter_map(|run| run.adapter_bytes)),
        seconds_per_step: median(&seconds),
        throughput: median(&throughput),
        peak_memory_bytes: outcomes
            .iter()
            .filter_map(|run| run.peak_memory_bytes)
            .max(),
        forgetting_before: spread(|run| run.forgetting.map(|forgetting| forgetting.before)),
        forgetting_after: spread(|run| run.forgetting.map(|forgetting| forgetting.after)),
        kl: spread(|run| run.kl),
        drift: drift(&outcomes),
    }
}

fn range(values: impl Iterator<Item = u64> + Clone) -> Option<(u64, u64)> {
    Some((values.clone().min()?, values.max()?))
}

fn drift(outcomes: &[&Outcome]) -> BTreeMap<String, Spread> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, value) in outcomes.iter().flat_map(|run| &run.drift) {
        values.entry(name.clone()).or_default().push(*value);
    }
    let spreads = values.into_iter();
    spreads
        .filter_map(|(name, values)| Some((name, Spread::of(&values)?)))
        .collect()
}

fn difference(
    method: &[(u64, &Finished)],
    baseline: &[(u64, &Finished)],
    planned: usize,
    confidence: f64,
) -> Option<Difference> {
    let metric_at = |seed| {
        let mut runs = baseline.iter();
        let run = runs.find(|(other, _)| *other == seed);
        run.map(|(_, run)| run.outcome.metric)
    };
    let mut rounding = 0.0f64;
    let pairs = method.iter().filter_map(|&(seed, run)| {
        let (metric, of_baseline) = (run.outcome.metric, metric_at(seed)?);
        rounding = rounding.max(f64::EPSILON * (metric.abs() + of_baseline.abs()));
        Some(SeedDifference {
            seed,
            difference: metric - of_baseline,
        })
    });
    let by_seed: Vec<SeedDifference> = pairs.collect();
    let values: Vec<f64> = by_seed.iter().map(|pair| pair.difference).collect();
    let mut spread = Spread::of(&values)?;
    // Shares of the same count differ by their rounding only, which is no spread to measure a mean
    // by.
    if spread
        .deviation
        .is_some_and(|deviation| deviation <= 2.0 * rounding)
    {
        spread.deviation = Some(0.0);
    }
    let half_width = spread.half_width(confidence).filter(|half| *half > 0.0);
    let complete = by_seed.len() == planned;
    let beyond = half_width.is_some_and(|half| spread.mean.abs() > half);
    Some(Difference {
        established: complete && beyond,
        by_seed,
        spread,
        half_width,
    })
}
