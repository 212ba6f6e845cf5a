//! Fine-tunes language models of Hugging Face's formats with GOFT adapters and the methods beside
//! it.

pub mod batch;
pub mod cli;
pub mod config;
pub mod data;
#[path = "../../support/device.rs"]
mod device;
mod folder;
pub mod generate;
mod merge;
pub mod model;
mod run;
mod settings;
pub mod training;

pub use burn_goft_finetune::Error;
pub use folder::Pretrained;
pub use merge::merge;
pub use run::{Outcome, train, with_adapter};
pub use settings::RunConfig;
