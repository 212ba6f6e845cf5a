//! The functional interface: a tensor, blocks, an axis.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::ops::GivensOps;
use super::portable;
use super::turn::Turn;
use crate::backends::listed;

/// Multiplies every vector of `x` along `axis` by the rotation `R`.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$v \mapsto R v, \qquad R = P_L \cdots P_2 P_1, \qquad P_r = \prod_k \tilde G_{r,k}$$"#
)]
#[cfg_attr(
    not(docsrs),
    doc = "`v -> R v`, `R = P_L ... P_2 P_1` (level 1 acts first)"
)]
///
/// Along axis 0 of a weight `W` stored `[d_input, d_output]` this is `R W`, the weight side of the
/// adapted layer. Along the last axis of activations it is `x R^T`; the input side needs
/// [`rotate_transpose`].
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 1-3 (Givens
/// blocks) and Eq. 5 (free blocks).
///
/// # Shapes
///
/// - `x`: `[.., d, ..]` with `d` at `axis`, at least 1; other axes may be empty
/// - `blocks`: `[d-1, 2, 2]`, in the order of [`RotationPlan`](crate::RotationPlan); see
///   [`Givens`](crate::Givens) and [`QuasiGivens`](crate::QuasiGivens)
/// - returns: the shape of `x`
///
/// # Numerical behavior
///
/// The result has the dtype of `x`. The arithmetic is done in the wider of the two dtypes and at
/// least in f32, so f16 and bf16 data lose only the final rounding. Identity blocks return finite
/// numbers exactly; a negative zero may lose its sign. `O(d)` multiplications per vector; no
/// `d x d` matrix. Differentiable in `x` and in `blocks`.
///
/// # Panics
///
/// If `axis` is not an axis of `x` or has length 0, or `blocks` is not `[d-1, 2, 2]`.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use burn_goft::{Givens, rotate};
///
/// let device = Device::flex();
/// // d = 2: one angle, counter-clockwise.
/// let quarter = Givens::from_angles(Tensor::from_floats([std::f32::consts::FRAC_PI_2], &device));
/// let x = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &device);
/// let turned = rotate(x, quarter.blocks(), 1).into_data().to_vec::<f32>().unwrap();
/// // e0 goes to e1, and e1 to -e0.
/// for (found, expected) in turned.iter().zip([0.0, 1.0, -1.0, 0.0]) {
///     assert!((found - expected).abs() < 1e-6);
/// }
/// # }
/// ```
pub fn rotate<const D: usize>(x: Tensor<D>, blocks: Tensor<3>, axis: usize) -> Tensor<D> {
    turn("rotate", x, blocks, Turn::new(axis))
}

/// Multiplies every vector of `x` along `axis` by the transpose of the rotation `R`.
///
#[cfg_attr(
    docsrs,
    doc = r#"$$v \mapsto R^\top v = P_1^\top P_2^\top \cdots P_L^\top v$$"#
)]
#[cfg_attr(not(docsrs), doc = "`v -> R^T v = P_1^T P_2^T ... P_L^T v`")]
///
/// Along the last axis of activations this is `x R`, what the adapted layer feeds to the frozen
/// weight: `h = W^T (R^T x)`. The transpose is the inverse for strict blocks only.
///
/// Shapes, dtypes, cost, panics and source as for [`rotate`](fn@rotate).
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Distribution, Tensor};
/// use burn_goft::{Givens, rotate, rotate_transpose};
///
/// let device = Device::flex();
/// let blocks = Givens::from_angles(Tensor::random([6], Distribution::Uniform(-3.0, 3.0), &device)).blocks();
/// let x = Tensor::<2>::random([4, 7], Distribution::Normal(0.0, 1.0), &device);
/// let back = rotate_transpose(rotate(x.clone(), blocks.clone(), 1), blocks, 1);
/// let error = (back - x).abs().max().into_scalar::<f32>();
/// assert!(error < 1e-5);
/// # }
/// ```
pub fn rotate_transpose<const D: usize>(x: Tensor<D>, blocks: Tensor<3>, axis: usize) -> Tensor<D> {
    turn("rotate_transpose", x, blocks, Turn::new(axis).transposed())
}

/// One turn by the portable body: the backend's own tensor operations, level by level, whatever
/// kernel the backend has. Slower; what a kernel is compared with on a device of your own.
///
/// Shapes, dtypes, panics and source as for [`rotate`](fn@rotate).
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Distribution, Tensor};
/// use burn_goft::{Givens, Turn, rotate, rotate_portable};
///
/// let device = Device::flex();
/// let blocks = Givens::from_angles(Tensor::random([6], Distribution::Uniform(-3.0, 3.0), &device)).blocks();
/// let x = Tensor::<2>::random([4, 7], Distribution::Normal(0.0, 1.0), &device);
/// let difference = rotate(x.clone(), blocks.clone(), 1) - rotate_portable(x, blocks, Turn::new(1));
/// assert!(difference.abs().max().into_scalar::<f32>() < 1e-6);
/// # }
/// ```
#[doc(hidden)]
pub fn rotate_portable<const D: usize>(x: Tensor<D>, blocks: Tensor<3>, turn: Turn) -> Tensor<D> {
    check("rotate_portable", x.dims(), blocks.dims(), turn);
    let (x, blocks) = (x.into_dispatch(), blocks.into_dispatch());
    Tensor::from_dispatch(portable::rotate::<Dispatch>(x, blocks, turn))
}

/// One turn of `x` by `blocks`, by the device's kernel where it has one; `name` is what was called.
pub(crate) fn turn<const D: usize>(
    name: &str,
    x: Tensor<D>,
    blocks: Tensor<3>,
    turn: Turn,
) -> Tensor<D> {
    let pairs = check(name, x.dims(), blocks.dims(), turn);
    if pairs == 0 {
        // Not a node of the graph either.
        return x;
    }
    let operation = if listed(&x.device()) {
        Dispatch::givens_rotate
    } else {
        portable::rotate::<Dispatch>
    };
    Tensor::from_dispatch(operation(x.into_dispatch(), blocks.into_dispatch(), turn))
}

/// The number of pairs.
fn check(name: &str, shape: impl AsRef<[usize]>, blocks: [usize; 3], turn: Turn) -> usize {
    let (shape, axis) = (shape.as_ref(), turn.axis);
    assert!(
        axis < shape.len(),
        "{name}: asked for axis {axis} of a tensor of rank {} (shape {shape:?}); axes count from 0",
        shape.len(),
    );
    let dim = shape[axis];
    assert!(
        dim > 0,
        "{name}: axis {axis} of shape {shape:?} is empty; a rotation needs at least one axis"
    );
    let pairs = turn.topology.pair_count(dim);
    assert!(
        blocks == [pairs, 2, 2],
        "{name}: axis {axis} of shape {shape:?} has length {dim} and needs blocks [{pairs}, 2, 2], found \
         {blocks:?}; make the blocks from {pairs} angles, or pass the axis that they were made for",
    );
    pairs
}
