//! The log of a run: a JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files;
use crate::progress::Cost;
use crate::task::Score;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line<S> {
    Step {
        step: usize,
        epoch: usize,
        loss: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accuracy: Option<f64>,
        gradient_norm: f64,
        learning_rate: f64,
        head_learning_rate: f64,
        cost: Cost,
    },
    Epoch {
        step: usize,
        epoch: usize,
        /// Mean loss of the epoch's updates.
        training_loss: f64,
        validation: S,
        best: bool,
    },
}

impl<S> Line<S> {
    fn step(&self) -> usize {
        match self {
            Self::Step { step, .. } | Self::Epoch { step, .. } => *step,
        }
    }
}

pub(crate) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    pub(crate) const NAME: &str = "log.jsonl";

    /// Continues the log of a folder with what comes after an epoch and a step: lines of a later
    /// state, from which the run did not go on, are taken out.
    pub(crate) fn open<S: Score>(folder: &Path, epoch: usize, step: usize) -> Result<Self, Error> {
        let path = folder.join(Self::NAME);
        if path.exists() {
            let old = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
            let happened = |text: &&str| match serde_json::from_str::<Line<S>>(text) {
                Ok(Line::Epoch { epoch: of, .. }) => of < epoch,
                Ok(line) => line.step() <= step,
                // The end of a line that was being written.
                Err(_) => false,
            };
            let kept = old.lines().filter(happened).map(|line| format!("{line}\n"));
            files::write(&path, kept.collect::<String>().as_bytes())?;
        }
        let open = OpenOptions::new().create(true).append(true).open(&path);
        let file = open.map_err(Error::io("writing", &path))?;
        Ok(Self { path, file })
    }

    pub(crate) fn write<S: Score>(&mut self, line: &Line<S>) -> Result<(), Error> {
        let json = serde_json::to_string(line).expect("plain data");
        writeln!(self.file, "{json}").map_err(Error::io("writing", &self.path))
    }
}
