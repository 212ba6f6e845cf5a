//! Bounds on an OFT rotation.

use burn::tensor::Tensor;

use super::excess::{OftBounds, of_matrices};
use super::oft::Oft;
use crate::error::Error;

/// Bounds that hold for the rotation of an axis of length `dim` by OFT in this form, from its skew
/// parameters in a row, without forming `R`.
///
/// By the exact inverse `R` is orthogonal but for what Newton's 21 steps leave. They start from a
/// bound `t` on the square of `|| Q ||_2` and leave `r = (t / (2 + t))^(2^21)` of the inverse, so
/// that
#[cfg_attr(
    docsrs,
    doc = r#"$$\lVert R^\top R - I \rVert_2 \le 4 r (1 - r) \le 1, \qquad t = 1.01 \left( \lVert Q^4 \rVert_F / \sqrt 2 \right)^{1/2}$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`|| R^T R - I ||_2 <= 4 r (1 - r) <= 1`, `t = 1.01 (|| Q^4 ||_F / sqrt 2)^(1/2)`,"
)]
/// with `4 r (1 - r)` replaced by 1 where `r > 1/2`, and at most `sqrt b` times that in the
/// Frobenius norm of a block. It is below `1e-16` for rotations by up to 179 degrees in blocks of
/// up to 4096. With `k` terms of the Neumann series, `q = || Q ||_2` and `m = k + 1`:
#[cfg_attr(
    docsrs,
    doc = r#"$$\lVert R^\top R - I \rVert_2 \le \varepsilon(q), \qquad \varepsilon(q) = \begin{cases} q^{2m} & k \text{ even} \\ 2 q^m + q^{2m} & k \text{ odd} \end{cases}, \qquad
\lVert R^\top R - I \rVert_F^2 \le \sum_{\text{blocks}} \left( \tfrac{\varepsilon(q_j)}{q_j} \lVert Q_j \rVert_F \right)^2$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`|| R^T R - I ||_2 <= eps(q)`, `eps(q) = q^2m` for even `k` and `2 q^m + q^2m` for odd `k`; \
           `|| R^T R - I ||_F^2 <= sum over blocks of (eps(q_j) / q_j || Q_j ||_F)^2`"
)]
///
/// An even number of terms is the better one: it squares the error. The bounds are those of exact
/// arithmetic; the dtype's rounding comes on top.
///
/// Cost: products of the blocks, `O(dim b^2)` each.
///
/// Source: derived for this crate; the forms are those of [`Oft::blocks`].
///
/// # Errors
///
/// If a parameter is not finite. Bounds beyond f64 are infinite.
///
/// # Panics
///
/// If there are not [`Oft::parameter_count`] parameters.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::{Oft, oft_bounds};
///
/// // b = 2 and Q = [[0, q], [-q, 0]]: R^T R = (1 + q^6)^2 I with 5 terms, and (1 + q^10) I with 4.
/// let skew = || Tensor::<1>::from_floats([0.5], &Device::flex());
/// let bounds = oft_bounds(Oft::neumann(2, 5), skew(), 2)?;
/// assert!((bounds.gram_spectral - (2.0 * 0.5f64.powi(6) + 0.5f64.powi(12))).abs() < 1e-12);
/// let bounds = oft_bounds(Oft::neumann(2, 4), skew(), 2)?;
/// assert!((bounds.gram_spectral - 0.5f64.powi(10)).abs() < 1e-12);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub fn oft_bounds(form: Oft, skew: Tensor<1>, dim: usize) -> Result<OftBounds, Error> {
    of_matrices(form.skew_matrices(skew.detach(), dim), form.neumann_terms)
}
