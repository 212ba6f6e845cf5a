//! What a run leaves: the trained parameters, and what is needed to use them.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn_goft::GoftModule;
use serde::{Deserialize, Serialize};

use crate::classifier::Classifier;
use crate::error::Error;
use crate::files;
use crate::methods::{Attachment, FileKind, Method};
use crate::parameters;
use crate::split::digest;
use crate::task::Task;

/// `settings.json` beside the adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    version: u32,
    /// Folder or name of the pretrained model.
    pub(crate) model: String,
    /// SHA-256 of its weights.
    #[serde(default)]
    pub(crate) weights: String,
    pub(crate) method: String,
    /// Paths of the parameters the method was applied to.
    targets: Vec<String>,
    rank: usize,
    pub(crate) task: Task,
    pub(crate) pairs: bool,
    pub(crate) max_length: usize,
    /// SHA-256 of the trained parameters' file.
    #[serde(default)]
    adapter: String,
}

const VERSION: u32 = 2;
const SETTINGS: &str = "settings.json";
/// The trained parameters.
pub(crate) const ADAPTER: &str = "adapter.safetensors";

impl Saved {
    pub(crate) fn new(
        model: &str,
        weights: String,
        method: &Method,
        attachment: &Attachment,
        task: &Task,
        pairs: bool,
        max_length: usize,
    ) -> Self {
        let absolute = |path: PathBuf| path.to_str().map(str::to_string);
        // A relative folder would mean another one elsewhere; a name on the hub stays.
        let folder = std::fs::canonicalize(model).ok().and_then(absolute);
        Self {
            version: VERSION,
            model: folder.unwrap_or_else(|| model.into()),
            weights,
            method: method.name.into(),
            targets: attachment.paths.clone(),
            rank: attachment.rank,
            task: task.clone(),
            pairs,
            max_length,
            adapter: String::new(),
        }
    }

    /// Reads the settings of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(SETTINGS);
        if !path.exists() {
            return Err(Error::run(
                folder,
                "there is no finished run here: settings.json is missing; name the --out of a training, and if that was \
                 interrupted, finish it with --resume",
            ));
        }
        let saved: Self = files::read_json(&path)?;
        match saved.version {
            VERSION => Ok(saved),
            other => Err(Error::run(
                path,
                format!("it has version {other}, and this program reads {VERSION}"),
            )),
        }
    }

    /// Writes the trained parameters, then the settings. Returns the size of the former.
    pub(crate) fn write(self, folder: &Path, model: &Classifier) -> Result<u64, Error> {
        let path = folder.join(ADAPTER);
        match Method::named(&self.method)?.file {
            FileKind::Goft => model.save_goft(&path)?,
            FileKind::Tensors => save_tensors(&path, model)?,
        }
        let saved = Self {
            adapter: digest(&path)?,
            ..self
        };
        files::write_json(&folder.join(SETTINGS), &saved)?;
        let about = std::fs::metadata(&path).map_err(Error::io("reading", &path))?;
        Ok(about.len())
    }

    /// Puts the trained parameters on a pretrained encoder under a head of the right width.
    pub(crate) fn load(&self, folder: &Path, model: Classifier) -> Result<Classifier, Error> {
        let path = folder.join(ADAPTER);
        let method = Method::named(&self.method)?;
        if digest(&path)? != self.adapter {
            return Err(Error::run(
                path,
                "it is not the file that settings.json was written for: damaged, or of another run; restore it from a copy, or train again",
            ));
        }
        match method.file {
            FileKind::Goft => Ok(model.load_goft(&path)?),
            FileKind::Tensors => {
                let attachment = Attachment {
                    paths: self.targets.clone(),
                    rank: self.rank,
                    seed: 0,
                };
                load_tensors(&path, method.attach(model, &attachment)?)
            }
        }
    }
}

fn trained_paths(model: &Classifier) -> Vec<String> {
    let trained = parameters::list(model).into_iter().filter(|p| p.trained);
    trained.map(|p| p.path).collect()
}

fn save_tensors(path: &Path, model: &Classifier) -> Result<(), Error> {
    if let Some(name) = parameters::first_not_finite(model) {
        return Err(Error::run(
            path,
            format!("not written: the parameter `{name}` holds numbers that are not finite"),
        ));
    }
    // Beside it first: what was there before stays until the new file is whole.
    let partial = path.with_file_name(".adapter.partial");
    let mut store = SafetensorsStore::from_file(&partial)
        .with_full_paths(trained_paths(model))
        .overwrite(true);
    let saved = model.valid().save_into(&mut store);
    saved.map_err(|error| Error::run(path, error.to_string()))?;
    std::fs::rename(&partial, path).map_err(Error::io("renaming", &partial))
}

/// Whether a folder holds what a run leaves.
pub(crate) fn exists(folder: &Path) -> bool {
    folder.join(ADAPTER).exists() || folder.join(SETTINGS).exists()
}

fn load_tensors(path: &Path, mut model: Classifier) -> Result<Classifier, Error> {
    // Whether a parameter is trained is known on a device with autodiff only.
    let trained = trained_paths(&model);
    let mut store = SafetensorsStore::from_file(path)
        .with_full_paths(&trained)
        .validate(false)
        .allow_partial(true);
    let loaded = model.load_from(&mut store);
    let loaded = loaded.map_err(|error| Error::run(path, error.to_string()))?;
    let wrong = |reason: String| {
        Err(Error::run(
            path,
            format!("{reason}; load it onto the model that it was trained on"),
        ))
    };
    if let Some(error) = loaded.errors.first() {
        return wrong(error.to_string());
    }
    // What was not trained is not in the file either.
    let mut missing = loaded.missing.iter().map(|(name, _)| name);
    if let Some(name) = missing.find(|name| trained.contains(name)) {
        return wrong(format!(
            "it has no `{name}`, which settings.json says was trained"
        ));
    }
    match loaded.unused.first() {
        Some(name) => wrong(format!("it has `{name}`, for which the model has no place")),
        None => Ok(model),
    }
}
