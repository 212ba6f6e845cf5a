//! Dense float64 matrices: products, eigenvalues by Jacobi rotations, determinants.

use std::ops::{Index, IndexMut};

/// A matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) entries: Vec<f64>,
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (row, column): (usize, usize)) -> &f64 {
        &self.entries[row * self.columns + column]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (row, column): (usize, usize)) -> &mut f64 {
        &mut self.entries[row * self.columns + column]
    }
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize, entries: Vec<f64>) -> Self {
        assert_eq!(entries.len(), rows * columns);
        Self {
            rows,
            columns,
            entries,
        }
    }

    pub(crate) fn identity(n: usize) -> Self {
        Self::diagonal(&vec![1.0; n])
    }

    pub(crate) fn diagonal(entries: &[f64]) -> Self {
        let n = entries.len();
        let mut matrix = Self::new(n, n, vec![0.0; n * n]);
        for (i, entry) in entries.iter().enumerate() {
            matrix[(i, i)] = *entry;
        }
        matrix
    }

    pub(crate) fn transpose(&self) -> Self {
        let columns = (0..self.columns).flat_map(|c| (0..self.rows).map(move |r| (r, c)));
        let entries = columns.map(|at| self[at]).collect();
        Self::new(self.columns, self.rows, entries)
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows);
        let mut product = Self::new(
            self.rows,
            other.columns,
            vec![0.0; self.rows * other.columns],
        );
        let rows = self.entries.chunks_exact(self.columns);
        let targets = product.entries.chunks_exact_mut(other.columns);
        for (row, target) in rows.zip(targets) {
            for (factor, other) in row.iter().zip(other.entries.chunks_exact(other.columns)) {
                if *factor == 0.0 {
                    continue;
                }
                for (sum, entry) in target.iter_mut().zip(other) {
                    *sum += factor * entry;
                }
            }
        }
        product
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        let entries = self.entries.iter().zip(&other.entries);
        let entries = entries.map(|(a, b)| a + b).collect();
        Self::new(self.rows, self.columns, entries)
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        let entries = self.entries.iter().zip(&other.entries);
        let entries = entries.map(|(a, b)| a - b).collect();
        Self::new(self.rows, self.columns, entries)
    }

    /// `A^T A`.
    pub(crate) fn gram(&self) -> Self {
        self.transpose().times(self)
    }

    pub(crate) fn frobenius(&self) -> f64 {
        self.entries.iter().map(|e| e * e).sum::<f64>().sqrt()
    }

    pub(crate) fn max(&self) -> f64 {
        self.entries.iter().fold(0.0, |max, e| max.max(e.abs()))
    }

    /// The eigenvalues of a symmetric matrix, rising, by cyclic Jacobi rotations.
    pub(crate) fn eigenvalues(&self) -> Vec<f64> {
        assert_eq!(self.rows, self.columns);
        let mut a = self.clone();
        let scale = a.frobenius();
        for _sweep in 0..60 {
            let mut off_diagonal = 0.0;
            for p in 0..a.rows {
                for q in p + 1..a.rows {
                    off_diagonal += a[(p, q)].powi(2);
                    a.annihilate(p, q);
                }
            }
            if off_diagonal.sqrt() <= 1e-15 * scale {
                let mut values: Vec<f64> = (0..a.rows).map(|i| a[(i, i)]).collect();
                values.sort_by(f64::total_cmp);
                return values;
            }
        }
        panic!("Jacobi's method did not converge");
    }

    /// The plane rotation from both sides that makes the entry `(p, q)` of a symmetric matrix zero.
    fn annihilate(&mut self, p: usize, q: usize) {
        if self[(p, q)] == 0.0 {
            return;
        }
        let half_cotangent = (self[(q, q)] - self[(p, p)]) / (2.0 * self[(p, q)]);
        let sign = if half_cotangent < 0.0 { -1.0 } else { 1.0 };
        let tangent = sign / (half_cotangent.abs() + half_cotangent.hypot(1.0));
        let cosine = 1.0 / tangent.hypot(1.0);
        let sine = tangent * cosine;
        for k in 0..self.rows {
            let (x, y) = (self[(k, p)], self[(k, q)]);
            self[(k, p)] = cosine * x - sine * y;
            self[(k, q)] = sine * x + cosine * y;
        }
        for k in 0..self.rows {
            let (x, y) = (self[(p, k)], self[(q, k)]);
            self[(p, k)] = cosine * x - sine * y;
            self[(q, k)] = sine * x + cosine * y;
        }
    }

    /// The largest eigenvalue in magnitude of a symmetric matrix, its spectral norm.
    pub(crate) fn symmetric_norm(&self) -> f64 {
        let values = self.eigenvalues();
        values.iter().fold(0.0, |max, value| max.max(value.abs()))
    }

    /// The singular values, rising; small ones lose half of the digits.
    pub(crate) fn singular_values(&self) -> Vec<f64> {
        let squares = self.gram().eigenvalues();
        squares.iter().map(|value| value.max(0.0).sqrt()).collect()
    }

    /// The determinant, by elimination with row exchanges.
    pub(crate) fn determinant(&self) -> f64 {
        let mut a = self.clone();
        let mut determinant = 1.0;
        for k in 0..a.rows {
            let largest = (k..a.rows).max_by(|&i, &j| a[(i, k)].abs().total_cmp(&a[(j, k)].abs()));
            let pivot = largest.expect("there is a row left");
            if pivot != k {
                determinant = -determinant;
                for column in 0..a.columns {
                    let held = a[(k, column)];
                    a[(k, column)] = a[(pivot, column)];
                    a[(pivot, column)] = held;
                }
            }
            if a[(k, k)] == 0.0 {
                return 0.0;
            }
            determinant *= a[(k, k)];
            for row in k + 1..a.rows {
                let factor = a[(row, k)] / a[(k, k)];
                for column in k..a.columns {
                    let above = a[(k, column)];
                    a[(row, column)] -= factor * above;
                }
            }
        }
        determinant
    }
}
