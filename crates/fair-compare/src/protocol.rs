//! What is compared and on what terms: everything that is decided before the first run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::method::{Method, ascending};
use crate::metric::Metric;
use crate::run::{RunSpec, Split};

mod check;

/// The terms of a comparison. They are stored with the runs, and a folder of runs goes on only with
/// the same.
///
/// ```
/// use fair_compare::{Method, Metric, Protocol};
///
/// let protocol = Protocol::new(Metric::highest("accuracy"), Method::new("full"))
///     .with_method(Method::new("LoRA").with_setting("rank", 8))
///     .with_rates([1e-3, 1e-2, 1e-1])
///     .with_tuning_seeds([0, 1])
///     .with_test_seeds([2, 3, 4])
///     .with_steps(200)
///     .with_context("data", "digits, SHA-256 3b1f");
/// assert_eq!(protocol.run_count(), 2 * (3 * 2 + 3));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    pub(crate) metric: Metric,
    pub(crate) forgetting: Option<Metric>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) throughput: Option<String>,
    /// The first is the baseline.
    pub(crate) methods: Vec<Method>,
    pub(crate) rates: Vec<f64>,
    pub(crate) tuning_seeds: Vec<u64>,
    pub(crate) test_seeds: Vec<u64>,
    pub(crate) steps: u64,
    pub(crate) context: BTreeMap<String, Value>,
}

impl Protocol {
    /// `metric` on the test split is what the table reports; the differences are to `baseline`, its
    /// first row.
    pub fn new(metric: Metric, baseline: Method) -> Self {
        Self {
            metric,
            forgetting: None,
            throughput: None,
            methods: vec![baseline],
            rates: Vec::new(),
            tuning_seeds: Vec::new(),
            test_seeds: Vec::new(),
            steps: 0,
            context: BTreeMap::new(),
        }
    }

    /// One more method.
    pub fn with_method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// The grid from which each method's learning rate is chosen.
    pub fn with_rates(mut self, rates: impl IntoIterator<Item = f64>) -> Self {
        self.rates = ascending(rates);
        self
    }

    /// Seeds of the runs that choose the learning rate.
    pub fn with_tuning_seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.tuning_seeds = seeds.into_iter().collect();
        self
    }

    /// Seeds of the runs that are reported. None of them may be a tuning seed.
    pub fn with_test_seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.test_seeds = seeds.into_iter().collect();
        self
    }

    /// Training steps of every run.
    pub fn with_steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// The metric of [`Outcome::forgetting`](crate::Outcome::forgetting): what the pretrained model
    /// can do, measured on other data than it is tuned on.
    pub fn with_forgetting(mut self, metric: Metric) -> Self {
        self.forgetting = Some(metric);
        self
    }

    /// What [`Outcome::throughput`](crate::Outcome::throughput) counts, such as `tokens`: the table has
    /// a column `tokens per second`.
    pub fn with_throughput(mut self, items: impl Into<String>) -> Self {
        self.throughput = Some(items.into());
        self
    }

    /// Anything else that a result depends on: data, pretrained model, batch size, optimizer,
    /// version of the program. It is stored and listed under the table.
    pub fn with_context(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.context.insert(name.into(), value.into());
        self
    }

    /// Runs that a whole comparison makes.
    pub fn run_count(&self) -> usize {
        self.methods.len() * self.runs_of_a_method()
    }

    fn runs_of_a_method(&self) -> usize {
        self.rates.len() * self.tuning_seeds.len() + self.test_seeds.len()
    }

    pub(crate) fn baseline(&self) -> &Method {
        &self.methods[0]
    }

    pub(crate) fn rates_of<'a>(&'a self, method: &'a Method) -> &'a [f64] {
        method.rates.as_deref().unwrap_or(&self.rates)
    }

    /// Seed by seed, and within a seed method beside method: a machine that slows down slows all of
    /// them.
    pub(crate) fn tuning_runs(&self) -> Vec<RunSpec> {
        let mut runs = Vec::new();
        for &seed in &self.tuning_seeds {
            for place in 0..self.rates.len() {
                for method in &self.methods {
                    let rate = self.rates_of(method)[place];
                    runs.push(self.spec(method, rate, seed, Split::Validation));
                }
            }
        }
        runs
    }

    pub(crate) fn spec(&self, method: &Method, rate: f64, seed: u64, split: Split) -> RunSpec {
        RunSpec {
            method: method.clone(),
            rate,
            seed,
            split,
            steps: self.steps,
        }
    }
}
