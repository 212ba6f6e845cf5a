//! Texts as a task of the trainer.

use std::ops::ControlFlow;

use burn::tensor::Device;
use burn_goft_finetune::{Body, Loss, Parts, Progress as Of, Score, Task};
use serde::{Deserialize, Serialize};

use crate::batch::{self, Batch};
use crate::data::{TextTokenizer, Trained};
use crate::generate::{Generation, Sampling, generate};
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
    /// By row, the examples that stand in it.
    pub(crate) training: Vec<Vec<&'a Trained>>,
    pub(crate) validation: &'a [Trained],
    /// Whether layers are computed a second time in the backward pass.
    pub(crate) recompute: bool,
    /// What a model is asked while it is trained.
    pub(crate) question: Option<Question<'a>>,
    /// Without autodiff.
    pub(crate) device: Device,
}

/// A prompt whose answer is shown.
pub(crate) struct Question<'a> {
    pub(crate) tokenizer: &'a TextTokenizer,
    pub(crate) prompt: Vec<u32>,
    pub(crate) ends: Vec<u32>,
}

/// The most tokens of an answer that is shown.
const SHOWN: usize = 48;

impl Question<'_> {
    fn answer(&self, model: &CausalLm, device: &Device) -> String {
        let generation = Generation {
            sampling: Sampling::default(),
            max_tokens: SHOWN,
            ends: self.ends.clone(),
            stops: Vec::new(),
            seed: 0,
        };
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let prompt = std::slice::from_ref(&self.prompt);
        let answers = generate(model, prompt, &generation, device, go_on);
        let answer = &answers[0];
        let more = if answer.ended { "" } else { " .." };
        format!(
            "sample: {}{more}",
            self.tokenizer.decode(&answer.tokens).trim()
        )
    }
}

impl<'a> Texts<'a> {
    fn of(&self, rows: &[usize]) -> Vec<Vec<&'a Trained>> {
        rows.iter().map(|row| self.training[*row].clone()).collect()
    }

    fn sum(&self, rows: &[usize], of: impl Fn(&Trained) -> usize) -> usize {
        let examples = rows.iter().flat_map(|row| &self.training[*row]);
        examples.map(|example| of(example)).sum()
    }
}

impl Task for Texts<'_> {
    type Model = CausalLm;
    type Score = Fit;

    fn body(&self) -> Body {
        BODY
    }

    fn lengths(&self) -> Vec<usize> {
        let rows = 0..self.training.len();
        rows.map(|row| self.sum(&[row], |example| example.ids.len()))
            .collect()
    }

    fn weight(&self, rows: &[usize]) -> f64 {
        self.sum(rows, batch::count) as f64
    }

    fn tokens(&self, rows: &[usize]) -> Option<usize> {
        Some(self.sum(rows, |example| example.ids.len()))
    }

    fn loss(&self, model: &CausalLm, rows: &[usize]) -> Loss {
        let device = self.device.clone().autodiff();
        let predicted = model.cross_entropy(&Batch::packed(&self.of(rows), &device));
        Loss {
            mean: predicted.loss,
            correct: Some(predicted.correct),
        }
    }

    fn in_parts(&self, model: &CausalLm, rows: &[usize], factor: f64) -> Option<Parts> {
        if !self.recompute {
            return None;
        }
        let device = self.device.clone().autodiff();
        let batch = Batch::packed(&self.of(rows), &device);
        let (predicted, gradients) = model.gradients(&batch, factor);
        let loss = Loss {
            mean: predicted.loss,
            correct: Some(predicted.correct),
        };
        Some(Parts { loss, gradients })
    }

    fn validate(&self, model: &CausalLm) -> Fit {
        fit(model, self.validation, &self.device)
    }

    fn sample(&self, model: &CausalLm) -> Option<String> {
        let question = self.question.as_ref()?;
        Some(question.answer(model, &self.device))
    }
}
