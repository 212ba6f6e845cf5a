//! Labeled texts as a task of the trainer.

use burn::tensor::Device;
use burn_goft_finetune::{Body, Loss, Progress as Of, Task as FineTuning};

use crate::classifier::Classifier;
use crate::data::{Encoded, Task};
use crate::evaluate::evaluate;
use crate::metrics::Metrics;

/// An event of a run.
pub type Progress = Of<Metrics>;

/// The pretrained encoder, and the head that starts at random.
pub(crate) const BODY: Body = Body {
    name: "encoder",
    heads: &["head"],
};

/// What a classifier learns from and is validated on.
pub(crate) struct Labeled<'a> {
    pub(crate) task: &'a Task,
    pub(crate) training: &'a Encoded,
    pub(crate) validation: &'a Encoded,
    /// Without autodiff.
    pub(crate) device: Device,
}

impl FineTuning for Labeled<'_> {
    type Model = Classifier;
    type Score = Metrics;

    fn body(&self) -> Body {
        BODY
    }

    fn lengths(&self) -> Vec<usize> {
        self.training.lengths()
    }

    fn loss(&self, model: &Classifier, examples: &[usize]) -> Loss {
        let device = self.device.clone().autodiff();
        let (tokens, targets) = self.training.batch(examples, &device);
        model.loss(self.task, &tokens, &targets).into()
    }

    fn validate(&self, model: &Classifier) -> Metrics {
        evaluate(model, self.task, self.validation, &self.device)
    }
}
