//! Angles to blocks and back: a few numbers a pair, for which burn's own operations are a dozen
//! small tensors.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};

use super::real::Real;
use super::{Host, as_dtype};
use crate::numeric::{cast, compute_dtype};

/// See [`GivensOps::givens_blocks`](crate::GivensOps::givens_blocks).
pub(crate) fn blocks_of<B: Host>(angles: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = angles.dtype();
    let compute = compute_dtype(dtype, dtype);
    let angles = as_dtype::<B>(angles, compute);
    let blocks = match compute {
        DType::F64 => blocks_in::<B, f64>(&angles),
        _ => blocks_in::<B, f32>(&angles),
    };
    cast::<B>(blocks, compute, dtype)
}

fn blocks_in<B: Host, C: Real>(angles: &FloatTensor<B>) -> FloatTensor<B> {
    let angles = B::values::<C>(angles);
    let blocks = angles.iter().flat_map(|angle| {
        let (sin, cos) = angle.to_f64().sin_cos();
        [cos, -sin, sin, cos].map(C::from_f64)
    });
    B::from_values(blocks.collect(), Shape::new([angles.len(), 2, 2]))
}

/// See [`GivensOps::givens_angle_gradients`](crate::GivensOps::givens_angle_gradients).
pub(crate) fn gradients<B: Host>(blocks: FloatTensor<B>, grad: FloatTensor<B>) -> FloatTensor<B> {
    let dtype = blocks.dtype();
    let compute = compute_dtype(dtype, grad.dtype());
    let [blocks, grad] = [blocks, grad].map(|tensor| as_dtype::<B>(tensor, compute));
    let by_angles = match compute {
        DType::F64 => gradients_in::<B, f64>(&blocks, &grad),
        _ => gradients_in::<B, f32>(&blocks, &grad),
    };
    cast::<B>(by_angles, compute, dtype)
}

fn gradients_in<B: Host, C: Real>(
    blocks: &FloatTensor<B>,
    grad: &FloatTensor<B>,
) -> FloatTensor<B> {
    let pairs = blocks.shape()[0];
    let [blocks, grad] = [blocks, grad].map(|tensor| B::values::<C>(tensor).chunks_exact(4));
    let by_angle = blocks.zip(grad).map(|(block, grad)| {
        let (cos, minus_sin) = (block[0], block[1]);
        let minus = C::from_f64(-1.0);
        cos * (grad[2] + minus * grad[1]) + minus_sin * (grad[0] + grad[3])
    });
    B::from_values(by_angle.collect(), Shape::new([pairs]))
}
