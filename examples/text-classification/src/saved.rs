//! What a run leaves: the trained parameters, and what is needed to use them.

use std::path::{Path, PathBuf};

use burn_goft_finetune::files::{self, digest};
use burn_goft_finetune::{ADAPTER, Attachment, Error, Method, SETTINGS, read_settings};
use serde::{Deserialize, Serialize};

use crate::classifier::Classifier;
use crate::data::Task;
use crate::training::BODY;

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
        let saved: Self = read_settings(folder)?;
        match saved.version {
            VERSION => Ok(saved),
            other => Err(Error::run(
                folder.join(SETTINGS),
                format!("it has version {other}, and this program reads {VERSION}"),
            )),
        }
    }

    /// Writes the trained parameters, then the settings. Returns the size of the former.
    pub(crate) fn write(self, folder: &Path, model: &Classifier) -> Result<u64, Error> {
        let path = folder.join(ADAPTER);
        Method::named(&self.method)?.save(model, &path)?;
        let saved = Self {
            adapter: digest(&path)?,
            ..self
        };
        files::write_json(&folder.join(SETTINGS), &saved)?;
        let about = std::fs::metadata(&path).map_err(Error::io("reading", &path))?;
        Ok(about.len())
    }

    /// Puts the trained parameters on a pretrained encoder under a head of the right width; with
    /// `any_base` whatever its weights are.
    pub(crate) fn load(
        &self,
        folder: &Path,
        model: Classifier,
        any_base: bool,
    ) -> Result<Classifier, Error> {
        let path = folder.join(ADAPTER);
        let method = Method::named(&self.method)?;
        if digest(&path)? != self.adapter {
            return Err(Error::run(
                path,
                "it is not the file that settings.json was written for: damaged, or of another run; restore it from a copy, or train again",
            ));
        }
        let attachment = Attachment {
            paths: self.targets.clone(),
            rank: self.rank,
            seed: 0,
        };
        if any_base {
            method.load_on_any_base(model, &BODY, &attachment, &path)
        } else {
            method.load(model, &BODY, &attachment, &path)
        }
    }
}
