//! Whether representations fill their space or crowd in a cone.

use burn::tensor::Tensor;

use super::Representations;
use crate::error::Error;
use crate::matrix::Matrix;
use crate::metric::{Column, Metric, Shade};
use crate::vector::{norm, unit};

const NAME: &str = "anisotropy";

pub(super) const METRIC: Metric<Representations> = Metric {
    columns: &[
        Column::new("anisotropy_before", "anisotropy"),
        Column::new("anisotropy_after", "after"),
    ],
    of: |representations| {
        let [before, after] = &representations.crowds;
        Ok([before.anisotropy()?, after.anisotropy()?].into())
    },
    shade: Some(Shade {
        header: "anisotropy",
        distance: |numbers| (numbers[1] - numbers[0]).abs(),
    }),
};

/// The average cosine of two different representations, rows of `[n, d]`: how far they crowd in a
/// cone.
///
/// With `u_i = x_i / |x_i|`, over all pairs at once rather than a sample of them:
#[cfg_attr(
    docsrs,
    doc = r#"$$\frac{1}{n (n - 1)} \sum_{i \ne j} \langle u_i, u_j \rangle = \frac{\lVert \sum_i u_i \rVert^2 - n}{n (n - 1)}$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`mean over i != j of <u_i, u_j> = (|sum_i u_i|^2 - n) / (n (n - 1))`"
)]
/// Near 0 where directions are spread over the space (isotropic), 1 where all are the same; at
/// least `-1 / (n - 1)`. Measure it before and after: fine-tuning often narrows the cone, and in a
/// narrow one a cosine of two rows says little. Rows that are zero have no direction and are left
/// out. Costs `O(n d)`.
///
/// **Blind to** a rotation of the representation, and to how variance is spread among directions:
/// representations on one line, half of them each way, measure as isotropic.
///
/// Source: Ethayarajh 2019, [arXiv 1909.00512](https://arxiv.org/abs/1909.00512), Section 3.4,
/// there the cosine of randomly chosen pairs.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two rows that are not zero.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::anisotropy;
///
/// let rows = Tensor::<2>::from_floats([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0]], &Device::flex());
/// // One pair of three is parallel, the others are orthogonal.
/// assert!((anisotropy(rows)? - 1.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn anisotropy(representations: Tensor<2>) -> Result<f64, Error> {
    let representations = Matrix::finite("the representations", representations)?;
    let mut crowd = Crowd::new(representations.columns);
    let mut direction = Vec::new();
    for row in representations.each_row() {
        let size = norm(row);
        unit(row, size, &mut direction);
        crowd.add(size, &direction);
    }
    crowd.anisotropy()
}

/// The sum of the directions of rows.
pub(crate) struct Crowd {
    sum: Vec<f64>,
    rows: usize,
    zero_rows: usize,
}

impl Crowd {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            sum: vec![0.0; columns],
            rows: 0,
            zero_rows: 0,
        }
    }

    /// Adds a row of this size.
    pub(super) fn add(&mut self, size: f64, direction: &[f64]) {
        self.rows += 1;
        if size == 0.0 {
            self.zero_rows += 1;
            return;
        }
        let sums = self.sum.iter_mut().zip(direction);
        sums.for_each(|(sum, v)| *sum += v);
    }

    fn anisotropy(&self) -> Result<f64, Error> {
        let count = self.rows - self.zero_rows;
        if count < 2 {
            let rows = self.rows;
            return Error::undefined(
                NAME,
                format!("it needs two rows that are not zero, and {count} of {rows} are not"),
            );
        }
        let square: f64 = self.sum.iter().map(|v| v * v).sum();
        let count = count as f64;
        Ok((square - count) / (count * (count - 1.0)))
    }
}
