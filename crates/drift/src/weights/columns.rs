//! Norms of all columns of a weight, its neurons, from one pass over its rows.

use burn::tensor::{DType, Tensor};

use crate::error::Error;
use crate::read::each_pair;

/// What a column is multiplied by, nothing where all are 1, and its sum of squares.
struct Sums {
    factors: Option<Vec<f64>>,
    squares: Vec<f64>,
}

/// The norms of neurons before, after, and of what lies between.
pub(crate) struct ColumnNorms {
    before: Sums,
    after: Sums,
    moved: Sums,
}

impl ColumnNorms {
    /// Nothing added yet. A square of f64 can overflow or vanish, so that the largest entries are
    /// looked up before; that of a narrower dtype cannot.
    pub(crate) fn new(before: &Tensor<2>, after: &Tensor<2>) -> Result<Self, Error> {
        let columns = before.dims()[1];
        let mut largest = [0; 3].map(|_| vec![0.0f64; columns]);
        if [before, after]
            .iter()
            .any(|side| side.dtype() == DType::F64)
        {
            each_pair(before, after, |_, before, after| {
                for (column, (b, a)) in before.iter().zip(after).enumerate() {
                    for (largest, value) in largest.iter_mut().zip([*b, *a, a - b]) {
                        largest[column] = largest[column].max(value.abs());
                    }
                }
            })?;
        }
        let [before, after, moved] = largest.map(Sums::new);
        Ok(Self {
            before,
            after,
            moved,
        })
    }

    /// Adds a row of each.
    pub(crate) fn add(&mut self, before: &[f64], after: &[f64]) {
        self.before.add(before.iter().copied());
        self.after.add(after.iter().copied());
        self.moved.add(after.iter().zip(before).map(|(a, b)| a - b));
    }

    pub(crate) fn before(&self) -> Vec<f64> {
        self.before.norms()
    }

    pub(crate) fn after(&self) -> Vec<f64> {
        self.after.norms()
    }

    /// `|w'_i - w_i|`.
    pub(crate) fn moved(&self) -> Vec<f64> {
        self.moved.norms()
    }
}

impl Sums {
    fn new(largest: Vec<f64>) -> Self {
        let squares = vec![0.0; largest.len()];
        let factor = |size: f64| match size {
            0.0 | f64::INFINITY => 1.0,
            _ if (1e-100..1e100).contains(&size) => 1.0,
            _ => size.recip().min(1e300),
        };
        let factors: Vec<f64> = largest.into_iter().map(factor).collect();
        let all_one = factors.iter().all(|factor| *factor == 1.0);
        Self {
            factors: Some(factors).filter(|_| !all_one),
            squares,
        }
    }

    fn add(&mut self, row: impl Iterator<Item = f64>) {
        let columns = self.squares.iter_mut();
        match &self.factors {
            None => columns.zip(row).for_each(|(sum, v)| *sum += v * v),
            Some(factors) => columns
                .zip(factors)
                .zip(row)
                .for_each(|((sum, factor), v)| *sum += (v * factor) * (v * factor)),
        }
    }

    fn norms(&self) -> Vec<f64> {
        let roots = self.squares.iter().map(|square| square.sqrt());
        match &self.factors {
            None => roots.collect(),
            Some(factors) => roots
                .zip(factors)
                .map(|(root, factor)| root / factor)
                .collect(),
        }
    }
}
