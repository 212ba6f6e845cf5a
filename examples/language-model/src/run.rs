//! A whole run: data and model in, adapter and metrics out.

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use burn_goft::AdapterFile;
use burn_goft_finetune::{
    ADAPTER, Attachment, Error, Heap, Method, Origin, RunFolder, SETTINGS, Setting, Trainer, count,
    files, read_settings,
};
use serde::{Deserialize, Serialize};

use crate::batch::pack;
use crate::data::{Data, TextTokenizer, Trained};
use crate::device::device;
use crate::folder::{Base, Pretrained, find, weights_digest};
use crate::memory::{Estimate, size};
use crate::model::CausalLm;
use crate::rates;
use crate::settings::RunConfig;
use crate::targets::globs;
use crate::training::{BODY, Fit, Progress, Question, Texts, fit};

/// What a run has come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the method.
    pub method: String,
    /// On the held-out examples, before training.
    pub before: Fit,
    /// On the held-out examples, of the state that was kept.
    pub after: Fit,
    /// Updates made.
    pub steps: usize,
    /// Number of trainable parameters.
    pub trainable_parameters: usize,
    /// All numbers of the model, adapters included.
    pub total_parameters: usize,
    /// Size of the adapter's file.
    pub adapter_bytes: u64,
    /// Mean time of an update, without validation.
    pub seconds_per_step: f64,
    /// The most bytes of the process's heap that were in use at a time during updates.
    pub peak_memory_bytes: Option<u64>,
}

/// Trains by the settings, writes adapter, log and metrics to the folder, and returns the numbers.
///
/// # Errors
///
/// All of [`Error`]: settings, files and data before anything is trained; [`Error::NotFinite`] and
/// [`Error::Interrupted`] during training, with the state saved.
pub fn train(
    config: &RunConfig,
    on_progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Outcome, Error> {
    let heap = Heap::count();
    config.check()?;
    let method = method(&config.method)?;
    if method.is_none() && config.resume {
        return Err(Error::Settings(format!(
            "`{NONE}` trains nothing and has nothing to resume; leave --resume out, and name another folder if there is a run in it"
        )));
    }
    let plain = device(&config.device).map_err(Error::Settings)?;
    let model_folder = find(&config.model)?;
    let base = config.base;
    let pretrained = Pretrained::load_as(&model_folder, base, &plain.clone().autodiff())?;
    let max_length = config.max_length.min(pretrained.config.positions);
    let known = pretrained.config.vocabulary;
    let tokenizer = TextTokenizer::in_folder(&model_folder, pretrained.end(), known, max_length)?;
    let share = config.validation_share;
    let data = Data::read(
        &config.data,
        &tokenizer,
        share,
        config.seed,
        config.strict_data,
    )?;
    // Before anything is made: a folder for nothing would stay.
    let attached = match method {
        Some(method) => Some((method, attachment(&pretrained.model, &method, config)?)),
        None => None,
    };
    let folder = RunFolder::open(&config.out, &model_folder, config.resume)?;
    for note in &data.notes {
        say(on_progress, note.clone());
    }
    say(on_progress, shown(&tokenizer, &data.training[0]));

    let before = fit(&pretrained.model.valid(), &data.validation, &plain);
    let weights = weights_digest(&model_folder)?;
    let saved = Saved {
        weights: weights.clone(),
        config: config.clone(),
    };
    let Some((method, attachment)) = attached else {
        let (_, total) = count(&pretrained.model);
        files::write_json(&config.out.join(SETTINGS), &saved)?;
        let outcome = Outcome::untrained(before, total);
        folder.finish(&outcome)?;
        return Ok(outcome);
    };
    let model = method.attach(pretrained.model, &BODY, &attachment)?;
    let (trainable, total) = count(&model);
    let texts = Texts {
        training: rows(&data.training, config),
        validation: &data.validation,
        recompute: config.recompute,
        question: config.sample_every.map(|_| Question {
            tokenizer: &tokenizer,
            prompt: prompt_of(&data.validation[0]),
            ends: pretrained.ends.clone(),
        }),
        device: plain,
    };
    let course = config.course();
    let longest = burn_goft_finetune::Task::lengths(&texts).into_iter().max();
    let tokens = config.batch_size * longest.unwrap_or(0);
    let estimate = Estimate::new(&pretrained.config, config, tokens, trainable, total);
    say(on_progress, format!("memory: {estimate}"));
    if let Some(question) = &texts.question {
        let asked = tokenizer.show_all(&question.prompt);
        say(on_progress, format!("samples answer: {asked}"));
    }
    let name = config.model.display().to_string();
    let origin = Origin::new(config, data.digests.clone(), &name, weights);
    let setting = Setting {
        task: &texts,
        rates: config.rates(&method, course.steps(texts.training.len())),
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
    let path = config.out.join(ADAPTER);
    method.save(&finished.model, &path)?;
    let outcome = Outcome {
        method: method.name.into(),
        before,
        after: finished.best.validation,
        steps: finished.steps,
        trainable_parameters: trainable,
        total_parameters: total,
        adapter_bytes: std::fs::metadata(&path)
            .map_err(Error::io("reading", &path))?
            .len(),
        seconds_per_step: finished.seconds_per_step,
        peak_memory_bytes: finished.peak_memory_bytes,
    };
    files::write_json(&config.out.join(SETTINGS), &saved)?;
    if let Some(peak) = outcome.peak_memory_bytes {
        let peak = size(peak);
        say(
            on_progress,
            format!("memory: {peak} at the most during steps"),
        );
    }
    folder.finish(&outcome)?;
    Ok(outcome)
}

impl Outcome {
    /// Of a run that trains nothing.
    fn untrained(fit: Fit, total: usize) -> Self {
        Self {
            method: NONE.into(),
            before: fit.clone(),
            after: fit,
            steps: 0,
            trainable_parameters: 0,
            total_parameters: total,
            adapter_bytes: 0,
            seconds_per_step: 0.0,
            peak_memory_bytes: None,
        }
    }
}

/// What a run is called that measures the pretrained model and trains nothing.
pub const NONE: &str = "none";

/// The method of a name, none for [`NONE`].
fn method(name: &str) -> Result<Option<Method>, Error> {
    if name == NONE {
        return Ok(None);
    }
    let method = Method::named(name)?;
    match method.trains_heads_only() {
        false => Ok(Some(rates::of(method))),
        true => Err(Error::Settings(format!(
            "`{name}` trains a head that starts at random, and a language model has none; choose another method, or `{NONE}`"
        ))),
    }
}

/// Tells something; whether to go on is asked at updates.
fn say(on_progress: &mut dyn FnMut(&Progress) -> ControlFlow<()>, note: String) {
    let _ = on_progress(&Progress::Note(note));
}

/// Where a run happens and where its files are may change when it is resumed.
const FREE: [&str; 5] = ["out", "model", "data", "device", "resume"];

/// What a run leaves beside its adapter.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// SHA-256 of the weights that it was trained on.
    weights: String,
    config: RunConfig,
}

/// What the method is applied to: the layers, unless the settings name others.
pub(crate) fn attachment(
    model: &CausalLm,
    method: &Method,
    config: &RunConfig,
) -> Result<Attachment, Error> {
    let paths = method.targets(model, &BODY, &globs(&config.targets));
    let paths = match config.targets.as_slice() {
        [] => paths.map_err(|error| {
            Error::Settings(format!(
                "`{}` finds nothing to train in the layers of this model: {error}",
                method.name
            ))
        })?,
        _ => paths?,
    };
    Ok(Attachment {
        paths,
        rank: config.rank,
        seed: config.seed,
    })
}

/// The rows that are learned from: an example each, or as many as they have room for.
pub(crate) fn rows<'a>(examples: &'a [Trained], config: &RunConfig) -> Vec<Vec<&'a Trained>> {
    if !config.packing {
        return examples.iter().map(|example| vec![example]).collect();
    }
    let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
    let rows = pack(&lengths, config.max_length).into_iter();
    rows.map(|row| row.into_iter().map(|index| &examples[index]).collect())
        .collect()
}

/// What stands before the first token that is learned; the first token, where all is learned.
pub(crate) fn prompt_of(example: &Trained) -> Vec<u32> {
    let learned = example.learned.iter().position(|learned| *learned);
    example.ids[..learned.unwrap_or(1).max(1)].to_vec()
}

/// An example with what is learned of it between marks.
fn shown(tokenizer: &TextTokenizer, example: &Trained) -> String {
    let mut text = String::from("one of the examples; what stands between » and « is learned:\n");
    let pairs: Vec<_> = example.ids.iter().zip(&example.learned).collect();
    for part in pairs.chunk_by(|a, b| a.1 == b.1) {
        let ids: Vec<u32> = part.iter().map(|(id, _)| **id).collect();
        let words = tokenizer.show_all(&ids);
        match part[0].1 {
            true => text += &format!("»{words}«"),
            false => text += &words,
        }
    }
    text
}

/// What a run kept its frozen weights in.
///
/// # Errors
///
/// [`Error::Run`] and [`Error::Io`] for a folder that is no run.
pub fn base_of(run: &Path) -> Result<Base, Error> {
    let saved: Saved = read_settings(run)?;
    Ok(saved.config.base)
}

/// Refuses a run of the method [`NONE`].
pub(crate) fn refuse_untrained(run: &Path) -> Result<(), Error> {
    let saved: Saved = read_settings(run)?;
    match method(&saved.config.method)? {
        Some(_) => Ok(()),
        None => Err(Error::run(
            run,
            "it has trained nothing; the model's own folder is what a merge would give",
        )),
    }
}

/// A model, read from a folder, with what a run has trained.
///
/// # Errors
///
/// [`Error::Goft`] and [`Error::Run`] for a file that does not fit the model, or was trained on
/// other weights.
pub fn with_adapter(model: CausalLm, folder: &Path, run: &Path) -> Result<CausalLm, Error> {
    let saved: Saved = read_settings(run)?;
    let Some(method) = method(&saved.config.method)? else {
        return Ok(model);
    };
    let path = run.join(ADAPTER);
    // Files of adapters know their base by themselves, whatever its precision.
    let knows = AdapterFile::read(&path).is_ok();
    if !knows && weights_digest(folder)? != saved.weights {
        return Err(Error::run(
            run,
            format!(
                "it was trained on other weights than those in `{}`; name the model that it was trained on",
                folder.display()
            ),
        ));
    }
    let attachment = attachment(&model, &method, &saved.config)?;
    method.load(model, &BODY, &attachment, &path)
}
