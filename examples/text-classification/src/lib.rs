//! Fine-tunes encoders of BERT's family on texts, with GOFT adapters and the methods that one would
//! compare them with.
//!
//! [`run`] does it all by a [`RunConfig`]: reads a pretrained model ([`ModelFiles`]) and labeled
//! files ([`Examples`]), attaches a [`Method`], trains with validation, early stopping and
//! checkpoints, and leaves an adapter from which a [`Predictor`] answers. The command line in
//! [`cli`] is a caller of it like any other.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use text_classification::{RunConfig, run};
//!
//! let config = RunConfig::new("model", "train.tsv", "test.tsv", "out", "goft");
//! let outcome = run(&config, &mut |_progress| ControlFlow::Continue(()))?;
//! println!("{} with {} trained parameters", outcome.test, outcome.trainable_parameters);
//! # Ok::<(), text_classification::Error>(())
//! ```

mod classifier;
pub mod cli;
mod compare;
mod data;
#[path = "../../support/device.rs"]
mod device;
mod encoder;
mod evaluate;
mod metrics;
mod predict;
mod run;
mod saved;
mod settings;
mod training;

pub use burn_goft_finetune::{Error, METHODS, Method};
pub use classifier::Classifier;
pub use compare::{CompareConfig, compare};
pub use data::{Example, Examples, Task, Text, read_texts};
pub use encoder::{
    Activation, Bert, BertConfig, KINDS, Kind, ModelFiles, Pretrained, Reach, TextTokenizer,
    TokenBatch, Tokens, load_bert,
};
pub use metrics::Metrics;
pub use predict::{Prediction, Predictor};
pub use run::{Outcome, Trained, run, train};
pub use settings::RunConfig;
pub use training::Progress;
