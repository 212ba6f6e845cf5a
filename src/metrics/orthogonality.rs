//! How far from orthogonal a rotation is, measured.

use burn::tensor::Tensor;

use super::larger;
use crate::rotate::{rotate, rotate_transpose};

/// `R^T R - I`, measured. See [`orthogonality_error`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrthogonalityError {
    /// Largest entry in magnitude.
    pub max: f64,
    /// Frobenius norm, `sqrt(sum of squares)`; at least the spectral norm.
    pub frobenius: f64,
}

/// Measures `R^T R - I` for the rotation of `blocks [d-1, 2, 2]`, in the blocks' own dtype and on their device.
///
/// For strict blocks this is rounding alone, about the dtype's rounding unit times the number of levels; for quasi blocks compare
/// it with [`quasi_bounds`](crate::quasi_bounds). Needs one `d x d` matrix: a diagnostic, not a training step.
///
/// # Panics
///
/// If `blocks` is not `[d-1, 2, 2]`.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Distribution, Tensor};
/// use burn_goft::{Givens, orthogonality_error};
///
/// let angles = Tensor::random([767], Distribution::Uniform(-3.0, 3.0), &Device::flex());
/// assert!(orthogonality_error(Givens::from_angles(angles).blocks()).max < 1e-5);
/// # }
/// ```
pub fn orthogonality_error(blocks: Tensor<3>) -> OrthogonalityError {
    let blocks = blocks.detach();
    let dim = blocks.dims()[0] + 1;
    let identity = Tensor::<2>::eye(dim, &blocks.device()).cast(blocks.dtype());
    let rotation = rotate(identity.clone(), blocks.clone(), 0);
    let excess = rotate_transpose(rotation, blocks, 0) - identity;
    let entries = excess.into_data();
    let squares: f64 = entries.iter::<f64>().map(|entry| entry * entry).sum();
    OrthogonalityError {
        max: entries.iter::<f64>().map(f64::abs).fold(0.0, larger),
        frobenius: squares.sqrt(),
    }
}
