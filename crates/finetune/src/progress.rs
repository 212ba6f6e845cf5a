//! What a run tells while it goes on.

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
        /// How long it took.
        seconds: f64,
    },
    /// A validated epoch.
    Epoch {
        /// Its number, from 0.
        epoch: usize,
        /// Mean loss of its updates.
        training_loss: f64,
        /// What the validation gave.
        validation: S,
        /// Whether it is the best so far.
        best: bool,
        /// Whether early stopping ends the training here.
        stops: bool,
    },
}
