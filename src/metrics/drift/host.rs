//! Matrices in f64 on the host, and what is common to all metrics.

use std::ops::Range;

use burn::tensor::Tensor;
use faer::MatRef;
use faer::linalg::solvers::Svd;

use super::whole::{Raw, Whole};
use crate::error::Error;

/// Sums of squares that did not overflow and to which nothing vanished that counts.
pub(super) const PLAIN: Range<f64> = 1e-200..1e200;

/// A matrix row by row.
#[derive(Debug, Clone)]
pub(super) struct Host {
    values: Vec<f64>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Host {
    pub(super) fn new(values: Vec<f64>, rows: usize, columns: usize) -> Self {
        Self {
            values,
            rows,
            columns,
        }
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(super) fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    pub(super) fn each_row(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.rows).map(|index| self.row(index))
    }

    /// Each row replaced by as many numbers, which `map` appends.
    pub(super) fn map_rows(&self, map: impl Fn(&[f64], &mut Vec<f64>)) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        self.each_row().for_each(|row| map(row, &mut values));
        Self { values, ..*self }
    }

    /// These rows.
    pub(super) fn pick_rows(&self, indices: &[usize]) -> Self {
        let values = indices.iter().flat_map(|index| self.row(*index));
        Self {
            values: values.copied().collect(),
            rows: indices.len(),
            columns: self.columns,
        }
    }

    pub(super) fn matrix(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.columns)
    }

    /// Its Frobenius norm, and the matrix divided by it: what is left has a moderate size. A zero matrix stays as it is.
    pub(super) fn scaled(&self) -> (f64, Self) {
        let size = self.norm();
        if size == 0.0 {
            return (size, self.clone());
        }
        let divide =
            |row: &[f64], target: &mut Vec<f64>| target.extend(row.iter().map(|v| v / size));
        (size, self.map_rows(divide))
    }

    pub(super) fn norm(&self) -> f64 {
        norm(&self.values)
    }

    pub(super) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }
}

/// All values of a tensor, in f64.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    match tensor.shape().num_elements() {
        // A device may have no buffer to read for an empty tensor.
        0 => Vec::new(),
        _ => tensor.into_data().iter().collect(),
    }
}

/// Before and after, of one shape; `metric` is the function's name.
pub(super) fn alike(
    metric: &'static str,
    before: Tensor<2>,
    after: Tensor<2>,
) -> Result<(Whole, Whole), Error> {
    let (b, a) = (before.dims(), after.dims());
    assert!(
        b == a,
        "{metric}: found {b:?} before and {a:?} after; pass matrices of one shape"
    );
    both(before, after)
}

/// Before and after, a row each for the same inputs.
pub(super) fn same_rows(
    metric: &'static str,
    before: Tensor<2>,
    after: Tensor<2>,
) -> Result<(Whole, Whole), Error> {
    let (b, a) = (before.dims(), after.dims());
    assert!(
        b[0] == a[0],
        "{metric}: found {b:?} before and {a:?} after; pass representations [n, d] of the same n inputs"
    );
    both(before, after)
}

fn both(before: Tensor<2>, after: Tensor<2>) -> Result<(Whole, Whole), Error> {
    Ok((
        Raw::read(before).finite("before")?,
        Raw::read(after).finite("after")?,
    ))
}

pub(super) fn not_finite(side: &str, count: usize) -> Error {
    Error::NonFinite {
        path: side.into(),
        what: "the matrix".into(),
        count,
        remedy: "nothing can be measured with them; look for the first layer that has some",
    }
}

pub(super) fn undefined<T>(metric: &'static str, reason: impl Into<String>) -> Result<T, Error> {
    let reason = reason.into();
    Err(Error::Undefined { metric, reason })
}

/// Euclidean norm, also where a square overflows or vanishes.
pub(super) fn norm(vector: &[f64]) -> f64 {
    let squares = sum_of_squares(vector, |_, v| v);
    if PLAIN.contains(&squares) {
        return squares.sqrt();
    }
    let largest = vector.iter().fold(0.0f64, |max, v| max.max(v.abs()));
    if largest == 0.0 || largest.is_infinite() {
        return largest;
    }
    let squares = vector.iter().map(|v| (v / largest).powi(2));
    largest * squares.sum::<f64>().sqrt()
}

/// In eight lanes, which a processor adds at once; in the same order in every run.
pub(super) fn sum_of_squares(vector: &[f64], map: impl Fn(usize, f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    for (chunk, values) in vector.chunks(8).enumerate() {
        for (lane, value) in values.iter().enumerate() {
            lanes[lane] += map(8 * chunk + lane, *value).powi(2);
        }
    }
    lanes.iter().sum()
}

/// `|u - v|`.
pub(super) fn distance(u: &[f64], v: &[f64]) -> f64 {
    let squares = u.iter().zip(v).map(|(u, v)| (u - v).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Singular values, falling, of a matrix of moderate size.
pub(super) fn singular_values(
    metric: &'static str,
    matrix: MatRef<'_, f64>,
) -> Result<Vec<f64>, Error> {
    matrix.singular_values().or_else(|_| no_convergence(metric))
}

/// The thin singular value decomposition of a matrix of moderate size.
pub(super) fn thin_svd(metric: &'static str, matrix: MatRef<'_, f64>) -> Result<Svd<f64>, Error> {
    matrix.thin_svd().or_else(|_| no_convergence(metric))
}

pub(super) fn no_convergence<T>(metric: &'static str) -> Result<T, Error> {
    undefined(
        metric,
        "the iteration for its singular values did not converge",
    )
}
