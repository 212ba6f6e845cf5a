//! The kernels of the CPU backends: whole rows in this process's memory, [`rows`] where the rotated
//! axis is the last one and [`columns`] where it is not. Each backend says in [`Host`] how its
//! storage is reached; everything else is shared.

mod angles;
mod blocks;
mod columns;
mod parallel;
mod real;
mod rows;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Shape};
use half::{bf16, f16};

use crate::numeric::{cast, compute_dtype};
use crate::pairs::{Topology, Turn, portable_gradients, portable_rotate};
pub(crate) use angles::{blocks_of, gradients as angle_gradients};
use blocks::Blocks;
use real::Real;
pub(crate) use real::Stored;
use rows::Kept;

/// A backend whose tensors lie in this process's memory. The dtype of a tensor and `D` agree in
/// every call.
pub(crate) trait Host: Backend {
    /// The tensor with its values row by row and nothing else in its buffer; the tensor itself if
    /// it is so already.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The values of a contiguous tensor.
    fn values<D: Stored>(tensor: &FloatTensor<Self>) -> &[D];

    /// The values of a contiguous tensor that nothing else shares.
    fn values_mut<D: Stored>(tensor: &mut FloatTensor<Self>) -> Option<&mut [D]>;

    /// A tensor of these values.
    fn from_values<D: Stored>(values: Vec<D>, shape: Shape) -> FloatTensor<Self>;
}

/// `$body` with `$D` the type of the dtype.
macro_rules! of_dtype {
    ($dtype:expr, $D:ident => $body:expr) => {
        match $dtype {
            DType::F64 => {
                type $D = f64;
                $body
            }
            DType::F16 => {
                type $D = f16;
                $body
            }
            DType::BF16 => {
                type $D = bf16;
                $body
            }
            _ => {
                type $D = f32;
                $body
            }
        }
    };
}

/// The dtype in which the kernels of rows read and write what is computed in `compute`: each vector
/// is widened on its own.
fn held_dtype(dtype: DType, compute: DType) -> DType {
    match (dtype, compute) {
        (DType::F16 | DType::BF16, DType::F32) => dtype,
        _ => compute,
    }
}

/// Whether the kernels take the topology: the tree, or its first level alone.
fn supported(topology: Topology) -> bool {
    matches!(topology, Topology::Tree | Topology::Neighbors)
}

/// See [`GivensOps::givens_rotate`](crate::GivensOps::givens_rotate).
pub(crate) fn rotate<B: Host>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> FloatTensor<B> {
    if !supported(turn.topology) {
        return portable_rotate::<B>(x, blocks, turn);
    }
    let (shape, axis) = (x.shape(), turn.axis);
    if shape.num_elements() == 0 {
        return x;
    }
    let dtype = x.dtype();
    let compute = compute_dtype(dtype, blocks.dtype());
    let blocks = as_dtype::<B>(blocks, compute);
    let after = shape[axis + 1..].iter().product();
    if after == 1 {
        let held = held_dtype(dtype, compute);
        let x = as_dtype::<B>(x, held);
        let rotated = of_dtype!(held, D => rotate_rows::<B, D>(x, blocks, turn));
        return cast::<B>(rotated, held, dtype);
    }
    let x = as_dtype::<B>(x, compute);
    let rotated = match compute {
        DType::F64 => rotate_columns::<B, f64>(x, blocks, after, turn),
        _ => rotate_columns::<B, f32>(x, blocks, after, turn),
    };
    cast::<B>(rotated, compute, dtype)
}

fn rotate_rows<B: Host, D: Stored>(
    mut x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> FloatTensor<B> {
    let blocks = read_blocks::<B, D::Compute>(&blocks, x.shape()[turn.axis], turn.topology);
    if let Some(values) = B::values_mut::<D>(&mut x) {
        rows::rotate_in_place(values, &blocks, turn.transpose);
        return x;
    }
    let rotated = rows::rotate(B::values::<D>(&x), &blocks, turn.transpose);
    B::from_values(rotated, x.shape())
}

fn rotate_columns<B: Host, C: Real>(
    mut x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    after: usize,
    turn: Turn,
) -> FloatTensor<B> {
    let blocks = read_blocks::<B, C>(&blocks, x.shape()[turn.axis], turn.topology);
    if let Some(values) = B::values_mut::<C>(&mut x) {
        columns::rotate_in_place(values, after, &blocks, turn.transpose);
        return x;
    }
    let mut values = parallel::copy(B::values::<C>(&x));
    columns::rotate_in_place(&mut values, after, &blocks, turn.transpose);
    B::from_values(values, x.shape())
}

/// See [`GivensOps::givens_block_gradients`](crate::GivensOps::givens_block_gradients).
pub(crate) fn block_gradients<B: Host>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> FloatTensor<B> {
    if x.shape().num_elements() == 0 || !supported(turn.topology) {
        return portable_gradients::<B>(x, grad, blocks, turn).1;
    }
    Vectors::<B>::new(x, grad, blocks, turn)
        .gradients(Kept::Neither)
        .1
}

/// See [`GivensOps::givens_gradients`](crate::GivensOps::givens_gradients).
pub(crate) fn gradients<B: Host>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    blocks: FloatTensor<B>,
    turn: Turn,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let shape = x.shape();
    if shape.num_elements() == 0 || !supported(turn.topology) {
        return portable_gradients::<B>(x, grad, blocks, turn);
    }
    let dtype = x.dtype();
    let last = shape.num_dims() - 1;
    let vectors = Vectors::<B>::new(x, grad, blocks, turn);
    let held = vectors.held;
    let kept = if turn.transpose { Kept::Up } else { Kept::Down };
    let (of_x, of_blocks) = vectors.gradients(kept);
    let of_x = of_x.expect("it was to be kept");
    let of_x = B::float_swap_dims(of_x, turn.axis, last);
    (cast::<B>(of_x, held, dtype), of_blocks)
}

/// What a backward pass reads, with the rotated axis last: sums over vectors need each vector in
/// one piece, and the way back is a view.
struct Vectors<B: Host> {
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    blocks: FloatTensor<B>,
    topology: Topology,
    held: DType,
    compute: DType,
    blocks_dtype: DType,
}

impl<B: Host> Vectors<B> {
    fn new(x: FloatTensor<B>, grad: FloatTensor<B>, blocks: FloatTensor<B>, turn: Turn) -> Self {
        let last = x.shape().num_dims() - 1;
        let blocks_dtype = blocks.dtype();
        let compute = compute_dtype(x.dtype(), blocks_dtype);
        let held = held_dtype(x.dtype(), compute);
        let [x, grad] = [x, grad]
            .map(|tensor| as_dtype::<B>(B::float_swap_dims(tensor, turn.axis, last), held));
        // `a` goes up and `b` goes down, as in the portable body.
        let (a, b) = if turn.transpose { (grad, x) } else { (x, grad) };
        Self {
            a,
            b,
            blocks: as_dtype::<B>(blocks, compute),
            topology: turn.topology,
            held,
            compute,
            blocks_dtype,
        }
    }

    fn gradients(self, kept: Kept) -> (Option<FloatTensor<B>>, FloatTensor<B>) {
        of_dtype!(self.held, D => self.gradients_in::<D>(kept))
    }

    fn gradients_in<D: Stored>(self, kept: Kept) -> (Option<FloatTensor<B>>, FloatTensor<B>) {
        let shape = self.a.shape();
        let dim = shape[shape.num_dims() - 1];
        let blocks = read_blocks::<B, D::Compute>(&self.blocks, dim, self.topology);
        let (a, b) = (B::values::<D>(&self.a), B::values::<D>(&self.b));
        let (of_x, of_blocks) = rows::gradients(a, b, &blocks, kept);
        let of_blocks = B::from_values(of_blocks, self.blocks.shape());
        (
            of_x.map(|of_x| B::from_values(of_x, self.a.shape())),
            cast::<B>(of_blocks, self.compute, self.blocks_dtype),
        )
    }
}

/// The blocks of a contiguous tensor, for vectors of length `dim`.
fn read_blocks<B: Host, C: Real>(
    blocks: &FloatTensor<B>,
    dim: usize,
    topology: Topology,
) -> Blocks<C> {
    Blocks::new(B::values(blocks), dim, topology)
}

fn as_dtype<B: Host>(tensor: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    let from = tensor.dtype();
    B::contiguous(cast::<B>(tensor, from, dtype))
}

/// The operations of a [`Host`], for its `impl GivensOps`.
macro_rules! operations {
    () => {
        fn givens_rotate(
            x: FloatTensor<Self>,
            blocks: FloatTensor<Self>,
            turn: Turn,
        ) -> FloatTensor<Self> {
            host::rotate::<Self>(x, blocks, turn)
        }

        fn givens_block_gradients(
            x: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            blocks: FloatTensor<Self>,
            turn: Turn,
        ) -> FloatTensor<Self> {
            host::block_gradients::<Self>(x, grad, blocks, turn)
        }

        fn givens_gradients(
            x: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            blocks: FloatTensor<Self>,
            turn: Turn,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            host::gradients::<Self>(x, grad, blocks, turn)
        }

        fn givens_blocks(angles: FloatTensor<Self>) -> FloatTensor<Self> {
            host::blocks_of::<Self>(angles)
        }

        fn givens_angle_gradients(
            blocks: FloatTensor<Self>,
            grad: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            host::angle_gradients::<Self>(blocks, grad)
        }
    };
}
pub(crate) use operations;
