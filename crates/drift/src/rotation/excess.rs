//! `R - I` by its entries that are not zero.

use burn::tensor::{DType, Device, Tensor};
use burn_goft::{GoftAdapter, visit_parameters};

use crate::error::Error;
use crate::matrix::Matrix;
use crate::vector::norm;

/// Entries of the identity that are rotated at once.
const TOGETHER: usize = 1 << 20;

/// `R - I`, row by row, as columns and entries. How many there are is the method's: `O(d log d)`
/// for pairs of axes in a tree, `O(d b)` for blocks of `b`.
pub(super) struct Excess {
    rows: Vec<Vec<(usize, f64)>>,
    /// Relative error of the dtype in which the adapter computed it.
    epsilon: f64,
}

impl Excess {
    /// The rotation of an adapter, less the identity, as the adapter computes it: in its dtype, on
    /// its device. Columns of the identity are rotated, some at a time, and what stays zero is not
    /// kept.
    pub(super) fn of(adapter: &GoftAdapter) -> Result<Self, Error> {
        let dim = adapter.dim();
        let mut rows = vec![Vec::new(); dim];
        let Some((dtype, device)) = place(adapter) else {
            return Ok(Self { rows, epsilon: 0.0 });
        };
        let mut broken = 0;
        let step = (TOGETHER / dim).max(1);
        for first in (0..dim).step_by(step) {
            let columns = first..(first + step).min(dim);
            let zeros = Tensor::<2>::zeros([dim, columns.len()], (&device, dtype));
            let ones = Tensor::<2>::eye(columns.len(), &device).cast(dtype);
            let part = zeros.slice_assign([columns.clone(), 0..columns.len()], ones);
            let rotated = Matrix::read(adapter.rotate(part, 0).without_autodiff());
            for (index, (entries, row)) in rows.iter_mut().zip(rotated.each_row()).enumerate() {
                for (column, entry) in columns.clone().zip(row) {
                    let excess = entry - f64::from(u8::from(index == column));
                    broken += usize::from(!excess.is_finite());
                    if excess != 0.0 {
                        entries.push((column, excess));
                    }
                }
            }
        }
        Error::unless_finite("R - I", broken)?;
        let epsilon = match dtype {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        Ok(Self { rows, epsilon })
    }

    pub(super) fn dim(&self) -> usize {
        self.rows.len()
    }

    /// Relative error of the dtype in which it was computed.
    pub(super) fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// `|| R - I ||_F`.
    pub(super) fn frobenius(&self) -> f64 {
        norm(&Vec::from_iter(self.rows.iter().flatten().map(|(_, v)| *v)))
    }

    pub(super) fn divided_by(&self, size: f64) -> Self {
        let divided = |row: &Vec<(usize, f64)>| {
            let entries = row.iter().map(|(column, entry)| (*column, entry / size));
            entries.collect()
        };
        Self {
            rows: self.rows.iter().map(divided).collect(),
            epsilon: self.epsilon,
        }
    }

    /// `E v`.
    fn times(&self, v: &[f64]) -> Vec<f64> {
        let dot = |row: &Vec<(usize, f64)>| row.iter().map(|(column, e)| e * v[*column]).sum();
        self.rows.iter().map(dot).collect()
    }

    /// `E^T v`.
    fn transpose_times(&self, v: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; v.len()];
        for (row, v) in self.rows.iter().zip(v) {
            row.iter().for_each(|(column, e)| product[*column] += e * v);
        }
        product
    }

    /// `E^T E v`.
    pub(super) fn square_times(&self, v: &[f64]) -> Vec<f64> {
        self.transpose_times(&self.times(v))
    }

    /// `(R^T R - I) v = (E + E^T + E^T E) v`, in which nothing of the size of `v` cancels.
    pub(super) fn gram_times(&self, v: &[f64]) -> Vec<f64> {
        let moved = self.times(v);
        let sum: Vec<f64> = v.iter().zip(&moved).map(|(v, moved)| v + moved).collect();
        let mut product = self.transpose_times(&sum);
        product
            .iter_mut()
            .zip(moved)
            .for_each(|(p, moved)| *p += moved);
        product
    }
}

/// Where an adapter computes; nothing for one without parameters.
fn place(adapter: &GoftAdapter) -> Option<(DType, Device)> {
    let mut place = None;
    visit_parameters(adapter, |parameter, values| {
        place = Some((values().dtype(), parameter.device.clone()));
    });
    place
}
