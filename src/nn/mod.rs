//! Attention and transformers of burn, taken over onto the input side with their weights.
//!
//! A model whose fields are burn's [`MultiHeadAttention`](burn::nn::attention::MultiHeadAttention)
//! or [`TransformerEncoder`](burn::nn::transformer::TransformerEncoder) can be adapted as it is,
//! and then each forward pass rotates weights. The modules here compute the same from the same
//! weights, and each `Linear` inside rotates its input as [`GoftLinear`] does.
//! [`apply_goft`](crate::GoftModule::apply_goft) on the model that holds them attaches the
//! adapters.
//!
//! | burn | here |
//! |---|---|
//! | `Linear`, `LinearConfig` | [`GoftLinear`], [`GoftLinearConfig`] |
//! | `MultiHeadAttention` | [`GoftMultiHeadAttention`] |
//! | `PositionWiseFeedForward` | [`GoftPositionWiseFeedForward`] |
//! | `TransformerEncoder` | [`GoftTransformerEncoder`] |
//! | `TransformerEncoderLayer` | [`GoftTransformerEncoderLayer`] |
//! | `TransformerDecoder` | [`GoftTransformerDecoder`] |
//! | `TransformerDecoderLayer` | [`GoftTransformerDecoderLayer`] |
//!
//! Each holds burn's module and shows it to everything around it: parameter paths, the names of
//! containers, records, checkpoints of other libraries and printing are those of burn. `into_inner`
//! gives burn's module back, with its adapters if it has any; after
//! [`merge_adapters`](crate::GoftModule::merge_adapters) it is a plain one.
//!
//! The types of inputs and caches have burn's names and methods, so that only the `use` line of a
//! caller changes. They are not burn's own, which keep what they hold private.

#[macro_use]
mod wrap;

mod attention;
mod cache;
mod decoder;
mod encoder;
mod feed_forward;
mod linear;

pub use attention::{GoftMultiHeadAttention, MhaCache, MhaInput};
pub use decoder::{
    GoftTransformerDecoder, GoftTransformerDecoderLayer, TransformerDecoderAutoregressiveCache,
    TransformerDecoderInput, TransformerDecoderLayerAutoregressiveCache,
};
pub use encoder::{
    GoftTransformerEncoder, GoftTransformerEncoderLayer, TransformerEncoderAutoregressiveCache,
    TransformerEncoderInput, TransformerEncoderLayerAutoregressiveCache,
};
pub use feed_forward::GoftPositionWiseFeedForward;
pub use linear::GoftLinearConfig;

use burn::nn::Linear;
use burn::tensor::Tensor;

use crate::linear::GoftLinear;

/// What the layer computes when its adapter acts on the input. The clone shares the weights.
fn on_input_side<const D: usize>(linear: &Linear, input: Tensor<D>) -> Tensor<D> {
    GoftLinear::from(linear.clone()).forward(input)
}
