//! The decoder: token ids to logits.
//!
//! The fields have the names of Hugging Face's files, so that a parameter's path is its tensor's
//! name. Linear layers are [`GoftLinear`]s: an adapter rotates their input, and the frozen weight
//! needs no gradient.

mod attention;
mod feed_forward;
mod mask;
mod norm;
mod recompute;
mod rotary;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, Int, Tensor};
use burn_goft::{GoftLinear, packed_linear, parameters};
use burn_goft_finetune::{Head, Predicted};
use transformer_ops::{Spans, linear};

use attention::{Attention, Kept};
use feed_forward::FeedForward;
pub use mask::Layout;
use norm::RmsNorm;
use rotary::Turns;

use crate::batch::Batch;
use crate::config::{DecoderConfig, LayerConfig, Norms};

/// A language model: a decoder and a head that gives a logit for each token.
#[derive(Module, Debug)]
pub struct CausalLm {
    model: Decoder,
    /// None where the table of embeddings is the head.
    lm_head: Option<Linear>,
    #[module(skip)]
    logit_cap: Option<f64>,
}

#[derive(Module, Debug)]
struct Decoder {
    embed_tokens: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// Multiplies the vectors of tokens.
    embedding_scale: f64,
    #[module(skip)]
    layer_configs: Vec<LayerConfig>,
}

#[derive(Module, Debug)]
struct Layer {
    input_layernorm: Option<RmsNorm>,
    self_attn: Attention,
    /// Before the feed-forward block where norms come before, behind the attention elsewhere.
    post_attention_layernorm: RmsNorm,
    pre_feedforward_layernorm: Option<RmsNorm>,
    mlp: FeedForward,
    post_feedforward_layernorm: Option<RmsNorm>,
    #[module(skip)]
    norms: Norms,
}

/// Keys and values of the tokens that a model has seen, so that it goes on with new ones alone.
#[derive(Clone, Debug)]
pub struct Cache {
    layers: Vec<Option<Kept>>,
    tokens: usize,
    /// By row, how many of the first tokens are padding.
    padding: Vec<usize>,
    /// All tokens, for scalings that turn positions otherwise once a text is long.
    ids: Option<Tensor<2, Int>>,
}

impl Cache {
    /// An empty one, for rows that begin with so many tokens of padding each: texts of different
    /// lengths end together.
    pub fn new(padding: Vec<usize>) -> Self {
        Self {
            layers: Vec::new(),
            tokens: 0,
            padding,
            ids: None,
        }
    }

    /// How many tokens it holds.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

/// What the layers of one kind have in common in one forward pass.
struct Common {
    turns: Turns,
    spans: Spans,
}

impl Common {
    fn new(layer: &LayerConfig, layout: &Layout, device: &Device) -> Self {
        Self {
            turns: Turns::new(&layer.rotary, layout.positions(), device),
            spans: Spans::new(&layout.spans(layer.window), device),
        }
    }
}

impl CausalLm {
    /// Random weights, drawn when they are first read, to be loaded over.
    pub fn new(config: &DecoderConfig, device: &Device) -> Self {
        let (vocabulary, hidden) = (config.vocabulary, config.hidden);
        Self {
            model: Decoder {
                embed_tokens: EmbeddingConfig::new(vocabulary, hidden).init(device),
                layers: config
                    .layers
                    .iter()
                    .map(|_| Layer::new(config, device))
                    .collect(),
                norm: norm(config, device),
                embedding_scale: if config.kind.gemma {
                    (hidden as f64).sqrt()
                } else {
                    1.0
                },
                layer_configs: config.layers.clone(),
            },
            lm_head: (!config.tied).then(|| {
                let head = LinearConfig::new(hidden, vocabulary);
                head.with_bias(false).init(device)
            }),
            logit_cap: config.logit_cap,
        }
    }

    /// The vector of each token behind the last layer, `[rows, tokens, hidden]`. Those of padding
    /// mean nothing.
    pub fn hidden(&self, ids: Tensor<2, Int>, layout: &Layout) -> Tensor<3> {
        let device = ids.device();
        let common = |layer: &LayerConfig| Common::new(layer, layout, &device);
        self.model.forward(ids, &common, None)
    }

    /// The logits of each position, `[rows, tokens, vocabulary]`.
    pub fn forward(&self, ids: Tensor<2, Int>, layout: &Layout) -> Tensor<3> {
        self.logits(self.hidden(ids, layout))
    }

    /// The logits of vectors behind the last layer.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        let logits = match &self.lm_head {
            Some(head) => linear(hidden, head.weight.val(), None),
            None => linear(
                hidden,
                self.model.embed_tokens.weight.val().transpose(),
                None,
            ),
        };
        match self.logit_cap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
    }

    /// Number of tokens that it knows.
    pub fn vocabulary(&self) -> usize {
        self.model.embed_tokens.weight.shape()[0]
    }

    /// How well the next tokens of a batch are predicted, without all logits at once.
    pub fn cross_entropy(&self, batch: &Batch) -> Predicted {
        self.predict(self.hidden(batch.ids.clone(), &batch.layout), batch)
    }

    /// How well the next tokens are predicted from the vectors behind the last layer.
    fn predict(&self, hidden: Tensor<3>, batch: &Batch) -> Predicted {
        let [rows, tokens, width] = hidden.dims();
        let vectors = hidden
            .reshape([rows * tokens, width])
            .select(0, batch.places.clone());
        let (table, trained) = match &self.lm_head {
            None => {
                let embeddings = &self.model.embed_tokens;
                (embeddings.weight.val(), trains(embeddings))
            }
            Some(head) => (head.weight.val().transpose(), trains(head)),
        };
        let head = Head {
            table,
            trained,
            cap: self.logit_cap,
        };
        head.cross_entropy(vectors, batch.next.clone())
    }

    /// The vectors of new tokens behind those of the cache, `[rows, tokens, hidden]`; every row has
    /// as many. The cache then holds them too.
    ///
    /// # Panics
    ///
    /// If there are not as many rows as the cache was made for.
    pub fn go_on(&self, ids: Tensor<2, Int>, cache: &mut Cache) -> Tensor<3> {
        let device = ids.device();
        let [rows, tokens] = ids.dims();
        assert_eq!(
            rows,
            cache.padding.len(),
            "CausalLm::go_on: rows of the cache"
        );
        let all = match cache.ids.take() {
            Some(earlier) => Tensor::cat(vec![earlier, ids.clone()], 1),
            None => ids.clone(),
        };
        let earlier = cache.tokens;
        let configs = self.model.layer_configs.iter();
        let mut switches = configs.map(|layer| layer.rotary.switches(earlier, earlier + tokens));
        if earlier > 0 && switches.any(|switches| switches) {
            // What is kept was turned otherwise.
            *cache = Cache::new(std::mem::take(&mut cache.padding));
            let hidden = self.go_on(all, cache);
            return hidden.narrow(1, earlier, tokens);
        }
        cache.ids = Some(all);
        let positions = cache.padding.iter().map(|padding| {
            let places = earlier..earlier + tokens;
            places.map(|place| place.saturating_sub(*padding)).collect()
        });
        let positions: Vec<Vec<usize>> = positions.collect();
        let common = |layer: &LayerConfig| Common {
            turns: Turns::new(&layer.rotary, &positions, &device),
            spans: Spans::new(
                &mask::behind(&cache.padding, earlier, tokens, layer.window),
                &device,
            ),
        };
        let mut layers = std::mem::take(&mut cache.layers);
        layers.resize(self.model.layers.len(), None);
        let hidden = self.model.forward(ids, &common, Some(&mut layers));
        (cache.layers, cache.tokens) = (layers, earlier + tokens);
        hidden
    }
}

impl Decoder {
    fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let x = self.embed_tokens.forward(ids);
        match self.embedding_scale == 1.0 {
            true => x,
            false => x.mul_scalar(self.embedding_scale),
        }
    }

    fn forward(
        &self,
        ids: Tensor<2, Int>,
        common: &dyn Fn(&LayerConfig) -> Common,
        mut kept: Option<&mut Vec<Option<Kept>>>,
    ) -> Tensor<3> {
        let mut made: Vec<(&LayerConfig, Common)> = Vec::new();
        let mut x = self.embed(ids);
        for (index, (layer, config)) in self.layers.iter().zip(&self.layer_configs).enumerate() {
            let known = made.iter().position(|(known, _)| *known == config);
            let known = known.unwrap_or_else(|| {
                made.push((config, common(config)));
                made.len() - 1
            });
            let kept = kept.as_deref_mut().map(|kept| &mut kept[index]);
            x = layer.forward(x, &made[known].1, kept);
        }
        self.norm.forward(x)
    }
}

impl Layer {
    fn new(config: &DecoderConfig, device: &Device) -> Self {
        let norms = config.kind.norms;
        let norm = || norm(config, device);
        Self {
            input_layernorm: (norms != Norms::Behind).then(norm),
            self_attn: Attention::new(config, device),
            post_attention_layernorm: norm(),
            pre_feedforward_layernorm: (norms == Norms::Both).then(norm),
            mlp: FeedForward::new(config, device),
            post_feedforward_layernorm: (norms != Norms::Before).then(norm),
            norms,
        }
    }

    fn forward(&self, x: Tensor<3>, common: &Common, kept: Option<&mut Option<Kept>>) -> Tensor<3> {
        let by = |norm: &Option<RmsNorm>, x: Tensor<3>| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let inner = by(&self.input_layernorm, x.clone());
        let inner = self
            .self_attn
            .forward(inner, &common.turns, &common.spans, kept);
        if self.norms == Norms::Before {
            let x = x + inner;
            let inner = self.post_attention_layernorm.forward(x.clone());
            return x + self.mlp.forward(inner);
        }
        let x = x + self.post_attention_layernorm.forward(inner);
        let inner = self
            .mlp
            .forward(by(&self.pre_feedforward_layernorm, x.clone()));
        x + by(&self.post_feedforward_layernorm, inner)
    }
}

/// Whether anything of a layer is trained.
fn trains(layer: &impl Module) -> bool {
    parameters(layer)
        .iter()
        .any(|parameter| parameter.trainable)
}

/// A layer's result, in the time of reading its weight where there are few vectors.
fn apply(layer: &GoftLinear, x: Tensor<3>) -> Tensor<3> {
    layer.forward_with(x, product)
}

/// The product with a weight in whatever it is kept in. What goes in and comes out is of one dtype.
fn product(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<3> {
    match (weight.dtype(), x.dtype()) {
        (DType::QFloat(_), _) => packed_linear(x, weight, bias),
        (kept, dtype) if kept == dtype => linear(x, weight, bias),
        (kept, dtype) => {
            let product = linear(x.cast(kept), weight, None).cast(dtype);
            match bias {
                Some(bias) => product + bias.unsqueeze(),
                None => product,
            }
        }
    }
}

fn linear_layer(inputs: usize, outputs: usize, bias: bool, device: &Device) -> GoftLinear {
    let config = LinearConfig::new(inputs, outputs).with_bias(bias);
    config.init(device).into()
}

fn norm(config: &DecoderConfig, device: &Device) -> RmsNorm {
    RmsNorm::new(
        config.hidden,
        config.norm_epsilon,
        config.kind.gemma,
        device,
    )
}
