//! How far from orthogonal a rotation is, measured.

use burn::tensor::{Tensor, TensorData};

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
    OrthogonalityError::of_excess(&gram_excess(blocks).into_data())
}

/// `R^T R - I [d, d]`.
pub(crate) fn gram_excess(blocks: Tensor<3>) -> Tensor<2> {
    let blocks = blocks.detach();
    let identity = identity_like(&blocks, blocks.dims()[0] + 1);
    let rotation = rotate(identity.clone(), blocks.clone(), 0);
    rotate_transpose(rotation, blocks, 0) - identity
}

/// In the dtype and on the device of what it is beside.
pub(crate) fn identity_like(blocks: &Tensor<3>, dim: usize) -> Tensor<2> {
    Tensor::<2>::eye(dim, &blocks.device()).cast(blocks.dtype())
}

impl OrthogonalityError {
    /// Of the entries of `R^T R - I`.
    pub(crate) fn of_excess(entries: &TensorData) -> Self {
        let (mut max, mut squares) = (0.0, 0.0);
        for entry in entries.iter::<f64>() {
            max = larger(max, entry.abs());
            squares += entry * entry;
        }
        Self {
            max,
            frobenius: squares.sqrt(),
        }
    }
}
