//! Products with a packed weight, which is never dense as a whole and is kept packed for the backward
//! pass.

#[cfg(feature = "autodiff")]
mod autodiff;
#[cfg(feature = "flex")]
mod flex;
mod ops;

use burn::backend::Dispatch;
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor};

use crate::backends::listed;

pub use ops::PackedOps;

/// burn's [`linear`], `x W + b`, for a weight that may be packed (quantized).
///
/// burn's own unpacks such a weight and keeps the dense one until the backward pass is done: a
/// model's whole backward pass needs all of them at once. This keeps the packed one and unpacks it a
/// second time; on the CPU backend `flex`, in f32, only some megabytes of it are dense at a time, and
/// for a few vectors nothing is. A weight that is not packed goes to burn's `linear` as it is, and so does
/// one on a backend that this crate was built without. burn's remote backend has no packed tensors.
///
/// [`GoftLinear`](crate::GoftLinear) multiplies by it.
///
/// # Shapes
///
/// - `input`: `[.., d_input]`
/// - `weight`: `[d_input, d_output]`
/// - `bias`: `[d_output]`
/// - returns: `[.., d_output]`, in the dtype of `input`
///
/// # Differentiation
///
/// By the input and the bias; a packed weight has no derivative.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::quantization::{QuantStore, QuantValue, ScaleDtype};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use burn_goft::packed_linear;
///
/// let device = Device::flex();
/// let weight = Tensor::<2>::random([8, 64], Distribution::Normal(0.0, 1.0), &device);
/// let scheme = device.settings().quantization.scheme;
/// let scheme = scheme.with_value(QuantValue::Q4S).per_block([32], ScaleDtype::F32);
/// let packed = weight.quantize_dynamic(&scheme);
///
/// let x = Tensor::<2>::random([5, 8], Distribution::Normal(0.0, 1.0), &device);
/// let dense = x.clone().matmul(packed.clone().dequantize());
/// let error = (packed_linear(x, packed, None) - dense).abs().max().into_scalar::<f32>();
/// assert!(error < 1e-5);
/// # }
/// ```
///
/// # Panics
///
/// If the shapes do not fit.
pub fn packed_linear<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    if !matches!(weight.dtype(), DType::QFloat(_)) || !listed(&input.device()) {
        return linear(input, weight, bias);
    }
    let mut shape = input.dims();
    let [d_input, d_output] = weight.dims();
    assert!(
        shape[D - 1] == d_input,
        "packed_linear: asked to multiply input of shape {shape:?} by a weight [{d_input}, {d_output}]; the last axis of the input \
         must be {d_input}"
    );
    let vectors = shape[..D - 1].iter().product();
    shape[D - 1] = d_output;
    let output = match vectors * d_input * d_output {
        0 => Tensor::zeros([vectors, d_output], (&input.device(), input.dtype())),
        _ => Tensor::<2>::from_dispatch(Dispatch::packed_product(
            input.reshape([vectors, d_input]).into_dispatch(),
            weight.into_dispatch(),
            false,
        )),
    };
    let output = output.reshape(shape);
    match bias {
        // burn's `linear` unpacks a packed bias too.
        Some(bias) if matches!(bias.dtype(), DType::QFloat(_)) => {
            output + bias.dequantize().unsqueeze()
        }
        Some(bias) => output + bias.unsqueeze(),
        None => output,
    }
}

#[cfg(feature = "cubecl-backend")]
impl PackedOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "ndarray")]
impl PackedOps for burn::backend::NdArray {}
