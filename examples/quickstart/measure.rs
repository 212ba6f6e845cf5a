//! What is measured of each method.

use std::error::Error;

use burn::module::Module;
use burn::tensor::Device;
use burn_goft::GoftModule;
use digits::{Batch, Digits, Mounting, Vit, pretrained};
use indicatif::{ProgressBar, ProgressStyle};

use crate::angles;
use crate::methods::Method;
use crate::options::Options;
use crate::table::Row;
use crate::train::adapt;

/// The table, and what the figures show beside it.
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    /// Held-out accuracy in the new mounting by epoch, mean over the seeds; one per method.
    pub(crate) curves: Vec<Vec<(usize, f64)>>,
    /// Angles between neurons of the pretrained model.
    pub(crate) angles_before: Vec<f64>,
    /// The same angles after adaptation, of the first seed; one list per method.
    pub(crate) angles_after: Vec<Vec<f64>>,
}

/// The learning curves have a point for so many epochs, and one for the last: measuring takes half
/// as long as training.
const EPOCHS_A_POINT: usize = 3;

/// Runs all methods.
pub(crate) fn all(options: &Options, device: &Device) -> Result<Results, Box<dyn Error>> {
    let schedule = options.schedule();
    let digits = Digits::load();
    let sideways = Batch::new(&digits.held_out, Mounting::Sideways, device);
    let upright = Batch::new(&digits.held_out, Mounting::Upright, device);
    let base = pretrained(device)?;
    let (new_before, old_before) = (base.accuracy(&sideways), base.accuracy(&upright));
    let angles_before = angles::between_neurons(&base);

    let bar = progress(Method::ALL.len() * schedule.seeds as usize * schedule.epochs)?;
    let mut results = Results {
        rows: Vec::new(),
        curves: Vec::new(),
        angles_before,
        angles_after: Vec::new(),
    };
    for method in Method::ALL {
        let last = schedule.epochs;
        let measured = (1..=last).filter(|epoch| epoch % EPOCHS_A_POINT == 0 || *epoch == last);
        let mut curve = vec![(0, new_before)];
        curve.extend(measured.map(|epoch| (epoch, 0.0)));
        let (mut new_after, mut old_after, mut adapter_off) = (vec![], vec![], vec![]);
        let (mut seconds, mut differences, mut changes) = (vec![], vec![], vec![]);
        let mut trainable = 0;
        for seed in 0..schedule.seeds {
            bar.set_message(format!(
                "{}, seed {} of {}",
                method.name(),
                seed + 1,
                schedule.seeds
            ));
            let mut epoch = 0;
            let rate = method.learning_rate();
            let run = adapt(
                method,
                rate,
                &digits.labeled,
                schedule.epochs,
                seed,
                device,
                |model| {
                    epoch += 1;
                    if let Some((_, mean)) = curve.iter_mut().find(|(at, _)| *at == epoch) {
                        *mean += model.accuracy(&sideways) / schedule.seeds as f64;
                    }
                    bar.inc(1);
                },
            )?;
            let adapted = run.model.valid();
            trainable = run.trainable;
            new_after.push(adapted.accuracy(&sideways));
            old_after.push(adapted.accuracy(&upright));
            seconds.push(run.training.as_secs_f64() / schedule.epochs as f64);
            if method.is_goft() {
                adapter_off.push(adapted.clone().disable_adapters().accuracy(&upright));
                let file = options
                    .out
                    .join(format!("{}-seed{seed}.safetensors", method.slug()));
                let images = sideways.images.clone();
                differences.push(crate::save_load_merge(&adapted, &file, images)?);
            }
            if method == Method::Lora {
                differences.push(merged_difference(&adapted, &sideways));
            }
            let after = angles::between_neurons(&adapted);
            changes.push(angles::mean_change(&results.angles_before, &after));
            if seed == 0 {
                results.angles_after.push(after);
            }
        }
        results.curves.push(curve);
        results.rows.push(Row {
            method: method.name(),
            trainable,
            new_before,
            new_after: mean(&new_after),
            new_after_std: deviation(&new_after),
            old_before,
            old_after: mean(&old_after),
            old_adapter_off: (!adapter_off.is_empty()).then(|| mean(&adapter_off)),
            seconds_per_epoch: mean(&seconds),
            merged_max_diff: differences.into_iter().reduce(f64::max),
            angle_change: mean(&changes),
        });
    }
    bar.finish_and_clear();
    Ok(results)
}

/// burn's LoRA has no adapter file and no switch, but it merges.
fn merged_difference(adapted: &Vit, batch: &Batch) -> f64 {
    let merged = adapted.clone().materialize();
    let difference = merged.forward(batch.images.clone()) - adapted.forward(batch.images.clone());
    difference.abs().max().into_scalar::<f32>().into()
}

/// On stderr, and only if that is a terminal.
fn progress(epochs: usize) -> Result<ProgressBar, Box<dyn Error>> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} epochs, {eta} left: {msg}")?;
    Ok(ProgressBar::new(epochs as u64).with_style(style))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation; one value has none.
fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}
