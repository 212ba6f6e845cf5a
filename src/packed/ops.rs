//! The operation, its contract for every backend.

use burn::backend::tensor::{FloatTensor, QuantizedTensor};
use burn::backend::{Backend, TensorMetadata, TensorPrimitive, backend_extension};

/// The product with a packed weight, as every backend of burn provides it;
/// [`packed_linear`](crate::packed_linear) is the way to call it.
///
/// The default body is the definition: other bodies may be faster and must agree with it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cubecl-backend"),
    Remote: cfg(feature = "remote"),
    Fusion: cfg(feature = "fusion"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait PackedOps: Backend {
    /// `x W`, or `x W^T` where `transposed` is true.
    ///
    /// # Arguments
    ///
    /// * `x` - `[n, k]`, or `[n, m]` for the transposed product; none of them zero.
    /// * `weight` - `[k, m]`, packed.
    ///
    /// # Returns
    ///
    /// `[n, m]`, or `[n, k]`, in the dtype of `x`.
    #[fusion(default)]
    fn packed_product(
        x: FloatTensor<Self>,
        weight: QuantizedTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        portable::<Self>(x, weight, transposed)
    }
}

/// The product of burn's own operations.
pub(super) fn portable<B: Backend>(
    x: FloatTensor<B>,
    weight: QuantizedTensor<B>,
    transposed: bool,
) -> FloatTensor<B> {
    let dtype = x.dtype().into();
    if transposed {
        // Not packed: blocks of values would have to be turned with them.
        let weight = B::dequantize(weight, dtype);
        return B::float_matmul(x, B::float_swap_dims(weight, 0, 1));
    }
    match B::q_matmul(TensorPrimitive::Float(x), TensorPrimitive::QFloat(weight)) {
        TensorPrimitive::Float(product) => product,
        // By the device's settings products of packed tensors may be packed.
        TensorPrimitive::QFloat(product) => B::dequantize(product, dtype),
    }
}
