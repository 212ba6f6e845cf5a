//! Texts as a task of the trainer.

use burn::tensor::{Device, Tensor};
use burn_goft_finetune::{Body, Progress as Of, Score, Task};
use serde::{Deserialize, Serialize};

use crate::batch::{self, Batch};
use crate::data::Trained;
use crate::model::CausalLm;

/// An event of a run.
pub type Progress = Of<Fit>;

/// All of a language model is pretrained.
pub(crate) const BODY: Body = Body {
    name: "model",
    heads: &[],
};

/// How well a model predicts the tokens that are learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Mean cross entropy, in nats per token.
    pub loss: f64,
    /// Share of the tokens that are the likeliest.
    pub accuracy: f64,
    /// Number of tokens.
    pub tokens: usize,
}

impl Score for Fit {
    fn is_better_than(&self, other: &Self) -> bool {
        self.loss < other.loss
    }

    fn loss(&self) -> f64 {
        self.loss
    }
}

/// Measures a model without autodiff on some examples.
pub fn fit(model: &CausalLm, examples: &[Trained], device: &Device) -> Fit {
    /// Rows times the longest, so that long texts do not take more memory.
    const TOKENS: usize = 2048;
    let mut order: Vec<&Trained> = examples.iter().collect();
    order.sort_by_key(|example| example.ids.len());
    let (mut loss, mut right, mut tokens) = (0.0, 0.0, 0);
    let mut rest = order.as_slice();
    while let Some(last) = rest.last() {
        let rows = (TOKENS / last.ids.len()).clamp(1, rest.len());
        let (before, some) = rest.split_at(rest.len() - rows);
        rest = before;
        let count: usize = some.iter().map(|example| batch::count(example)).sum();
        let predicted = model.cross_entropy(&Batch::new(some, device));
        loss += count as f64 * predicted.loss.into_scalar::<f64>();
        right += predicted.correct.into_scalar::<i64>() as f64;
        tokens += count;
    }
    Fit {
        loss: loss / tokens as f64,
        accuracy: right / tokens as f64,
        tokens,
    }
}

/// What a model learns from and is validated on.
pub(crate) struct Texts<'a> {
    pub(crate) training: &'a [Trained],
    pub(crate) validation: &'a [Trained],
    /// Without autodiff.
    pub(crate) device: Device,
}

impl Texts<'_> {
    fn of(&self, examples: &[usize]) -> Vec<&Trained> {
        examples
            .iter()
            .map(|index| &self.training[*index])
            .collect()
    }
}

impl Task for Texts<'_> {
    type Model = CausalLm;
    type Score = Fit;

    fn body(&self) -> Body {
        BODY
    }

    fn lengths(&self) -> Vec<usize> {
        self.training
            .iter()
            .map(|example| example.ids.len())
            .collect()
    }

    fn weight(&self, examples: &[usize]) -> f64 {
        let counts = self.of(examples).into_iter().map(batch::count);
        counts.sum::<usize>() as f64
    }

    fn loss(&self, model: &CausalLm, examples: &[usize]) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        model
            .cross_entropy(&Batch::new(&self.of(examples), &device))
            .loss
    }

    fn validate(&self, model: &CausalLm) -> Fit {
        fit(model, self.validation, &self.device)
    }
}
