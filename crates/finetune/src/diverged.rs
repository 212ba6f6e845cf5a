//! What is said, and kept, when a number is not finite.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::checkpoint;
use crate::error::Error;
use crate::gradients;
use crate::targets::first_not_finite;
use crate::task::Task;
use crate::trainer::Trainer;

impl<T: Task> Trainer<'_, T> {
    /// Names the first parameter, or else the first gradient, that is not finite.
    pub(crate) fn loss_not_finite(&self, loss: Tensor<1>, value: f64) -> Error {
        let next = self.step() + 1;
        if let Some(path) = first_not_finite(&self.model) {
            let found = format!(
                "the loss is {value}, and the parameter `{path}` holds numbers that are not finite"
            );
            return self.not_finite(next, found);
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        let body = self.setting.task.body();
        let found = match gradients::take_apart(&self.model, &body, gradients, None) {
            Err(path) => format!("the gradient of `{path}` is not finite either"),
            Ok(_) => "all gradients are finite".into(),
        };
        let found = format!("the loss is {value}, all parameters are finite, and {found}");
        self.not_finite(next, found)
    }

    pub(crate) fn gradient_not_finite(&self, loss: f64, path: &str) -> Error {
        let found = format!("the loss is {loss:.3}, and the gradient of `{path}` is not finite");
        self.not_finite(self.step() + 1, found)
    }

    pub(crate) fn validation_not_finite(&self, loss: f64) -> Error {
        let found = match first_not_finite(&self.model) {
            Some(path) => format!("the parameter `{path}` holds numbers that are not finite"),
            None => "all parameters are finite".into(),
        };
        let found = format!("the validation loss is {loss}, and {found}");
        self.not_finite(self.step(), found)
    }

    /// Saves the state as it is, without the update that failed, if it is worth keeping.
    fn not_finite(&self, step: usize, found: String) -> Error {
        let kept = match first_not_finite(&self.model) {
            None => match self.save() {
                Ok(folder) => format!(
                    "the state after step {} is in `{}`",
                    self.step(),
                    folder.display()
                ),
                Err(error) => format!("the state before it could not be saved ({error})"),
            },
            Some(_) => match checkpoint::latest(self.setting.out) {
                Ok(Some(folder)) => format!("the last good state is in `{}`", folder.display()),
                _ => "there was no good state to save".into(),
            },
        };
        Error::NotFinite { step, found, kept }
    }
}
