//! Dtypes to compute in, tensors without values, and comparisons that keep NaN.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Device, FloatDType, Shape, Tensor, TensorData};

/// The dtype of arithmetic on data and parameters: the wider of the two, and at least f32.
pub(crate) fn compute_dtype(data: DType, parameters: DType) -> DType {
    if data == DType::F64 || parameters == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}

/// The dtype in which an adapter keeps its parameters beside data of this dtype.
pub(crate) fn parameter_dtype(data: DType) -> DType {
    compute_dtype(data, data)
}

pub(crate) fn cast<B: Backend>(tensor: FloatTensor<B>, from: DType, to: DType) -> FloatTensor<B> {
    if from == to {
        return tensor;
    }
    B::float_cast(tensor, FloatDType::from(to))
}

/// `x` as `[before, d, after]`, `d` being its `axis`.
pub(crate) fn vectors<B: Backend>(x: FloatTensor<B>, axis: usize) -> FloatTensor<B> {
    let shape = x.shape();
    let before = shape[..axis].iter().product();
    let after = shape[axis + 1..].iter().product();
    B::float_reshape(x, Shape::new([before, shape[axis], after]))
}

/// A packed tensor as floats; a float tensor as it is.
pub(crate) fn dense<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.dtype().is_float() {
        tensor
    } else {
        tensor.dequantize()
    }
}

/// An empty tensor that no operation makes: burn fuses operations over no values with others, which
/// then write nothing either.
pub(crate) fn empty<const D: usize>(shape: [usize; D], dtype: DType, device: &Device) -> Tensor<D> {
    let none = TensorData::new(Vec::<f32>::new(), shape).convert_dtype(dtype);
    Tensor::from_data(none, (device, dtype))
}

/// Multiplies `x` along `axis` by `scale`, computing at least in f32 and returning the dtype of
/// `x`.
pub(crate) fn scale_axis<const D: usize>(x: Tensor<D>, scale: Tensor<1>, axis: usize) -> Tensor<D> {
    let mut shape = [1; D];
    shape[axis] = scale.dims()[0];
    let dtype = x.dtype();
    let compute = compute_dtype(dtype, scale.dtype());
    let scaled = x.cast(compute) * scale.cast(compute).reshape(shape);
    scaled.cast(dtype)
}

/// The larger of the two, NaN if one is NaN: `f64::max` would drop it, and a broken rotation would
/// measure as perfect.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The smaller of the two, NaN if one is NaN.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}

/// How many of these values are NaN or infinite.
pub(crate) fn count_non_finite(data: &TensorData) -> usize {
    data.iter::<f64>()
        .filter(|value| !value.is_finite())
        .count()
}

/// The values of a tensor in f64, row by row; a device may have no buffer to read for an empty one.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    match tensor.shape().num_elements() {
        0 => Vec::new(),
        _ => tensor.into_data().iter().collect(),
    }
}
