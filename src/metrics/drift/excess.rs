//! `R - I` by its entries that are not zero.

use burn::tensor::Tensor;

use super::host::{norm, not_finite, values};
use crate::error::Error;
use crate::plan::RotationPlan;

/// `R - I`, row by row, as columns and entries: `O(d log d)` of them for pairs, `O(d b)` for blocks of `b`.
pub(super) struct Excess {
    rows: Vec<Vec<(usize, f64)>>,
}

impl Excess {
    /// Of the rotation of `blocks [d-1, 2, 2]`.
    ///
    /// # Panics
    ///
    /// If `blocks` has another shape.
    pub(super) fn of_pairs(blocks: Tensor<3>) -> Result<Self, Error> {
        let [pairs, size, columns] = blocks.dims();
        assert!(
            (size, columns) == (2, 2),
            "found blocks [{pairs}, {size}, {columns}] of a rotation by pairs of axes; pass [d-1, 2, 2]"
        );
        let plan = RotationPlan::new(pairs + 1);
        let entries = values(blocks);
        let mut rows: Vec<Vec<_>> = (0..plan.dim()).map(|axis| vec![(axis, 1.0)]).collect();
        for level in plan.levels() {
            let blocks = entries[4 * level.first..].chunks_exact(4);
            for ((i, j), block) in level.pairs().zip(blocks) {
                let pair = [i, j].map(|axis| std::mem::take(&mut rows[axis]));
                rows[i] = mixed(&pair, [block[0], block[1]]);
                rows[j] = mixed(&pair, [block[2], block[3]]);
            }
        }
        Self::minus_identity(rows)
    }

    /// Of the block-diagonal rotation of an axis of length `dim` by `blocks [n, b, b]`.
    pub(super) fn of_blocks(blocks: Tensor<3>, dim: usize) -> Result<Self, Error> {
        let [_, size, _] = blocks.dims();
        let entries = values(blocks);
        let row = |axis: usize| {
            let first = axis / size * size;
            let columns = first..(first + size).min(dim);
            let entries = entries[axis * size..].iter().copied();
            columns.zip(entries).collect()
        };
        Self::minus_identity((0..dim).map(row).collect())
    }

    /// Of a matrix with all entries of its diagonal.
    fn minus_identity(mut rows: Vec<Vec<(usize, f64)>>) -> Result<Self, Error> {
        for (axis, row) in rows.iter_mut().enumerate() {
            let diagonal = row.iter_mut().filter(|(column, _)| *column == axis);
            diagonal.for_each(|(_, entry)| *entry -= 1.0);
        }
        let broken = rows.iter().flatten().filter(|(_, v)| !v.is_finite());
        match broken.count() {
            0 => Ok(Self { rows }),
            count => Err(not_finite("R - I", count)),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.rows.len()
    }

    /// `|| R - I ||_F`.
    pub(super) fn frobenius(&self) -> f64 {
        norm(&Vec::from_iter(self.rows.iter().flatten().map(|(_, v)| *v)))
    }

    /// Of moderate size.
    pub(super) fn divided_by(mut self, size: f64) -> Self {
        let entries = self.rows.iter_mut().flatten();
        entries.for_each(|(_, entry)| *entry /= size);
        self
    }

    /// `E v`.
    pub(super) fn times(&self, v: &[f64]) -> Vec<f64> {
        let dot = |row: &Vec<(usize, f64)>| row.iter().map(|(column, e)| e * v[*column]).sum();
        self.rows.iter().map(dot).collect()
    }

    /// `E^T v`.
    pub(super) fn transpose_times(&self, v: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; v.len()];
        for (row, v) in self.rows.iter().zip(v) {
            row.iter().for_each(|(column, e)| product[*column] += e * v);
        }
        product
    }
}

/// `a u + b v` of two rows that have no column in common.
fn mixed([u, v]: &[Vec<(usize, f64)>; 2], [a, b]: [f64; 2]) -> Vec<(usize, f64)> {
    let scaled = |row: &Vec<(usize, f64)>, by: f64| {
        let entries = row.iter().map(|(column, entry)| (*column, by * entry));
        entries.collect::<Vec<_>>()
    };
    [scaled(u, a), scaled(v, b)].concat()
}
