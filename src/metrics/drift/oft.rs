//! How far from orthogonal an OFT rotation can be, from its parameters alone.

use burn::tensor::Tensor;
use faer::MatRef;
use serde::{Deserialize, Serialize};

use super::host::{norm, not_finite, singular_values, values};
use crate::error::Error;
use crate::oft::{ABOVE, Oft, newton_leaves};

const METRIC: &str = "oft_bounds";

/// Bounds on an OFT rotation `R` from its skew parameters, in f64. See [`oft_bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OftBounds {
    /// `|| Q ||_2`, the largest of all blocks; for an exact inverse the tangent of half the largest angle of rotation.
    pub skew_spectral: f64,
    /// `|| R^T R - I ||_2` at most.
    pub gram_spectral: f64,
    /// `|| R^T R - I ||_F` at most.
    pub gram_frobenius: f64,
}

/// Bounds that hold for the rotation of an axis of length `dim` by OFT in this form, from its skew parameters in a row, without
/// forming `R`.
///
/// By the exact inverse `R` is orthogonal but for what Newton's 21 steps leave. They start from a bound `t` on the square of `|| Q ||_2` and
/// leave `r = (t / (2 + t))^(2^21)` of the inverse, so that
#[cfg_attr(
    doc,
    doc = r#"$$\lVert R^\top R - I \rVert_2 \le 4 r (1 - r) \le 1, \qquad t = 1.01 \left( \lVert Q^4 \rVert_F / \sqrt 2 \right)^{1/2}$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`|| R^T R - I ||_2 <= 4 r (1 - r) <= 1`, `t = 1.01 (|| Q^4 ||_F / sqrt 2)^(1/2)`,"
)]
/// with `4 r (1 - r)` replaced by 1 where `r > 1/2`, and at most `sqrt b` times that in the Frobenius norm of a block. It is below `1e-16` for
/// rotations by up to 179 degrees in blocks of up to 4096. With `k` terms of the Neumann series, `q = || Q ||_2` and
/// `m = k + 1`:
#[cfg_attr(
    doc,
    doc = r#"$$\lVert R^\top R - I \rVert_2 \le \varepsilon(q), \qquad \varepsilon(q) = \begin{cases} q^{2m} & k \text{ even} \\ 2 q^m + q^{2m} & k \text{ odd} \end{cases}, \qquad
\lVert R^\top R - I \rVert_F^2 \le \sum_{\text{blocks}} \left( \tfrac{\varepsilon(q_j)}{q_j} \lVert Q_j \rVert_F \right)^2$$"#
)]
#[cfg_attr(
    not(doc),
    doc = "`|| R^T R - I ||_2 <= eps(q)`, `eps(q) = q^2m` for even `k` and `2 q^m + q^2m` for odd `k`; \
           `|| R^T R - I ||_F^2 <= sum over blocks of (eps(q_j) / q_j || Q_j ||_F)^2`"
)]
///
/// Proof. `(I - Q)(I + Q + .. + Q^k) = I - Q^m`, and powers of `Q` commute, so `R = (I + Q)(I - Q)^-1 (I - Q^m) = C (I - Q^m)` with
/// Cayley's `C`, which is orthogonal. Hence `R^T R = (I - Q^m)^T (I - Q^m)`, and with `Q^T = -Q`
#[cfg_attr(
    doc,
    doc = r#"$$R^\top R - I = -\left(1 + (-1)^m\right) Q^m + (-1)^m Q^{2m}$$"#
)]
#[cfg_attr(not(doc), doc = "`R^T R - I = -(1 + (-1)^m) Q^m + (-1)^m Q^2m`.")]
/// For Newton's iteration, `(I - Q) X = I - E` with an `E` that is a function of `Q^2`; on a plane it is a number `e` in `[0, r]`, and
/// `R = 2 X - I` has the square `1 - 4 e (1 - e) / (1 + theta^2)` there.
///
/// The first part vanishes for odd `m`, even `k`. The rest is the triangle inequality with `|| Q^i ||_2 <= q^i` and
/// `|| Q^i ||_F <= q^(i-1) || Q ||_F`.
///
/// The spectral bound is attained for `m` that no 4 divides, OFTv2's 5 terms among them: `Q` is normal with eigenvalues `+-i theta`,
/// and `|1 - (i theta)^m|^2 - 1` at `theta = q` is `eps(q)`. Where 4 divides `m`, it is `q^2m - 2 q^m`, and while `q < 1` the bound is less
/// than three times as large. From `q = 1` on the series has no limit, and no number of terms makes `R` orthogonal.
///
/// An even number of terms is the better one: it squares the error. The bounds are those of exact arithmetic; the dtype's rounding comes
/// on top.
///
/// Cost: the singular values of every block, `O(dim b^2)`.
///
/// Source: derived for this crate; the forms are those of [`Oft::blocks`].
///
/// # Errors
///
/// [`Error::NonFinite`]. Bounds beyond f64 are infinite.
///
/// # Panics
///
/// If there are not [`Oft::parameter_count`] numbers.
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
    let matrices = form.skew_matrices(skew.detach(), dim);
    let [_, size, _] = matrices.dims();
    let entries = values(matrices);
    match entries.iter().filter(|entry| !entry.is_finite()).count() {
        0 => {}
        count => return Err(not_finite("Q", count)),
    }
    let mut bounds = OftBounds {
        skew_spectral: 0.0,
        gram_spectral: 0.0,
        gram_frobenius: 0.0,
    };
    for block in entries.chunks_exact(size * size) {
        let frobenius = norm(block);
        if frobenius == 0.0 {
            continue;
        }
        let scaled: Vec<f64> = block.iter().map(|entry| entry / frobenius).collect();
        let matrix = MatRef::from_row_major_slice(&scaled, size, size);
        let shares = singular_values(METRIC, matrix)?;
        let share = shares[0];
        let spectral = frobenius * share;
        let (excess, of_frobenius) = match form.neumann_terms {
            Some(terms) => {
                let excess = gram_excess(terms, spectral);
                (excess, excess / share)
            }
            None => {
                // Each singular value is there twice, and its eighth power, of shares, in half of the sum once.
                let eighth: f64 = shares.iter().map(|share| share.powi(8)).sum();
                let t = ABOVE * (eighth / 2.0).powf(0.25) * frobenius * frobenius;
                let left = newton_leaves(t).min(0.5);
                let excess = 4.0 * left * (1.0 - left);
                (excess, excess * (size as f64).sqrt())
            }
        };
        bounds.skew_spectral = bounds.skew_spectral.max(spectral);
        bounds.gram_spectral = bounds.gram_spectral.max(excess);
        bounds.gram_frobenius = bounds.gram_frobenius.hypot(of_frobenius);
    }
    Ok(bounds)
}

/// `eps(q)`.
fn gram_excess(terms: usize, q: f64) -> f64 {
    // At most 2^12 terms.
    let power = q.powi(terms as i32 + 1);
    match terms % 2 {
        0 => power * power,
        _ => 2.0 * power + power * power,
    }
}
