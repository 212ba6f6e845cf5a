//! The feed-forward network between attentions.

use burn::nn::transformer::PositionWiseFeedForward;
use burn::tensor::Tensor;

use super::on_input_side;

wrap! {
    /// burn's [`PositionWiseFeedForward`] with its adapters on the input side.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::nn::transformer::PositionWiseFeedForwardConfig;
    /// use burn::tensor::{Device, Distribution, Tensor};
    /// use burn_goft::nn::GoftPositionWiseFeedForward;
    /// use burn_goft::{Goft, GoftModule};
    ///
    /// let device = Device::flex();
    /// let pretrained = PositionWiseFeedForwardConfig::new(8, 16).init(&device);
    /// let layer = GoftPositionWiseFeedForward::from(pretrained).apply_goft(Goft::strict())?;
    ///
    /// let x = Tensor::<3>::random([2, 5, 8], Distribution::Normal(0.0, 1.0), &device);
    /// assert_eq!(layer.forward(x).dims(), [2, 5, 8]);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    GoftPositionWiseFeedForward(PositionWiseFeedForward)
}

impl GoftPositionWiseFeedForward {
    /// Applies the layer to an input `[.., width]` and returns the same shape.
    ///
    /// # Panics
    ///
    /// If the last axis of `input` is not the layer's width.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        feed_forward(&self.inner, input)
    }
}

pub(super) fn feed_forward<const D: usize>(
    layer: &PositionWiseFeedForward,
    input: Tensor<D>,
) -> Tensor<D> {
    let x = on_input_side(&layer.linear_inner, input);
    let x = layer.dropout.forward(layer.activation.forward(x));
    on_input_side(&layer.linear_outer, x)
}
