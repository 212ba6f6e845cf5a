//! The kernels of the CPU backends: whole rows in this process's memory, [`rows`] where the rotated axis is the last one and
//! [`columns`] where it is not. Each backend says in [`Host`] how its storage is reached; everything else is shared.

mod blocks;
mod columns;
mod parallel;
mod real;
mod rows;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Shape};

use crate::portable::{self, cast, compute_dtype};
use blocks::Blocks;
pub(crate) use real::Real;
use rows::Kept;

/// A backend whose tensors lie in this process's memory. The dtype of a tensor and `C` agree in every call.
pub(crate) trait Host: Backend {
    /// The tensor with its values row by row and nothing else in its buffer; the tensor itself if it is so already.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The values of a contiguous tensor.
    fn values<C: Real>(tensor: &FloatTensor<Self>) -> &[C];

    /// The values of a contiguous tensor that nothing else shares.
    fn values_mut<C: Real>(tensor: &mut FloatTensor<Self>) -> Option<&mut [C]>;

    /// A tensor of these values.
    fn from_values<C: Real>(values: Vec<C>, shape: Shape) -> FloatTensor<Self>;
}

/// See [`GivensOps::givens_rotate`](crate::GivensOps::givens_rotate).
pub(crate) fn rotate<B: Host>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> FloatTensor<B> {
    let shape = x.shape();
    if shape.num_elements() == 0 {
        return x;
    }
    let dtype = x.dtype();
    let compute = compute_dtype(dtype, blocks.dtype());
    let x = as_dtype::<B>(x, compute);
    let blocks = as_dtype::<B>(blocks, compute);
    let rotated = match compute {
        DType::F64 => rotate_in::<B, f64>(x, blocks, axis, transpose),
        _ => rotate_in::<B, f32>(x, blocks, axis, transpose),
    };
    cast::<B>(rotated, compute, dtype)
}

fn rotate_in<B: Host, C: Real>(
    mut x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> FloatTensor<B> {
    let shape = x.shape();
    let blocks = Blocks::new(B::values::<C>(&blocks), shape[axis]);
    let after = shape[axis + 1..].iter().product();
    if let Some(values) = B::values_mut::<C>(&mut x) {
        match after {
            1 => rows::rotate_in_place(values, &blocks, transpose),
            _ => columns::rotate_in_place(values, after, &blocks, transpose),
        }
        return x;
    }
    let values = B::values::<C>(&x);
    let rotated = match after {
        1 => rows::rotate(values, &[blocks], transpose).remove(0),
        _ => {
            let mut values = parallel::copy(values);
            columns::rotate_in_place(&mut values, after, &blocks, transpose);
            values
        }
    };
    B::from_values(rotated, shape)
}

/// See [`GivensOps::givens_rotate_each`](crate::GivensOps::givens_rotate_each).
pub(crate) fn rotate_each<B: Host>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> Vec<FloatTensor<B>> {
    let shape = x.shape();
    let rotations = portable::each::<B>(blocks.clone());
    if shape.num_elements() == 0 || axis + 1 < shape.num_dims() {
        return rotations
            .map(|blocks| rotate::<B>(x.clone(), blocks, axis, transpose))
            .collect();
    }
    let dtype = x.dtype();
    let compute = compute_dtype(dtype, blocks.dtype());
    let x = as_dtype::<B>(x, compute);
    let rotations: Vec<_> = rotations
        .map(|blocks| as_dtype::<B>(blocks, compute))
        .collect();
    let rotated = match compute {
        DType::F64 => rotate_each_in::<B, f64>(x, rotations, transpose),
        _ => rotate_each_in::<B, f32>(x, rotations, transpose),
    };
    let rotated = rotated.into_iter();
    rotated
        .map(|rotated| cast::<B>(rotated, compute, dtype))
        .collect()
}

/// Along the last axis.
fn rotate_each_in<B: Host, C: Real>(
    x: FloatTensor<B>,
    rotations: Vec<FloatTensor<B>>,
    transpose: bool,
) -> Vec<FloatTensor<B>> {
    let shape = x.shape();
    let dim = shape[shape.num_dims() - 1];
    let rotations: Vec<_> = rotations
        .iter()
        .map(|blocks| Blocks::new(B::values::<C>(blocks), dim))
        .collect();
    let rotated = rows::rotate(B::values::<C>(&x), &rotations, transpose).into_iter();
    rotated
        .map(|values| B::from_values(values, shape.clone()))
        .collect()
}

/// See [`GivensOps::givens_block_gradients`](crate::GivensOps::givens_block_gradients).
pub(crate) fn block_gradients<B: Host>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> FloatTensor<B> {
    let shape = x.shape();
    if shape.num_elements() == 0 {
        return portable::gradients::<B>(x, grad, blocks, axis, transpose).1;
    }
    let vectors = Vectors::<B>::new(x, grad, blocks, axis, transpose);
    vectors.gradients(Kept::Neither).1
}

/// See [`GivensOps::givens_gradients`](crate::GivensOps::givens_gradients).
pub(crate) fn gradients<B: Host>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let shape = x.shape();
    if shape.num_elements() == 0 {
        return portable::gradients::<B>(x, grad, blocks, axis, transpose);
    }
    let dtype = x.dtype();
    let last = shape.num_dims() - 1;
    let vectors = Vectors::<B>::new(x, grad, blocks, axis, transpose);
    let compute = vectors.compute;
    let kept = if transpose { Kept::Up } else { Kept::Down };
    let (of_x, of_blocks) = vectors.gradients(kept);
    let of_x = of_x.expect("it was to be kept");
    let of_x = B::float_swap_dims(of_x, axis, last);
    (cast::<B>(of_x, compute, dtype), of_blocks)
}

/// What a backward pass reads, in the dtype of the computation and with the rotated axis last: sums over vectors need each
/// vector in one piece, and the way back is a view.
struct Vectors<B: Host> {
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    blocks: FloatTensor<B>,
    compute: DType,
    blocks_dtype: DType,
}

impl<B: Host> Vectors<B> {
    fn new(
        x: FloatTensor<B>,
        grad: FloatTensor<B>,
        blocks: FloatTensor<B>,
        axis: usize,
        transpose: bool,
    ) -> Self {
        let last = x.shape().num_dims() - 1;
        let blocks_dtype = blocks.dtype();
        let compute = compute_dtype(x.dtype(), blocks_dtype);
        let [x, grad] =
            [x, grad].map(|tensor| as_dtype::<B>(B::float_swap_dims(tensor, axis, last), compute));
        // As in the portable body, which says why.
        let (a, b) = if transpose { (grad, x) } else { (x, grad) };
        Self {
            a,
            b,
            blocks: as_dtype::<B>(blocks, compute),
            compute,
            blocks_dtype,
        }
    }

    fn gradients(self, kept: Kept) -> (Option<FloatTensor<B>>, FloatTensor<B>) {
        match self.compute {
            DType::F64 => self.gradients_in::<f64>(kept),
            _ => self.gradients_in::<f32>(kept),
        }
    }

    fn gradients_in<C: Real>(self, kept: Kept) -> (Option<FloatTensor<B>>, FloatTensor<B>) {
        let (shape, blocks_shape) = (self.a.shape(), self.blocks.shape());
        let blocks = Blocks::new(B::values::<C>(&self.blocks), blocks_shape[0] + 1);
        let (a, b) = (B::values::<C>(&self.a), B::values::<C>(&self.b));
        let (of_x, of_blocks) = rows::gradients(a, b, &blocks, kept);
        let of_blocks = B::from_values(of_blocks, blocks_shape);
        (
            of_x.map(|of_x| B::from_values(of_x, shape)),
            cast::<B>(of_blocks, self.compute, self.blocks_dtype),
        )
    }
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
            axis: usize,
            transpose: bool,
        ) -> FloatTensor<Self> {
            host::rotate::<Self>(x, blocks, axis, transpose)
        }

        fn givens_rotate_each(
            x: FloatTensor<Self>,
            blocks: FloatTensor<Self>,
            axis: usize,
            transpose: bool,
        ) -> Vec<FloatTensor<Self>> {
            host::rotate_each::<Self>(x, blocks, axis, transpose)
        }

        fn givens_block_gradients(
            x: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            blocks: FloatTensor<Self>,
            axis: usize,
            transpose: bool,
        ) -> FloatTensor<Self> {
            host::block_gradients::<Self>(x, grad, blocks, axis, transpose)
        }

        fn givens_gradients(
            x: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            blocks: FloatTensor<Self>,
            axis: usize,
            transpose: bool,
        ) -> (FloatTensor<Self>, FloatTensor<Self>) {
            host::gradients::<Self>(x, grad, blocks, axis, transpose)
        }
    };
}
pub(crate) use operations;
