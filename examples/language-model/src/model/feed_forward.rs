//! The gated feed-forward block.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_goft::GoftLinear;
use transformer_ops::{Activation, gated};

use super::{apply, linear_layer};
use crate::config::DecoderConfig;

/// `down(activation(gate x) * up x)`.
///
/// Source: Shazeer 2020, [arXiv 2002.05202](https://arxiv.org/abs/2002.05202).
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    gate_proj: Option<GoftLinear>,
    up_proj: Option<GoftLinear>,
    /// The two in one, for kinds that have them so.
    gate_up_proj: Option<GoftLinear>,
    down_proj: GoftLinear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    pub(super) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let (hidden, inner) = (config.hidden, config.intermediate);
        let (bias, fused) = (config.feed_forward_bias, config.kind.fused);
        let apart = || (!fused).then(|| linear_layer(hidden, inner, bias, device));
        Self {
            gate_proj: apart(),
            up_proj: apart(),
            gate_up_proj: fused.then(|| linear_layer(hidden, 2 * inner, bias, device)),
            down_proj: linear_layer(inner, hidden, bias, device),
            activation: config.activation,
        }
    }

    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (gate, up) = match (&self.gate_up_proj, &self.gate_proj, &self.up_proj) {
            (Some(both), ..) => {
                let both = apply(both, x);
                let inner = both.dims()[2] / 2;
                (
                    both.clone().narrow(2, 0, inner),
                    both.narrow(2, inner, inner),
                )
            }
            (None, Some(gate), Some(up)) => (apply(gate, x.clone()), apply(up, x)),
            _ => unreachable!("gate and up, or one for both"),
        };
        apply(&self.down_proj, gated(gate, up, self.activation))
    }
}
