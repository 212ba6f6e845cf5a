//! The loss of a batch and its gradients.

use burn::module::Module;
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

/// Some examples of a batch, with a model of their own.
struct Part<M> {
    model: M,
    examples: Vec<usize>,
    /// What their mean loss counts in that of the batch.
    share: f64,
    /// Strength of the penalty: that of the batch is of one part.
    penalty: Option<f64>,
}

impl<T: Task> Trainer<'_, T> {
    /// The gradients of the mean loss of some examples and the penalty, times a factor; in parts where
    /// the course or the task wants that.
    pub(crate) fn grade(&self, examples: &[usize], factor: f64) -> Result<Graded, Error> {
        let task = self.setting.task;
        let penalty = self.setting.rates.penalty;
        let mut dealt = self.shards.deal(examples);
        if task.weight(examples) > 0.0 {
            // Parts from which nothing is learned: a mean over nothing is not a number.
            dealt.retain(|examples| task.weight(examples) > 0.0);
        }
        let graded = if let [examples] = &dealt[..] {
            vec![grade_part(
                task,
                &self.model,
                examples,
                (1.0, factor),
                penalty,
            )]
        } else {
            let weight = task.weight(examples);
            let part = |(number, examples): (usize, Vec<usize>)| Part {
                // Leaves of its own: graphs that share one wait for each other.
                model: self.model.clone().fork(&self.model.devices()[0]),
                share: task.weight(&examples) / weight,
                penalty: penalty.filter(|_| number == 0),
                examples,
            };
            let parts = dealt.into_iter().enumerate().map(part).collect();
            self.shards.each(parts, |part| {
                let factors = (part.share, factor);
                grade_part(task, &part.model, &part.examples, factors, part.penalty)
            })
        };
        let loss = graded.iter().map(|part| part.loss).sum::<f64>();
        if !loss.is_finite() {
            let whole = task.loss(&self.model, examples).mean;
            return Err(self.loss_not_finite(whole, loss));
        }
        Ok(Graded {
            loss,
            correct: graded.iter().map(|part| part.correct).sum(),
            gradients: graded.into_iter().flat_map(|part| part.gradients).collect(),
        })
    }
}

/// The share of a loss that these examples have, and the gradients of that and of the penalty, times a factor.
fn grade_part<T: Task>(
    task: &T,
    model: &T::Model,
    examples: &[usize],
    (share, factor): (f64, f64),
    penalty: Option<f64>,
) -> Graded {
    let penalized = |loss: Tensor<1>| match penalty {
        Some(strength) => model.penalized(loss, Penalty::Paper, strength),
        None => loss,
    };
    let gradients = |loss: Tensor<1>| GradientsParams::from_grads(loss.backward(), model);
    let Some(parts) = task.in_parts(model, examples, share * factor) else {
        let loss = task.loss(model, examples);
        let (value, correct) = read(&loss);
        let loss = penalized(loss.mean.mul_scalar(share)).mul_scalar(factor);
        return Graded {
            loss: share * value,
            correct,
            gradients: vec![gradients(loss)],
        };
    };
    let (value, correct) = read(&parts.loss);
    let mut found = parts.gradients;
    if penalty.is_some() {
        let nothing = Tensor::zeros([1], &parts.loss.mean.device()).autodiff();
        found.push(gradients(
            penalized(nothing.require_grad()).mul_scalar(factor),
        ));
    }
    Graded {
        loss: share * value,
        correct,
        gradients: found,
    }
}

fn read(loss: &Loss) -> (f64, Option<f64>) {
    let correct = loss.correct.clone();
    let correct = correct.map(|correct| correct.into_scalar::<i64>() as f64);
    (f64::from(loss.mean.clone().into_scalar::<f32>()), correct)
}
