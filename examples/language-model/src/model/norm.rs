//! Root mean square layer norm.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use transformer_ops::rms_norm;

/// Vectors divided by their root mean square and multiplied by a weight, or by one more than it.
///
/// Source: Zhang and Sennrich 2019, [arXiv 1910.07467](https://arxiv.org/abs/1910.07467).
#[derive(Module, Debug)]
pub(super) struct RmsNorm {
    weight: Param<Tensor<1>>,
    epsilon: f64,
    /// Whether the weight is an offset from 1.
    offset: bool,
}

impl RmsNorm {
    pub(super) fn new(width: usize, epsilon: f64, offset: bool, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([width], device)),
            epsilon,
            offset,
        }
    }

    /// Along the last axis; the mean square is taken in f32 at least, as the models were trained.
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.val();
        let weight = match self.offset {
            true => weight.add_scalar(1.0),
            false => weight,
        };
        rms_norm(x, weight, self.epsilon)
    }
}
