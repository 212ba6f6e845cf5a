//! Blocks of angles, and derivatives by angles from those by blocks: the portable bodies, and the
//! function that chooses a kernel.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, TensorMetadata};
use burn::tensor::{Shape, Slice, Tensor};

use super::GivensOps;
use crate::backends::listed;

/// The blocks `[n, 2, 2]` of angles `[n]`, `n` at least 1, by the device's kernel if it has one.
pub(crate) fn blocks_of(angles: Tensor<1>) -> Tensor<3> {
    let operation = if listed(&angles.device()) {
        Dispatch::givens_blocks
    } else {
        blocks::<Dispatch>
    };
    Tensor::from_dispatch(operation(angles.into_dispatch()))
}

/// See [`GivensOps::givens_blocks`].
pub(crate) fn blocks<B: Backend>(angles: FloatTensor<B>) -> FloatTensor<B> {
    let pairs = angles.shape()[0];
    let column = |entries| B::float_reshape(entries, Shape::new([pairs, 1]));
    let (cos, sin) = (
        column(B::float_cos(angles.clone())),
        column(B::float_sin(angles)),
    );
    let columns = vec![cos.clone(), B::float_neg(sin.clone()), sin, cos];
    B::float_reshape(B::float_cat(columns, 1), Shape::new([pairs, 2, 2]))
}

/// See [`GivensOps::givens_angle_gradients`].
pub(crate) fn gradients<B: Backend>(
    blocks: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let pairs = blocks.shape()[0];
    let flat = |tensor| B::float_reshape(tensor, Shape::new([pairs, 4]));
    let (blocks, grad) = (flat(blocks), flat(grad));
    let entry = |of: &FloatTensor<B>, number: usize| {
        let column = Slice::from(number..number + 1);
        let entries = B::float_slice(of.clone(), &[Slice::from(0..pairs), column]);
        B::float_reshape(entries, Shape::new([pairs]))
    };
    let (cos, sin) = (entry(&blocks, 0), entry(&blocks, 2));
    let turned = B::float_sub(entry(&grad, 2), entry(&grad, 1));
    let stretched = B::float_add(entry(&grad, 0), entry(&grad, 3));
    B::float_sub(B::float_mul(cos, turned), B::float_mul(sin, stretched))
}
