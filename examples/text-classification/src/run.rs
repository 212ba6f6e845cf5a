//! A whole run: data and model in, adapter and metrics out.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::adapter::Saved;
use crate::checkpoint::{self, Origin};
use crate::classifier::Classifier;
use crate::data::Examples;
use crate::device::device;
use crate::encoded::{Encoded, about_truncation};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::files;
use crate::folder::ModelFiles;
use crate::memory;
use crate::methods::{Attachment, Method};
use crate::metrics::Metrics;
use crate::parameters;
use crate::predict::{Predictor, refuse_other_shape};
use crate::progress::Progress;
use crate::task::Task;
use crate::train::{self, Rates, Setting, Training};

/// The settings of a run. [`RunConfig::new`] has the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// Folder of the pretrained model, or its name on the Hugging Face hub.
    pub model: String,
    /// Labelled file to learn from.
    pub train: PathBuf,
    /// Labelled file for the final metrics.
    pub eval: PathBuf,
    /// Labelled file for early stopping; without one, a share of the training examples is held out.
    pub validation: Option<PathBuf>,
    /// That share.
    pub validation_share: f64,
    /// Folder for adapter, log, checkpoints and metrics.
    pub out: PathBuf,
    /// Name of the [`Method`].
    pub method: String,
    /// Globs on parameter paths; none means all that the method can be applied to.
    pub targets: Vec<String>,
    /// Labels are numbers.
    pub regression: bool,
    /// Decides the head, LoRA's factors, the held-out share and the order of the data.
    pub seed: u64,
    /// Texts in a batch.
    pub batch_size: usize,
    /// Batches in an update.
    pub accumulation: usize,
    /// Passes over the training data, fewer with early stopping.
    pub epochs: usize,
    /// Peak learning rate in the encoder; the method's where none is given.
    pub learning_rate: Option<f64>,
    /// Peak learning rate of the head; the method's where none is given.
    pub head_learning_rate: Option<f64>,
    /// Strength of the orthogonality penalty; the method's where none is given.
    pub penalty: Option<f64>,
    /// Rank of LoRA.
    pub rank: usize,
    /// Share of all updates over which the learning rate rises.
    pub warmup: f64,
    /// Longest text in tokens, if the model has so many positions; what is longer is cut.
    pub max_length: usize,
    /// Epochs without a better validation before training stops; none trains all epochs.
    pub patience: Option<usize>,
    /// Name of the device.
    pub device: String,
    /// Go on from the latest checkpoint in `out`.
    pub resume: bool,
}

impl RunConfig {
    /// The defaults, for a pretrained model, two data files, a folder and a method.
    pub fn new(
        model: impl Into<String>,
        train: impl Into<PathBuf>,
        eval: impl Into<PathBuf>,
        out: impl Into<PathBuf>,
        method: impl Into<String>,
    ) -> Self {
        Self {
            model: model.into(),
            train: train.into(),
            eval: eval.into(),
            validation: None,
            validation_share: 0.1,
            out: out.into(),
            method: method.into(),
            targets: Vec::new(),
            regression: false,
            seed: 0,
            batch_size: 16,
            accumulation: 1,
            epochs: 5,
            learning_rate: None,
            head_learning_rate: None,
            penalty: None,
            rank: 8,
            warmup: 0.1,
            max_length: 128,
            patience: Some(3),
            device: "flex".into(),
            resume: false,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Settings(what));
        for (name, number) in [
            ("batch size", self.batch_size),
            ("accumulation", self.accumulation),
            ("number of epochs", self.epochs),
            ("rank", self.rank),
        ] {
            if number == 0 {
                return refuse(format!("the {name} is 0; it has to be at least 1"));
            }
        }
        if self.patience == Some(0) {
            return refuse("the patience is 0; it has to be at least 1, or none".into());
        }
        for (name, rate) in [
            ("learning rate", self.learning_rate),
            ("head's learning rate", self.head_learning_rate),
            ("penalty", self.penalty),
        ] {
            if rate.is_some_and(|rate| !rate.is_finite() || rate < 0.0) {
                return refuse(format!(
                    "the {name} is {}; it has to be a number that is not negative",
                    rate.expect("just seen")
                ));
            }
        }
        if !(0.0..1.0).contains(&self.warmup) {
            return refuse(format!(
                "the warm-up is {} of the updates; it has to be at least 0 and below 1",
                self.warmup
            ));
        }
        if !(self.validation_share > 0.0 && self.validation_share < 1.0) {
            return refuse(format!(
                "the share for validation is {}; it has to be between 0 and 1",
                self.validation_share
            ));
        }
        Ok(())
    }

    fn rates(&self, method: &Method) -> Result<Rates, Error> {
        if self.penalty.is_some() && method.penalty.is_none() {
            return Err(Error::Settings(format!(
                "`{}` has no orthogonality penalty; leave out the strength",
                method.name
            )));
        }
        Ok(Rates {
            encoder: self.learning_rate.unwrap_or(method.learning_rate),
            head: self.head_learning_rate.unwrap_or(method.head_learning_rate),
            penalty: self.penalty.or(method.penalty),
        })
    }
}

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
    /// Peak resident memory of the process so far, where the system says so.
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

/// As [`run`], and returns the model as well.
///
/// # Errors
///
/// As [`run`].
pub fn train(
    config: &RunConfig,
    on_progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, Error> {
    config.check()?;
    let method = Method::named(&config.method)?;
    let rates = config.rates(method)?;
    let plain = device(&config.device).map_err(Error::Settings)?;
    let data = Data::read(config)?;
    let task = Task::of(&data.all, config.regression)?;
    open_folder(config)?;

    let training_device = plain.clone().autodiff();
    let pretrained = ModelFiles::find(&config.model)?.load(config.max_length, &training_device)?;
    let tokenizer = &pretrained.tokenizer;
    let encode = |examples: &Examples| Encoded::new(examples, &task, tokenizer);
    let (training, validation) = (encode(&data.training)?, encode(&data.validation)?);
    let test = encode(&data.test)?;
    let max_length = tokenizer.max_length();
    let shorter = (max_length < config.max_length).then(|| {
        format!(
            "the model has {max_length} positions: texts are cut there, not at {} tokens",
            config.max_length
        )
    });
    let cut =
        [&training, &validation, &test].map(|part| about_truncation(&part.tokens, max_length));
    for note in std::iter::once(shorter).chain(cut).flatten() {
        // Whether to go on is asked at updates.
        let _ = on_progress(&Progress::Note(note));
    }
    if pretrained.config.types < 2 && data.all.are_pairs() {
        return Err(Error::data(
            &config.train,
            "it holds pairs, and the model has one token type: it was made for single texts",
        ));
    }

    let fresh = fresh_model(&pretrained, &task, config, &training_device);
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
        },
        rates,
        task: &task,
        training: &training,
        validation: &validation,
        device: plain.clone(),
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
    let (model, state) = process.run(on_progress)?;

    let saved = Saved::new(
        &config.model,
        method,
        &attachment,
        &task,
        data.all.are_pairs(),
        max_length,
    );
    let adapter_bytes = saved.write(&config.out, &model)?;
    let model = model.valid();
    let best = state.best.expect("an epoch has been validated");
    let outcome = Outcome {
        method: method.name.into(),
        validation: best.validation,
        test: evaluate(&model, &task, &test, &plain),
        best_epoch: best.epoch,
        steps: state.step,
        trainable_parameters: trainable,
        total_parameters: total,
        adapter_bytes,
        seconds_per_step: state.seconds / state.step as f64,
        peak_memory_bytes: memory::peak(),
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

fn open_folder(config: &RunConfig) -> Result<(), Error> {
    let out = &config.out;
    files::make_folder(out)?;
    if out.join(METRICS).exists() {
        return Err(Error::run(
            out,
            "it holds a finished run; name another folder",
        ));
    }
    match (config.resume, train::is_used(out)?) {
        (false, true) => Err(Error::run(
            out,
            "it holds a run that has not finished; go on with --resume, or name another folder",
        )),
        _ => Ok(()),
    }
}

fn fresh_model(
    pretrained: &crate::folder::Pretrained,
    task: &Task,
    config: &RunConfig,
    device: &Device,
) -> Classifier {
    let bert = pretrained.bert.clone();
    let (hidden, outputs) = (pretrained.config.hidden, task.outputs());
    Classifier::new(bert, hidden, outputs, config.seed, device)
}

fn count(model: &Classifier) -> (usize, usize) {
    let parameters = parameters::list(model);
    let trained = parameters.iter().filter(|p| p.trained).map(|p| p.count);
    let all = parameters.iter().map(|p| p.count);
    (trained.sum(), all.sum())
}

/// The data files, split.
struct Data {
    /// The training file as it is.
    all: Examples,
    training: Examples,
    validation: Examples,
    test: Examples,
    digests: Vec<String>,
}

impl Data {
    fn read(config: &RunConfig) -> Result<Self, Error> {
        let all = Examples::read(&config.train)?;
        let test = Examples::read(&config.eval)?;
        refuse_other_shape(&test, all.are_pairs())?;
        let mut paths = vec![&config.train, &config.eval];
        let (training, validation) = match &config.validation {
            Some(path) => {
                paths.push(path);
                let validation = Examples::read(path)?;
                refuse_other_shape(&validation, all.are_pairs())?;
                (all.clone(), validation)
            }
            None => hold_out(&all, config.validation_share, config.seed)?,
        };
        let digests = paths.into_iter().map(|path| digest(path));
        Ok(Self {
            digests: digests.collect::<Result<_, _>>()?,
            all,
            training,
            validation,
            test,
        })
    }
}

/// A random share of the examples, at least one, and the rest, at least one.
fn hold_out(all: &Examples, share: f64, seed: u64) -> Result<(Examples, Examples), Error> {
    let count = all.rows.len();
    if count < 2 {
        return Err(Error::data(
            &all.path,
            "it has one example, and one has to be held out for validation; add examples, or name a file for validation",
        ));
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let held = ((share * count as f64).round() as usize).clamp(1, count - 1);
    let part = |chosen: &[usize]| {
        let mut chosen = chosen.to_vec();
        chosen.sort_unstable();
        Examples {
            path: all.path.clone(),
            rows: chosen.into_iter().map(|i| all.rows[i].clone()).collect(),
        }
    };
    Ok((part(&order[held..]), part(&order[..held])))
}

fn digest(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    let hash = Sha256::digest(bytes);
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}
