//! Compares fine-tuning methods on equal terms, for any task.
//!
//! An application implements [`Experiment`]: train the pretrained model by this method, at this
//! learning rate, with this seed, and measure it. A [`Protocol`] says which methods, rates and
//! seeds, before anything has run. A [`Comparison`] makes the runs: first those that choose a
//! learning rate for each method on a validation split, then those at the chosen rates, with other
//! seeds, on the test split. A [`Report`] is the table of the latter. The crate knows neither burn
//! nor any other framework.
//!
//! ```
//! use std::error::Error;
//! use fair_compare::{Comparison, Experiment, Method, Metric, Outcome, Protocol, RunSpec, Steps};
//!
//! struct Toy;
//!
//! impl Experiment for Toy {
//!     fn run(&self, spec: &RunSpec, steps: &mut Steps<'_>) -> Result<Outcome, Box<dyn Error>> {
//!         for _ in 0..spec.steps {
//!             let loss = steps.time(|| 1.0 / spec.rate); // a training step of `spec.method`
//!             steps.finite(loss)?;
//!         }
//!         let accuracy = 90.0 - (spec.rate.log10() + 2.0).abs() + (spec.seed % 2) as f64;
//!         Ok(Outcome::new(accuracy, 7)) // measured on `spec.split`
//!     }
//!
//!     fn machine(&self) -> String {
//!         "a server CPU, 2 cores".into()
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let folder = tempfile::tempdir()?;
//! let protocol = Protocol::new(Metric::highest("accuracy"), Method::new("full"))
//!     .with_method(Method::new("LoRA").with_setting("rank", 8))
//!     .with_rates([1e-3, 1e-2, 1e-1])
//!     .with_tuning_seeds([0, 1])
//!     .with_test_seeds([2, 3, 4])
//!     .with_steps(10);
//! let report = Comparison::new(protocol, folder.path()).run(&Toy, &mut ())?;
//! assert_eq!(report.rows()[0].choice.unwrap().rate, 1e-2);
//! assert_eq!(report.records().len(), 2 * (3 * 2 + 3));
//! println!("{}", report.markdown());
//! # Ok(())
//! # }
//! ```
//!
//! # What makes a comparison fair
//!
//! The first four rules are kept by this crate. The others are the application's, and a reader of
//! the table can only trust that they were kept.
//!
//! 1. **Every method gets the same search.** Methods want different learning rates: hundreds of
//!    angles larger ones than millions of weights. Under one common rate the method wins that the
//!    rate suits; once rates are tuned for each, LoRA and its variants are within 1 to 2 % of each
//!    other ([Lee et al. 2026](https://arxiv.org/abs/2602.04998)). PEFT's public
//!    [benchmark](https://github.com/huggingface/peft/tree/main/method_comparison) trains most
//!    methods at 1e-4 and others at rates from 1e-5 to 3e-3, each with one seed; the GOFT paper
//!    trains LLaMA2 with LoRA and OFT at 5e-5 and with its own two methods at 1e-4 ([Ma et al.
//!    2024](https://arxiv.org/abs/2404.04316), Table 7). Here all methods try the same number of
//!    rates with the same seeds, a method may bring a grid of its own but not a longer one, and a
//!    best rate at the edge of its grid is marked, for the grid should then be wider. All other
//!    settings of a method are fixed in advance; a variant is a row of its own, and whoever picks
//!    the best of several rows has searched more often than the table says.
//! 2. **Every run makes the same number of training steps.** A run that makes another number has
//!    failed.
//! 3. **What chooses is not what reports.** A learning rate chosen on the data or with the seeds of
//!    the table makes the table optimistic, and most so for the method that was searched most.
//!    Tuning runs are measured on the validation split; the test split is touched after the choice,
//!    at the chosen rate only, with seeds that no tuning run has seen. The terms are stored before
//!    the first run, and a folder goes on under no others.
//! 4. **Seeds, spread and pairs.** Initial values, data and their order move results markedly
//!    ([Bouthillier et al. 2021](https://arxiv.org/abs/2103.03098)), so differences are taken seed
//!    by seed, and called established only beyond an interval that takes the number of methods into
//!    account. Failed runs stand in the table and are not averaged away.
//! 5. **The same seed means the same data in the same order.** Otherwise the pairs are none.
//! 6. **The baseline is run, not quoted.** On the same model and test, OFT has 45.9 % in one paper
//!    and 47.5 % in another (MMLU of LLaMA2-7B, 5-shot: Ma et al. 2024, Table 2;
//!    [BOFT](https://arxiv.org/abs/2311.06243), Table 2), more than three times the gap between OFT
//!    and the method that either paper proposes. On GLUE the two report different halves of MNLI.
//! 7. **The whole test split, or a sample that is said to be one.** In Table 3 of Ma et al. 2024,
//!    16 of the 19 entries of GOFT are multiples of 1/256 after rounding, as if 256 images had been
//!    read; by chance it would be one in four.
//! 8. **Parameters are numbers that are trained.** Counting b² for an orthogonal block that has b
//!    (b - 1) / 2 makes OFT with blocks of four look 2.7 times as large. The size of the adapter
//!    file is reported beside it.
//! 9. **Time includes the wait for the device.** A forward pass that gets faster as its matrices
//!    grow was not waited for. Seconds are measured by [`Steps`], for all methods alike, and mean
//!    nothing beside those of another machine.
//! 10. **What is forgotten is measured, not inferred.** An unconstrained multiplicative adapter did
//!     as well as an orthogonal one although it changes the angles between neurons
//!     ([ETHER](https://arxiv.org/abs/2405.20271), section 5.3), so orthogonality promises nothing.
//!     Measure the pretrained model's own abilities before and after, and KL(pretrained ‖ tuned),
//!     which on the new task predicts forgetting better than norms of weights do ([Shenfeld et al.
//!     2025](https://arxiv.org/abs/2509.04259)). Read both beside the metric: what learns little
//!     forgets little.
//!
//! # Files
//!
//! | file in the folder | what it holds |
//! |---|---|
//! | `runs-v1.jsonl` | the protocol, then one JSON line for each run that is over |
//! | `table-v1.md` | [`Report::markdown`] |
//! | `table-v1.jsonl` | [`Report::json_lines`], one line for each method |
//!
//! The number in the names is [`SCHEMA`]. A line is on the disk before the next run starts. Kill
//! the process when you like: the next start makes what is missing. A line that was cut off by a
//! crash is removed and said; damage anywhere else, or other terms than the stored ones, is refused
//! with the place. Only one process at a time can have a folder.
//!
//! # What it does not do
//!
//! - Search anything but the learning rate, or stop hopeless runs early: both would make budgets
//!   unequal.
//! - Run on several machines or devices at once.
//! - Catch what is no panic. A process that the operating system kills for its memory has recorded
//!   nothing of that run, and the next start makes it again.

/// Version of the file of records; part of its name.
pub const SCHEMA: u32 = 1;

mod choose;
mod comparison;
mod error;
mod experiment;
mod ledger;
mod method;
mod metric;
mod observer;
mod protocol;
mod record;
mod report;
mod run;
mod statistics;
mod store;
mod verdict;

pub use choose::{Choice, RateScores, choose};
pub use comparison::Comparison;
pub use error::Error;
pub use experiment::{Experiment, RunError, Steps};
pub use method::Method;
pub use metric::{Direction, Metric};
#[cfg(feature = "progress")]
pub use observer::Bars;
pub use observer::{Lines, Observer};
pub use protocol::Protocol;
pub use record::{Failure, FailureKind, Finished, Record, RunResult};
pub use report::{Difference, Report, Row, SeedDifference};
pub use run::{BeforeAfter, Outcome, Run, RunSpec, Split};
pub use statistics::{Spread, kl_divergence, median};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
