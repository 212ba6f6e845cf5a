//! The settings of a comparison.

use std::path::PathBuf;

use burn_goft_finetune::{Error, METHODS};

use crate::settings::RunConfig;

/// The settings of a comparison. [`CompareConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareConfig {
    /// What all runs share. `data` is a folder with `train.jsonl`, `test.jsonl` and, if there is one,
    /// `valid.jsonl`; `out` is the comparison's folder. Method, seed, learning rate, penalty, patience
    /// and `resume` are not looked at.
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
    /// The first so many training examples; all without it.
    pub limit_train: Option<usize>,
    /// The first so many validation examples, and test examples; all without it.
    pub limit_eval: Option<usize>,
    /// A text that the training has nothing to do with, whose cross entropy is measured before and
    /// after.
    pub forgetting: Option<PathBuf>,
    /// Bytes of that text that are read.
    pub forgetting_bytes: usize,
    /// Test examples whose answers are written and compared by their numbers; none without it.
    pub answers: usize,
    /// The most tokens of such an answer.
    pub max_tokens: usize,
    /// Make runs again that failed, unless the loss was not finite.
    pub retry: bool,
}

impl CompareConfig {
    /// Full fine-tuning against the methods that train linear weights: three rates with one seed, then
    /// three other seeds.
    pub fn new(run: RunConfig) -> Self {
        Self {
            run,
            methods: method_names(),
            rates_per_method: 3,
            tuning_seeds: 1,
            test_seeds: 3,
            limit_train: None,
            limit_eval: None,
            forgetting: None,
            forgetting_bytes: 50_000,
            answers: 0,
            max_tokens: 160,
            retry: false,
        }
    }

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
        Ok(())
    }
}

/// More rates, or seeds, are a slip of the keyboard.
const MOST: u64 = 99;

/// The methods that a language model without biases and fresh heads has, `full` first.
pub(crate) fn method_names() -> Vec<String> {
    let named = METHODS.iter().map(|method| method.name);
    let mut names: Vec<_> = named
        .filter(|name| !["linear-probe", "bitfit"].contains(name))
        .collect();
    names.sort_by_key(|name| *name != "full");
    names.into_iter().map(String::from).collect()
}
