//! Texts of mixed lengths as rectangles: padding and masks.

use burn::tensor::{Device, Int, Tensor, TensorData};
use transformer_ops::Spans;

use super::tokenizer::Tokens;

/// Some tokenized texts, padded to the longest.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    ids: Tensor<2, Int>,
    types: Tensor<2, Int>,
    mask: Tensor<2>,
    spans: Spans,
}

impl TokenBatch {
    /// Pads with id 0: the attention mask hides padded positions, so that their id does not matter.
    ///
    /// # Panics
    ///
    /// If there is no text.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a Tokens>, device: &Device) -> Self {
        let texts: Vec<_> = texts.into_iter().collect();
        let tokens = texts.iter().map(|text| text.ids.len()).max();
        let tokens = tokens.expect("a batch has a text");
        let shape = [texts.len(), tokens];
        let rows = |numbers: fn(&Tokens) -> &[u32]| {
            let mut values = vec![0i32; shape[0] * tokens];
            for (row, text) in values.chunks_mut(tokens).zip(&texts) {
                for (value, number) in row.iter_mut().zip(numbers(text)) {
                    *value = *number as i32;
                }
            }
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let mask = texts
            .iter()
            .flat_map(|text| (0..tokens).map(|t| if t < text.ids.len() { 1.0f32 } else { 0.0 }));
        let mask: Vec<f32> = mask.collect();
        let spans = texts.iter().map(|text| vec![0..text.ids.len(); tokens]);
        Self {
            ids: rows(|text| &text.ids),
            types: rows(|text| &text.types),
            mask: Tensor::from_data(TensorData::new(mask, shape), device),
            spans: Spans::new(&spans.collect::<Vec<_>>(), device),
        }
    }

    /// Token ids, `[batch, tokens]`.
    pub fn ids(&self) -> Tensor<2, Int> {
        self.ids.clone()
    }

    /// Token types, `[batch, tokens]`: 0 for the first text, 1 for the second of a pair.
    pub fn types(&self) -> Tensor<2, Int> {
        self.types.clone()
    }

    /// 1 for a token, 0 for padding, `[batch, tokens]`.
    pub fn mask(&self) -> Tensor<2> {
        self.mask.clone()
    }

    /// For each token of a text, where the text stands.
    pub(crate) fn spans(&self) -> Spans {
        self.spans.clone()
    }

    /// 0 for a token, 1 for padding.
    pub(crate) fn padding(&self) -> Tensor<2> {
        self.mask.clone().neg().add_scalar(1.0)
    }
}
