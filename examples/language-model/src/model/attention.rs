//! Attention in which several query heads share one head of keys and values.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_goft::GoftLinear;
use transformer_ops::{Attention as How, Spans, attention};

use super::norm::RmsNorm;
use super::rotary::Turns;
use super::{apply, linear_layer};
use crate::config::{DecoderConfig, QueryNorm};

/// Attention with grouped heads.
///
/// Source: Ainslie et al. 2023, [arXiv 2305.13245](https://arxiv.org/abs/2305.13245).
// ANCHOR: layers
#[derive(Module, Debug)]
pub(super) struct Attention {
    q_proj: Option<GoftLinear>,
    k_proj: Option<GoftLinear>,
    v_proj: Option<GoftLinear>,
    /// The three in one, for kinds that have them so.
    qkv_proj: Option<GoftLinear>,
    o_proj: GoftLinear,
    // ..
    // ANCHOR_END: layers
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    heads: usize,
    key_heads: usize,
    head_dim: usize,
    /// Whether the norms are of each head by itself.
    each_head: bool,
    scale: f64,
    #[module(skip)]
    cap: Option<f64>,
}

/// Keys and values of earlier tokens, `[rows, tokens, key heads, width]`.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl Attention {
    pub(super) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let (hidden, width) = (config.hidden, config.head_dim);
        let (queries, keys) = (config.heads * width, config.key_heads * width);
        let (bias, output_bias) = config.attention_bias;
        let fused = config.kind.fused;
        let apart = |outputs| (!fused).then(|| linear_layer(hidden, outputs, bias, device));
        let norm = |whole: usize| {
            let width = match config.kind.query_norm {
                QueryNorm::None => return None,
                QueryNorm::EachHead => width,
                QueryNorm::Whole => whole,
            };
            Some(RmsNorm::new(
                width,
                config.norm_epsilon,
                config.kind.gemma,
                device,
            ))
        };
        Self {
            q_proj: apart(queries),
            k_proj: apart(keys),
            v_proj: apart(keys),
            qkv_proj: fused.then(|| linear_layer(hidden, queries + 2 * keys, bias, device)),
            o_proj: linear_layer(queries, hidden, output_bias, device),
            q_norm: norm(queries),
            k_norm: norm(keys),
            heads: config.heads,
            key_heads: config.key_heads,
            head_dim: width,
            each_head: config.kind.query_norm == QueryNorm::EachHead,
            scale: config.score_scale,
            cap: config.score_cap,
        }
    }

    /// `x` is `[rows, tokens, hidden]`; each token looks at its span of all tokens. Keys and values of
    /// earlier ones come first and are kept with the new ones.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        turns: &Turns,
        spans: &Spans,
        kept: Option<&mut Option<Kept>>,
    ) -> Tensor<3> {
        let [rows, tokens, _] = x.dims();
        let (query, key, value) = self.project(x);
        let query = turns.apply(self.normed(&self.q_norm, query, self.heads));
        let key = turns.apply(self.normed(&self.k_norm, key, self.key_heads));
        let value = self.by_head(value, self.key_heads);
        let (key, value) = match kept {
            None => (key, value),
            Some(kept) => {
                let all = match kept.take() {
                    None => (key, value),
                    Some(Kept { keys, values }) => (
                        Tensor::cat(vec![keys, key], 1),
                        Tensor::cat(vec![values, value], 1),
                    ),
                };
                *kept = Some(Kept {
                    keys: all.0.clone(),
                    values: all.1.clone(),
                });
                all
            }
        };
        let how = How {
            scale: self.scale,
            cap: self.cap,
        };
        let mixed = attention(query, key, value, spans, how);
        let mixed = mixed.reshape([rows, tokens, self.heads * self.head_dim]);
        apply(&self.o_proj, mixed)
    }

    fn project(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<3>, Tensor<3>) {
        if let Some(all) = &self.qkv_proj {
            let all = apply(all, x);
            let [queries, keys] = [self.heads, self.key_heads].map(|heads| heads * self.head_dim);
            let part = |start, count| all.clone().narrow(2, start, count);
            return (
                part(0, queries),
                part(queries, keys),
                part(queries + keys, keys),
            );
        }
        let one = |layer: &Option<GoftLinear>| {
            let layer = layer.as_ref().expect("three projections, or one for all");
            apply(layer, x.clone())
        };
        (one(&self.q_proj), one(&self.k_proj), one(&self.v_proj))
    }

    /// By head, normalized where the kind does so.
    fn normed(&self, norm: &Option<RmsNorm>, x: Tensor<3>, heads: usize) -> Tensor<4> {
        match norm {
            None => self.by_head(x, heads),
            Some(norm) if self.each_head => norm.forward(self.by_head(x, heads)),
            Some(norm) => self.by_head(norm.forward(x), heads),
        }
    }

    /// `[rows, tokens, heads * width]` as `[rows, tokens, heads, width]`.
    fn by_head(&self, x: Tensor<3>, heads: usize) -> Tensor<4> {
        let [rows, tokens, _] = x.dims();
        x.reshape([rows, tokens, heads, self.head_dim])
    }
}
