//! A whole run: data and model in, adapter and metrics out.

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::adapter::{self, Saved};
use crate::checkpoint::{self, Origin};
use crate::classifier::Classifier;
use crate::data::Examples;
use crate::device::device;
use crate::encoded::{Encoded, about_truncation};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::files::{self, FolderLock};
use crate::folder::ModelFiles;
use crate::memory::Heap;
use crate::methods::{Attachment, Method};
use crate::metrics::Metrics;
use crate::parameters;
use crate::predict::Predictor;
use crate::progress::Progress;
use crate::settings::RunConfig;
use crate::split::{Data, digest};
use crate::task::Task;
use crate::train::{Setting, Training};
use crate::understood;

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
    /// Numbers that were trained, the head's included.
    pub trainable_parameters: usize,
    /// All numbers of the model, adapters included.
    pub total_parameters: usize,
    /// Size of the adapter's file.
    pub adapter_bytes: u64,
    /// Mean time of an update, without validation.
    pub seconds_per_step: f64,
    /// The most bytes of the process's heap that were in use at a time during updates, less those in use before the run: model, data,
    /// gradients, optimizer, activations. None in a program whose global allocator is not `peak_alloc::PeakAlloc`.
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
/// `on_progress` hears of every update; when it breaks, the state is saved and the run ends with [`Error::Interrupted`].
///
/// # Errors
///
/// All of [`Error`]: settings, files and data before anything is trained; [`Error::NotFinite`] and [`Error::Interrupted`]
/// during training, with the state saved.
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
    let rates = config.rates(method)?;
    let plain = device(&config.device).map_err(Error::Settings)?;
    let data = Data::read(config)?;
    // A class may be among the examples held out only; mean and deviation are of what is learned from.
    let task = match config.regression {
        true => Task::of(&data.training, true)?,
        false => Task::of(&data.all, false)?,
    };
    // Found before anything is made: a folder for nothing would stay.
    let files = ModelFiles::find(&config.model)?;
    let _lock = open_folder(config)?;

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
    for note in understood::sentences(&data.all, &task) {
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
        paths: method.targets(&fresh, &config.targets)?,
        rank: config.rank,
        seed: config.seed,
    };
    let model = method.attach(fresh, &attachment)?;
    let (trainable, total) = count(&model);
    let setting = Setting {
        config,
        origin: Origin {
            config: config.clone(),
            data: data.digests.clone(),
            weights: weights.clone(),
        },
        rates,
        task: &task,
        training: &training,
        validation: &validation,
        device: plain.clone(),
        heap,
    };
    let mut process = Training::new(setting, model);
    if config.resume {
        process = process.resume()?;
    }
    let _ = on_progress(&Progress::Started {
        step: process.state.step,
        steps: process.steps(),
        examples: training.tokens.len(),
        trainable,
        total,
    });
    let finished = process.run(on_progress)?;

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
    files::write_json(&config.out.join(METRICS), &outcome)?;
    checkpoint::clear(&config.out)?;
    let predictor = Predictor {
        model,
        tokenizer: pretrained.tokenizer,
        pairs: data.all.are_pairs(),
        task,
        device: plain,
    };
    Ok(Trained { outcome, predictor })
}

/// The final numbers of a run.
const METRICS: &str = "metrics.json";

/// The folder, kept from other processes as long as the value lives.
fn open_folder(config: &RunConfig) -> Result<FolderLock, Error> {
    let out = &config.out;
    files::make_folder(out)?;
    let same = |path: &Path| std::fs::canonicalize(path).ok();
    if same(out) == same(Path::new(&config.model)) {
        return Err(Error::run(
            out,
            "it is the folder of the pretrained model; name another one for what the run leaves",
        ));
    }
    let lock = FolderLock::take(out)?;
    if out.join(METRICS).exists() {
        return Err(Error::run(
            out,
            "it holds a finished run; name another folder",
        ));
    }
    let unfinished = checkpoint::exists(out)?;
    // A run that was killed at its very end has both.
    if adapter::exists(out) && !(config.resume && unfinished) {
        return Err(Error::run(out, "it holds an adapter; name another folder"));
    }
    match (config.resume, unfinished) {
        (false, true) => Err(Error::run(
            out,
            "it holds a run that has not finished; go on with --resume, or name another folder",
        )),
        _ => Ok(lock),
    }
}

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

fn count(model: &Classifier) -> (usize, usize) {
    let parameters = parameters::list(model);
    let trained = parameters.iter().filter(|p| p.trained).map(|p| p.count);
    let all = parameters.iter().map(|p| p.count);
    (trained.sum(), all.sum())
}
