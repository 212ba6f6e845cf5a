//! Fine-tunes language models of Hugging Face's formats with GOFT adapters and the methods beside
//! it.

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
