//! Fine-tunes language models of Hugging Face's formats with GOFT adapters and the methods beside
//! it. The program is [`cli`]; what it does can be called:
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use burn::tensor::Device;
//! use language_model::training::Progress;
//! use language_model::{Pretrained, RunConfig, find, merge, train, with_adapter};
//!
//! let model = "HuggingFaceTB/SmolLM2-135M-Instruct"; // a name on the hub, or a folder
//! let config = RunConfig {
//!     steps: Some(40),
//!     batch_size: 8,
//!     ..RunConfig::new(model, "data", "run", "goft")
//! };
//! let outcome = train(&config, &mut |progress| {
//!     if let Progress::Step { step, loss, .. } = progress {
//!         println!("{step}: {loss}");
//!     }
//!     ControlFlow::Continue(())
//! })?;
//! println!("{} nats per token, {} before", outcome.after.loss, outcome.before.loss);
//!
//! let (folder, device) = (find(&config.model)?, Device::flex());
//! let pretrained = Pretrained::load(&folder, &device)?;
//! // A burn module, with what was learned.
//! let adapted = with_adapter(pretrained.model, &folder, &config.out)?;
//! // The folder that other programs load.
//! merge(&folder, &config.out, Path::new("merged"), &device)?;
//! # drop(adapted);
//! # Ok::<(), language_model::Error>(())
//! ```

pub mod batch;
pub mod cli;
mod compare;
pub mod config;
pub mod data;
#[path = "../../support/device.rs"]
mod device;
pub mod eval;
mod folder;
pub mod generate;
mod memory;
mod merge;
pub mod model;
mod rates;
mod run;
mod settings;
mod targets;
pub mod training;

pub use burn_goft_finetune::Error;
pub use compare::{CompareConfig, compare};
pub use folder::{Base, Pretrained, find};
pub use memory::Estimate;
pub use merge::{LogitDifference, merge};
pub use run::{NONE, Outcome, base_of, train, with_adapter};
pub use settings::RunConfig;
pub use targets::{PRESETS, globs};
