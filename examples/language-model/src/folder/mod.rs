//! A model's folder: its files, and the weights into a [`CausalLm`].

mod base;
mod weights;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burn_goft_finetune::{Error, files};
use hf_folder::{HfFolder, HubModel};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config::DecoderConfig;
use crate::data::TOOLS_FILE;
use crate::model::CausalLm;

pub use base::Base;
pub(crate) use weights::{HEAD, TABLE, error, is_linear};

/// A decoder with its settings.
#[derive(Clone, Debug)]
pub struct Pretrained {
    /// The sizes.
    pub config: DecoderConfig,
    /// The weights.
    pub model: CausalLm,
    /// The tokens that end a text: that of config.json first, then those for generating.
    pub ends: Vec<u32>,
}

impl Pretrained {
    /// Reads `config.json`, `generation_config.json` if there is one, and the weights of a folder,
    /// f32, f16 or bf16, in one file or in shards, into f32.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for a folder that lacks a file or has a damaged one, and for an
    /// architecture that is not known; [`Error::Tensor`] for a tensor that is missing, has another
    /// shape than the settings ask for, or has no place in the model.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, Error> {
        Self::load_as(folder, Base::F32, device)
    }

    /// Reads a folder as [`load`](Self::load) does, a weight at a time into what the base is kept in.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and [`Error::Settings`] for a device that does not compute in
    /// the base's dtype.
    pub fn load_as(folder: &Path, base: Base, device: &Device) -> Result<Self, Error> {
        base.check(device)?;
        if !folder.is_dir() {
            return Err(Error::model(folder, "there is no such folder"));
        }
        let mut config = DecoderConfig::load(&folder.join("config.json"))?;
        let files = HfFolder::open(folder).map_err(error)?;
        // A head that was trained by itself after it was tied, as transformers takes it.
        config.tied = config.tied && !weights::has_other_head(&files)?;
        let model = weights::load(CausalLm::new(&config, device), &config, &files, base)?;
        let ends = ends(folder)?;
        Ok(Self {
            config,
            model,
            ends,
        })
    }

    /// The token that ends a text.
    pub fn end(&self) -> Option<u32> {
        self.ends.first().copied()
    }
}

/// The folder of a model: one of that name, or that of the model of that name on the Hugging Face hub, in
/// its cache, downloaded with progress bars where it is not there yet.
///
/// # Errors
///
/// [`Error::Model`] for what is neither; [`Error::Hub`].
pub fn find(model: &Path) -> Result<PathBuf, Error> {
    if model.is_dir() {
        return Ok(model.into());
    }
    let Some(name) = model.to_str().filter(|name| HubModel::is_name(name)) else {
        return Err(Error::model(
            model,
            "there is no such folder, and it is no name on the Hugging Face hub either (`owner/name`)",
        ));
    };
    let hub = HubModel::named(name, true).map_err(error)?;
    hub.file("config.json").map_err(error)?;
    hub.file("tokenizer.json").map_err(error)?;
    for file in [
        "generation_config.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        TOOLS_FILE,
    ] {
        hub.optional(file).map_err(error)?;
    }
    hub.weights().map_err(error)
}

/// `eos_token_id`, one or several, of the model's settings and of those for generating.
fn ends(folder: &Path) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    for name in ["config.json", "generation_config.json"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let text = std::fs::read(&path).map_err(Error::io("reading", &path))?;
        let config: Value = serde_json::from_slice(&text)
            .map_err(|error| Error::model(&path, format!("it is no JSON: {error}")))?;
        let ids = match config.get("eos_token_id") {
            Some(Value::Array(ids)) => ids.clone(),
            Some(id) => vec![id.clone()],
            None => Vec::new(),
        };
        let ids = ids.iter().filter_map(Value::as_u64);
        found.extend(ids.filter_map(|id| u32::try_from(id).ok()));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|id| seen.insert(*id));
    Ok(found)
}

/// A SHA-256 of all files of a model's weights.
///
/// # Errors
///
/// [`Error::Model`] and [`Error::Io`].
pub(crate) fn weights_digest(folder: &Path) -> Result<String, Error> {
    let mut whole = Sha256::new();
    for file in HfFolder::open(folder).map_err(error)?.files() {
        whole.update(files::digest(file)?);
    }
    Ok(whole
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
