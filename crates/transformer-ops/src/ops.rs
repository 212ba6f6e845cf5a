//! The operations and their derivatives, their contract for every backend.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};

use crate::portable;

/// How scores become weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// What products of queries and keys are multiplied by.
    pub scale: f64,
    /// The largest score `c`: a score `z` becomes `c tanh(z / c)`.
    pub cap: Option<f64>,
}

/// A function of each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// `x (1 + erf(x / sqrt 2)) / 2`.
    Gelu,
    /// [`Gelu`](Self::Gelu) with its approximation by tanh.
    GeluTanh,
}

/// The operations, as every backend of burn provides them. Their functions, which check shapes, are
/// the way to call them.
///
/// The default bodies are the definition: other bodies may be faster and must agree with them.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cubecl-backend"),
    Fusion: cfg(feature = "cubecl-backend"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait TransformerOps: Backend {
    /// See [`attention`](crate::attention). Queries are `[rows, queries, heads, width]`, keys and
    /// values `[rows, keys, key heads, width]`, starts and ends `[rows, queries]`.
    #[fusion(default)]
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        starts: FloatTensor<Self>,
        ends: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self> {
        portable::attention::forward::<Self>([query, key, value], [starts, ends], how)
    }

    /// The derivatives by queries, keys and values, from that by the result.
    #[fusion(default)]
    fn fused_attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        starts: FloatTensor<Self>,
        ends: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        how: Attention,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        portable::attention::backward::<Self>([query, key, value], [starts, ends], grad, how)
    }

    /// See [`activate`](crate::activate).
    #[fusion(default)]
    fn fused_activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        portable::activation::value::<Self>(x, activation)
    }

    /// The derivative by `x`.
    #[fusion(default)]
    fn fused_activate_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        portable::activation::backward::<Self>(x, grad, activation)
    }

    /// See [`gated`](crate::gated).
    #[fusion(default)]
    fn fused_gated(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        portable::activation::gated::<Self>(gate, up, activation)
    }

    /// The derivatives by `gate` and `up`.
    #[fusion(default)]
    fn fused_gated_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        portable::activation::gated_backward::<Self>(gate, up, grad, activation)
    }

    /// See [`rms_norm`](crate::rms_norm).
    #[fusion(default)]
    fn fused_rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        portable::norm::rms::<Self>(x, weight, epsilon)
    }

    /// The derivatives by `x` and by the weight.
    #[fusion(default)]
    fn fused_rms_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        portable::norm::rms_backward::<Self>(x, weight, grad, epsilon)
    }

    /// See [`layer_norm`](crate::layer_norm).
    #[fusion(default)]
    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        portable::norm::layer::<Self>(x, weight, bias, epsilon)
    }

    /// The derivatives by `x`, by the weight and by the bias.
    #[fusion(default)]
    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        portable::norm::layer_backward::<Self>(x, weight, grad, epsilon)
    }

    /// See [`rotate_positions`](crate::rotate_positions). Turns the other way, which is the
    /// derivative, where `back` is true.
    #[fusion(default)]
    fn fused_rotate_positions(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        back: bool,
    ) -> FloatTensor<Self> {
        portable::rotary::turn::<Self>(x, cos, sin, back)
    }

    /// The product of a few vectors `[n, k]` and a matrix `[k, m]`; see [`linear`](crate::linear).
    #[fusion(default)]
    fn fused_few_rows(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(x, weight)
    }

    /// The product of vectors `[n, k]` and a matrix `[k, m]`, or of vectors `[n, m]` and its transpose; see
    /// [`linear`](crate::linear).
    #[fusion(default)]
    fn fused_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        match transposed {
            true => Self::float_matmul(x, Self::float_swap_dims(weight, 0, 1)),
            false => Self::float_matmul(x, weight),
        }
    }

    /// The product of vectors `[n, k]` and a matrix `[k, m]`, to each of which a bias `[m]` is added; see
    /// [`linear`](crate::linear).
    #[fusion(default)]
    fn fused_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        portable::affine::<Self>(x, weight, bias)
    }

    /// See [`cross_entropy`](crate::cross_entropy): losses `[n]`, their derivatives by the products
    /// `[n, classes]` and the likeliest classes `[n]`.
    #[fusion(default)]
    fn fused_cross_entropy(
        products: FloatTensor<Self>,
        classes: IntTensor<Self>,
        cap: Option<f64>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, IntTensor<Self>) {
        portable::cross_entropy::<Self>(products, classes, cap)
    }
}
