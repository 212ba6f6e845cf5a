//! Models by their name on the Hugging Face hub.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};

use crate::error::Error;

/// A model on the hub, whose files are downloaded once into Hugging Face's cache.
///
/// `HF_TOKEN` opens models that ask for an agreement, `HF_HOME` says where the cache is, and
/// `HF_ENDPOINT` names another hub. With `HF_HUB_OFFLINE=1` nothing is asked for that the cache lacks.
#[derive(Debug)]
pub struct HubModel {
    name: String,
    repository: ApiRepo,
}

impl HubModel {
    /// Whether a text can be a name on the hub: `name` or `owner/name` of letters that it allows.
    ///
    /// ```
    /// use hf_folder::HubModel;
    ///
    /// assert!(HubModel::is_name("HuggingFaceTB/SmolLM2-135M-Instruct"));
    /// assert!(!HubModel::is_name("./model"));
    /// ```
    pub fn is_name(name: &str) -> bool {
        let parts: Vec<_> = name.split('/').collect();
        let is_part = |part: &&str| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(legal)
        };
        parts.len() <= 2 && parts.iter().all(is_part)
    }

    /// The model of a name; `progress` shows bars while files come.
    ///
    /// # Errors
    ///
    /// [`Error::Hub`] if the client cannot be made.
    pub fn named(name: &str, progress: bool) -> Result<Self, Error> {
        let builder = ApiBuilder::from_env().with_progress(progress);
        let builder = match std::env::var("HF_TOKEN") {
            Ok(token) if !token.is_empty() => builder.with_token(Some(token)),
            _ => builder,
        };
        let api = builder.build().map_err(|error| Error::Hub {
            model: name.into(),
            file: "config.json".into(),
            reason: error.to_string(),
        })?;
        Ok(Self::with_client(name, &api))
    }

    /// The model of a name, by a client with settings of one's own.
    pub fn with_client(name: &str, api: &Api) -> Self {
        Self {
            name: name.into(),
            repository: api.model(name.into()),
        }
    }

    /// A file of the model, from the cache or the hub.
    ///
    /// # Errors
    ///
    /// [`Error::Hub`].
    pub fn file(&self, file: &str) -> Result<PathBuf, Error> {
        self.get(file).map_err(|error| self.refused(file, &error))
    }

    /// The same of a file that not every model has.
    ///
    /// # Errors
    ///
    /// [`Error::Hub`], but not if the model has no such file.
    pub fn optional(&self, file: &str) -> Result<Option<PathBuf>, Error> {
        match self.get(file) {
            Ok(path) => Ok(Some(path)),
            Err(error) if status(&error) == Some(404) || offline() => Ok(None),
            Err(error) => Err(self.refused(file, &error)),
        }
    }

    /// The folder in the cache where the weights are, in one file or in shards, with all of them.
    ///
    /// # Errors
    ///
    /// [`Error::Hub`]; [`Error::Folder`] for an index of shards that is none.
    pub fn weights(&self) -> Result<PathBuf, Error> {
        let index = "model.safetensors.index.json";
        let Some(path) = self.optional(index)? else {
            return self.file("model.safetensors").map(|path| parent(&path));
        };
        let text = std::fs::read(&path).map_err(Error::io("reading", &path))?;
        let json: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|error| Error::folder(&path, format!("it is no JSON: {error}")))?;
        let places = json["weight_map"].as_object();
        let shards = places
            .into_iter()
            .flatten()
            .filter_map(|(_, file)| file.as_str());
        let shards: std::collections::BTreeSet<&str> = shards.collect();
        if shards.is_empty() {
            return Err(Error::folder(
                &path,
                "it has no `weight_map` that names shards",
            ));
        }
        for shard in shards {
            self.file(shard)?;
        }
        Ok(parent(&path))
    }

    fn get(&self, file: &str) -> Result<PathBuf, ApiError> {
        self.repository.get(file)
    }

    fn refused(&self, file: &str, error: &ApiError) -> Error {
        let reason = match status(error) {
            Some(401 | 403) => format!(
                "{error}; the model asks for an agreement on its page, or is private: agree there, and set HF_TOKEN to a \
                 token of yours that may read it"
            ),
            _ => error.to_string(),
        };
        Error::Hub {
            model: self.name.clone(),
            file: file.into(),
            reason,
        }
    }
}

fn offline() -> bool {
    std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| value == "1")
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// What a server answered, if one did.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match error.as_ref() {
            ureq::Error::StatusCode(status) => Some(*status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}
