//! The settings of a comparison.

use std::path::PathBuf;

use burn_goft_finetune::{Error, METHODS};

use crate::settings::RunConfig;

/// The settings of a comparison. [`CompareConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareConfig {
    /// What all runs share. `out` is the comparison's folder; method, seed, learning rates,
    /// penalty, targets, patience and `resume` are not looked at. Without `steps`, every run makes
    /// those of all `epochs`.
    pub run: RunConfig,
    /// Names of the methods, a rank of its own after a colon (`lora:1`). The others' differences are to
    /// the first.
    pub methods: Vec<String>,
    /// Learning rates that each method tries: its default times 1, 3, 0.3, 10, 0.1 and so on.
    pub rates_per_method: usize,
    /// Seeds of the runs that choose a learning rate, from 0.
    pub tuning_seeds: u64,
    /// Seeds of the runs that are reported, the next ones.
    pub test_seeds: u64,
    /// At most so many training examples, those held out for validation included, drawn at random;
    /// all without it.
    pub limit_train: Option<usize>,
    /// At most so many test examples, drawn at random; all without it.
    pub limit_eval: Option<usize>,
    /// Labeled pairs of another task, on which the sentence embeddings are measured before and
    /// after.
    pub forgetting: Option<PathBuf>,
    /// Make runs again that failed, unless the loss was not finite.
    pub retry: bool,
}

impl CompareConfig {
    /// Full fine-tuning against all other methods: five rates with two seeds, then three other
    /// seeds.
    pub fn new(run: RunConfig) -> Self {
        Self {
            run,
            methods: method_names(),
            rates_per_method: 5,
            tuning_seeds: 2,
            test_seeds: 3,
            limit_train: None,
            limit_eval: None,
            forgetting: None,
            retry: false,
        }
    }
}

impl CompareConfig {
    /// Refuses numbers that no comparison can have.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.run.check()?;
        let refuse = |what: String| Err(Error::Settings(what));
        for (name, number) in [
            (
                "number of rates for each method",
                self.rates_per_method as u64,
            ),
            ("number of seeds to choose a rate", self.tuning_seeds),
            ("number of seeds to test with", self.test_seeds),
        ] {
            if !(1..=MOST).contains(&number) {
                return refuse(format!("the {name} is {number}; it has to be 1 to {MOST}"));
            }
        }
        for (name, limit) in [("training", self.limit_train), ("test", self.limit_eval)] {
            if limit == Some(0) {
                return refuse(format!(
                    "the limit of {name} examples is 0; it has to be at least 1, or none"
                ));
            }
        }
        Ok(())
    }
}

/// More rates, or seeds, are a slip of the keyboard.
const MOST: u64 = 99;

/// All methods, `full` first.
pub(crate) fn method_names() -> Vec<String> {
    let mut names = METHODS.map(|method| method.name);
    names.sort_by_key(|name| *name != "full");
    names.map(String::from).to_vec()
}
