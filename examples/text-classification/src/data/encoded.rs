//! Examples as the model reads them.

use burn::tensor::Device;
use burn_goft_finetune::Error;

use super::examples::{Examples, Text};
use super::task::{Target, Task};
use crate::encoder::TokenBatch;
use crate::encoder::{TextTokenizer, Tokens};

/// Tokens and targets of a data set.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) tokens: Vec<Tokens>,
    pub(crate) targets: Vec<Target>,
}

impl Encoded {
    pub(crate) fn new(
        examples: &Examples,
        task: &Task,
        tokenizer: &TextTokenizer,
    ) -> Result<Self, Error> {
        let texts = examples.rows.iter().map(|row| &row.text);
        Ok(Self {
            targets: task.targets(examples)?,
            tokens: tokenize(texts, tokenizer)?,
        })
    }

    pub(crate) fn lengths(&self) -> Vec<usize> {
        lengths(&self.tokens)
    }

    /// The chosen examples, padded to the longest of them.
    pub(crate) fn batch(&self, chosen: &[usize], device: &Device) -> (TokenBatch, Vec<Target>) {
        let tokens = chosen.iter().map(|index| &self.tokens[*index]);
        let targets = chosen.iter().map(|index| self.targets[*index]);
        (TokenBatch::new(tokens, device), targets.collect())
    }
}

pub(crate) fn tokenize<'a>(
    texts: impl Iterator<Item = &'a Text>,
    tokenizer: &TextTokenizer,
) -> Result<Vec<Tokens>, Error> {
    let tokens = texts.map(|text| tokenizer.encode(&text.first, text.second.as_deref()));
    tokens.collect()
}

pub(crate) fn lengths(tokens: &[Tokens]) -> Vec<usize> {
    tokens.iter().map(|tokens| tokens.ids.len()).collect()
}

/// A sentence about texts that lost their end, if there are any.
pub(crate) fn about_truncation(tokens: &[Tokens], limit: usize) -> Option<String> {
    let cut = tokens.iter().filter(|tokens| tokens.truncated).count();
    (cut > 0).then(|| {
        format!(
            "{cut} of {} texts are longer than {limit} tokens and were cut there",
            tokens.len()
        )
    })
}
