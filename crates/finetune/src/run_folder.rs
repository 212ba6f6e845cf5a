//! The folder of a run: what lies in it, and who may write to it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checkpoint;
use crate::error::Error;
use crate::files::{self, FolderLock};

/// The file of the trained parameters.
pub const ADAPTER: &str = "adapter.safetensors";
/// The file with what is needed to use them, which an application writes after them.
pub const SETTINGS: &str = "settings.json";
/// The file of the final numbers, which makes a run a finished one.
const METRICS: &str = "metrics.json";

/// What an application has written to [`SETTINGS`] in the folder of a run.
///
/// # Errors
///
/// [`Error::Run`] if no run has ended there, and for a file of another program; [`Error::Io`].
pub fn read_settings<T: DeserializeOwned>(run: &Path) -> Result<T, Error> {
    let path = run.join(SETTINGS);
    if !path.exists() {
        return Err(Error::run(
            run,
            "there is no finished run here: settings.json is missing; name the --out of a training, and if that was \
             interrupted, finish it with --resume",
        ));
    }
    files::read_json(&path)
}

/// The folder of a run, kept from other processes as long as the value lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: FolderLock,
}

impl RunFolder {
    /// Makes the folder, or goes on in it where `resume` says so.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if the folder is that of the pretrained model, is in use, or holds what
    /// would be written over; [`Error::Io`].
    pub fn open(path: &Path, model: &Path, resume: bool) -> Result<Self, Error> {
        files::make_folder(path)?;
        let refuse = |reason: &str| Err(Error::run(path, reason));
        let same = |path: &Path| std::fs::canonicalize(path).ok();
        if same(path) == same(model) {
            return refuse(
                "it is the folder of the pretrained model; name another one for what the run \
                 leaves",
            );
        }
        let lock = FolderLock::take(path)?;
        if path.join(METRICS).exists() {
            return refuse("it holds a finished run; name another folder");
        }
        let unfinished = checkpoint::exists(path)?;
        // A run that was killed at its very end has both.
        let holds = |name: &str| path.join(name).exists();
        if (holds(ADAPTER) || holds(SETTINGS)) && !(resume && unfinished) {
            return refuse("it holds an adapter; name another folder");
        }
        if unfinished && !resume {
            return refuse(
                "it holds a run that has not finished; go on with --resume, or name another folder",
            );
        }
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the final numbers and removes the checkpoints, which a finished run does not need.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn finish(self, metrics: &impl Serialize) -> Result<(), Error> {
        files::write_json(&self.path.join(METRICS), metrics)?;
        checkpoint::clear(&self.path)
    }
}
