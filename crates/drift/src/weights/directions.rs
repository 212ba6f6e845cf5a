//! Vectors without their lengths, and all pairs of them.

use faer::{Mat, MatRef};

use crate::matrix::Matrix;
use crate::vector::{distance, norm, unit};

/// Vectors whose cosines with all later ones are held at once.
const BLOCK: usize = 128;
/// Beyond this cosine, in magnitude, a pair is measured from its vectors: near 1 the cosine has
/// lost up to half of the digits.
const NEAR: f64 = 0.9;

/// Unit vectors, as rows.
pub(super) struct Directions(Matrix);

/// Two unit vectors.
pub(super) struct Pair<'a> {
    u: &'a [f64],
    v: &'a [f64],
    pub(super) cosine: f64,
}

pub(super) fn has_direction(vector: &[f64]) -> bool {
    vector.iter().any(|entry| *entry != 0.0)
}

impl Directions {
    /// The directions of rows that are not zero.
    pub(super) fn of(vectors: &Matrix) -> Self {
        let mut directions = Matrix::zeros(0, vectors.columns);
        let mut buffer = Vec::new();
        for row in vectors.each_row() {
            unit(row, norm(row), &mut buffer);
            directions.push(&buffer);
        }
        Self(directions)
    }

    /// Every two of them, `i < j`.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        let count = self.0.rows;
        (0..count).step_by(BLOCK).flat_map(move |start| {
            let cosines = self.cosines(start);
            let end = (start + BLOCK).min(count);
            let pairs = (start..end).flat_map(move |i| (i + 1..count).map(move |j| (i, j)));
            pairs.map(move |(i, j)| Pair {
                u: self.0.row(i),
                v: self.0.row(j),
                cosine: cosines[(i - start, j - start)],
            })
        })
    }

    /// The cosines of a block of vectors with themselves and all later ones.
    fn cosines(&self, start: usize) -> Mat<f64> {
        let vectors: MatRef<'_, f64> = self.0.faer();
        let later = vectors.subrows(start, self.0.rows - start);
        let block = later.subrows(0, BLOCK.min(later.nrows()));
        block * later.transpose()
    }
}

impl Pair<'_> {
    /// In radians, 0 to pi.
    pub(super) fn angle(&self) -> f64 {
        if self.cosine.abs() < NEAR {
            return self.cosine.acos();
        }
        // Kahan's formula.
        2.0 * distance(self.u, self.v).atan2(self.sum())
    }

    /// `|u - v|`, 0 to 2.
    pub(super) fn distance(&self) -> f64 {
        if self.cosine < NEAR {
            (2.0 - 2.0 * self.cosine).sqrt()
        } else {
            distance(self.u, self.v)
        }
    }

    /// `|u + v|`.
    fn sum(&self) -> f64 {
        let squares = self.u.iter().zip(self.v).map(|(u, v)| (u + v).powi(2));
        squares.sum::<f64>().sqrt()
    }
}
