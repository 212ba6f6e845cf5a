//! The smallest complete program: attach, one training step, save, load, merge.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor, activation::relu};
use burn_goft::{Goft, GoftModule, Penalty};

// ANCHOR: model
#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    head: Linear,
}

impl Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(relu(self.hidden.forward(x)))
    }
}
// ANCHOR_END: model

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    let pretrained = Mlp {
        hidden: LinearConfig::new(24, 32).init(&device),
        head: LinearConfig::new(32, 4).init(&device),
    };
    let [x, y] = [24, 4].map(|d| Tensor::<2>::random([8, d], Distribution::Default, &device));
    // ANCHOR: attach
    let goft = Goft::quasi()
        .with_targets(["hidden.weight"])
        .with_trainable(["head.*"]);
    let mut model = pretrained.clone().apply_goft(goft)?;
    println!("{}", model.goft_report());
    // ANCHOR_END: attach
    let mut optimizer = AdamConfig::new().init();
    // ANCHOR: train_step
    let error = (model.forward(x.clone()) - y).square().mean();
    let loss = error + model.orthogonality_penalty(Penalty::Paper).mul_scalar(0.01);
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    model = optimizer.step(1e-3, model, gradients);
    // ANCHOR_END: train_step
    let file = std::env::temp_dir().join("first_steps.safetensors");
    // ANCHOR: save_load_merge
    model.save_goft(&file)?;
    let loaded = pretrained.load_goft(&file)?;
    let merged = loaded.valid().merge_goft()?;
    // ANCHOR_END: save_load_merge
    let x = x.without_autodiff();
    let trained = model.valid().forward(x.clone());
    let difference = (merged.forward(x) - trained).abs().max();
    println!("merged: off by {:.0e}", difference.into_scalar::<f32>());
    Ok(())
}
