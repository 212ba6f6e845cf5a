//! How long a training is and in which steps it goes.

use crate::error::Error;
use crate::schedule::Schedule;

/// The course of a training: examples in a batch, batches in an update, updates in all.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Decides the order of the examples.
    pub seed: u64,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Batches in an update.
    pub accumulation: usize,
    /// Passes over the training data, fewer with early stopping.
    pub epochs: usize,
    /// The number of updates instead, whatever the validation says; the last state is kept, not
    /// the best one.
    pub steps: Option<usize>,
    /// Share of all updates over which the learning rate rises.
    pub warmup: f64,
    /// Epochs without a better validation before training stops; none trains all epochs.
    pub patience: Option<usize>,
    /// The greatest length of an update's gradient, over all trained parameters together: a longer
    /// one is scaled down to it.
    pub clip: Option<f64>,
    /// Parts into which a batch is dealt, computed at the same time on a share of the threads each; 1 computes it as one. The
    /// gradients are the same but for the order of sums. [`shards`](crate::shards) has a number for every device.
    pub shards: usize,
    /// Updates between two samples of what the model does; none takes none.
    pub sample_every: Option<usize>,
}

impl Default for Course {
    /// Five epochs of batches of 16, one batch for each update, stopped after three epochs
    /// without a better validation.
    fn default() -> Self {
        Self {
            seed: 0,
            batch_size: 16,
            accumulation: 1,
            epochs: 5,
            steps: None,
            warmup: 0.1,
            patience: Some(3),
            clip: None,
            shards: 1,
            sample_every: None,
        }
    }
}

impl Course {
    /// Refuses numbers that no training can have.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] with the first of them.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Settings(what));
        for (name, number) in [
            ("batch size", self.batch_size),
            ("accumulation", self.accumulation),
            ("number of epochs", self.epochs),
            ("number of shards", self.shards),
        ] {
            if number == 0 {
                return refuse(format!("the {name} is 0; it has to be at least 1"));
            }
        }
        for (name, number) in [
            ("number of steps", self.steps),
            ("patience", self.patience),
            ("number of steps between samples", self.sample_every),
        ] {
            if number == Some(0) {
                return refuse(format!("the {name} is 0; it has to be at least 1, or none"));
            }
        }
        if !(0.0..1.0).contains(&self.warmup) {
            return refuse(format!(
                "the warm-up is {} of the updates; it has to be at least 0 and below 1",
                self.warmup
            ));
        }
        match self.clip {
            Some(length) if !(length > 0.0 && length.is_finite()) => refuse(format!(
                "gradients are to be clipped to a length of {length}; it has to be above 0, or none"
            )),
            _ => Ok(()),
        }
    }

    /// Updates in an epoch of so many examples.
    pub fn updates(&self, examples: usize) -> usize {
        let batches = examples.div_ceil(self.batch_size);
        batches.div_ceil(self.accumulation)
    }

    /// Updates in all epochs of so many examples, or as many as were asked for.
    pub fn steps(&self, examples: usize) -> usize {
        self.steps
            .unwrap_or_else(|| self.updates(examples) * self.epochs)
    }

    /// The learning rate's course over so many updates.
    pub(crate) fn schedule(&self, steps: usize) -> Schedule {
        Schedule {
            warmup: (self.warmup * steps as f64).round() as usize,
            steps,
        }
    }
}
