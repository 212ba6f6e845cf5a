//! A GOFT adapter trained with burn's own [`Learner`].
//!
//! ```text
//! cargo run --release -p burn-goft-learner
//! cargo run --release -p burn-goft-learner -- --resume
//! ```
//!
//! The task is the quickstart's: a vision transformer that reads upright digits is adapted to a
//! camera that was mounted sideways, from 300 labeled images. Here burn's training loop does it,
//! with its metrics, checkpoints, gradient accumulation and early stopping; `apply_goft` before the
//! [`Learner`] is all that it needs. [`AdapterOnly`] makes the checkpoints small: they hold what is
//! trained. `--resume` goes on with the newest run after its last checkpoint. `--device cuda:0,cuda:1`
//! trains on two cards, each with batches of its own.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, ExecutionStrategy, InferenceStep, Learner, MetricEarlyStoppingStrategy,
    MultiDeviceOptim, StoppingCondition, SupervisedTraining, TrainOutput, TrainStep,
    TrainingStrategy,
};
use burn_goft::{AdapterOnly, Goft, GoftModule, Penalty};
use clap::Parser;
use digits::{Batch, Digit, Digits, Mounting, Vit, pretrained};

#[path = "../../support/device.rs"]
mod device;
mod resume;
#[cfg(all(test, feature = "flex"))]
mod tests;

use resume::{Advanced, Run};

/// Peak learning rate, the quickstart's for qGOFT.
const RATE: f64 = 1e-2;
const BATCH: usize = 15;
/// Batches whose gradients make one update.
const ACCUMULATION: usize = 2;
/// Epochs without a lower validation loss.
const PATIENCE: usize = 5;

/// Adapts a pretrained vision transformer to a camera that was mounted sideways, with burn's
/// Learner.
#[derive(Parser)]
struct Options {
    /// Epochs, fewer if the validation loss stops falling.
    #[arg(long, default_value = "20")]
    epochs: NonZeroUsize,
    /// Strength of the orthogonality penalty.
    #[arg(long, default_value_t = 0.001)]
    strength: f64,
    /// Folder for the adapter, and for logs and checkpoints in a new sub-folder.
    #[arg(long, default_value = "learner-out")]
    out: PathBuf,
    /// Go on with the newest run in that folder, with the same options. Patience counts anew.
    #[arg(long)]
    resume: bool,
    /// flex, or with the feature of that name: ndarray, wgpu, wgpu-cpu (software adapters), vulkan,
    /// metal, webgpu, cuda, rocm, cpu. Several, separated by commas, train together: cuda:0,cuda:1.
    #[arg(long, default_value = "flex", value_delimiter = ',')]
    device: Vec<String>,
}

// ANCHOR: step
/// The model and what its training needs to know.
#[derive(Module, Debug)]
struct Adapted {
    vit: Vit,
    strength: f64,
}

impl TrainStep for Adapted {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = InferenceStep::step(self, batch);
        let penalty = self.vit.adapter_penalty(Penalty::Paper);
        let loss = output.loss.clone() + penalty.mul_scalar(self.strength);
        // The output keeps the loss without the penalty, to be compared with validation.
        TrainOutput::new(self, loss.backward(), output)
    }
}

impl InferenceStep for Adapted {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        let cross_entropy = CrossEntropyLossConfig::new().init(&batch.labels.device());
        let logits = self.vit.forward(batch.images);
        let loss = cross_entropy.forward(logits.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, logits, batch.labels)
    }
}
// ANCHOR_END: step

// ANCHOR: learner
/// Attaches qGOFT to the encoder and trains it. Metrics, log and checkpoints go to the run's
/// folder.
fn train(
    options: &Options,
    digits: &Digits,
    devices: &[Device],
    run: &Run,
) -> Result<Vit, Box<dyn Error>> {
    let device = &devices[0];
    let goft = Goft::quasi().with_targets(["encoder.*.weight"]);
    let vit = pretrained(&device.clone().autodiff())?.apply_goft(goft)?;
    println!("{}", vit.adapter_report());

    let epochs = options.epochs.get();
    // Devices work side by side, each on its share of the images, the last also on what is left. For
    // an update their gradients are added up.
    let images = digits.labeled.len();
    let share = images / devices.len();
    let largest = images - share * (devices.len() - 1);
    let batches = largest.div_ceil(BATCH);
    let accumulation = ACCUMULATION.div_ceil(devices.len());
    // The schedule advances with every update, not with every batch.
    let updates = epochs * batches.div_ceil(accumulation);
    let schedule = LinearLrSchedulerConfig::new(RATE, 0.0, updates).init()?;
    // Weight decay would pull the blocks back to the identity, that is, to the pretrained model.
    let optimizer = AdamWConfig::new().with_weight_decay(0.0).init();
    let strength = options.strength;
    let model = AdapterOnly::new(Adapted { vit, strength });
    let learner = Learner::new(model, optimizer, schedule);

    let patience = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: PATIENCE },
    );
    let training = loader(&digits.labeled, BATCH, device);
    let training = Advanced::boxed(training, run.epochs_done);
    let validation = loader(&digits.held_out, 10 * BATCH, device);
    let strategy = ExecutionStrategy::multi(devices.to_vec(), MultiDeviceOptim::OptimMainDevice);
    let mut supervised = SupervisedTraining::new(&run.folder, training, validation)
        .with_training_strategy(TrainingStrategy::Default(strategy))
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .num_epochs(epochs)
        // Gradients are added, not averaged; AdamW does not mind, SGD would want a lower rate.
        .grads_accumulation(accumulation)
        .early_stopping(patience)
        // What is trained and its optimizer: the last two epochs and the one with the lowest
        // validation loss.
        .with_default_checkpointers()
        .summary();
    if run.epochs_done > 0 {
        supervised = supervised.checkpoint(run.epochs_done);
    }
    let result = supervised.launch(learner);
    match result.error {
        Some(error) => Err(error.into()),
        None => Ok(result.model.into_inner().vit),
    }
}
// ANCHOR_END: learner

/// What turns digits into the batches that the camera would give.
struct Sideways;

impl Batcher<Digit, Batch> for Sideways {
    fn batch(&self, digits: Vec<Digit>, device: &Device) -> Batch {
        Batch::new(&digits, Mounting::Sideways, device)
    }
}

fn loader(digits: &[Digit], batch_size: usize, device: &Device) -> Arc<dyn DataLoader<Batch>> {
    DataLoaderBuilder::new(Sideways)
        .batch_size(batch_size)
        .shuffle(0)
        .set_device(device.clone())
        .build(InMemDataset::new(digits.to_vec()))
}

// ANCHOR: adapter
/// Saves the adapter alone, loads it onto a fresh pretrained model, and folds it into that model's
/// weights. Returns the adapted and the merged model.
fn save_load_merge(
    trained: &Vit,
    file: &Path,
    device: &Device,
) -> Result<[Vit; 2], Box<dyn Error>> {
    trained.save_adapters(file)?;
    let loaded = pretrained(device)?.load_adapters(file)?;
    let merged = loaded.clone().merge_adapters()?;
    Ok([loaded, merged])
}
// ANCHOR_END: adapter

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let devices = options.device.iter().map(|name| device::device(name));
    let devices = devices.collect::<Result<Vec<_>, _>>()?;
    let device = &devices[0];
    let run = if options.resume {
        Run::newest(&options.out)?
    } else {
        Run::new(&options.out)?
    };
    let digits = Digits::load();
    let held_out = Batch::new(&digits.held_out, Mounting::Sideways, device);
    let before = pretrained(device)?.accuracy(&held_out);

    let trained = train(options, &digits, &devices, &run)?;
    let file = options.out.join("adapter.safetensors");
    let [loaded, merged] = save_load_merge(&trained, &file, device)?;

    println!("held-out accuracy, sideways: {before:.1} % before adaptation");
    let expected = trained.forward(held_out.images.clone());
    for (name, model) in [("trained", trained), ("loaded", loaded), ("merged", merged)] {
        let accuracy = model.accuracy(&held_out);
        let difference = model.forward(held_out.images.clone()) - expected.clone();
        let largest = difference.abs().max().into_scalar::<f32>();
        println!("{name}: {accuracy:.1} %, logits differ by at most {largest:.0e}");
    }
    println!("the adapter is in {}", file.display());
    Ok(())
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
