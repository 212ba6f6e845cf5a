//! A small vision transformer, made of burn's own layers: nothing in it knows of adapters.

use burn::module::{Module, Param};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};

use crate::data::{Batch, CLASSES, SIDE};

/// Width and height of a patch.
const PATCH: usize = 2;
const GRID: usize = SIDE / PATCH;
const WIDTH: usize = 64;

/// 16 patches of 2x2 pixels, four pre-norm blocks, the mean of the tokens, a linear head.
#[derive(Module, Debug)]
pub struct Vit {
    patch: Linear,
    position: Param<Tensor<2>>,
    encoder: TransformerEncoder,
    norm: LayerNorm,
    head: Linear,
}

impl Vit {
    /// Random weights.
    pub fn new(device: &Device) -> Self {
        let spread = Distribution::Normal(0.0, 0.3);
        let position = Tensor::random([GRID * GRID, WIDTH], spread, device);
        Self {
            patch: LinearConfig::new(PATCH * PATCH, WIDTH).init(device),
            position: Param::from_tensor(position),
            encoder: TransformerEncoderConfig::new(WIDTH, 2 * WIDTH, 4, 4)
                .with_norm_first(true)
                .with_dropout(0.0)
                .init(device),
            norm: LayerNormConfig::new(WIDTH).init(device),
            head: LinearConfig::new(WIDTH, CLASSES).init(device),
        }
    }

    /// Logits `[batch, 10]` of images `[batch, 64]`.
    pub fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let tokens = self.patch.forward(patches(images)) + self.position.val().unsqueeze();
        let tokens = self.encoder.forward(TransformerEncoderInput::new(tokens));
        let mean = self.norm.forward(tokens).mean_dim(1).squeeze_dim(1);
        self.head.forward(mean)
    }

    /// Percentage of the batch that is classified correctly.
    pub fn accuracy(&self, batch: &Batch) -> f64 {
        let predicted = self.forward(batch.images.clone()).argmax(1).squeeze_dim(1);
        let right = predicted.equal(batch.labels.clone()).int().sum();
        100.0 * right.into_scalar::<i64>() as f64 / batch.len() as f64
    }
}

/// `[batch, 64]` to `[batch, 16, 4]`.
fn patches(images: Tensor<2>) -> Tensor<3> {
    let [batch, _] = images.dims();
    images
        .reshape([batch, GRID, PATCH, GRID, PATCH])
        .swap_dims(2, 3)
        .reshape([batch, GRID * GRID, PATCH * PATCH])
}
