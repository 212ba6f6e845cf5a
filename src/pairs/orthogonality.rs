//! How far from orthogonal a rotation is, measured.

use burn::tensor::{Tensor, TensorData};

use super::rotate::turn;
use super::topology::RotationPlan;
use super::turn::Turn;
use crate::numeric::larger;

/// `R^T R - I`, measured. See [`orthogonality_error`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrthogonalityError {
    /// Largest entry in magnitude.
    pub max: f64,
    /// Frobenius norm, `sqrt(sum of squares)`; at least the spectral norm.
    pub frobenius: f64,
}

/// Measures `R^T R - I` for the rotation of `blocks [pairs, 2, 2]` by the pairs of `plan`, in the
/// blocks' own dtype and on their device.
///
/// For strict blocks this is rounding alone, about the dtype's rounding unit times the number of
/// levels; for quasi blocks compare it with [`quasi_bounds`](crate::quasi_bounds). Needs one
/// `d x d` matrix: a diagnostic, not a training step.
///
/// # Panics
///
/// If `blocks` is not `[pairs, 2, 2]` with the number of pairs of the plan, `d - 1` for the tree.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Distribution, Tensor};
/// use burn_goft::{Givens, RotationPlan, orthogonality_error};
///
/// let angles = Tensor::random([767], Distribution::Uniform(-3.0, 3.0), &Device::flex());
/// let blocks = Givens::from_angles(angles).blocks();
/// assert!(orthogonality_error(blocks, RotationPlan::new(768)).max < 1e-5);
/// # }
/// ```
pub fn orthogonality_error(blocks: Tensor<3>, plan: RotationPlan) -> OrthogonalityError {
    plan.check("orthogonality_error", blocks.dims());
    let blocks = blocks.detach();
    let identity = Tensor::<2>::eye(plan.dim(), &blocks.device()).cast(blocks.dtype());
    let up = Turn::new(0).with_topology(plan.topology());
    let rotation = turn("orthogonality_error", identity.clone(), blocks.clone(), up);
    let gram = turn("orthogonality_error", rotation, blocks, up.transposed());
    OrthogonalityError::measure(&(gram - identity).into_data())
}

impl OrthogonalityError {
    /// From the entries of `R^T R - I`.
    fn measure(entries: &TensorData) -> Self {
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
