//! Representations row by row.

use burn::tensor::Tensor;

use super::Representations;
use crate::error::Error;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_shape;
use crate::spread::Spread;
use crate::vector::squared_distance;

const COSINE: &str = "row_cosine";
const RATIO: &str = "row_norm_ratio";

pub(super) const METRIC: Metric<Representations> = Metric {
    columns: &[
        Column::new(COSINE, "cosine"),
        Column::new("row_cosine_min", "least"),
    ],
    of: |representations| {
        let cosine = cosines(representations)?;
        Ok([cosine.mean, cosine.min].into())
    },
    shade: Some(Shade {
        header: "1 - cosine",
        distance: |numbers| 1.0 - numbers[0],
    }),
};

pub(super) const NORM_METRIC: Metric<Representations> = Metric {
    columns: &[
        Column::new(RATIO, "norm ratio"),
        Column::new("row_norm_ratio_min", "least"),
        Column::new("row_norm_ratio_max", "most"),
    ],
    of: |representations| {
        let ratio = ratios(representations)?;
        Ok([ratio.mean, ratio.min, ratio.max].into())
    },
    shade: Some(Shade {
        header: "norm",
        distance: |numbers| (numbers[0] - 1.0).abs(),
    }),
};

/// How far the direction of each representation, a row of `[n, d]`, moved.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$\cos_i = \frac{\langle x_i, x'_i \rangle}{\lVert x_i \rVert \lVert x'_i \rVert}$$"#
)]
#[cfg_attr(not(docsrs), doc = "`cos_i = <x_i, x'_i> / (|x_i| |x'_i|)`")]
/// The same inputs in the same order before and after. Without a unit: 1 where a row kept its
/// direction, -1 where it turned round. Rows that are zero before or after have no direction and
/// are left out.
///
/// This is the metric that sees a rotation of all representations, which CKA, SVCCA and Procrustes
/// cannot. The other way round, it is **blind to** whether a move matters: a rotation that the next
/// layer undoes counts in full; and to norms, which [`row_norm_ratio`] sees. In a space where all
/// representations point one way (see [`anisotropy`](crate::anisotropy)) cosines are near 1
/// whatever happened.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if no row is different from zero before and after.
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::row_cosine;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 0.0], [3.0, 4.0]], &device);
/// let after = Tensor::<2>::from_floats([[0.0, 2.0], [3.0, 4.0]], &device); // the first turned
/// let cosine = row_cosine(before, after)?;
/// assert_eq!((cosine.mean, cosine.min), (0.5, 0.0));
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn row_cosine(before: Tensor<2>, after: Tensor<2>) -> Result<Spread, Error> {
    same_shape(COSINE, &before, &after);
    cosines(&Representations::read(&before, &after, &[])?)
}

/// The norm after over the norm before, of each representation, a row of `[n, d]`.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$\rho_i = \frac{\lVert x'_i \rVert}{\lVert x_i \rVert}$$"#
)]
#[cfg_attr(not(docsrs), doc = "`rho_i = |x'_i| / |x_i|`")]
/// The same inputs in the same order before and after. Without a unit: 1 where a norm was kept.
/// Rows that are zero before or after are left out.
///
/// **Blind to** directions, which [`row_cosine`] sees.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] if no row is different from zero before and after.
///
/// # Panics
///
/// If the shapes differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::row_norm_ratio;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 0.0], [3.0, 4.0]], &device);
/// let after = Tensor::<2>::from_floats([[0.0, 2.0], [3.0, 4.0]], &device); // the first grew
/// let ratio = row_norm_ratio(before, after)?;
/// assert_eq!((ratio.min, ratio.max), (1.0, 2.0));
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn row_norm_ratio(before: Tensor<2>, after: Tensor<2>) -> Result<Spread, Error> {
    same_shape(RATIO, &before, &after);
    ratios(&Representations::read(&before, &after, &[])?)
}

/// Cosine and ratio of norms of a row, from its direction before and after. From the chord, not the
/// product: exactly 1 for a row that did not move, and no digit is lost near it.
pub(super) fn moved(before: (f64, &[f64]), after: (f64, &[f64])) -> Option<[f64; 2]> {
    let square = squared_distance(before.1, after.1);
    let cosine = (1.0 - square / 2.0).max(-1.0);
    (before.0 > 0.0 && after.0 > 0.0).then(|| [cosine, after.0 / before.0])
}

fn cosines(representations: &Representations) -> Result<Spread, Error> {
    spread(COSINE, representations, 0)
}

fn ratios(representations: &Representations) -> Result<Spread, Error> {
    spread(RATIO, representations, 1)
}

fn spread(
    metric: &'static str,
    representations: &Representations,
    number: usize,
) -> Result<Spread, Error> {
    let moved = &representations.moved;
    let zero = representations.rows - moved.len();
    match Spread::of(moved.iter().map(|row| row[number]), zero) {
        Some(spread) => Ok(spread),
        None => Error::undefined(
            metric,
            format!(
                "none of {} rows is different from zero before and after",
                representations.rows
            ),
        ),
    }
}
