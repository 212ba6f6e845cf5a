//! One singular value decomposition for all that asks for it.

use faer::Mat;

use crate::error::Error;
use crate::linalg::thin_svd;
use crate::matrix::Matrix;

/// The singular values of neurons as rows, falling, and the singular directions of their space as
/// columns.
pub(super) struct Factors {
    pub(super) values: Vec<f64>,
    pub(super) directions: Mat<f64>,
}

impl Factors {
    pub(super) fn of(metric: &'static str, neurons: &Matrix) -> Result<Self, Error> {
        let (size, scaled) = neurons.scaled();
        let svd = thin_svd(metric, scaled.faer())?;
        let values = svd.S().column_vector().iter();
        Ok(Self {
            values: values.map(|value| size * value).collect(),
            directions: svd.V().to_owned(),
        })
    }

    /// How many singular values are more than rounding.
    pub(super) fn rank(&self) -> usize {
        let longer = self.directions.nrows().max(self.values.len());
        let largest = self.values.first().copied().unwrap_or(0.0);
        let rounding = f64::EPSILON * longer as f64 * largest;
        self.values
            .iter()
            .filter(|value| **value > rounding)
            .count()
    }
}
