//! The search for the learning rates: the same grid, folds and effort for every method.

use std::error::Error;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::Device;
use digits::{Batch, Digit, Digits, Mounting};
use indicatif::ProgressBar;

use crate::methods::{Method, RATES};
use crate::train::{Schedule, adapt};

const FOLDS: usize = 3;

/// Cross-validates every rate with every method on the labeled images and prints the best.
pub(crate) fn search(device: &Device) -> Result<(), Box<dyn Error>> {
    let labeled = Digits::load().labeled;
    let bar = ProgressBar::new((Method::ALL.len() * RATES.len() * FOLDS) as u64);
    let mut lines =
        vec!["validation accuracy in percent (cross-entropy) by learning rate".to_string()];
    for method in Method::ALL {
        let mut line = format!("{:20}", method.name());
        let mut best = (0.0, f64::INFINITY, 0.0);
        for rate in RATES {
            let (mut accuracy, mut loss) = (0.0, 0.0);
            for fold in 0..FOLDS {
                let scores = score(method, rate, &labeled, fold, device)?;
                accuracy += scores.0 / FOLDS as f64;
                loss += scores.1 / FOLDS as f64;
                bar.inc(1);
            }
            line += &format!("  {rate:.0e}: {accuracy:.1} ({loss:.3})");
            if (accuracy, -loss) > (best.0, -best.1) {
                best = (accuracy, loss, rate);
            }
        }
        lines.push(format!("{line}  best: {:.0e}", best.2));
    }
    bar.finish_and_clear();
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

/// Accuracy and cross-entropy on the fold after training on the others; the fold's number is the
/// seed.
fn score(
    method: Method,
    rate: f64,
    labeled: &[Digit],
    fold: usize,
    device: &Device,
) -> Result<(f64, f64), Box<dyn Error>> {
    let part = |chosen: fn(usize, usize) -> bool| -> Vec<Digit> {
        let images = labeled.iter().enumerate();
        let images = images.filter(|(index, _)| chosen(index % FOLDS, fold));
        images.map(|(_, digit)| digit.clone()).collect()
    };
    let (training, validation) = (part(|a, b| a != b), part(|a, b| a == b));
    let epochs = Schedule::FULL.epochs;
    let run = adapt(method, rate, &training, epochs, fold as u64, device, |_| {})?;
    let model = run.model.valid();
    let batch = Batch::new(&validation, Mounting::Sideways, device);
    let accuracy = model.accuracy(&batch);
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let loss = cross_entropy.forward(model.forward(batch.images), batch.labels);
    Ok((accuracy, loss.into_scalar::<f32>().into()))
}
