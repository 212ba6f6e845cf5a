//! A whole run: data and model in, adapter and metrics out.

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use burn_goft_finetune::files::digest;
use burn_goft_finetune::{
    Attachment, Error, Heap, Method, Origin, RunFolder, Setting, Trainer, count,
};
use serde::{Deserialize, Serialize};

use crate::classifier::Classifier;
use crate::data::{Data, Encoded, Examples, Task, about_truncation, sentences};
use crate::device::device;
use crate::encoder::ModelFiles;
use crate::evaluate::evaluate;
use crate::metrics::Metrics;
use crate::predict::Predictor;
use crate::saved::Saved;
use crate::settings::RunConfig;
use crate::training::{BODY, Labeled, Progress};

/// What a run has come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the method.
    pub method: String,
    /// Of the best epoch, which is the one that was kept.
    pub validation: Metrics,
    /// On `eval`.
    pub test: Metrics,
    /// The best epoch, from 0.
    pub best_epoch: usize,
    /// Updates made.
    pub steps: usize,
    /// Number of trainable parameters, the head's included.
    pub trainable_parameters: usize,
    /// All numbers of the model, adapters included.
    pub total_parameters: usize,
    /// Size of the adapter's file.
    pub adapter_bytes: u64,
    /// Mean time of an update, without validation.
    pub seconds_per_step: f64,
    /// The most bytes of the process's heap that were in use at a time during updates, less those
    /// in use before the run: model, data, gradients, optimizer, activations. None in a program
    /// whose global allocator is not `peak_alloc::PeakAlloc`.
    pub peak_memory_bytes: Option<u64>,
}

/// A finished run with its model.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The numbers.
    pub outcome: Outcome,
    /// The model of the best epoch.
    pub predictor: Predictor,
}

/// Trains by the settings, writes adapter, log and metrics to the folder, and returns the numbers.
///
/// `on_progress` hears of every update; when it breaks, the state is saved and the run ends with
/// [`Error::Interrupted`].
///
/// # Errors
///
/// All of [`Error`]: settings, files and data before anything is trained; [`Error::NotFinite`] and
/// [`Error::Interrupted`] during training, with the state saved.
pub fn run(
    config: &RunConfig,
    on_progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Outcome, Error> {
    Ok(train(config, on_progress)?.outcome)
}

/// As [`run`], and returns the model as well, to embed or label texts with it.
///
/// # Errors
///
/// As [`run`].
pub fn train(
    config: &RunConfig,
    on_progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, Error> {
    let heap = Heap::count();
    config.check()?;
    let method = Method::named(&config.method)?;
    config.check_rates(method)?;
    let plain = device(&config.device).map_err(Error::Settings)?;
    let data = Data::read(config)?;
    // A class may be among the examples held out only; mean and deviation are of what is learned
    // from.
    let task = match config.regression {
        true => Task::of(&data.training, true)?,
        false => Task::of(&data.all, false)?,
    };
    // Found before anything is made: a folder for nothing would stay.
    let files = ModelFiles::find(&config.model)?;
    let folder = RunFolder::open(&config.out, Path::new(&config.model), config.resume)?;

    let training_device = plain.clone().autodiff();
    let weights = digest(files.weights())?;
    let pretrained = files.load(config.max_length, &training_device)?;
    if !pretrained.config.takes_pairs() && data.all.are_pairs() {
        return Err(Error::data(
            &config.train,
            "it holds pairs, and the model has one token type: it was made for single texts",
        ));
    }
    let tokenizer = &pretrained.tokenizer;
    let encode = |examples: &Examples| Encoded::new(examples, &task, tokenizer);
    let (training, validation) = (encode(&data.training)?, encode(&data.validation)?);
    let test = encode(&data.test)?;
    let max_length = tokenizer.max_length();
    for note in sentences(&data.all, &task) {
        let _ = on_progress(&Progress::Note(note));
    }
    for note in about_lengths([&training, &validation, &test], max_length, config) {
        // Whether to go on is asked at updates.
        let _ = on_progress(&Progress::Note(note));
    }

    let hidden = pretrained.config.hidden;
    let fresh = Classifier::new(
        pretrained.bert,
        hidden,
        task.outputs(),
        config.seed,
        &training_device,
    );
    let attachment = Attachment {
        paths: method.targets(&fresh, &BODY, &config.targets)?,
        rank: config.rank,
        seed: config.seed,
    };
    let model = method.attach(fresh, &BODY, &attachment)?;
    let (trainable, total) = count(&model);
    let labeled = Labeled {
        task: &task,
        training: &training,
        validation: &validation,
        device: plain.clone(),
    };
    let course = config.course();
    let origin = Origin::new(config, data.digests.clone(), &config.model, weights.clone());
    let setting = Setting {
        task: &labeled,
        rates: config.rates(method, course.steps(training.tokens.len())),
        course,
        out: folder.path(),
        origin: origin.with_free(&FREE),
        heap,
    };
    let mut trainer = Trainer::new(setting, model);
    if config.resume {
        trainer = trainer.resume()?;
    }
    let finished = trainer.run(on_progress)?;

    let saved = Saved::new(
        &config.model,
        weights,
        method,
        &attachment,
        &task,
        data.all.are_pairs(),
        max_length,
    );
    let adapter_bytes = saved.write(&config.out, &finished.model)?;
    let model = finished.model.valid();
    let outcome = Outcome {
        method: method.name.into(),
        validation: finished.best.validation,
        test: evaluate(&model, &task, &test, &plain),
        best_epoch: finished.best.epoch,
        steps: finished.steps,
        trainable_parameters: trainable,
        total_parameters: total,
        adapter_bytes,
        seconds_per_step: finished.seconds_per_step,
        peak_memory_bytes: finished.peak_memory_bytes,
    };
    folder.finish(&outcome)?;
    let predictor = Predictor {
        model,
        tokenizer: pretrained.tokenizer,
        pairs: data.all.are_pairs(),
        task,
        device: plain,
    };
    Ok(Trained { outcome, predictor })
}

/// Where a run happens and where its files are may change when it is resumed: what the files hold
/// is looked at by itself.
const FREE: [&str; 7] = [
    "out",
    "model",
    "train",
    "eval",
    "validation",
    "device",
    "resume",
];

/// Sentences about texts that are cut, and about a limit that is the model's.
fn about_lengths(parts: [&Encoded; 3], max_length: usize, config: &RunConfig) -> Vec<String> {
    let shorter = (max_length < config.max_length).then(|| {
        format!(
            "the model has {max_length} positions: texts are cut there, not at {} tokens",
            config.max_length
        )
    });
    let cut = parts.map(|part| about_truncation(&part.tokens, max_length));
    std::iter::once(shorter).chain(cut).flatten().collect()
}
