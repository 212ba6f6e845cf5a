//! The rotation, the blocks of angles and the derivatives of both: their contract for every backend.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::angles;
use super::portable;
use super::turn::Turn;

/// The rotation, as every backend of burn provides it.
///
/// The default bodies are the definition: other bodies may be faster and must agree with them. They
/// are built from the backend's own tensor operations and cost `O(d)` per vector.
///
/// Call them through [`rotate`](fn@crate::rotate), [`rotate_transpose`](crate::rotate_transpose) and
/// [`Givens::blocks`](crate::Givens::blocks), which check shapes: bodies may assume valid ones and at
/// least one pair.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cubecl-backend"),
    Remote: cfg(feature = "remote"),
    Fusion: cfg(feature = "fusion"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait GivensOps: Backend {
    /// Multiplies every vector of `x` along an axis by `R = P_L ... P_1`, or by its transpose.
    ///
    /// # Arguments
    ///
    /// * `x` - `[.., d, ..]`, `d` at `turn.axis`; any float dtype.
    /// * `blocks` - `[pairs, 2, 2]`, rows `(i, j)` of each pair's block, ordered as in
    ///   [`RotationPlan`](crate::RotationPlan); `d - 1` pairs for the tree.
    /// * `turn` - the rotated axis, the direction and the pairs.
    ///
    /// # Returns
    ///
    /// A tensor of the shape and dtype of `x`. The arithmetic is done in the wider of the two
    /// dtypes and at least in f32.
    #[fusion(dtype = x, shape = x, id = "burn_goft::givens_rotate")]
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        #[fusion(scalar = turn.code())] turn: Turn,
    ) -> FloatTensor<Self> {
        portable::rotate::<Self>(x, blocks, turn)
    }

    /// The derivative of a loss by the blocks, from the derivative `grad` by the rotation's result.
    ///
    /// # Arguments
    ///
    /// As for [`givens_rotate`](Self::givens_rotate); `grad` has the shape of `x`.
    ///
    /// # Returns
    ///
    /// `[pairs, 2, 2]` in the dtype of `blocks`. The kernels sum over vectors in an order that
    /// depends on shapes, dtypes and the device alone.
    #[fusion(dtype = blocks, shape = blocks, id = "burn_goft::givens_block_gradients")]
    fn givens_block_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        #[fusion(scalar = turn.code())] turn: Turn,
    ) -> FloatTensor<Self> {
        portable::gradients::<Self>(x, grad, blocks, turn).1
    }

    /// The derivatives by `x`, which is `grad` rotated the other way, and by the blocks, in one
    /// pass.
    ///
    /// Arguments and returns as for [`givens_rotate`](Self::givens_rotate) and
    /// [`givens_block_gradients`](Self::givens_block_gradients).
    #[fusion(meta = gradients_metadata, id = "burn_goft::givens_gradients")]
    fn givens_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        #[fusion(scalar = turn.code())] turn: Turn,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        portable::gradients::<Self>(x, grad, blocks, turn)
    }

    /// The blocks of angles, Eq. 1 of the paper: rows `(cos t, -sin t)` and `(sin t, cos t)`.
    ///
    /// [`Givens::blocks`](crate::Givens::blocks) is the way to call this.
    ///
    /// # Arguments
    ///
    /// * `angles` - `[pairs]`, in radians; at least one.
    ///
    /// # Returns
    ///
    /// `[pairs, 2, 2]` in the dtype of `angles`.
    #[fusion(meta = blocks_metadata, id = "burn_goft::givens_blocks")]
    fn givens_blocks(angles: FloatTensor<Self>) -> FloatTensor<Self> {
        angles::blocks::<Self>(angles)
    }

    /// The derivative of a loss by angles, from the derivative `grad`, or `g`, by their blocks:
    /// `cos t (g_ji - g_ij) - sin t (g_ii + g_jj)`.
    ///
    /// # Arguments
    ///
    /// * `blocks` - those that [`givens_blocks`](Self::givens_blocks) made of the angles.
    /// * `grad` - of the shape and dtype of `blocks`.
    ///
    /// # Returns
    ///
    /// `[pairs]` in the dtype of `blocks`.
    #[fusion(meta = angles_metadata, id = "burn_goft::givens_angle_gradients")]
    fn givens_angle_gradients(
        blocks: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        angles::gradients::<Self>(blocks, grad)
    }
}

#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;

#[cfg(feature = "fusion")]
fn gradients_metadata(
    x: &TensorSpec,
    _grad: &TensorSpec,
    blocks: &TensorSpec,
    _turn: &Turn,
) -> (TensorSpec, TensorSpec) {
    (x.clone(), blocks.clone())
}

#[cfg(feature = "fusion")]
fn blocks_metadata(angles: &TensorSpec) -> TensorSpec {
    TensorSpec::new([angles.shape[0], 2, 2].into(), angles.dtype)
}

#[cfg(feature = "fusion")]
fn angles_metadata(blocks: &TensorSpec, _grad: &TensorSpec) -> TensorSpec {
    TensorSpec::new([blocks.shape[0]].into(), blocks.dtype)
}
