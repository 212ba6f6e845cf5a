//! Products of a few vectors and a matrix, which is read once by all threads: as fast as memory is.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::DType;
use rayon::prelude::*;

use super::math::sum;

/// Outputs that a thread makes at a time of columns.
const COLUMNS: usize = 256;

/// Numbers of the matrix that a thread reads at a time of rows.
const PIECE: usize = 1 << 17;

/// Sums of rows that are in memory at a time, at the most.
const PARTS: usize = 16;

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
        if self.outputs == 0 || self.inputs == 0 {
            return vec![0.0; rows * self.outputs];
        }
        match self.by_output {
            true => self.by_columns(x, rows),
            false => self.by_rows(x, rows),
        }
    }

    /// Some outputs a thread, each from its column.
    fn by_columns(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let parts: Vec<Vec<f32>> = (0..self.outputs.div_ceil(COLUMNS))
            .into_par_iter()
            .map(|part| {
                let first = part * COLUMNS;
                let count = COLUMNS.min(self.outputs - first);
                let mut some = vec![0.0; rows * count];
                let columns = first * self.inputs..(first + count) * self.inputs;
                dots(&mut some, x, &self.values[columns], self.inputs);
                some
            })
            .collect();
        let mut result = vec![0.0; rows * self.outputs];
        for (part, some) in parts.iter().enumerate() {
            let count = some.len() / rows;
            for (row, some) in some.chunks_exact(count).enumerate() {
                let start = row * self.outputs + part * COLUMNS;
                result[start..start + count].copy_from_slice(some);
            }
        }
        result
    }

    /// Some inputs a thread, whose rows are one piece of memory; their sums are added up in order.
    fn by_rows(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let inputs = (PIECE / self.outputs).max(self.inputs.div_ceil(PARTS));
        let inputs = inputs.next_multiple_of(4).max(4);
        let parts: Vec<Vec<f32>> = (0..self.inputs.div_ceil(inputs))
            .into_par_iter()
            .map(|part| {
                let first = part * inputs;
                let last = (first + inputs).min(self.inputs);
                let mut some = vec![0.0; rows * self.outputs];
                sums(&mut some, x, self, first, last);
                some
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut result = parts.next().unwrap_or_default();
        for some in parts {
            for (sum, some) in result.iter_mut().zip(some) {
                *sum += some;
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

/// All outputs from some rows of the matrix, four at a time.
#[macerator::with_simd]
fn sums<'a, S: macerator::Simd>(
    to: &mut [f32],
    x: &[f32],
    matrix: &Matrix<'a>,
    first: usize,
    last: usize,
) {
    let (inputs, outputs) = (matrix.inputs, matrix.outputs);
    for input in (first..last).step_by(4) {
        let some = (last - input).min(4);
        let line = |row: usize| &matrix.values[(input + row.min(some - 1)) * outputs..][..outputs];
        let [a, b, c, d] = [line(0), line(1), line(2), line(3)];
        for (to, x) in to.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
            // What is beyond the last row is multiplied by nothing.
            let of = |row: usize| if row < some { x[input + row] } else { 0.0 };
            let (x0, x1, x2, x3) = (of(0), of(1), of(2), of(3));
            for i in 0..outputs {
                to[i] += (x0 * a[i] + x1 * b[i]) + (x2 * c[i] + x3 * d[i]);
            }
        }
    }
}
