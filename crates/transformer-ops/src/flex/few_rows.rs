//! Products of a few vectors and a matrix, which is read once by all threads: as fast as memory is.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::DType;
use rayon::prelude::*;

use super::math::sum;

/// Outputs that a thread makes at a time.
const COLUMNS: usize = 256;

/// A matrix `[k, m]` as it lies in memory.
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    inputs: usize,
    outputs: usize,
    /// Whether its columns lie in one piece each, as in a transposed table, not its rows.
    by_output: bool,
}

impl<'a> Matrix<'a> {
    /// Of a tensor whose rows or columns lie one behind another.
    pub(super) fn of(tensor: &'a FlexTensor) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let shape = tensor.shape();
        let (inputs, outputs) = (shape[0], shape[1]);
        let by_output = match tensor.layout().strides() {
            [rows, 1] if *rows == outputs as isize => false,
            [1, columns] if *columns == inputs as isize => true,
            _ => return None,
        };
        let start = tensor.layout().start_offset();
        let all = tensor.storage::<f32>();
        Some(Self {
            values: all.get(start..start + inputs * outputs)?,
            inputs,
            outputs,
            by_output,
        })
    }

    /// `x` is `[rows, k]`.
    pub(super) fn times(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let mut result = vec![0.0; rows * self.outputs];
        if self.outputs == 0 {
            return result;
        }
        let parts: Vec<Vec<f32>> = (0..self.outputs.div_ceil(COLUMNS))
            .into_par_iter()
            .map(|part| {
                let first = part * COLUMNS;
                let count = COLUMNS.min(self.outputs - first);
                let mut some = vec![0.0; rows * count];
                match self.by_output {
                    true => {
                        let columns = first * self.inputs..(first + count) * self.inputs;
                        dots(&mut some, x, &self.values[columns], self.inputs);
                    }
                    false => {
                        let rest = &self.values[first..];
                        sums(&mut some, x, rest, self.inputs, self.outputs, count);
                    }
                }
                some
            })
            .collect();
        for (part, some) in parts.iter().enumerate() {
            let count = some.len() / rows;
            for (row, some) in some.chunks_exact(count).enumerate() {
                let start = row * self.outputs + part * COLUMNS;
                result[start..start + count].copy_from_slice(some);
            }
        }
        result
    }
}

/// Each output from its own column.
#[macerator::with_simd]
fn dots<S: macerator::Simd>(to: &mut [f32], x: &[f32], columns: &[f32], inputs: usize) {
    if inputs == 0 {
        return;
    }
    let count = columns.len() / inputs;
    for (output, column) in columns.chunks_exact(inputs).enumerate() {
        for (row, x) in x.chunks_exact(inputs).enumerate() {
            to[row * count + output] = sum(inputs, |i| x[i] * column[i]);
        }
    }
}

/// All outputs from four rows of the matrix at a time.
#[macerator::with_simd]
fn sums<S: macerator::Simd>(
    to: &mut [f32],
    x: &[f32],
    values: &[f32],
    inputs: usize,
    stride: usize,
    count: usize,
) {
    let mut input = 0;
    while input < inputs {
        let some = (inputs - input).min(4);
        let line = |row: usize| &values[(input + row.min(some - 1)) * stride..][..count];
        let [a, b, c, d] = [line(0), line(1), line(2), line(3)];
        for (to, x) in to.chunks_exact_mut(count).zip(x.chunks_exact(inputs)) {
            // What is beyond the last row is multiplied by nothing.
            let of = |row: usize| if row < some { x[input + row] } else { 0.0 };
            let (x0, x1, x2, x3) = (of(0), of(1), of(2), of(3));
            for i in 0..count {
                to[i] += (x0 * a[i] + x1 * b[i]) + (x2 * c[i] + x3 * d[i]);
            }
        }
        input += 4;
    }
}
