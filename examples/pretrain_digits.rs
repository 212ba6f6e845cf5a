//! Pretrains the small vision transformer that the quickstart adapts.
//!
//! ```text
//! cargo run --release --example pretrain_digits
//! ```
//!
//! writes `examples/data/digits_vit.safetensors`, a minute and a half on two cores; a second run
//! writes the same bytes.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;
use std::path::PathBuf;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use clap::Parser;
use digits::{Batch, Digit, Digits, Mounting, Order, SIDE, Vit};
use indicatif::{ProgressBar, ProgressStyle};

const SEED: u64 = 1;
const BATCH: usize = 50;
const PEAK_RATE: f64 = 2e-3;
const WARM_UP: usize = 100;

/// Pretrains the quickstart's vision transformer on upright digits.
#[derive(Parser)]
struct Options {
    /// Passes over the 1000 images.
    #[arg(long, default_value_t = 100)]
    epochs: usize,
    /// File to write.
    #[arg(long, default_value = "examples/data/digits_vit.safetensors")]
    out: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let device = Device::flex().autodiff();
    device.seed(SEED);
    let digits = Digits::load();
    let mut model = Vit::new(&device);
    let mut optimizer = AdamWConfig::new().with_weight_decay(0.05).init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    let mut order = Order::new(SEED);
    let mut images: Vec<usize> = (0..digits.pretraining.len()).collect();
    let steps = options.epochs * images.len().div_ceil(BATCH);
    let style = "{bar:40} {pos}/{len} epochs, {eta} left, {msg}";
    let bar =
        ProgressBar::new(options.epochs as u64).with_style(ProgressStyle::with_template(style)?);
    let mut step = 0;
    for _ in 0..options.epochs {
        order.shuffle(&mut images);
        for chosen in images.chunks(BATCH) {
            let chosen: Vec<Digit> = chosen
                .iter()
                .map(|&index| moved(&digits.pretraining[index], &mut order))
                .collect();
            let batch = Batch::new(&chosen, Mounting::Upright, &device);
            let rate = rate(step, steps);
            let loss = cross_entropy.forward(model.forward(batch.images), batch.labels);
            bar.set_message(format!("loss {:.4}", loss.clone().into_scalar::<f32>()));
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(rate, model, gradients);
            step += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();

    let model = model.valid();
    for mounting in [Mounting::Upright, Mounting::Sideways] {
        let batch = Batch::new(&digits.held_out, mounting, &device.clone().inner());
        println!(
            "{mounting:?}: {:.1} % of {} held-out images",
            model.accuracy(&batch),
            batch.len()
        );
    }

    // Without metadata: burn's is a map whose order differs between runs.
    let mut store = SafetensorsStore::from_file(&options.out)
        .clear_metadata()
        .overwrite(true);
    model.save_into(&mut store)?;
    Ok(())
}

/// The digit moved by at most a pixel each way: a thousand images are few.
fn moved(digit: &Digit, order: &mut Order) -> Digit {
    let (down, right) = (order.below(3), order.below(3));
    let pixel = |to: usize| {
        let (row, column) = (to / SIDE + down, to % SIDE + right);
        let inside = (1..=SIDE).contains(&row) && (1..=SIDE).contains(&column);
        inside.then(|| digit.pixels[(row - 1) * SIDE + column - 1])
    };
    Digit {
        pixels: std::array::from_fn(|to| pixel(to).unwrap_or(0.0)),
        label: digit.label,
    }
}

/// Learning rate: up to the peak in a straight line, down to zero along a cosine.
fn rate(step: usize, steps: usize) -> f64 {
    let rise = (step as f64 / WARM_UP as f64).min(1.0);
    let fall = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
    PEAK_RATE * rise * fall
}
