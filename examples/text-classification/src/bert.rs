//! The encoder: tokens to vectors.
//!
//! Linear layers are [`GoftLinear`]s. An adapter then rotates their input and the frozen weight needs no gradient, which costs
//! a training step 1.0 to 1.06 of the frozen layer's time, against 1.3 to 2.1 for rotating the weight; query, key and value
//! share one pass over their input. Without a GOFT adapter a [`GoftLinear`] is a `Linear`, so that LoRA, full fine-tuning and
//! a frozen encoder run through the same code.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};
use burn_goft::GoftLinear;

use crate::batch::TokenBatch;
use crate::config::{Activation, BertConfig};

/// A BERT encoder: embeddings, then layers of attention and feed-forward, each followed by a layer norm.
///
/// Parameter paths are Hugging Face's with the middle names left out: `encoder.0.attention.query.weight`,
/// `encoder.0.attention.output.weight`, `encoder.0.intermediate.weight`, `encoder.0.output.weight`.
///
/// Source: Devlin et al. 2019, [arXiv 1810.04805](https://arxiv.org/abs/1810.04805).
#[derive(Module, Debug)]
pub struct Bert {
    embeddings: Embeddings,
    encoder: Vec<Layer>,
}

#[derive(Module, Debug)]
struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Layer {
    attention: Attention,
    intermediate: GoftLinear,
    output: GoftLinear,
    norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct Attention {
    query: GoftLinear,
    key: GoftLinear,
    value: GoftLinear,
    output: GoftLinear,
    norm: LayerNorm,
    heads: usize,
}

/// Added to the score of a padded position: `exp` of it is 0 in f32, whatever the other scores are.
const BLOCKED: f32 = -1e9;

impl Bert {
    /// Random weights, to be loaded over.
    pub fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            embeddings: Embeddings::new(config, device),
            encoder: (0..config.layers)
                .map(|_| Layer::new(config, device))
                .collect(),
        }
    }

    /// The vector of every token, `[batch, tokens, hidden]`. Those of padded positions mean nothing.
    pub fn forward(&self, batch: &TokenBatch) -> Tensor<3> {
        let blocked = batch.padding().mul_scalar(BLOCKED);
        let [rows, tokens] = blocked.dims();
        let blocked = blocked.reshape([rows, 1, 1, tokens]);
        let x = self.embeddings.forward(batch);
        let layers = self.encoder.iter();
        layers.fold(x, |x, layer| layer.forward(x, blocked.clone()))
    }

    /// One vector for each text, `[batch, hidden]`: the mean over its tokens.
    pub fn pool(&self, batch: &TokenBatch) -> Tensor<2> {
        mean_of_tokens(self.forward(batch), batch.mask())
    }

    /// Sentence embeddings of length 1, `[batch, hidden]`.
    pub fn embed(&self, batch: &TokenBatch) -> Tensor<2> {
        normalize(self.pool(batch))
    }
}

/// The mean over the positions whose mask is 1. Every text has at least its two special tokens.
fn mean_of_tokens(vectors: Tensor<3>, mask: Tensor<2>) -> Tensor<2> {
    let count = mask.clone().sum_dim(1);
    let sum = (vectors * mask.unsqueeze_dim(2)).sum_dim(1).squeeze_dim(1);
    sum / count
}

/// Rows of length 1; a row of zeros stays.
fn normalize(rows: Tensor<2>) -> Tensor<2> {
    let length = rows.clone().square().sum_dim(1).sqrt();
    rows / length.clamp_min(1e-12)
}

impl Embeddings {
    fn new(config: &BertConfig, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, config.hidden).init(device);
        Self {
            word_embeddings: table(config.vocabulary),
            position_embeddings: table(config.positions),
            token_type_embeddings: table(config.types),
            norm: norm(config, device),
        }
    }

    fn forward(&self, batch: &TokenBatch) -> Tensor<3> {
        let words = self.word_embeddings.forward(batch.ids());
        let [_, tokens, _] = words.dims();
        let positions = Tensor::<1, Int>::arange(0..tokens as i64, &words.device());
        let positions = self.position_embeddings.forward(positions.unsqueeze());
        let types = self.token_type_embeddings.forward(batch.types());
        self.norm.forward(words + types + positions)
    }
}

impl Layer {
    fn new(config: &BertConfig, device: &Device) -> Self {
        Self {
            attention: Attention::new(config, device),
            intermediate: linear(config.hidden, config.intermediate, device),
            output: linear(config.intermediate, config.hidden, device),
            norm: norm(config, device),
            activation: config.activation,
        }
    }

    fn forward(&self, x: Tensor<3>, blocked: Tensor<4>) -> Tensor<3> {
        let x = self.attention.forward(x, blocked);
        let inner = self.activation.apply(self.intermediate.forward(x.clone()));
        self.norm.forward(x + self.output.forward(inner))
    }
}

impl Attention {
    fn new(config: &BertConfig, device: &Device) -> Self {
        let square = || linear(config.hidden, config.hidden, device);
        Self {
            query: square(),
            key: square(),
            value: square(),
            output: square(),
            norm: norm(config, device),
            heads: config.heads,
        }
    }

    /// `blocked [batch, 1, 1, tokens]` is added to the scores.
    fn forward(&self, x: Tensor<3>, blocked: Tensor<4>) -> Tensor<3> {
        let [batch, tokens, hidden] = x.dims();
        let width = hidden / self.heads;
        let layers = [&self.query, &self.key, &self.value];
        let [query, key, value] = GoftLinear::forward_each(layers, x.clone()).map(|y| {
            y.reshape([batch, tokens, self.heads, width])
                .swap_dims(1, 2)
        });
        let scores = query.matmul(key.transpose());
        let scores = scores.div_scalar((width as f64).sqrt()) + blocked;
        let mixed = softmax(scores, 3).matmul(value).swap_dims(1, 2);
        let mixed = self.output.forward(mixed.reshape([batch, tokens, hidden]));
        self.norm.forward(x + mixed)
    }
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> GoftLinear {
    LinearConfig::new(inputs, outputs).init(device).into()
}

fn norm(config: &BertConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden)
        .with_epsilon(config.norm_epsilon)
        .init(device)
}
