//! The state of a training between two updates, in a folder that is there as a whole or not at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::files;
use crate::targets;
use crate::task::Score;

/// Everything but tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State<S> {
    /// Updates made.
    pub(crate) step: usize,
    /// Epochs finished, their validation included.
    pub(crate) epoch: usize,
    /// Updates made in the epoch that runs.
    pub(crate) update: usize,
    /// Sum of the losses of those.
    pub(crate) loss_sum: f64,
    /// The epoch with the best validation.
    pub(crate) best: Option<Best<S>>,
    /// Whether early stopping has ended the training.
    pub(crate) stopped: bool,
    /// Time spent in updates.
    pub(crate) seconds: f64,
    /// The most bytes in use during updates.
    #[serde(default)]
    pub(crate) peak: Option<u64>,
}

/// The epoch whose state was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best<S> {
    /// Its number, from 0.
    pub epoch: usize,
    /// What its validation gave.
    pub validation: S,
}

impl<S> State<S> {
    pub(crate) fn start() -> Self {
        Self {
            step: 0,
            epoch: 0,
            update: 0,
            loss_sum: 0.0,
            best: None,
            stopped: false,
            seconds: 0.0,
            peak: None,
        }
    }
}

/// What a checkpoint is made with: resuming with anything else would not give the uninterrupted
/// run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The application's settings by name.
    config: Map<String, Value>,
    /// SHA-256 of the data files.
    data: Vec<String>,
    /// SHA-256 of the pretrained weights.
    #[serde(default)]
    weights: String,
    /// The pretrained model as the user calls it, for messages.
    #[serde(skip)]
    model: String,
    /// Settings that another run may have otherwise.
    #[serde(skip)]
    free: &'static [&'static str],
}

impl Origin {
    /// The settings, which are a struct with named fields, and the [`digest`](files::digest)s of
    /// the data and of the pretrained weights. `model` is what messages call the latter.
    ///
    /// # Panics
    ///
    /// If the settings are no struct with named fields.
    pub fn new(config: &impl Serialize, data: Vec<String>, model: &str, weights: String) -> Self {
        let Ok(Value::Object(config)) = serde_json::to_value(config) else {
            panic!("settings are a struct with named fields");
        };
        Self {
            config,
            data,
            weights,
            model: model.into(),
            free: &[],
        }
    }

    /// Names settings that may change between a checkpoint and its resumption, such as the device
    /// and the places of files, whose content the digests tell.
    #[must_use]
    pub fn with_free(self, names: &'static [&'static str]) -> Self {
        Self {
            free: names,
            ..self
        }
    }
}

#[derive(Serialize, Deserialize)]
struct File<S> {
    version: u32,
    state: State<S>,
    origin: Origin,
}

const VERSION: u32 = 3;
const PREFIX: &str = "checkpoint-";

/// The tensors and the state.
pub(crate) struct Checkpoint<S> {
    pub(crate) state: State<S>,
    pub(crate) model: ModuleRecord,
    pub(crate) optimizer: OptimizerRecord,
    pub(crate) best: Option<ModuleRecord>,
}

/// Writes the next checkpoint of a run's folder, then removes those before.
pub(crate) fn save<M: Module, S: Score>(
    out: &Path,
    state: &State<S>,
    origin: &Origin,
    model: &M,
    optimizer: &ModuleOptimizer,
    best: Option<&ModuleRecord>,
) -> Result<PathBuf, Error> {
    let older = numbered(out)?;
    let next = older.last().map_or(1, |(number, _)| number + 1);
    let partial = out.join(format!(".{PREFIX}{next}.partial"));
    if partial.exists() {
        remove(&partial)?;
    }
    files::make_folder(&partial)?;
    let failed = |error: RecordError| Error::run(&partial, error.to_string());
    let trained = targets::trained(model);
    let model = model.clone().into_record_group(trained);
    model.save(partial.join("model.bpk")).map_err(failed)?;
    let optimizer = optimizer.to_record();
    optimizer
        .save(partial.join("optimizer.bpk"))
        .map_err(failed)?;
    if let Some(best) = best {
        let best = best.clone();
        best.save(partial.join("best.bpk")).map_err(failed)?;
    }
    let file = File {
        version: VERSION,
        state: state.clone(),
        origin: origin.clone(),
    };
    files::write_json(&partial.join("state.json"), &file)?;
    let folder = out.join(format!("{PREFIX}{next}"));
    std::fs::rename(&partial, &folder).map_err(Error::io("renaming", &partial))?;
    for (_, folder) in older {
        remove(&folder)?;
    }
    Ok(folder)
}

/// The latest checkpoint of a run's folder.
pub(crate) fn load<S: Score>(out: &Path, origin: &Origin) -> Result<Checkpoint<S>, Error> {
    let Some((_, folder)) = numbered(out)?.pop() else {
        return Err(Error::run(
            out,
            "asked to resume, and there is no checkpoint; start without --resume",
        ));
    };
    let path = folder.join("state.json");
    let file: File<S> = files::read_json(&path)?;
    if file.version != VERSION {
        return Err(Error::run(
            path,
            format!(
                "it has version {}, and this program reads {VERSION}; start the run again in \
                 another folder",
                file.version
            ),
        ));
    }
    refuse_other_origin(&file.origin, origin, &folder)?;
    let damaged = |name: &str| {
        let path = folder.join(name);
        move |error: RecordError| {
            Error::run(
                path,
                format!("{error}; start the run again in another folder"),
            )
        }
    };
    let module = |name: &str| {
        let record = ModuleRecord::from_bytes(read(&folder.join(name))?);
        record.map_err(damaged(name))
    };
    let best = if file.state.best.is_some() {
        Some(module("best.bpk")?)
    } else {
        None
    };
    let optimizer = OptimizerRecord::from_bytes(read(&folder.join("optimizer.bpk"))?);
    Ok(Checkpoint {
        state: file.state,
        model: module("model.bpk")?,
        optimizer: optimizer.map_err(damaged("optimizer.bpk"))?,
        best,
    })
}

/// The whole file: a record loaded from a path reads its tensors when they are used, and this
/// folder goes with the next save.
fn read(path: &Path) -> Result<Bytes, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    Ok(Bytes::from_bytes_vec(bytes))
}

/// The [shards](crate::Course::shards) that the latest checkpoint of a run's folder was made with, if there is one that can be
/// read: a run goes on with as many, whatever the machine's number of threads.
pub fn resumed_shards(out: &Path) -> Option<usize> {
    let (_, folder) = numbered(out).ok()?.pop()?;
    let state: Value = files::read_json(&folder.join("state.json")).ok()?;
    let shards = &state["origin"]["config"]["shards"];
    Some(shards.as_u64().map_or(1, |shards| shards as usize))
}

/// Whether the folder has a checkpoint.
pub(crate) fn exists(out: &Path) -> Result<bool, Error> {
    Ok(!numbered(out)?.is_empty())
}

/// The latest checkpoint, if any.
pub(crate) fn latest(out: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(numbered(out)?.pop().map(|(_, folder)| folder))
}

/// Removes all checkpoints of a finished run.
pub(crate) fn clear(out: &Path) -> Result<(), Error> {
    for (_, folder) in numbered(out)? {
        remove(&folder)?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), Error> {
    std::fs::remove_dir_all(folder).map_err(Error::io("removing", folder))
}

/// Checkpoints by rising number.
fn numbered(out: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let entries = std::fs::read_dir(out).map_err(Error::io("listing", out))?;
    let number = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let number = name.strip_prefix(PREFIX)?.parse().ok()?;
        Some((number, path))
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| number(entry.ok()?.path()))
        .collect();
    found.sort();
    Ok(found)
}

/// Names the first setting that differs.
fn refuse_other_origin(found: &Origin, asked: &Origin, folder: &Path) -> Result<(), Error> {
    let (old, new) = (&found.config, &asked.config);
    let fixed = |name: &&String| !asked.free.contains(&name.as_str());
    // In one order, whatever map serde_json was built with.
    // Of both: a setting that is as in runs that did not have it may be written in one of them alone.
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).filter(fixed).collect();
    for name in names {
        if old.get(name) != new.get(name) {
            let value =
                |of: &Map<String, Value>| of.get(name).map_or("nothing".into(), Value::to_string);
            return Err(Error::run(
                folder,
                format!(
                    "it was made with `{name}` {}, and asked is {}; resume with the same settings, \
                     or start in another folder",
                    value(old),
                    value(new)
                ),
            ));
        }
    }
    if found.weights != asked.weights {
        return Err(Error::run(
            folder,
            format!(
                "it was made from other pretrained weights than those of `{}`; name the same \
                 model, or start in another folder",
                asked.model
            ),
        ));
    }
    if found.data != asked.data {
        return Err(Error::run(
            folder,
            "the data files have changed since it was made; restore them, or start in another \
             folder",
        ));
    }
    Ok(())
}
