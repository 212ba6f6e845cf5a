//! A fresh head beside the adapters, with a learning rate and an optimizer of its own.
//!
//! ```text
//! cargo run --example head_rate
//! ```
#![expect(clippy::print_stdout, reason = "a program for the command line")]

// ANCHOR: use
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrSchedulerConfig;
use burn::module::{Module, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Int, Tensor};
use burn_goft::{Goft, GoftModule};
// ANCHOR_END: use

const STEPS: usize = 200;
const ANGLES: f64 = 3e-2;
const HEAD: f64 = 1e-2;

#[derive(Module, Debug)]
struct Classifier {
    encoder: Linear,
    head: Linear,
}

impl Classifier {
    fn loss(&self, x: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let logits = self.head.forward(relu(self.encoder.forward(x)));
        let cross_entropy = CrossEntropyLossConfig::new().init(&labels.device());
        cross_entropy.forward(logits, labels)
    }
}

fn largest(x: Tensor<2>) -> f64 {
    x.abs().max().into_scalar::<f32>().into()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    device.seed(1);
    let x = Tensor::<2>::random([64, 16], Distribution::Normal(0.0, 1.0), &device);
    // The label is the largest of the first four inputs.
    let labels = x.clone().narrow(1, 0, 4).argmax(1).squeeze_dim::<1>(1);
    let pretrained = Classifier {
        encoder: LinearConfig::new(16, 32).init(&device),
        head: LinearConfig::new(32, 4).init(&device),
    };

    // ANCHOR: groups
    let goft = Goft::strict().with_trainable(["head.*"]);
    let mut model = pretrained.apply_goft(goft)?;

    // What no group names, here the angles, takes the first rate and the first optimizer.
    let falling = |from| LinearLrSchedulerConfig::new(from, 0.0, STEPS);
    let head = || ParamGroup::from_any_regexes(vec![r"^head\."]).expect("a regex");
    let mut rates = ModuleLrSchedulerConfig::new(falling(ANGLES).into())
        .with_group(head(), falling(HEAD))
        .init()?;
    let decaying = AdamWConfig::new().with_weight_decay(0.01).build();
    let mut optimizer = AdamConfig::new().init().with_group(head(), decaying, None);
    // ANCHOR_END: groups

    let before = model.loss(x.clone(), labels.clone()).into_scalar::<f32>();
    for step in 0..STEPS {
        let head = model.head.weight.val();
        // ANCHOR: step
        let loss = model.loss(x.clone(), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rates.step(), model, gradients);
        // ANCHOR_END: step
        if step == 0 {
            // Adam's first step has the size of the rate, and the decay adds little to it.
            let moved = largest(model.head.weight.val() - head);
            assert!((0.9 * HEAD..1.1 * HEAD).contains(&moved), "{moved}");
        }
    }
    let after = model.loss(x, labels).into_scalar::<f32>();
    println!("loss: {before:.2} before, {after:.2} after {STEPS} steps");
    assert!(after < 0.5 * before);
    Ok(())
}
