//! Representations row by row.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::host::{alike, norm, sum_of_squares, undefined};
use super::spread::Spread;
use super::whole::{Whole, each_pair};
use crate::error::Error;

const METRIC: &str = "row_drift";

/// How far each representation moved. See [`row_drift`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RowDrift {
    /// Cosine of the angle between a row before and after; 1 where it kept its direction.
    pub cosine: Spread,
    /// Norm after over norm before; 1 where it was kept.
    pub norm_ratio: Spread,
    /// Rows that are zero before or after: they have no direction, and are in neither.
    pub zero_rows: usize,
}

/// How far each representation, a row of `[n, d]`, moved: its direction and its norm.
///
#[cfg_attr(
    doc,
    doc = r#"$$\cos_i = \frac{\langle x_i, x'_i \rangle}{\lVert x_i \rVert \lVert x'_i \rVert}, \qquad \rho_i = \frac{\lVert x'_i \rVert}{\lVert x_i \rVert}$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`cos_i = <x_i, x'_i> / (|x_i| |x'_i|)`, `rho_i = |x'_i| / |x_i|`"
)]
/// The same inputs in the same order before and after, their mean, smallest and largest over the rows. Without a unit.
///
/// This is the metric that sees a rotation of all representations, which CKA, SVCCA and Procrustes cannot. The other way round, it
/// is **blind to** whether a move matters: a rotation that the next layer undoes counts in full. In a space where all
/// representations point one way (see [`anisotropy`](crate::anisotropy)) cosines are near 1 whatever happened.
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
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::row_drift;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 0.0], [3.0, 4.0]], &device);
/// let after = Tensor::<2>::from_floats([[0.0, 2.0], [3.0, 4.0]], &device); // the first turned by 90 degrees
/// let drift = row_drift(before, after)?;
/// assert_eq!((drift.cosine.mean, drift.cosine.min), (0.5, 0.0));
/// assert_eq!((drift.norm_ratio.min, drift.norm_ratio.max), (1.0, 2.0));
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn row_drift(before: Tensor<2>, after: Tensor<2>) -> Result<RowDrift, Error> {
    let (before, after) = alike(METRIC, before, after)?;
    measure(&before, &after)
}

pub(super) fn measure(before: &Whole, after: &Whole) -> Result<RowDrift, Error> {
    let mut rows = Vec::with_capacity(before.rows);
    each_pair(before, after, |before, after| {
        rows.extend(moved(before, after))
    });
    let cosine = Spread::of(rows.iter().map(|(cosine, _)| *cosine));
    let norm_ratio = Spread::of(rows.iter().map(|(_, ratio)| *ratio));
    let (Some(cosine), Some(norm_ratio)) = (cosine, norm_ratio) else {
        let reason = format!(
            "none of {} rows is different from zero before and after",
            before.rows
        );
        return undefined(METRIC, reason);
    };
    Ok(RowDrift {
        cosine,
        norm_ratio,
        zero_rows: before.rows - rows.len(),
    })
}

/// Cosine and ratio of norms.
fn moved(before: &[f64], after: &[f64]) -> Option<(f64, f64)> {
    let (old, new) = (norm(before), norm(after));
    if old == 0.0 || new == 0.0 {
        return None;
    }
    // From the chord, not the product: exactly 1 for a row that did not move, and no digit is lost near it.
    let square = sum_of_squares(before, |index, b| b / old - after[index] / new);
    Some(((1.0 - square / 2.0).max(-1.0), new / old))
}
