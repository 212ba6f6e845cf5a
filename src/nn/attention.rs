//! Multi-head attention.

use burn::nn::Linear;
use burn::nn::attention::{MhaOutput, MultiHeadAttention};
use burn::tensor::activation::{quiet_softmax, softmax};
use burn::tensor::{Bool, Tensor, assert_shape};

use super::cache::{Cache, apply};
use super::on_input_side;

wrap! {
    /// burn's [`MultiHeadAttention`] with its adapters on the input side.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::nn::attention::MultiHeadAttentionConfig;
    /// use burn::tensor::{Device, Distribution, Tensor};
    /// use burn_goft::nn::{GoftMultiHeadAttention, MhaInput};
    /// use burn_goft::{Goft, GoftModule};
    ///
    /// let device = Device::flex();
    /// let pretrained = MultiHeadAttentionConfig::new(8, 2).init(&device);
    /// let attention = GoftMultiHeadAttention::from(pretrained).apply_goft(Goft::strict())?;
    ///
    /// let x = Tensor::<3>::random([2, 5, 8], Distribution::Normal(0.0, 1.0), &device);
    /// let output = attention.forward(MhaInput::self_attn(x));
    /// assert_eq!(output.context.dims(), [2, 5, 8]);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    GoftMultiHeadAttention(MultiHeadAttention)
}

/// The input of [`GoftMultiHeadAttention`], as burn's [`MhaInput`](burn::nn::attention::MhaInput).
#[derive(Clone, Debug)]
pub struct MhaInput {
    pub(super) query: Tensor<3>,
    pub(super) key: Tensor<3>,
    pub(super) value: Tensor<3>,
    pub(super) mask_pad: Option<Tensor<2, Bool>>,
    pub(super) mask_attn: Option<Tensor<3, Bool>>,
}

impl MhaInput {
    /// Takes query, key and value from one tensor `[batch, tokens, width]`.
    pub fn self_attn(tensor: Tensor<3>) -> Self {
        Self::new(tensor.clone(), tensor.clone(), tensor)
    }

    /// Takes a query `[batch, tokens, width]`, and key and value `[batch, others, width]`.
    pub fn new(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Self {
        Self {
            query,
            key,
            value,
            mask_pad: None,
            mask_attn: None,
        }
    }

    /// Hides keys, those where `[batch, others]` is true.
    pub fn mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.mask_pad = Some(mask_pad);
        self
    }

    /// Hides keys from queries, where `[batch, tokens, others]` is true.
    pub fn mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.mask_attn = Some(mask_attn);
        self
    }
}

/// The cache of [`GoftMultiHeadAttention`], as burn's [`MhaCache`](burn::nn::attention::MhaCache).
#[derive(Clone, Debug)]
pub struct MhaCache {
    query: Cache<4>,
    key: Cache<4>,
    value: Cache<4>,
    output: Cache<3>,
}

impl MhaCache {
    /// Starts a cache for decoding token by token.
    pub fn autoregressive() -> Self {
        Self {
            query: Cache::autoregressive(2),
            key: Cache::autoregressive(2),
            value: Cache::autoregressive(2),
            output: Cache::autoregressive(1),
        }
    }

    /// Starts a cache for decoding token by token over keys and values that stay.
    pub fn autoregressive_cross_attention() -> Self {
        Self {
            key: Cache::full(),
            value: Cache::full(),
            ..Self::autoregressive()
        }
    }
}

impl GoftMultiHeadAttention {
    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - `query`: `[batch, tokens, width]`
    /// - `key`, `value`: `[batch, others, width]`
    /// - context: `[batch, tokens, width]`
    ///
    /// # Panics
    ///
    /// If the shapes do not fit together or the width is not the layer's.
    pub fn forward(&self, input: MhaInput) -> MhaOutput {
        attend(&self.inner, input, None)
    }

    /// Applies the layer to the last token, with what the cache holds of earlier ones. Shapes and
    /// panics are those of [`forward`](Self::forward).
    pub fn forward_cache(&self, input: MhaInput, cache: &mut MhaCache) -> MhaOutput {
        attend(&self.inner, input, Some(cache))
    }
}

/// The order of operations is burn's: without an adapter the bits are the same.
pub(super) fn attend(
    layer: &MultiHeadAttention,
    input: MhaInput,
    mut cache: Option<&mut MhaCache>,
) -> MhaOutput {
    let [batch, tokens, width] = input.query.dims();
    let [_, others, _] = input.key.dims();
    assert_shape!(input.query, [_, _, layer.d_model]);
    assert_shape!(input.key, [batch, _, layer.d_model]);
    assert_shape!(input.value, [batch, others, layer.d_model]);

    let heads = |linear: &Linear, x: Tensor<3>| {
        let [batch, tokens, _] = x.dims();
        let heads = [batch, tokens, layer.n_heads, layer.d_k];
        on_input_side(linear, x).reshape(heads).swap_dims(1, 2)
    };
    let kept = cache.as_deref_mut().map(|cache| &mut cache.query);
    let query = apply(kept, input.query, |x| heads(&layer.query, x));
    let kept = cache.as_deref_mut().map(|cache| &mut cache.key);
    let key = apply(kept, input.key, |x| heads(&layer.key, x));
    let kept = cache.as_deref_mut().map(|cache| &mut cache.value);
    let value = apply(kept, input.value, |x| heads(&layer.value, x));

    let scores = query
        .matmul(key.transpose())
        .div_scalar((layer.d_k as f32).sqrt());
    let weights = weights(layer, scores, input.mask_pad, input.mask_attn);
    let mixed = weights.clone().matmul(value).swap_dims(1, 2);
    let mixed = mixed.reshape([batch, tokens, width]);
    let kept = cache.map(|cache| &mut cache.output);
    let context = apply(kept, mixed, |x| on_input_side(&layer.output, x));
    MhaOutput { weights, context }
}

fn weights(
    layer: &MultiHeadAttention,
    mut scores: Tensor<4>,
    mask_pad: Option<Tensor<2, Bool>>,
    mask_attn: Option<Tensor<3, Bool>>,
) -> Tensor<4> {
    if let Some(mask) = mask_pad {
        let [batch, others] = mask.dims();
        scores = scores.mask_fill(mask.reshape([batch, 1, 1, others]), layer.min_float);
    }
    if let Some(mask) = mask_attn {
        let [batch, tokens, others] = mask.dims();
        scores = scores.mask_fill(mask.reshape([batch, 1, tokens, others]), layer.min_float);
    }
    let weights = if layer.quiet_softmax {
        quiet_softmax(scores, 3)
    } else {
        softmax(scores, 3)
    };
    layer.dropout.forward(weights)
}
