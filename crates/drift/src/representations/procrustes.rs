//! What is left of a difference after the best rotation.

use burn::tensor::Tensor;

use super::Representations;
use super::centered::Centered;
use crate::error::Error;
use crate::linalg::singular_values;
use crate::metric::{Column, Metric, Shade};
use crate::read::same_rows;

const NAME: &str = "procrustes_distance";

pub(super) const METRIC: Metric<Representations> = Metric {
    columns: &[Column::new(NAME, "Procrustes")],
    of: |representations| Ok([measure(representations.centered(NAME)?)?].into()),
    shade: Some(Shade {
        header: "Procrustes / 2",
        distance: |numbers| numbers[0] / 2.0,
    }),
};

/// The orthogonal Procrustes distance of two representations `[n, d]` and `[n, d']` of the same `n`
/// inputs: what is left of their difference after the rotation, or reflection, that brings them
/// nearest.
///
/// With the rows' mean taken off and divided by their Frobenius norms:
#[cfg_attr(
    docsrs,
    doc = r#"$$\min_{Q^\top Q = I} \lVert X - Y Q \rVert_F^2 = \lVert X \rVert_F^2 + \lVert Y \rVert_F^2 - 2 \lVert X^\top Y \rVert_* = 2 - 2 \lVert X^\top Y \rVert_* \in [0, 2]$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`min over Q of || X - Y Q ||_F^2 = 2 - 2 || X^T Y ||_*`, in `[0, 2]`"
)]
/// A squared distance, without a unit: 0 if one is a rotation of the other, scaled and shifted; 2
/// if no direction of one says anything linear about the other. Where `n < d` it is computed from
/// the `n x n` factors of a QR decomposition.
///
/// **Blind to** a rotation of the representation, which is what GOFT learns;
/// [`row_cosine`](crate::row_cosine) sees that. Less ruled by the directions of largest variance
/// than CKA, which squares them.
///
/// Cost: `O(n d d' + min(n, d)^3)`.
///
/// Source: Ding et al. 2021, [arXiv 2108.01661](https://arxiv.org/abs/2108.01661), Section 2;
/// Schönemann 1966.
///
/// # Errors
///
/// [`Error::NonFinite`]; [`Error::Undefined`] with fewer than two rows or where all rows are the
/// same.
///
/// # Panics
///
/// If the numbers of rows differ.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_goft_drift::procrustes_distance;
///
/// let device = Device::flex();
/// let before = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]];
/// let flat = before.map(|[x, _]| [x, 0.0]); // one axis lost
/// let [before, flat] = [before, flat].map(|rows| Tensor::<2>::from_floats(rows, &device));
/// let distance = procrustes_distance(before, flat)?;
/// assert!((distance - (2.0 - 2f64.sqrt())).abs() < 1e-12);
/// # Ok::<(), burn_goft_drift::Error>(())
/// ```
pub fn procrustes_distance(before: Tensor<2>, after: Tensor<2>) -> Result<f64, Error> {
    same_rows(NAME, &before, &after);
    measure(Representations::whole(&before, &after)?.centered(NAME)?)
}

fn measure([x, y]: &[Centered; 2]) -> Result<f64, Error> {
    let cross = x.matrix.transpose() * &y.matrix;
    let nuclear: f64 = singular_values(NAME, cross.as_ref())?.iter().sum();
    Ok((2.0 - 2.0 * nuclear).max(0.0))
}
