//! What fine-tuning can get wrong without a word: state outside the trainable set, identities
//! across files, transforms in another order, coverage, and what the axes of a parameter are.

mod coverage;
mod identity;
mod names;
mod order;
mod sites;
mod state;

use std::ops::Range;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, Tensor};

use crate::common;
use crate::models::{Mlp, device_of};

/// Every device, in training.
fn devices() -> Vec<Device> {
    let devices = common::devices().into_iter();
    devices.map(|(_, device)| device.autodiff()).collect()
}

fn batch(seed: u64, width: usize, device: &Device) -> Tensor<2> {
    let values = common::normal(1000 + seed, 6 * width);
    common::tensor(&values, [6, width], device, DType::F32)
}

/// The largest difference.
fn distance<const D: usize>(one: &Tensor<D>, other: &Tensor<D>) -> f64 {
    let (one, other) = (common::numbers(one), common::numbers(other));
    assert_eq!(one.len(), other.len());
    let pairs = one.iter().zip(other);
    pairs.fold(0.0, |max, (a, b)| f64::max(max, (a - b).abs()))
}

fn train<M: Module>(
    mut model: M,
    optimizer: &mut ModuleOptimizer,
    steps: Range<u64>,
    width: usize,
    forward: impl Fn(&M, Tensor<2>) -> Tensor<2>,
) -> M {
    for step in steps {
        let device = device_of(&model).autodiff();
        let y = forward(&model, batch(step, width, &device));
        let target = batch(step + 500, y.dims()[1], &device);
        let loss = (y - target).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.02, model, gradients);
    }
    model
}

fn train_mlp(model: Mlp, steps: Range<u64>) -> Mlp {
    train(model, &mut AdamConfig::new().init(), steps, 7, Mlp::forward)
}
