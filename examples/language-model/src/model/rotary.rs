//! Rotary position embeddings: pairs of coordinates of queries and keys, turned by the position.

use burn::tensor::{Device, Tensor, TensorData};
use transformer_ops::rotate_positions;

use crate::config::RotarySettings;

/// Cosines and sines of some positions, for one kind of layer.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    /// `[rows or 1, tokens, dim / 2]`.
    cos: Tensor<3>,
    sin: Tensor<3>,
}

impl Turns {
    /// For the positions of each row, all rows of one length.
    pub(super) fn new(
        settings: &RotarySettings,
        positions: &[Vec<usize>],
        device: &Device,
    ) -> Self {
        let longest = positions.iter().flatten().max().map_or(0, |last| last + 1);
        let (frequencies, factor) = settings.frequencies(longest);
        let tokens = positions.first().map_or(0, Vec::len);
        let angles = || {
            let positions = positions.iter().flatten();
            // In f32, as the models were trained.
            positions.flat_map(|position| frequencies.iter().map(move |f| *position as f32 * f))
        };
        let shape = [positions.len(), tokens, frequencies.len()];
        let table = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), device);
        Self {
            cos: table(angles().map(|angle| factor * angle.cos()).collect()),
            sin: table(angles().map(|angle| factor * angle.sin()).collect()),
        }
    }

    /// Turns `[rows, tokens, heads, width]`.
    pub(super) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        rotate_positions(x, self.cos.clone(), self.sin.clone())
    }
}
