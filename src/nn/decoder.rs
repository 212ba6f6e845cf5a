//! The transformer decoder.

use burn::nn::transformer::{TransformerDecoder, TransformerDecoderLayer};
use burn::tensor::{Bool, Tensor};

use super::attention::{MhaCache, MhaInput, attend};
use super::cache::{Cache, apply};
use super::feed_forward::feed_forward;

wrap! {
    /// burn's [`TransformerDecoder`] with its adapters on the input side.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::nn::transformer::TransformerDecoderConfig;
    /// use burn::tensor::{Device, Distribution, Tensor};
    /// use burn_goft::nn::{GoftTransformerDecoder, TransformerDecoderInput};
    /// use burn_goft::{Goft, GoftModule};
    ///
    /// let device = Device::flex();
    /// let pretrained = TransformerDecoderConfig::new(8, 16, 2, 3).init(&device);
    /// let decoder = GoftTransformerDecoder::from(pretrained).apply_goft(Goft::strict())?;
    ///
    /// let normal = Distribution::Normal(0.0, 1.0);
    /// let target = Tensor::<3>::random([2, 4, 8], normal, &device);
    /// let memory = Tensor::<3>::random([2, 5, 8], normal, &device);
    /// let output = decoder.forward(TransformerDecoderInput::new(target, memory));
    /// assert_eq!(output.dims(), [2, 4, 8]);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    GoftTransformerDecoder(TransformerDecoder)
}

wrap! {
    /// burn's [`TransformerDecoderLayer`] with its adapters on the input side.
    GoftTransformerDecoderLayer(TransformerDecoderLayer)
}

/// The input of [`GoftTransformerDecoder`], as burn's
/// [`TransformerDecoderInput`](burn::nn::transformer::TransformerDecoderInput).
#[derive(Clone, Debug)]
pub struct TransformerDecoderInput {
    target: Tensor<3>,
    target_mask_pad: Option<Tensor<2, Bool>>,
    target_mask_attn: Option<Tensor<3, Bool>>,
    memory: Tensor<3>,
    memory_mask_pad: Option<Tensor<2, Bool>>,
    memory_mask_attn: Option<Tensor<3, Bool>>,
}

impl TransformerDecoderInput {
    /// Takes a target `[batch, tokens, width]` and a memory `[batch, others, width]`.
    pub fn new(target: Tensor<3>, memory: Tensor<3>) -> Self {
        Self {
            target,
            target_mask_pad: None,
            target_mask_attn: None,
            memory,
            memory_mask_pad: None,
            memory_mask_attn: None,
        }
    }

    /// Hides places of the memory, those where `[batch, others]` is true.
    pub fn memory_mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.memory_mask_pad = Some(mask_pad);
        self
    }

    /// Hides places of the memory from tokens, where `[batch, tokens, others]` is true.
    pub fn memory_mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.memory_mask_attn = Some(mask_attn);
        self
    }

    /// Hides tokens, those where `[batch, tokens]` is true.
    pub fn target_mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.target_mask_pad = Some(mask_pad);
        self
    }

    /// Hides tokens from each other, where `[batch, tokens, tokens]` is true.
    pub fn target_mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.target_mask_attn = Some(mask_attn);
        self
    }
}

impl GoftTransformerDecoder {
    /// Applies the decoder; the output has the shape of the target.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit together or the width is not the decoder's.
    pub fn forward(&self, mut input: TransformerDecoderInput) -> Tensor<3> {
        for layer in &self.inner.layers {
            input = decode(layer, input, None);
        }
        input.target
    }

    /// Applies the decoder to the last token of the target, with what the cache holds of earlier
    /// ones. The target and the output are the whole sequence; the memory is read once.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if the cache is that of another number of layers.
    pub fn forward_autoregressive_inference(
        &self,
        mut input: TransformerDecoderInput,
        cache: &mut TransformerDecoderAutoregressiveCache,
    ) -> Tensor<3> {
        let (layers, caches) = (&self.inner.layers, &mut cache.layers);
        assert_eq!(
            caches.len(),
            layers.len(),
            "GoftTransformerDecoder: asked to decode with a cache of another number of layers; \
             make it with this decoder's `new_autoregressive_cache`"
        );
        for (layer, cache) in layers.iter().zip(caches) {
            input = decode(layer, input, Some(cache));
        }
        input.target
    }

    /// Starts a cache for
    /// [`forward_autoregressive_inference`](Self::forward_autoregressive_inference).
    pub fn new_autoregressive_cache(&self) -> TransformerDecoderAutoregressiveCache {
        let empty = TransformerDecoderLayerAutoregressiveCache::empty;
        let layers = self.inner.layers.iter().map(|_| empty());
        TransformerDecoderAutoregressiveCache {
            layers: layers.collect(),
        }
    }
}

impl GoftTransformerDecoderLayer {
    /// Applies the layer; what comes back has the layer's output as its target.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit together or the width is not the layer's.
    pub fn forward(&self, input: TransformerDecoderInput) -> TransformerDecoderInput {
        decode(&self.inner, input, None)
    }

    /// Applies the layer to the last token, with what the cache holds of earlier ones. Panics as
    /// [`forward`](Self::forward).
    pub fn forward_autoregressive_inference(
        &self,
        input: TransformerDecoderInput,
        cache: &mut TransformerDecoderLayerAutoregressiveCache,
    ) -> TransformerDecoderInput {
        decode(&self.inner, input, Some(cache))
    }
}

/// The order of operations is burn's: without an adapter the bits are the same.
fn decode(
    layer: &TransformerDecoderLayer,
    mut input: TransformerDecoderInput,
    mut cache: Option<&mut TransformerDecoderLayerAutoregressiveCache>,
) -> TransformerDecoderInput {
    let x = input.target;
    let mut inside = x.clone();
    if layer.norm_first {
        let kept = cache.as_deref_mut().map(|cache| &mut cache.norm_3);
        inside = apply(kept, inside, |x| layer.norm_3.forward(x));
    }
    let mut to_target = MhaInput::self_attn(inside);
    to_target.mask_pad.clone_from(&input.target_mask_pad);
    to_target.mask_attn.clone_from(&input.target_mask_attn);
    let kept = cache.as_deref_mut().map(|cache| &mut cache.self_attn);
    let attended = attend(&layer.self_attn, to_target, kept).context;
    let mut x = x + layer.dropout.forward(attended);

    let kept = cache.as_deref_mut().map(|cache| &mut cache.norm_1);
    let inside = apply(kept, x.clone(), |x| layer.norm_1.forward(x));
    if !layer.norm_first {
        x = inside.clone();
    }
    let mut to_memory = MhaInput::new(inside, input.memory.clone(), input.memory.clone());
    to_memory.mask_pad.clone_from(&input.memory_mask_pad);
    to_memory.mask_attn.clone_from(&input.memory_mask_attn);
    let kept = cache.as_deref_mut().map(|cache| &mut cache.cross_attn);
    let attended = attend(&layer.cross_attn, to_memory, kept).context;
    let mut x = x + layer.dropout.forward(attended);

    let kept = cache.as_deref_mut().map(|cache| &mut cache.norm_2);
    let inside = apply(kept, x.clone(), |x| layer.norm_2.forward(x));
    if !layer.norm_first {
        x = inside.clone();
    }
    let kept = cache.as_deref_mut().map(|cache| &mut cache.pwff);
    let fed = apply(kept, inside, |x| feed_forward(&layer.pwff, x));
    let mut x = x + layer.dropout.forward(fed);

    if !layer.norm_first {
        let kept = cache.map(|cache| &mut cache.norm_3);
        x = apply(kept, x, |x| layer.norm_3.forward(x));
    }
    input.target = x;
    input
}

/// The cache of [`GoftTransformerDecoderLayer`].
#[derive(Clone, Debug)]
pub struct TransformerDecoderLayerAutoregressiveCache {
    cross_attn: MhaCache,
    self_attn: MhaCache,
    pwff: Cache<3>,
    norm_1: Cache<3>,
    norm_2: Cache<3>,
    norm_3: Cache<3>,
}

impl TransformerDecoderLayerAutoregressiveCache {
    /// Starts a cache.
    pub fn empty() -> Self {
        Self {
            cross_attn: MhaCache::autoregressive_cross_attention(),
            self_attn: MhaCache::autoregressive(),
            pwff: Cache::autoregressive(1),
            norm_1: Cache::autoregressive(1),
            norm_2: Cache::autoregressive(1),
            norm_3: Cache::autoregressive(1),
        }
    }
}

/// The cache of [`GoftTransformerDecoder`], made by
/// [`new_autoregressive_cache`](GoftTransformerDecoder::new_autoregressive_cache).
#[derive(Clone, Debug)]
pub struct TransformerDecoderAutoregressiveCache {
    layers: Vec<TransformerDecoderLayerAutoregressiveCache>,
}
