//! What earlier tokens gave, kept while a sequence grows.

use burn::tensor::Tensor;

/// The outputs of one layer.
#[derive(Clone, Debug)]
pub(super) struct Cache<const D: usize> {
    kept: Option<Tensor<D>>,
    /// The axis of tokens in the outputs, if the input grows; without it the first outputs are the
    /// last.
    grows: Option<usize>,
}

impl<const D: usize> Cache<D> {
    /// Computes the last token only, once there are earlier ones.
    pub(super) fn autoregressive(axis: usize) -> Self {
        Self {
            kept: None,
            grows: Some(axis),
        }
    }

    /// Computes the first input only.
    pub(super) fn full() -> Self {
        Self {
            kept: None,
            grows: None,
        }
    }

    fn forward(&mut self, input: Tensor<3>, layer: impl Fn(Tensor<3>) -> Tensor<D>) -> Tensor<D> {
        let output = match (self.kept.take(), self.grows) {
            (None, _) => layer(input),
            (Some(kept), None) => kept,
            (Some(kept), Some(axis)) => {
                let [batch, tokens, width] = input.dims();
                let last = input.slice([0..batch, (tokens - 1)..tokens, 0..width]);
                Tensor::cat(vec![kept, layer(last)], axis)
            }
        };
        self.kept = Some(output.clone());
        output
    }
}

/// Applies a layer, through its cache if there is one.
pub(super) fn apply<const D: usize>(
    cache: Option<&mut Cache<D>>,
    input: Tensor<3>,
    layer: impl Fn(Tensor<3>) -> Tensor<D>,
) -> Tensor<D> {
    match cache {
        Some(cache) => cache.forward(input, layer),
        None => layer(input),
    }
}
