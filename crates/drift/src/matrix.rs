//! Matrices in f64 on the host.

use burn::tensor::{DType, Tensor};
use faer::MatRef;

use crate::error::Error;
use crate::vector::norm;

/// A matrix row by row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matrix {
    values: Vec<f64>,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Matrix {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            values: vec![0.0; rows * columns],
            rows,
            columns,
        }
    }

    /// The values of a tensor, whatever they are.
    pub(crate) fn read(tensor: Tensor<2>) -> Self {
        let mut matrix = Self::default();
        matrix.refill(tensor);
        matrix
    }

    /// The same in place of what it held, in the memory that it has.
    pub(crate) fn refill(&mut self, tensor: Tensor<2>) {
        [self.rows, self.columns] = tensor.dims();
        self.values.clear();
        // A device may have no buffer to read for an empty tensor.
        if self.rows * self.columns == 0 {
            return;
        }
        let data = tensor.into_data();
        match data.as_slice::<f32>() {
            Ok(values) => self.values.extend(values.iter().copied().map(f64::from)),
            Err(_) => self.values.extend(data.iter::<f64>()),
        }
    }

    /// The values of a tensor, packed ones dequantized, if they are finite.
    pub(crate) fn finite(what: &str, tensor: Tensor<2>) -> Result<Self, Error> {
        let matrix = Self::read(match tensor.dtype() {
            DType::QFloat(_) => tensor.dequantize(),
            _ => tensor,
        });
        let broken = matrix.values.iter().filter(|v| !v.is_finite());
        Error::unless_finite(what, broken.count())?;
        Ok(matrix)
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut transposed = Self::zeros(self.columns, self.rows);
        for (index, row) in self.each_row().enumerate() {
            for (column, value) in row.iter().enumerate() {
                transposed.set(column, index, *value);
            }
        }
        transposed
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    pub(crate) fn each_row(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.rows).map(|index| self.row(index))
    }

    pub(crate) fn push(&mut self, row: &[f64]) {
        self.values.extend_from_slice(row);
        self.rows += 1;
        self.columns = row.len();
    }

    pub(crate) fn set(&mut self, row: usize, column: usize, value: f64) {
        self.values[row * self.columns + column] = value;
    }

    /// Columns of another matrix into rows of this one, from a place in them on.
    ///
    /// Some rows of the other at a time: a cache fetches as many neighboring numbers of this one for
    /// one of them, and rows of an even length all fall into the same places of it.
    pub(crate) fn put_columns(&mut self, start: usize, other: &Self, columns: &[usize]) {
        const TOGETHER: usize = 8;
        for first in (0..other.rows).step_by(TOGETHER) {
            let count = TOGETHER.min(other.rows - first);
            for (row, column) in columns.iter().enumerate() {
                let place = row * self.columns + start + first;
                let some = self.values[place..place + count].iter_mut();
                some.zip(first..).for_each(|(value, index)| {
                    *value = other.values[index * other.columns + column]
                });
            }
        }
    }

    /// The rows of these numbers.
    pub(crate) fn pick(&self, indices: &[usize]) -> Self {
        let mut picked = Self::zeros(0, self.columns);
        indices
            .iter()
            .for_each(|index| picked.push(self.row(*index)));
        picked
    }

    /// Each row replaced by as many numbers, which `map` appends.
    pub(crate) fn map_rows(&self, map: impl Fn(&[f64], &mut Vec<f64>)) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        self.each_row().for_each(|row| map(row, &mut values));
        Self { values, ..*self }
    }

    /// Its Frobenius norm, and the matrix divided by it: what is left has a moderate size. A zero
    /// matrix stays as it is.
    pub(crate) fn scaled(&self) -> (f64, Self) {
        let size = norm(&self.values);
        if size == 0.0 {
            return (size, self.clone());
        }
        let divide = |row: &[f64], to: &mut Vec<f64>| to.extend(row.iter().map(|v| v / size));
        (size, self.map_rows(divide))
    }

    pub(crate) fn faer(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.columns)
    }
}
