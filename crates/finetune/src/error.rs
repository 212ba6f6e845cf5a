//! One error: what was asked, what was found, what to do.

use std::path::{Path, PathBuf};

/// Everything that can go wrong in an application that fine-tunes: settings, models, data, the
/// training itself and the files that it leaves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused.
    #[error("{action} `{}`: {source}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },

    /// A model's file is missing, damaged, or of a kind that is not read.
    #[error("`{}`: {reason}", .path.display())]
    Model {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what is needed.
        reason: String,
    },

    /// A tensor of the weights is missing or does not fit the model's settings.
    #[error("`{}`: tensor `{tensor}` {reason}", .path.display())]
    Tensor {
        /// The weights.
        path: PathBuf,
        /// The tensor as the file spells it.
        tensor: String,
        /// What was asked and what was found.
        reason: String,
    },

    /// The Hugging Face hub did not give a file.
    #[error(
        "there is no folder `{model}`, and the Hugging Face hub did not give `{file}` of a model \
         of that name: {reason}; without a network, copy the model's config.json, \
         model.safetensors and tokenizer.json (or vocab.txt) into a folder and name the folder as \
         the model"
    )]
    Hub {
        /// Name on the hub.
        model: String,
        /// The file asked for.
        file: String,
        /// The cause.
        reason: String,
    },

    /// A line of a data file.
    #[error("`{}`, line {line}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What was found and what is needed.
        reason: String,
    },

    /// A data file as a whole.
    #[error("`{}`: {reason}", .path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What was found and what is needed.
        reason: String,
    },

    /// Settings that do not go together, or not with the model.
    #[error("{0}")]
    Settings(String),

    /// The folder of a run is not what was expected.
    #[error("`{}`: {reason}", .path.display())]
    Run {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what to do.
        reason: String,
    },

    /// The adapter refused.
    #[error(transparent)]
    Goft(#[from] burn_goft::Error),

    /// A loss or a gradient was NaN or infinite; the state before it is kept.
    #[error(
        "step {step}: {found}; the training was stopped: {kept}; start in another folder with a \
         lower learning rate, or look at the examples of that step and at the pretrained weights"
    )]
    NotFinite {
        /// The update that could not be made, or after which the validation failed, from 1.
        step: usize,
        /// Which number, and the first parameter or gradient that is not finite.
        found: String,
        /// Which state remains.
        kept: String,
    },

    /// Training was asked to stop and saved its state.
    #[error(
        "stopped after step {step} of {steps}; the state is in `{}`; the same command with \
         --resume goes on from there",
        .folder.display()
    )]
    Interrupted {
        /// Updates made.
        step: usize,
        /// Updates planned.
        steps: usize,
        /// The checkpoint.
        folder: PathBuf,
    },

    /// What an application does beside training failed.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// What turns an error of the file system into one that names the action and the path.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// The folder of a run, or a file in it, is not what was expected.
    pub fn run(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Run {
            path: path.as_ref().into(),
            reason: reason.into(),
        }
    }

    /// A model's file is not what was expected.
    pub fn model(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Model {
            path: path.as_ref().into(),
            reason: reason.into(),
        }
    }

    /// A data file is not what was expected.
    pub fn data(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Data {
            path: path.as_ref().into(),
            reason: reason.into(),
        }
    }

    /// An error of something beside training.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}
