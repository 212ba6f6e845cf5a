//! What a run tells while it goes on.

use serde::{Deserialize, Serialize};

/// What an update took. It is no result: it differs from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// How long it took.
    pub seconds: f64,
    /// Tokens or pixels in a second, where the task counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// The most bytes of the heap in use since updates began, less those before the run; none where
    /// nobody counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress<S> {
    /// Everything is read; training starts or goes on.
    Started {
        /// Updates made before.
        step: usize,
        /// Updates planned.
        steps: usize,
        /// Training examples, without those held out for validation.
        examples: usize,
        /// Trained parameters.
        trainable: usize,
        /// All parameters of the model.
        total: usize,
    },
    /// Something to know, such as examples that were cut.
    Note(String),
    /// An update.
    Step {
        /// Its number, from 1.
        step: usize,
        /// The epoch it is in, from 0.
        epoch: usize,
        /// Mean loss of its examples, without any penalty.
        loss: f64,
        /// Share of what is predicted right, where that is a question.
        accuracy: Option<f64>,
        /// The length of the gradient before it was clipped.
        gradient_norm: f64,
        /// The learning rate of what is trained in the body.
        learning_rate: f64,
        /// What it took.
        cost: Cost,
    },
    /// A validated epoch.
    Epoch {
        /// Its number, from 0.
        epoch: usize,
        /// Mean loss of its updates.
        training_loss: f64,
        /// What the validation gave.
        validation: S,
        /// Whether it is the best so far and therefore kept; never with a fixed number of updates, which
        /// keep the last state.
        best: bool,
        /// Whether early stopping ends the training here.
        stops: bool,
    },
}
