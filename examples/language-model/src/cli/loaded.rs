//! A model to be used, as options name it.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use burn_goft_finetune::Error;
use hf_chat_template::Message;

use crate::data::TextTokenizer;
use crate::device::device;
use crate::folder::{Base, Pretrained, find};
use crate::model::CausalLm;
use crate::run::{base_of, with_adapter};

/// A model with its tokenizer, without autodiff.
#[derive(Debug)]
pub struct Loaded {
    /// As it was pretrained.
    pub base: CausalLm,
    /// With what a run has trained, if one was named.
    pub adapted: Option<CausalLm>,
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
    /// The tokens that end a text.
    pub ends: Vec<u32>,
    /// The most tokens that it was made for.
    pub positions: usize,
    /// Where it is.
    pub device: Device,
}

impl Loaded {
    /// Reads a model by its folder or its name on the hub and, if there is one, the adapter of a run.
    /// Without a base it is that of the run, or f32.
    ///
    /// # Errors
    ///
    /// All that reading them can give.
    pub fn new(
        model: &Path,
        adapter: Option<&PathBuf>,
        base: Option<Base>,
        name: &str,
    ) -> Result<Self, Error> {
        let folder = &find(model)?;
        let plain = device(name).map_err(Error::Settings)?;
        let loading = match adapter {
            Some(_) => plain.clone().autodiff(),
            None => plain.clone(),
        };
        let base = match (base, adapter) {
            (Some(base), _) => base,
            (None, Some(run)) => base_of(run)?,
            (None, None) => Base::F32,
        };
        let pretrained = Pretrained::load_as(folder, base, &loading)?;
        let end = pretrained.end();
        let known = pretrained.config.vocabulary;
        let (base, adapted) = match adapter {
            None => (pretrained.model, None),
            Some(run) => {
                let adapted = with_adapter(pretrained.model.clone(), folder, run)?;
                (pretrained.model.valid(), Some(adapted.valid()))
            }
        };
        Ok(Self {
            base,
            adapted,
            tokenizer: TextTokenizer::in_folder(folder, end, known, usize::MAX)?,
            ends: pretrained.ends,
            positions: pretrained.config.positions,
            device: plain,
        })
    }

    /// The model that is meant: with the adapter, where there is one.
    pub fn model(&self) -> &CausalLm {
        self.adapted.as_ref().unwrap_or(&self.base)
    }

    /// A question as the model's conversations begin, or the text as it is where it has no chat format
    /// or `plain` asks for that.
    pub(super) fn question(
        &self,
        text: &str,
        system: Option<&str>,
        plain: bool,
    ) -> Result<Vec<u32>, String> {
        let prompt = match self.tokenizer.chat().is_some() && !plain {
            true => {
                let system = system.iter().map(|text| Message::system(*text));
                let messages: Vec<Message> = system.chain([Message::user(text)]).collect();
                self.tokenizer.prompt(&messages, &[])
            }
            false => match system {
                None => self.tokenizer.encode(text),
                Some(_) => Err(
                    "the model has no chat template, and so no place for --system; leave it out"
                        .into(),
                ),
            },
        }?;
        match prompt.is_empty() {
            true => Err("the prompt has no token; give it a word to go on from".into()),
            false => Ok(prompt),
        }
    }
}
