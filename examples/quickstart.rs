//! A camera was remounted sideways; a vision transformer that reads digits is adapted to it, by
//! five methods.
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! The model (`digits/src/model.rs`) is made of burn's own layers and was pretrained on upright
//! digits (`pretrain_digits.rs`). Now images come rotated by 90 degrees, and 300 of them are
//! labeled. Full fine-tuning, burn's LoRA, GOFT, GOFT with neuron scaling and qGOFT learn from the
//! same images in the same order; the head stays as it was for all. What is measured is in
//! `quickstart/measure.rs`, the learning rates in `quickstart/methods.rs`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use burn::module::{Lora, Module, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use burn_goft::{Goft, GoftModule, NormScale, Penalty};
use clap::Parser;
use digits::{Batch, Vit, pretrained};

#[path = "quickstart/angles.rs"]
mod angles;
#[path = "support/device.rs"]
mod device;
#[path = "quickstart/measure.rs"]
mod measure;
#[path = "quickstart/methods.rs"]
mod methods;
#[path = "quickstart/options.rs"]
mod options;
#[path = "quickstart/plots.rs"]
mod plots;
#[path = "quickstart/table.rs"]
mod table;
#[path = "quickstart/train.rs"]
mod train;
#[path = "quickstart/tune.rs"]
mod tune;

use methods::Method;

// ANCHOR: attach
/// What each method trains. All but full fine-tuning adapt the `Linear` weights of the encoder.
fn attach(method: Method, model: Vit) -> Result<Vit, burn_goft::Error> {
    let targets = ["encoder.*.weight"];
    match method {
        Method::Full => Ok(model.freeze_group(ParamGroup::from_predicate("head."))),
        Method::Lora => {
            let encoder = ParamGroup::from_predicate("encoder.");
            Ok(model.apply_lora(Lora::new(8, 16.0).set_param_group(encoder)))
        }
        Method::Goft => model.apply_goft(Goft::strict().with_targets(targets)),
        Method::GoftNeuron => {
            let goft = Goft::strict().with_norm_scale(NormScale::Neuron);
            model.apply_goft(goft.with_targets(targets))
        }
        Method::Quasi => model.apply_goft(Goft::quasi().with_targets(targets)),
    }
}
// ANCHOR_END: attach

// ANCHOR: train_step
/// One step as in any burn training; a quasi-orthogonal adapter adds its penalty to the loss.
fn train_step(
    model: Vit,
    optimizer: &mut ModuleOptimizer,
    batch: Batch,
    learning_rate: f64,
    penalty_strength: Option<f64>,
) -> Vit {
    let cross_entropy = CrossEntropyLossConfig::new().init(&batch.labels.device());
    let loss = cross_entropy.forward(model.forward(batch.images), batch.labels);
    let loss = match penalty_strength {
        Some(strength) => loss + model.adapter_penalty(Penalty::Paper).mul_scalar(strength),
        None => loss,
    };
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    optimizer.step(learning_rate, model, gradients)
}
// ANCHOR_END: train_step

// ANCHOR: save_load_merge
/// Saves the adapter alone, loads it into a fresh pretrained model, and folds it into that model's
/// weights. Returns the largest difference between the logits of the three.
fn save_load_merge(adapted: &Vit, file: &Path, images: Tensor<2>) -> Result<f64, Box<dyn Error>> {
    adapted.save_adapters(file)?;
    let loaded = pretrained(&images.device())?.load_adapters(file)?;
    let merged = loaded.clone().merge_adapters()?;

    let expected = adapted.forward(images.clone());
    let differences = [loaded, merged].map(|model| {
        let difference = model.forward(images.clone()) - expected.clone();
        difference.abs().max().into_scalar::<f32>()
    });
    Ok(differences.into_iter().fold(0.0, f32::max).into())
}
// ANCHOR_END: save_load_merge

fn main() -> ExitCode {
    match run(&options::Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &options::Options) -> Result<(), Box<dyn Error>> {
    let device = options.device()?;
    if options.tune {
        return tune::search(&device);
    }
    std::fs::create_dir_all(&options.out)
        .map_err(|error| format!("making the folder `{}`: {error}", options.out.display()))?;
    let results = measure::all(options, &device)?;
    match options.json {
        true => table::print_json(&results.rows),
        false => table::print(&results.rows),
    }
    plots::draw(&results, &options.out)
}
