//! Adapters on attention: query, key and value share their input, which `GoftLinear::forward_each` reads once.
//!
//! ```text
//! cargo run --release --example attention
//! ```
//!
//! burn's `MultiHeadAttention` is taken over with its weights, adapted on the input side, and trained for a few steps towards
//! another layer's outputs.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution, Tensor};
use burn_goft::{Goft, GoftLinear, GoftModule};

const WIDTH: usize = 64;
const HEADS: usize = 4;

// ANCHOR: layer
/// Self-attention with the same parameter paths as burn's.
#[derive(Module, Debug)]
struct Attention {
    query: GoftLinear,
    key: GoftLinear,
    value: GoftLinear,
    output: GoftLinear,
    heads: usize,
}

impl From<MultiHeadAttention> for Attention {
    fn from(attention: MultiHeadAttention) -> Self {
        Self {
            query: attention.query.into(),
            key: attention.key.into(),
            value: attention.value.into(),
            output: attention.output.into(),
            heads: attention.n_heads,
        }
    }
}

impl Attention {
    /// `[batch, tokens, width]` to the same shape.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let layers = [&self.query, &self.key, &self.value];
        let [query, key, value] = GoftLinear::forward_each(layers, x).map(|x| {
            let heads = x.reshape([batch, tokens, self.heads, width / self.heads]);
            heads.swap_dims(1, 2)
        });
        let scale = ((width / self.heads) as f64).sqrt();
        let weights = softmax(query.matmul(key.transpose()).div_scalar(scale), 3);
        let mixed = weights.matmul(value).swap_dims(1, 2);
        self.output.forward(mixed.reshape([batch, tokens, width]))
    }
}
// ANCHOR_END: layer

fn largest_difference(a: Tensor<3>, b: Tensor<3>) -> f32 {
    (a - b).abs().max().into_scalar()
}

fn main() -> Result<(), burn_goft::Error> {
    let device = Device::flex().autodiff();
    device.seed(1);
    let config = MultiHeadAttentionConfig::new(WIDTH, HEADS).with_dropout(0.0);
    let [pretrained, wanted]: [MultiHeadAttention; 2] =
        [config.init(&device), config.init(&device)];
    let x = Tensor::<3>::random([8, 16, WIDTH], Distribution::Normal(0.0, 1.0), &device);
    let of = |layer: &MultiHeadAttention| layer.forward(MhaInput::self_attn(x.clone())).context;
    let (before, target) = (of(&pretrained), of(&wanted).detach());

    let attention = Attention::from(pretrained);
    let error = largest_difference(attention.forward(x.clone()), before);
    println!("taken over: differs from burn's layer by {error:.0e}");

    let mut attention = attention.apply_goft(Goft::strict())?;
    println!("{}", attention.goft_report());
    let mut optimizer = AdamConfig::new().init();
    for step in 0..=50 {
        let loss = (attention.forward(x.clone()) - target.clone())
            .square()
            .mean();
        if step % 10 == 0 {
            println!(
                "step {step:2}: loss {:.4}",
                loss.clone().into_scalar::<f32>()
            );
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &attention);
        attention = optimizer.step(2e-2, attention, gradients);
    }

    let x = x.without_autodiff();
    let trained = attention.valid();
    let merged = trained.clone().merge_goft()?;
    let error = largest_difference(merged.forward(x.clone()), trained.forward(x));
    println!("merged: differs by {error:.0e}");
    Ok(())
}
