//! One error: what was asked, what was found, what to do.

use std::path::{Path, PathBuf};

/// Everything that can go wrong with a model folder.
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

    /// The folder holds no model that can be read.
    #[error("`{}`: {reason}", .path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What was found and what is needed.
        reason: String,
    },

    /// A tensor is missing, or is not what was asked for.
    #[error("`{}`: tensor `{tensor}` {reason}", .path.display())]
    Tensor {
        /// The file or folder.
        path: PathBuf,
        /// The tensor as the file spells it.
        tensor: String,
        /// What was asked and what was found.
        reason: String,
    },

    /// The folder to write is not free.
    #[error("cannot write the folder `{}`: {reason}", .path.display())]
    Output {
        /// The folder asked for.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },

    /// The Hugging Face hub did not give a file.
    #[error("the Hugging Face hub did not give `{file}` of the model `{model}`: {reason}")]
    Hub {
        /// Name on the hub.
        model: String,
        /// The file asked for.
        file: String,
        /// The cause.
        reason: String,
    },

    /// Whoever computes the new tensors refused.
    #[error("tensor `{tensor}`: {source}")]
    Change {
        /// The tensor.
        tensor: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn folder(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Folder {
            path: path.as_ref().into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn tensor(
        path: impl AsRef<Path>,
        tensor: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Tensor {
            path: path.as_ref().into(),
            tensor: tensor.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn output(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Output {
            path: path.as_ref().into(),
            reason: reason.into(),
        }
    }
}
