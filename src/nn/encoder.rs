//! The transformer encoder.

use burn::nn::transformer::{TransformerEncoder, TransformerEncoderLayer};
use burn::tensor::{Bool, Tensor};

use super::attention::{MhaCache, MhaInput, attend};
use super::cache::{Cache, apply};
use super::feed_forward::feed_forward;

wrap! {
    /// burn's [`TransformerEncoder`] with its adapters on the input side.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::nn::transformer::TransformerEncoderConfig;
    /// use burn::tensor::{Device, Distribution, Tensor};
    /// use burn_goft::nn::{GoftTransformerEncoder, TransformerEncoderInput};
    /// use burn_goft::{Goft, GoftModule};
    ///
    /// let device = Device::flex();
    /// let pretrained = TransformerEncoderConfig::new(8, 16, 2, 3).init(&device);
    /// let encoder = GoftTransformerEncoder::from(pretrained).apply_goft(Goft::strict())?;
    ///
    /// let x = Tensor::<3>::random([2, 5, 8], Distribution::Normal(0.0, 1.0), &device);
    /// let output = encoder.forward(TransformerEncoderInput::new(x));
    /// assert_eq!(output.dims(), [2, 5, 8]);
    ///
    /// let merged = encoder.merge_adapters()?.into_inner(); // burn's own encoder, plain weights
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    GoftTransformerEncoder(TransformerEncoder)
}

wrap! {
    /// burn's [`TransformerEncoderLayer`] with its adapters on the input side.
    GoftTransformerEncoderLayer(TransformerEncoderLayer)
}

/// The input of [`GoftTransformerEncoder`], as burn's
/// [`TransformerEncoderInput`](burn::nn::transformer::TransformerEncoderInput).
#[derive(Clone, Debug)]
pub struct TransformerEncoderInput {
    tensor: Tensor<3>,
    mask_pad: Option<Tensor<2, Bool>>,
    mask_attn: Option<Tensor<3, Bool>>,
}

impl TransformerEncoderInput {
    /// Takes a tensor `[batch, tokens, width]`.
    pub fn new(tensor: Tensor<3>) -> Self {
        Self {
            tensor,
            mask_pad: None,
            mask_attn: None,
        }
    }

    /// Hides tokens, those where `[batch, tokens]` is true.
    pub fn mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.mask_pad = Some(mask_pad);
        self
    }

    /// Hides tokens from each other, where `[batch, tokens, tokens]` is true.
    pub fn mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.mask_attn = Some(mask_attn);
        self
    }
}

impl GoftTransformerEncoder {
    /// Applies the encoder to an input `[batch, tokens, width]` and returns the same shape.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit together or the width is not the encoder's.
    pub fn forward(&self, input: TransformerEncoderInput) -> Tensor<3> {
        let mut x = input.tensor;
        for layer in &self.inner.layers {
            let (mask_pad, mask_attn) = (input.mask_pad.clone(), input.mask_attn.clone());
            x = encode(layer, x, mask_pad, mask_attn, None);
        }
        x
    }

    /// Applies the encoder to the last token, with what the cache holds of earlier ones. The input
    /// and the output are the whole sequence.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if the cache is that of another number of layers.
    pub fn forward_autoregressive_inference(
        &self,
        input: TransformerEncoderInput,
        cache: &mut TransformerEncoderAutoregressiveCache,
    ) -> Tensor<3> {
        let (layers, caches) = (&self.inner.layers, &mut cache.layers);
        assert_eq!(
            caches.len(),
            layers.len(),
            "GoftTransformerEncoder: asked to decode with a cache of another number of layers; \
             make it with this encoder's `new_autoregressive_cache`"
        );
        let mut x = input.tensor;
        for (layer, cache) in layers.iter().zip(caches) {
            let (mask_pad, mask_attn) = (input.mask_pad.clone(), input.mask_attn.clone());
            x = encode(layer, x, mask_pad, mask_attn, Some(cache));
        }
        x
    }

    /// Starts a cache for
    /// [`forward_autoregressive_inference`](Self::forward_autoregressive_inference).
    pub fn new_autoregressive_cache(&self) -> TransformerEncoderAutoregressiveCache {
        let empty = TransformerEncoderLayerAutoregressiveCache::empty;
        let layers = self.inner.layers.iter().map(|_| empty());
        TransformerEncoderAutoregressiveCache {
            layers: layers.collect(),
        }
    }
}

impl GoftTransformerEncoderLayer {
    /// Applies the layer to an input `[batch, tokens, width]` and returns the same shape.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit together or the width is not the layer's.
    pub fn forward(
        &self,
        input: Tensor<3>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
    ) -> Tensor<3> {
        encode(&self.inner, input, mask_pad, mask_attn, None)
    }

    /// Applies the layer to the last token, with what the cache holds of earlier ones. Panics as
    /// [`forward`](Self::forward).
    pub fn forward_autoregressive_inference(
        &self,
        input: Tensor<3>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
        cache: &mut TransformerEncoderLayerAutoregressiveCache,
    ) -> Tensor<3> {
        encode(&self.inner, input, mask_pad, mask_attn, Some(cache))
    }
}

/// The order of operations is burn's: without an adapter the bits are the same.
fn encode(
    layer: &TransformerEncoderLayer,
    x: Tensor<3>,
    mask_pad: Option<Tensor<2, Bool>>,
    mask_attn: Option<Tensor<3, Bool>>,
    mut cache: Option<&mut TransformerEncoderLayerAutoregressiveCache>,
) -> Tensor<3> {
    let mut inside = x.clone();
    if layer.norm_first {
        let kept = cache.as_deref_mut().map(|cache| &mut cache.norm_2);
        inside = apply(kept, inside, |x| layer.norm_2.forward(x));
    }
    let mut input = MhaInput::self_attn(inside);
    (input.mask_pad, input.mask_attn) = (mask_pad, mask_attn);
    let kept = cache.as_deref_mut().map(|cache| &mut cache.mha);
    let attended = attend(&layer.mha, input, kept).context;
    let mut x = x + layer.dropout.forward(attended);

    let kept = cache.as_deref_mut().map(|cache| &mut cache.norm_1);
    let inside = apply(kept, x.clone(), |x| layer.norm_1.forward(x));
    if !layer.norm_first {
        x = inside.clone();
    }
    let kept = cache.as_deref_mut().map(|cache| &mut cache.pwff);
    let fed = apply(kept, inside, |x| feed_forward(&layer.pwff, x));
    let x = x + layer.dropout.forward(fed);

    if layer.norm_first {
        return x;
    }
    let kept = cache.map(|cache| &mut cache.norm_2);
    apply(kept, x, |x| layer.norm_2.forward(x))
}

/// The cache of [`GoftTransformerEncoderLayer`].
#[derive(Clone, Debug)]
pub struct TransformerEncoderLayerAutoregressiveCache {
    mha: MhaCache,
    pwff: Cache<3>,
    norm_1: Cache<3>,
    norm_2: Cache<3>,
}

impl TransformerEncoderLayerAutoregressiveCache {
    /// Starts a cache.
    pub fn empty() -> Self {
        Self {
            mha: MhaCache::autoregressive(),
            pwff: Cache::autoregressive(1),
            norm_1: Cache::autoregressive(1),
            norm_2: Cache::autoregressive(1),
        }
    }
}

/// The cache of [`GoftTransformerEncoder`], made by
/// [`new_autoregressive_cache`](GoftTransformerEncoder::new_autoregressive_cache).
#[derive(Clone, Debug)]
pub struct TransformerEncoderAutoregressiveCache {
    layers: Vec<TransformerEncoderLayerAutoregressiveCache>,
}
