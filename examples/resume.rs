//! A training that stops and goes on from an adapter file and an optimizer's record, bit for bit.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Tensor};
use burn_goft::{Goft, GoftModule};

const SEED: u64 = 1;

/// The same weights in every process; a real program reads them from a file.
fn pretrained(device: &Device) -> Linear {
    device.seed(SEED);
    LinearConfig::new(24, 4).init(device)
}

fn train(
    mut model: Linear,
    optimizer: &mut ModuleOptimizer,
    x: &Tensor<2>,
    steps: usize,
) -> Linear {
    for _ in 0..steps {
        let loss = model.forward(x.clone()).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    model
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    let model = pretrained(&device).apply_goft(Goft::strict())?;
    let x = Tensor::<2>::random([8, 24], Distribution::Default, &device);
    let folder = std::env::temp_dir();
    let [adapter, record] = ["resume.safetensors", "resume.bpk"].map(|name| folder.join(name));

    let mut optimizer = AdamConfig::new().init();
    let model = train(model, &mut optimizer, &x, 10);
    // ANCHOR: stop
    model.save_adapters(&adapter)?;
    optimizer.save(&record)?;
    // ANCHOR_END: stop
    let straight = train(model, &mut optimizer, &x, 10);

    // ANCHOR: resume
    let model = pretrained(&device).load_adapters(&adapter)?;
    let mut optimizer = AdamConfig::new().init().load(&record)?;
    // ANCHOR_END: resume
    let resumed = train(model, &mut optimizer, &x, 10);

    let difference = (straight.forward(x.clone()) - resumed.forward(x))
        .abs()
        .max();
    assert_eq!(difference.into_scalar::<f32>(), 0.0);
    println!("20 steps, and 10 and 10, end in the same model");
    Ok(())
}
