//! Rotary position embeddings: pairs of coordinates of queries and keys, turned by the position.

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::RotarySettings;

/// Cosines and sines of some positions, for one kind of layer.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    /// `[rows or 1, 1, tokens, dim / 2]`.
    cos: Tensor<4>,
    sin: Tensor<4>,
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
        let shape = [positions.len(), 1, tokens, frequencies.len()];
        let table = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), device);
        Self {
            cos: table(angles().map(|angle| factor * angle.cos()).collect()),
            sin: table(angles().map(|angle| factor * angle.sin()).collect()),
        }
    }

    /// Turns `[rows, heads, tokens, width]`: the first half of the turned coordinates against the
    /// second, as transformers does; the coordinates behind them stay.
    pub(super) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [rows, heads, tokens, width] = x.dims();
        let half = self.cos.dims()[3];
        let part = |start: usize, count: usize| {
            x.clone()
                .slice([0..rows, 0..heads, 0..tokens, start..start + count])
        };
        let (first, second) = (part(0, half), part(half, half));
        let [cos, sin] = [&self.cos, &self.sin].map(|table| table.clone().cast(x.dtype()));
        let mut parts = vec![
            first.clone() * cos.clone() - second.clone() * sin.clone(),
            second * cos + first * sin,
        ];
        if 2 * half < width {
            parts.push(part(2 * half, width - 2 * half));
        }
        Tensor::cat(parts, 3)
    }
}
