//! What CKA, SVCCA and Procrustes distance have in common: they compare representations up to their mean and their size.

use burn::tensor::Tensor;
use faer::Mat;

use super::host::{Host, same_rows, undefined};
use crate::error::Error;

/// Representations with mean 0 and Frobenius norm 1, and with at most as many columns as rows: where there are more, a rotation makes
/// all others zero, and to a rotation these metrics are blind.
pub(super) struct Centred {
    pub(super) matrix: Mat<f64>,
}

impl Centred {
    pub(super) fn of(
        metric: &'static str,
        side: &str,
        representations: &Host,
    ) -> Result<Self, Error> {
        let rows = representations.rows;
        if rows < 2 {
            return undefined(
                metric,
                format!("it compares rows with each other, and there are {rows}; pass two or more"),
            );
        }
        // Scaled before, too, so that no difference overflows.
        let (size, scaled) = centre(&representations.scaled().1).scaled();
        if size == 0.0 {
            return undefined(metric, format!("all {rows} rows {side} are the same"));
        }
        let matrix = scaled.matrix();
        let matrix = match rows < matrix.ncols() {
            true => matrix.transpose().qr().thin_R().transpose().to_owned(),
            false => matrix.to_owned(),
        };
        Ok(Self { matrix })
    }
}

/// Before and after, for the metric of this name.
pub(super) fn centred_pair(
    metric: &'static str,
    before: Tensor<2>,
    after: Tensor<2>,
) -> Result<(Centred, Centred), Error> {
    let (before, after) = same_rows(metric, before, after)?;
    Ok((
        Centred::of(metric, "before", &before.host())?,
        Centred::of(metric, "after", &after.host())?,
    ))
}

/// Rows minus their mean. The first row is taken off before: rows that are all the same become zero exactly.
fn centre(representations: &Host) -> Host {
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
