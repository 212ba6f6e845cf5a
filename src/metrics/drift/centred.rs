//! What CKA, SVCCA and Procrustes distance have in common: they compare representations up to their mean and their size.

use faer::MatRef;

use super::host::{Host, undefined};
use crate::error::Error;

/// Representations with mean 0 and Frobenius norm 1.
pub(super) struct Centred(Host);

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
        match size == 0.0 {
            true => undefined(metric, format!("all {rows} rows {side} are the same")),
            false => Ok(Self(scaled)),
        }
    }

    pub(super) fn matrix(&self) -> MatRef<'_, f64> {
        self.0.matrix()
    }
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
