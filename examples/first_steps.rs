//! The smallest complete program: attach, train, save, load, merge.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

// ANCHOR: program
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor, activation::relu};
use burn_goft::{Goft, GoftModule, Penalty};

// Any burn module will do; nothing in it knows about rotations.
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Training needs a device with `.autodiff()`.
    let device = Device::flex().autodiff();
    device.seed(1);
    let pretrained = Mlp {
        hidden: LinearConfig::new(24, 32).init(&device),
        head: LinearConfig::new(32, 4).init(&device),
    };

    // ANCHOR: attach
    let goft = Goft::quasi()
        .with_targets(["hidden.weight"])
        .with_trainable(["head.*"]);
    let mut model = pretrained.clone().apply_goft(goft)?;
    println!("{}", model.adapter_report());
    // ANCHOR_END: attach

    let [x, y] = [24, 4].map(|d| Tensor::<2>::random([8, d], Distribution::Default, &device));
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..10 {
        // ANCHOR: train_step
        let error = (model.forward(x.clone()) - y.clone()).square().mean();
        let loss = model.penalized(error, Penalty::Paper, 0.01);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
        // ANCHOR_END: train_step
    }

    let file = std::env::temp_dir().join("first_steps.safetensors");
    // ANCHOR: save_load_merge
    model.save_adapters(&file)?;
    let loaded = pretrained.load_adapters(&file)?;
    let merged = loaded.valid().merge_adapters()?;
    // ANCHOR_END: save_load_merge

    // `valid()` is the model on the device without autodiff.
    let x = x.without_autodiff();
    let trained = model.valid().forward(x.clone());
    let difference = (merged.forward(x) - trained).abs().max();
    assert!(difference.into_scalar::<f32>() < 1e-5);
    println!("the merged model computes what the trained one does");
    Ok(())
}
// ANCHOR_END: program
