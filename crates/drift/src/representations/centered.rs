//! What CKA, SVCCA and Procrustes distance have in common: they compare representations up to their
//! mean and their size.

use faer::Mat;

use crate::error::Error;
use crate::matrix::Matrix;

/// Representations with mean 0 and Frobenius norm 1, and with at most as many columns as rows:
/// where there are more, a rotation makes all others zero, and to a rotation these metrics are
/// blind.
pub(crate) struct Centered {
    pub(super) matrix: Mat<f64>,
}

impl Centered {
    pub(super) fn of(
        metric: &'static str,
        side: &str,
        representations: &Matrix,
    ) -> Result<Self, Error> {
        let rows = representations.rows;
        if rows < 2 {
            return Error::undefined(
                metric,
                format!("it compares rows with each other, and there are {rows}; pass two or more"),
            );
        }
        // Scaled before, too, so that no difference overflows.
        let (size, scaled) = center(&representations.scaled().1).scaled();
        if size == 0.0 {
            return Error::undefined(metric, format!("all {rows} rows {side} are the same"));
        }
        let matrix = scaled.faer();
        let matrix = if rows < matrix.ncols() {
            matrix.transpose().qr().thin_R().transpose().to_owned()
        } else {
            matrix.to_owned()
        };
        Ok(Self { matrix })
    }
}

/// Rows minus their mean. The first row is taken off before: rows that are all the same become zero
/// exactly.
fn center(representations: &Matrix) -> Matrix {
    let first = representations.row(0).to_vec();
    let shifted = representations.map_rows(|row, target| {
        target.extend(row.iter().zip(&first).map(|(v, first)| v - first));
    });
    let mut mean = vec![0.0; shifted.columns];
    for row in shifted.each_row() {
        mean.iter_mut().zip(row).for_each(|(mean, v)| *mean += v);
    }
    mean.iter_mut()
        .for_each(|mean| *mean /= shifted.rows as f64);
    shifted.map_rows(|row, target| target.extend(row.iter().zip(&mean).map(|(v, mean)| v - mean)))
}
