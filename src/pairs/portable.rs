//! The portable body of the operation, for any backend and any topology: made of the backend's own
//! tensor operations, it is the definition, the fallback and what every kernel is tested against.
//!
//! One level takes every coordinate `i` of a vector to `c_i v_i + s_i v_p(i)`, `p(i)` being its
//! partner in the level's pairs. A coordinate without a partner keeps its value: `c = 1`, `s = 0`.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use super::pyramid;
use super::topology::{Level, Topology};
use super::turn::Turn;
use crate::numeric::{cast, compute_dtype, vectors};

/// The rotation of `x`, on any backend, `Dispatch` included.
/// See [`GivensOps::givens_rotate`](crate::GivensOps::givens_rotate).
pub(crate) fn rotate<B: Backend>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> FloatTensor<B> {
    // The tree's levels halve what is left to do, which halves its work again and again.
    match turn.topology {
        Topology::Tree => pyramid::rotate::<B>(x, blocks, turn.axis, turn.transpose),
        _ => level_by_level::<B>(x, blocks, turn),
    }
}

/// The derivatives by `x` and by the blocks.
/// See [`GivensOps::givens_gradients`](crate::GivensOps::givens_gradients).
pub(crate) fn gradients<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> (FloatTensor<B>, FloatTensor<B>) {
    match turn.topology {
        Topology::Tree => pyramid::gradients::<B>(x, grad, blocks, turn.axis, turn.transpose),
        _ => gradients_level_by_level::<B>(x, grad, blocks, turn),
    }
}

/// The definition of the rotation.
pub(super) fn level_by_level<B: Backend>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> FloatTensor<B> {
    let shape = x.shape();
    let levels = turn.topology.levels(shape[turn.axis]);
    if levels.is_empty() || shape.num_elements() == 0 {
        return x;
    }
    let (x_dtype, blocks_dtype) = (x.dtype(), blocks.dtype());
    let compute = compute_dtype(x_dtype, blocks_dtype);
    let levels = Levels::<B>::new(
        cast::<B>(blocks, blocks_dtype, compute),
        &shape,
        turn,
        &levels,
    );
    let mut rotated = vectors::<B>(cast::<B>(x, x_dtype, compute), turn.axis);
    let count = levels.levels.len();
    for index in 0..count {
        let index = if turn.transpose {
            count - 1 - index
        } else {
            index
        };
        rotated = levels.apply(index, rotated, turn.transpose);
    }
    cast::<B>(B::float_reshape(rotated, shape), compute, x_dtype)
}

/// The definition of the derivatives. With `a` going up (`R`) and `b` going down (`R^T`), each
/// pair's block gets `sum b a^T` of the values on the lower side of the pair for `a`, on the upper
/// for `b`:
///
/// ```text
///               a        b        derivative by x
///   y = R^T x   grad     x        R grad,   where a ends
///   y = R x     x        grad     R^T grad, where b ends
/// ```
pub(super) fn gradients_level_by_level<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (shape, blocks_shape) = (x.shape(), blocks.shape());
    let (x_dtype, blocks_dtype) = (x.dtype(), blocks.dtype());
    let levels = turn.topology.levels(shape[turn.axis]);
    if levels.is_empty() || shape.num_elements() == 0 {
        let zeros = B::float_zeros(blocks_shape, &blocks.device(), blocks_dtype.into());
        return (grad, zeros);
    }
    let compute = compute_dtype(x_dtype, blocks_dtype);
    let levels = Levels::<B>::new(
        cast::<B>(blocks, blocks_dtype, compute),
        &shape,
        turn,
        &levels,
    );
    let x = vectors::<B>(cast::<B>(x, x_dtype, compute), turn.axis);
    let grad = vectors::<B>(cast::<B>(grad, x_dtype, compute), turn.axis);
    let (mut a, mut b) = if turn.transpose { (grad, x) } else { (x, grad) };

    let mut below = Vec::with_capacity(levels.levels.len());
    for index in 0..levels.levels.len() {
        below.push(a.clone());
        a = levels.apply(index, a, false);
    }
    let mut by_level = Vec::with_capacity(levels.levels.len());
    for (index, a) in below.into_iter().enumerate().rev() {
        by_level.push(levels.products(index, &b, &a));
        b = levels.apply(index, b, true);
    }
    by_level.reverse();
    let by_x = B::float_reshape(if turn.transpose { a } else { b }, shape);
    let by_blocks = B::float_reshape(B::float_cat(by_level, 0), blocks_shape);
    (
        cast::<B>(by_x, compute, x_dtype),
        cast::<B>(by_blocks, compute, blocks_dtype),
    )
}

/// The levels of a topology as index vectors, and the entries that they select from.
struct Levels<B: Backend> {
    /// The four entries of every block in a row, then a one and a zero.
    entries: FloatTensor<B>,
    levels: Vec<Indices<B>>,
    dim: usize,
}

struct Indices<B: Backend> {
    partners: IntTensor<B>,
    /// Where `c` and `s` of every coordinate stand among the entries; and those of the transpose.
    diagonal: IntTensor<B>,
    beside: [IntTensor<B>; 2],
    firsts: IntTensor<B>,
    seconds: IntTensor<B>,
    count: usize,
}

impl<B: Backend> Levels<B> {
    fn new(blocks: FloatTensor<B>, shape: &Shape, turn: Turn, levels: &[Level]) -> Self {
        let (dim, device, dtype) = (shape[turn.axis], blocks.device(), blocks.dtype());
        let length = blocks.shape().num_elements();
        let rest = TensorData::new(vec![1.0f32, 0.0], [2]).convert_dtype(dtype);
        let entries = vec![
            B::float_reshape(blocks, Shape::new([length])),
            B::float_from_data(rest, &device),
        ];
        let indices = |values: Vec<usize>| {
            let count = values.len();
            let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
            B::int_from_data(TensorData::new(values, [count]), &device)
        };
        let of_level = |level: &Level| {
            let mut partners: Vec<usize> = (0..dim).collect();
            let mut diagonal = vec![length; dim];
            let mut beside = [vec![length + 1; dim], vec![length + 1; dim]];
            for (k, (i, j)) in level.pairs().enumerate() {
                let block = 4 * (level.first() + k);
                (partners[i], partners[j]) = (j, i);
                (diagonal[i], diagonal[j]) = (block, block + 3);
                (beside[0][i], beside[0][j]) = (block + 1, block + 2);
                (beside[1][i], beside[1][j]) = (block + 2, block + 1);
            }
            Indices {
                partners: indices(partners),
                diagonal: indices(diagonal),
                beside: beside.map(indices),
                firsts: indices(level.pairs().map(|(i, _)| i).collect()),
                seconds: indices(level.pairs().map(|(_, j)| j).collect()),
                count: level.count(),
            }
        };
        Self {
            entries: B::float_cat(entries, 0),
            levels: levels.iter().map(of_level).collect(),
            dim,
        }
    }

    /// One level, or its transpose, on `[before, d, after]`.
    fn apply(&self, index: usize, v: FloatTensor<B>, transpose: bool) -> FloatTensor<B> {
        let level = &self.levels[index];
        let coefficients = |places: &IntTensor<B>| {
            let chosen = B::float_select(self.entries.clone(), 0, places.clone());
            B::float_reshape(chosen, Shape::new([1, self.dim, 1]))
        };
        let (c, s) = (
            coefficients(&level.diagonal),
            coefficients(&level.beside[usize::from(transpose)]),
        );
        let partners = B::float_select(v.clone(), 1, level.partners.clone());
        B::float_add(B::float_mul(v, c), B::float_mul(partners, s))
    }

    /// The sums over vectors of `b a^T` for every pair of a level: `[pairs, 4]`.
    fn products(&self, index: usize, b: &FloatTensor<B>, a: &FloatTensor<B>) -> FloatTensor<B> {
        let level = &self.levels[index];
        let side = |v: &FloatTensor<B>, places: &IntTensor<B>| {
            B::float_select(v.clone(), 1, places.clone())
        };
        let (a, b) = (
            [side(a, &level.firsts), side(a, &level.seconds)],
            [side(b, &level.firsts), side(b, &level.seconds)],
        );
        let product = |row: usize, column: usize| {
            let products = B::float_mul(b[row].clone(), a[column].clone());
            let sums = B::float_sum_dim(B::float_sum_dim(products, 2), 0);
            B::float_reshape(sums, Shape::new([level.count, 1]))
        };
        B::float_cat(
            vec![product(0, 0), product(0, 1), product(1, 0), product(1, 1)],
            1,
        )
    }
}
