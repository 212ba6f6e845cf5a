//! What is left of a difference after the best rotation.

use burn::tensor::Tensor;

use super::centred::{Centred, centred_pair};
use super::host::singular_values;
use crate::error::Error;

const METRIC: &str = "procrustes_distance";

/// The orthogonal Procrustes distance of two representations `[n, d]` and `[n, d']` of the same `n` inputs: what is left of their
/// difference after the rotation, or reflection, that brings them nearest.
///
/// With the rows' mean taken off and divided by their Frobenius norms:
#[cfg_attr(
    doc,
    doc = r#"$$\min_{Q^\top Q = I} \lVert X - Y Q \rVert_F^2 = \lVert X \rVert_F^2 + \lVert Y \rVert_F^2 - 2 \lVert X^\top Y \rVert_* = 2 - 2 \lVert X^\top Y \rVert_* \in [0, 2]$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`min over Q of || X - Y Q ||_F^2 = 2 - 2 || X^T Y ||_*`, in `[0, 2]`"
)]
/// A squared distance, without a unit: 0 if one is a rotation of the other, scaled and shifted; 2 if no direction of one says
/// anything linear about the other. Where `n < d` it is computed from the `n x n` factors of a QR decomposition.
///
/// **Blind to** a rotation of the representation, which is what GOFT learns; [`row_drift`](crate::row_drift) sees that. Less ruled
/// by the directions of largest variance than CKA, which squares them.
///
/// Cost: `O(n d d' + min(n, d)^3)`.
///
/// Source: Ding et al. 2021, [arXiv 2108.01661](https://arxiv.org/abs/2108.01661), Section 2; Schönemann 1966.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two rows or where all rows are the same.
///
/// # Panics
///
/// If the numbers of rows differ.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::procrustes_distance;
///
/// let device = Device::flex();
/// let before = Tensor::<2>::from_floats([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], &device);
/// let flat = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]], &device); // one axis lost
/// let distance = procrustes_distance(before, flat)?;
/// assert!((distance - (2.0 - 2f64.sqrt())).abs() < 1e-12);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn procrustes_distance(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    let (before, after) = centred_pair(METRIC, before, after)?;
    measure(&before, &after)
}

pub(super) fn measure(x: &Centred, y: &Centred) -> Result<f64, Error> {
    let cross = x.matrix.transpose() * &y.matrix;
    let nuclear: f64 = singular_values(METRIC, cross.as_ref())?.iter().sum();
    Ok((2.0 - 2.0 * nuclear).max(0.0))
}
