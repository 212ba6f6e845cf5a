//! The one operation of the crate and its derivative, their contract for every backend.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use crate::{portable, several};

/// The rotation, as every backend of burn provides it.
///
/// The default bodies are the definition: other bodies may be faster and must agree with them. They are built from the backend's
/// own tensor operations and cost `O(d)` per vector.
///
/// Shapes are checked by [`rotate`](fn@crate::rotate) and [`rotate_transpose`](crate::rotate_transpose), which are the way to
/// call this. Bodies rely on it, and on `d > 1`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cubecl-backend"),
    Fusion: cfg(feature = "cubecl-backend"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait GivensOps: Backend {
    /// Multiplies every vector of `x` along `axis` by `R = P_L ... P_1`, or by its transpose.
    ///
    /// # Arguments
    ///
    /// * `x` - `[.., d, ..]`, `d` at `axis`; any float dtype.
    /// * `blocks` - `[d-1, 2, 2]`, rows `(i, j)` of each pair's block, ordered as in [`RotationPlan`](crate::RotationPlan).
    /// * `axis` - the rotated axis of `x`.
    /// * `transpose` - `false`: `R v`, level 1 first. `true`: `R^T v`, level `L` first with transposed blocks.
    ///
    /// # Returns
    ///
    /// A tensor of the shape and dtype of `x`. Computed in the wider of the two dtypes and at least in f32.
    #[fusion(dtype = x, shape = x)]
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> FloatTensor<Self> {
        portable::rotate::<Self>(x, blocks, axis, transpose)
    }

    /// Rotates `x` by each of several rotations, which the query, key and value layers of attention need. A CPU kernel reads `x` once
    /// for all, a GPU's for two or three.
    ///
    /// # Arguments
    ///
    /// As for [`givens_rotate`](Self::givens_rotate), with `blocks [k, d-1, 2, 2]`, one rotation behind the other.
    ///
    /// # Returns
    ///
    /// `k` tensors of the shape and dtype of `x`.
    #[fusion(default)]
    fn givens_rotate_each(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> Vec<FloatTensor<Self>> {
        several::rotate_each::<Self>(x, blocks, axis, transpose)
    }

    /// [`givens_rotate_each`](Self::givens_rotate_each) for two rotations.
    #[fusion(meta = two_results)]
    fn givens_rotate_two(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [one, two] = several::rotate_one_by_one::<Self, 2>(x, blocks, axis, transpose);
        (one, two)
    }

    /// [`givens_rotate_each`](Self::givens_rotate_each) for three rotations.
    #[fusion(meta = three_results)]
    fn givens_rotate_three(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [one, two, three] = several::rotate_one_by_one::<Self, 3>(x, blocks, axis, transpose);
        (one, two, three)
    }

    /// The derivative of a loss by the blocks, from the derivative `grad` by the rotation's result.
    ///
    /// # Arguments
    ///
    /// As for [`givens_rotate`](Self::givens_rotate); `grad` has the shape of `x`.
    ///
    /// # Returns
    ///
    /// `[d-1, 2, 2]` in the dtype of `blocks`. The kernels sum over vectors in an order that depends on shapes, dtypes
    /// and the device alone.
    #[fusion(dtype = blocks, shape = blocks)]
    fn givens_block_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> FloatTensor<Self> {
        portable::gradients::<Self>(x, grad, blocks, axis, transpose).1
    }

    /// The derivatives by `x`, which is `grad` rotated the other way, and by the blocks, in one pass.
    ///
    /// Arguments and returns as for [`givens_rotate`](Self::givens_rotate) and
    /// [`givens_block_gradients`](Self::givens_block_gradients).
    #[fusion(meta = gradients_metadata)]
    fn givens_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        portable::gradients::<Self>(x, grad, blocks, axis, transpose)
    }
}

#[cfg(feature = "cubecl-backend")]
use burn::backend::fusion::custom::TensorSpec;

#[cfg(feature = "cubecl-backend")]
fn two_results(
    x: &TensorSpec,
    _blocks: &TensorSpec,
    _axis: &usize,
    _transpose: &bool,
) -> (TensorSpec, TensorSpec) {
    (x.clone(), x.clone())
}

#[cfg(feature = "cubecl-backend")]
fn three_results(
    x: &TensorSpec,
    _blocks: &TensorSpec,
    _axis: &usize,
    _transpose: &bool,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (x.clone(), x.clone(), x.clone())
}

#[cfg(feature = "cubecl-backend")]
fn gradients_metadata(
    x: &TensorSpec,
    _grad: &TensorSpec,
    blocks: &TensorSpec,
    _axis: &usize,
    _transpose: &bool,
) -> (TensorSpec, TensorSpec) {
    (x.clone(), blocks.clone())
}
