//! Fine-tunes encoders of BERT's family on texts, with GOFT adapters and the methods that one would compare them with.
//!
//! [`run`] does it all by a [`RunConfig`]: reads a pretrained model ([`ModelFiles`]) and labelled files ([`Examples`]),
//! attaches a [`Method`], trains with validation, early stopping and checkpoints, and leaves an adapter from which a
//! [`Predictor`] answers. The command line in [`cli`] is a caller of it like any other.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use text_classification::{RunConfig, run};
//!
//! let config = RunConfig::new("model", "train.tsv", "test.tsv", "out", "goft");
//! let outcome = run(&config, &mut |_progress| ControlFlow::Continue(()))?;
//! println!("{} with {} numbers", outcome.test, outcome.trainable_parameters);
//! # Ok::<(), text_classification::Error>(())
//! ```

mod adapter;
mod batch;
mod bert;
mod checkpoint;
mod classifier;
pub mod cli;
mod compare;
mod config;
mod data;
#[path = "../../support/device.rs"]
mod device;
mod disentangled;
mod distances;
mod diverged;
mod encoded;
mod error;
mod evaluate;
mod files;
mod folder;
mod gradients;
mod kind;
mod log;
mod memory;
mod methods;
mod metrics;
mod order;
mod parameters;
mod predict;
mod progress;
mod run;
mod schedule;
mod settings;
mod split;
mod task;
mod tokenizer;
mod train;
mod understood;
mod weights;

pub use batch::TokenBatch;
pub use bert::Bert;
pub use classifier::Classifier;
pub use compare::{CompareConfig, compare};
pub use config::{Activation, BertConfig};
pub use data::{Example, Examples, Text, read_texts};
pub use disentangled::Reach;
pub use error::Error;
pub use folder::{ModelFiles, Pretrained};
pub use kind::{KINDS, Kind};
pub use methods::{METHODS, Method};
pub use metrics::Metrics;
pub use predict::{Prediction, Predictor};
pub use progress::Progress;
pub use run::{Outcome, Trained, run, train};
pub use settings::RunConfig;
pub use task::Task;
pub use tokenizer::{TextTokenizer, Tokens};
pub use weights::load_bert;
