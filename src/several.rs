//! Several rotations of one tensor, where no kernel takes all of them.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

use crate::ops::GivensOps;

/// `x` rotated by each of the rotations in `blocks [k, d-1, 2, 2]`, three or two of them at a time.
pub(crate) fn rotate_each<B: GivensOps>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> Vec<FloatTensor<B>> {
    let count = blocks.shape()[0];
    let mut rotated = Vec::with_capacity(count);
    while rotated.len() < count {
        let (done, left) = (rotated.len(), count - rotated.len());
        let some = |number| some::<B>(blocks.clone(), done..done + number);
        let x = x.clone();
        match left {
            1 => rotated.extend(rotate_one_by_one::<B, 1>(x, some(1), axis, transpose)),
            2 | 4 => {
                let (one, two) = B::givens_rotate_two(x, some(2), axis, transpose);
                rotated.extend([one, two]);
            }
            _ => {
                let (one, two, three) = B::givens_rotate_three(x, some(3), axis, transpose);
                rotated.extend([one, two, three]);
            }
        }
    }
    rotated
}

/// The same for `K` rotations, each by itself.
pub(crate) fn rotate_one_by_one<B: GivensOps, const K: usize>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> [FloatTensor<B>; K] {
    let mut each = each::<B>(blocks);
    std::array::from_fn(|_| {
        let blocks = each.next().expect("as many rotations as asked for");
        B::givens_rotate(x.clone(), blocks, axis, transpose)
    })
}

/// The blocks `[d-1, 2, 2]` of each rotation in `[k, d-1, 2, 2]`.
pub(crate) fn each<B: Backend>(blocks: FloatTensor<B>) -> impl Iterator<Item = FloatTensor<B>> {
    let shape = blocks.shape();
    let one = Shape::new([shape[1], 2, 2]);
    (0..shape[0]).map(move |index| {
        let blocks = some::<B>(blocks.clone(), index..index + 1);
        B::float_reshape(blocks, one.clone())
    })
}

/// Some of the rotations in `[k, d-1, 2, 2]`.
pub(crate) fn some<B: Backend>(blocks: FloatTensor<B>, rotations: Range<usize>) -> FloatTensor<B> {
    let [count, pairs] = [0, 1].map(|axis| blocks.shape()[axis]);
    if rotations == (0..count) {
        return blocks;
    }
    let part = [rotations, 0..pairs, 0..2, 0..2].map(Slice::from);
    B::float_slice(blocks, &part)
}
