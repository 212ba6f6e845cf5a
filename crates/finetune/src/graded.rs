//! The loss of a batch and its gradients.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_goft::{GoftModule, Penalty};

use crate::error::Error;
use crate::task::{Loss, Task};
use crate::trainer::Trainer;

/// What a batch says.
pub(crate) struct Graded {
    /// The mean loss, without any penalty.
    pub(crate) loss: f64,
    /// How much is predicted right.
    pub(crate) correct: Option<f64>,
    /// Gradients, to be added up.
    pub(crate) gradients: Vec<GradientsParams>,
}

impl<T: Task> Trainer<'_, T> {
    /// The gradients of the mean loss of some examples and the penalty, times a factor; in parts where
    /// the task wants that.
    pub(crate) fn grade(&self, examples: &[usize], factor: f64) -> Result<Graded, Error> {
        let task = self.setting.task;
        let Some(parts) = task.in_parts(&self.model, examples, factor) else {
            let loss = task.loss(&self.model, examples);
            let (value, correct) = read(&loss);
            if !value.is_finite() {
                return Err(self.loss_not_finite(loss.mean, value));
            }
            let gradients = self.gradients(self.with_penalty(loss.mean).mul_scalar(factor));
            return Ok(Graded {
                loss: value,
                correct,
                gradients: vec![gradients],
            });
        };
        let (value, correct) = read(&parts.loss);
        if !value.is_finite() {
            let whole = task.loss(&self.model, examples).mean;
            return Err(self.loss_not_finite(whole, value));
        }
        let mut gradients = parts.gradients;
        if self.setting.rates.penalty.is_some() {
            let nothing = Tensor::zeros([1], &parts.loss.mean.device()).autodiff();
            let penalty = self.with_penalty(nothing.require_grad());
            gradients.push(self.gradients(penalty.mul_scalar(factor)));
        }
        Ok(Graded {
            loss: value,
            correct,
            gradients,
        })
    }

    fn gradients(&self, loss: Tensor<1>) -> GradientsParams {
        GradientsParams::from_grads(loss.backward(), &self.model)
    }

    fn with_penalty(&self, loss: Tensor<1>) -> Tensor<1> {
        match self.setting.rates.penalty {
            Some(strength) => self.model.penalized(loss, Penalty::Paper, strength),
            None => loss,
        }
    }
}

fn read(loss: &Loss) -> (f64, Option<f64>) {
    let correct = loss.correct.clone();
    let correct = correct.map(|correct| correct.into_scalar::<i64>() as f64);
    (f64::from(loss.mean.clone().into_scalar::<f32>()), correct)
}
