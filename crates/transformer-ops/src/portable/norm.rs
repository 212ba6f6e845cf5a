//! Norms along the last axis.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::{along_last, cast, sum_rows, wide};

/// `x` divided by the root of its mean square, and what it was divided by.
fn scaled<B: Backend>(x: FloatTensor<B>, epsilon: f64) -> (FloatTensor<B>, FloatTensor<B>) {
    let last = x.shape().num_dims() - 1;
    let mean = B::float_mean_dim(B::float_mul(x.clone(), x.clone()), last);
    let root = B::float_sqrt(B::float_add_scalar(mean, epsilon.into()));
    (B::float_div(x, root.clone()), root)
}

/// `x` less its mean.
fn centered<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let last = x.shape().num_dims() - 1;
    let mean = B::float_mean_dim(x.clone(), last);
    B::float_sub(x, mean)
}

/// The derivative through [`scaled`]: `(g - n mean(g n)) / root`, `n` being the result.
fn scaled_backward<B: Backend>(
    scaled: FloatTensor<B>,
    root: FloatTensor<B>,
    grad: FloatTensor<B>,
) -> FloatTensor<B> {
    let last = scaled.shape().num_dims() - 1;
    let mean = B::float_mean_dim(B::float_mul(grad.clone(), scaled.clone()), last);
    B::float_div(B::float_sub(grad, B::float_mul(scaled, mean)), root)
}

pub(crate) fn rms<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let (dtype, rank) = (x.dtype(), x.shape().num_dims());
    let (scaled, _) = scaled::<B>(cast::<B>(x, wide(dtype)), epsilon);
    let weight = along_last::<B>(cast::<B>(weight, wide(dtype)), rank);
    cast::<B>(B::float_mul(scaled, weight), dtype)
}

pub(crate) fn rms_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (dtype, of_weight, rank) = (x.dtype(), weight.dtype(), x.shape().num_dims());
    let grad = cast::<B>(grad, wide(dtype));
    let (scaled, root) = scaled::<B>(cast::<B>(x, wide(dtype)), epsilon);
    let by_weight = sum_rows::<B>(B::float_mul(grad.clone(), scaled.clone()));
    let weight = along_last::<B>(cast::<B>(weight, wide(dtype)), rank);
    let by_x = scaled_backward::<B>(scaled, root, B::float_mul(grad, weight));
    (cast::<B>(by_x, dtype), cast::<B>(by_weight, of_weight))
}

pub(crate) fn layer<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    let (dtype, rank) = (x.dtype(), x.shape().num_dims());
    let (scaled, _) = scaled::<B>(centered::<B>(cast::<B>(x, wide(dtype))), epsilon);
    let [weight, bias] =
        [weight, bias].map(|vector| along_last::<B>(cast::<B>(vector, wide(dtype)), rank));
    cast::<B>(B::float_add(B::float_mul(scaled, weight), bias), dtype)
}

pub(crate) fn layer_backward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    epsilon: f64,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (dtype, of_weight, rank) = (x.dtype(), weight.dtype(), x.shape().num_dims());
    let grad = cast::<B>(grad, wide(dtype));
    let (scaled, root) = scaled::<B>(centered::<B>(cast::<B>(x, wide(dtype))), epsilon);
    let by_weight = sum_rows::<B>(B::float_mul(grad.clone(), scaled.clone()));
    let by_bias = sum_rows::<B>(grad.clone());
    let weight = along_last::<B>(cast::<B>(weight, wide(dtype)), rank);
    let by_scaled = scaled_backward::<B>(scaled, root, B::float_mul(grad, weight));
    (
        cast::<B>(centered::<B>(by_scaled), dtype),
        cast::<B>(by_weight, of_weight),
        cast::<B>(by_bias, of_weight),
    )
}
