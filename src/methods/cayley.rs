//! From skew parameters to blocks, and blocks to vectors.

use std::f64::consts::SQRT_2;

use burn::tensor::{Int, Tensor, TensorData};

use crate::numeric::compute_dtype;
use crate::product::{device_or_exact, exact};

/// Skew matrices `[n, b, b]` from the entries `[n, b (b - 1) / 2]` above their diagonals.
pub(super) fn skew_of(entries: Tensor<2>, size: usize) -> Tensor<3> {
    let [n, count] = entries.dims();
    // Where each entry of a matrix is found in a row of: a zero, the entries, the entries negated.
    let mut places = vec![0; size * size];
    let mut next = 1;
    for i in 0..size {
        for j in i + 1..size {
            places[i * size + j] = next;
            places[j * size + i] = next + count as i64;
            next += 1;
        }
    }
    let device = entries.device();
    let zero = Tensor::<2>::zeros([n, 1], (&device, entries.dtype()));
    let signed = Tensor::cat(vec![zero, entries.clone(), entries.neg()], 1);
    let places = TensorData::new(places, [size * size]);
    let places = Tensor::<1, Int>::from_data(places, &device.inner());
    signed.select(1, places).reshape([n, size, size])
}

/// Newton's steps to the inverse. With `theta` the tangent of half an angle of rotation it starts
/// at `2 / (2 + t)` times the transpose, `t` not below any `theta^2`, where `t / (2 + t)` is
/// missing at most, and each step squares that.
const STEPS: i32 = 21;
/// The last of them, which take products in all digits: they square whatever error a device's own
/// products have left.
const EXACT_STEPS: i32 = 4;

/// What the steps leave at most: `(I - Q) X = I - E`, `|| E ||_2`, for `t`.
pub(super) fn newton_leaves(t: f64) -> f64 {
    (t / (2.0 + t)).powi(1 << STEPS)
}

/// `(I + Q)(I - Q)^-1 = 2 (I - Q)^-1 - I`.
pub(super) fn cayley(q: Tensor<3>) -> Tensor<3> {
    let identity = identity_like(&q);
    let matrix = identity.clone() - q.clone();
    // The steps before the last need no derivative: one step from a constant has that of the
    // inverse itself.
    let (constant, constant_q) = (matrix.clone().detach(), q.detach());
    let bound = largest_square(&constant_q).div_scalar(2.0).add_scalar(1.0);
    let mut inverse = (identity.clone() + constant_q) / bound;
    for _ in 0..STEPS - EXACT_STEPS {
        inverse = newton(&constant, inverse, &identity, Tensor::matmul);
    }
    for _ in 1..EXACT_STEPS {
        inverse = newton(&constant, inverse, &identity, exact);
    }
    newton(&matrix, inverse, &identity, exact).mul_scalar(2.0) - identity
}

/// More than rounding can take from [`largest_square`].
pub(super) const ABOVE: f64 = 1.01;

/// `[n, 1, 1]`, not below any `theta^2`, of which `-Q^2` has each twice:
/// `(|| Q^4 ||_F / sqrt 2)^(1/2)`. It is at most `(b / 2)^(1/4)` times the largest, where
/// `|| Q ||_F^2 / 2` can be `b / 2` times as large, for which the steps would have to be more in
/// large blocks.
pub(super) fn largest_square(q: &Tensor<3>) -> Tensor<3> {
    // Its largest entry 1, so that the norm neither vanishes nor overflows; an infinite square
    // leaves Newton at its limit, `R = -I`.
    let size = q.clone().abs().max_dim(2).max_dim(1).clamp_min(1e-30);
    let unit = q.clone() / size.clone();
    let square = unit.clone().matmul(unit);
    let fourth = square.clone().matmul(square);
    let norm = fourth.square().sum_dim(2).sum_dim(1).sqrt();
    norm.div_scalar(SQRT_2).sqrt() * size.square().mul_scalar(ABOVE)
}

fn newton(
    matrix: &Tensor<3>,
    inverse: Tensor<3>,
    identity: &Tensor<3>,
    product: impl Fn(Tensor<3>, Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let missing = identity.clone().mul_scalar(2.0) - product(matrix.clone(), inverse.clone());
    product(inverse, missing)
}

/// `(I + Q)(I + Q + .. + Q^terms)` by Horner's rule.
pub(super) fn neumann(q: Tensor<3>, terms: usize) -> Tensor<3> {
    let identity = identity_like(&q);
    let mut sum = identity.clone();
    for _ in 0..terms {
        sum = identity.clone() + exact(q.clone(), sum);
    }
    sum.clone() + exact(q, sum)
}

fn identity_like(matrices: &Tensor<3>) -> Tensor<3> {
    let [_, size, _] = matrices.dims();
    let identity = Tensor::<2>::eye(size, &matrices.device().inner());
    identity.cast(matrices.dtype()).reshape([1, size, size])
}

/// Multiplies every vector of `x` along `axis` by the block-diagonal matrix of `blocks [n, b, b]`,
/// or by its transpose. Computes at least in f32 and returns the dtype of `x`.
///
/// # Panics
///
/// If the blocks are for another length of the axis.
pub(super) fn turn_blocks<const D: usize>(
    x: Tensor<D>,
    blocks: Tensor<3>,
    axis: usize,
    transpose: bool,
) -> Tensor<D> {
    let (shape, dtype) = (x.shape(), x.dtype());
    let [n, size, _] = blocks.dims();
    let dim = shape[axis];
    assert!(
        dim.div_ceil(size) == n,
        "OFT: axis {axis} of shape {:?} has length {dim}, and {n} blocks of {size} rotate an axis of up to {}; pass the axis that they \
         were made for",
        shape.to_vec(),
        n * size
    );
    let before: usize = shape[..axis].iter().product();
    let after: usize = shape[axis + 1..].iter().product();
    if shape.num_elements() == 0 {
        return x;
    }
    let compute = compute_dtype(dtype, blocks.dtype());
    let missing = n * size - dim;
    let x = x.cast(compute).reshape([before, dim, after]);
    let x = x.pad([(0, 0), (0, missing), (0, 0)], 0.0);
    let blocks = blocks.cast(compute);
    let blocks = if transpose {
        blocks.transpose()
    } else {
        blocks
    };
    let turned = if after == 1 {
        // Vectors as rows, so that one product serves all of them.
        let rows = x.reshape([before, n, size]).swap_dims(0, 1);
        let turned = device_or_exact(rows, blocks.transpose());
        turned.swap_dims(0, 1).reshape([before, n * size, after])
    } else {
        let columns = x.reshape([before, n, size, after]);
        let turned = device_or_exact(blocks.reshape([1, n, size, size]), columns);
        turned.reshape([before, n * size, after])
    };
    turned.narrow(1, 0, dim).reshape(shape).cast(dtype)
}
