//! The definition of each operation, composed of a backend's own.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod norm;
pub(crate) mod rotary;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, FloatDType, IndexingUpdateOp, IntDType, Shape, Slice};

/// The dtype that sums and exponentials are computed in.
fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

fn cast<B: Backend>(x: FloatTensor<B>, dtype: DType) -> FloatTensor<B> {
    if x.dtype() == dtype {
        return x;
    }
    B::float_cast(x, FloatDType::from(dtype))
}

/// A part of the tensor along an axis.
fn part<B: Backend>(x: FloatTensor<B>, axis: usize, start: usize, end: usize) -> FloatTensor<B> {
    let shape = x.shape();
    if start == 0 && end == shape[axis] {
        return x;
    }
    let mut slices: Vec<Slice> = shape.iter().map(|&length| Slice::from(0..length)).collect();
    slices[axis] = Slice::from(start..end);
    B::float_slice(x, &slices)
}

/// The sum over all axes but the last.
pub(crate) fn sum_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let width = shape[shape.num_dims() - 1];
    let rows = shape.num_elements() / width.max(1);
    let sum = B::float_sum_dim(B::float_reshape(x, Shape::new([rows, width])), 0);
    B::float_reshape(sum, Shape::new([width]))
}

/// A vector as a tensor of this rank, along its last axis.
fn along_last<B: Backend>(x: FloatTensor<B>, rank: usize) -> FloatTensor<B> {
    let mut shape = vec![1; rank];
    shape[rank - 1] = x.shape().num_elements();
    B::float_reshape(x, Shape::from(shape))
}

/// See [`linear`](crate::linear).
pub(crate) fn affine<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_add(B::float_matmul(x, weight), along_last::<B>(bias, 2))
}

/// See [`cross_entropy`](crate::cross_entropy).
pub(crate) fn cross_entropy<B: Backend>(
    products: FloatTensor<B>,
    classes: IntTensor<B>,
    cap: Option<f64>,
) -> (FloatTensor<B>, FloatTensor<B>, IntTensor<B>) {
    let (dtype, int) = (products.dtype(), IntDType::from(classes.dtype()));
    let rows = products.shape()[0];
    let classes = B::int_reshape(classes, Shape::new([rows, 1]));
    let z = cast::<B>(products, wide(dtype));
    let tanh = cap.map(|cap| B::float_tanh(B::float_div_scalar(z.clone(), cap.into())));
    let logits = match (&tanh, cap) {
        (Some(tanh), Some(cap)) => B::float_mul_scalar(tanh.clone(), cap.into()),
        _ => z,
    };
    let (largest, likeliest) = B::float_max_dim_with_indices(logits.clone(), 1, int);
    let shifted = B::float_sub(logits, largest);
    let right = B::float_gather(1, shifted.clone(), classes.clone());
    let exponentials = B::float_exp(shifted);
    let sums = B::float_sum_dim(exponentials.clone(), 1);
    let losses = B::float_sub(B::float_log(sums.clone()), right.clone());
    // One less at the right class.
    let less = B::float_add_scalar(B::float_mul_scalar(right, 0.0.into()), (-1.0).into());
    let probabilities = B::float_div(exponentials, sums);
    let slopes = B::float_scatter(1, probabilities, classes, less, IndexingUpdateOp::Add);
    let slopes = match tanh {
        Some(tanh) => B::float_mul(slopes, one_less_square::<B>(tanh)),
        None => slopes,
    };
    (
        cast::<B>(B::float_reshape(losses, Shape::new([rows])), dtype),
        cast::<B>(slopes, dtype),
        B::int_reshape(likeliest, Shape::new([rows])),
    )
}

/// `1 - x^2`: the derivative of tanh where it is `x`.
fn one_less_square<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let square = B::float_mul(x.clone(), x);
    B::float_add_scalar(B::float_neg(square), 1.0.into())
}
