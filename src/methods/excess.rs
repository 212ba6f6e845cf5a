//! How far from orthogonal a rotation by skew matrices can be.

use burn::tensor::Tensor;

use super::cayley::{ABOVE, newton_leaves};
use super::inverse::{product, squared_norm};
use crate::error::{Error, Problem};
use crate::numeric::values;

/// Bounds on an OFT rotation `R` from its skew parameters, in f64. See [`oft_bounds`](crate::oft_bounds).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct OftBounds {
    /// `|| Q ||_2`, the largest of all blocks; for an exact inverse the tangent of half the largest
    /// angle of rotation.
    pub skew_spectral: f64,
    /// `|| R^T R - I ||_2` at most.
    pub gram_spectral: f64,
    /// `|| R^T R - I ||_F` at most.
    pub gram_frobenius: f64,
}

/// The bounds for matrices `Q`, by the exact inverse or by so many terms of the series.
pub(super) fn of_matrices(
    matrices: Tensor<3>,
    neumann_terms: Option<usize>,
) -> Result<OftBounds, Error> {
    let [_, size, _] = matrices.dims();
    let entries = values(matrices);
    match entries.iter().filter(|entry| !entry.is_finite()).count() {
        0 => {}
        count => {
            return Err(Problem::NonFinite {
                path: "Q".into(),
                what: "the skew matrix".into(),
                count,
                remedy: "load an adapter from before the training diverged",
            }
            .into());
        }
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
        // Shares of the norm, so that powers neither vanish nor overflow.
        let scaled: Vec<f64> = block.iter().map(|entry| entry / frobenius).collect();
        let share = squared_norm(&scaled, size).sqrt();
        let spectral = frobenius * share;
        let (excess, by_frobenius) = match neumann_terms {
            Some(terms) => {
                let excess = gram_excess(terms, spectral);
                (excess, excess / share)
            }
            None => {
                let square = product(&scaled, &scaled, size);
                let fourth = norm(&product(&square, &square, size));
                let t = ABOVE * (fourth / std::f64::consts::SQRT_2).sqrt() * frobenius * frobenius;
                let left = newton_leaves(t).min(0.5);
                let excess = 4.0 * left * (1.0 - left);
                (excess, excess * (size as f64).sqrt())
            }
        };
        bounds.skew_spectral = bounds.skew_spectral.max(spectral);
        bounds.gram_spectral = bounds.gram_spectral.max(excess);
        bounds.gram_frobenius = bounds.gram_frobenius.hypot(by_frobenius);
    }
    Ok(bounds)
}

/// The Frobenius norm, the largest entry taken out first.
fn norm(entries: &[f64]) -> f64 {
    let largest = entries
        .iter()
        .fold(0.0f64, |max, entry| max.max(entry.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let squares = entries.iter().map(|entry| (entry / largest).powi(2));
    largest * squares.sum::<f64>().sqrt()
}

/// `eps(q)`.
fn gram_excess(terms: usize, q: f64) -> f64 {
    let power = q.powi(i32::try_from(terms + 1).unwrap_or(i32::MAX));
    if terms.is_multiple_of(2) {
        power * power
    } else {
        2.0 * power + power * power
    }
}
