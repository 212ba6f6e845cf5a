//! Adapters on burn's attention, taken over onto the input side with its weights.
//!
//! ```text
//! cargo run --release --example attention
//! ```
//!
//! A `GoftMultiHeadAttention` is burn's `MultiHeadAttention` whose layers rotate their inputs. It
//! is trained for a few steps towards another layer's outputs, merged, and given back as burn's own
//! layer.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use burn::module::Module;
use burn::nn::attention::{self, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use burn_goft::nn::{GoftMultiHeadAttention, MhaInput};
use burn_goft::{Goft, GoftModule};

const WIDTH: usize = 64;
const HEADS: usize = 4;

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
    let of_burns = |layer: &MultiHeadAttention, x: &Tensor<3>| {
        let input = attention::MhaInput::self_attn(x.clone());
        layer.forward(input).context
    };
    let (before, target) = (of_burns(&pretrained, &x), of_burns(&wanted, &x).detach());

    // ANCHOR: layer
    let attention = GoftMultiHeadAttention::from(pretrained);
    let forward = |attention: &GoftMultiHeadAttention, x: &Tensor<3>| {
        attention.forward(MhaInput::self_attn(x.clone())).context
    };
    let error = largest_difference(forward(&attention, &x), before);
    println!("taken over: differs from burn's layer by {error:.0e}");

    let mut attention = attention.apply_goft(Goft::strict())?;
    // ANCHOR_END: layer
    println!("{}", attention.adapter_report());
    let mut optimizer = AdamConfig::new().init();
    for step in 0..=50 {
        let loss = (forward(&attention, &x) - target.clone()).square().mean();
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
    let merged = trained.clone().merge_adapters()?.into_inner();
    let error = largest_difference(of_burns(&merged, &x), forward(&trained, &x));
    println!("merged: differs by {error:.0e}");
    Ok(())
}
