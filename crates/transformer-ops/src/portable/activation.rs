//! Functions of each number.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};

use super::{cast, one_less_square, wide};
use crate::ops::Activation;

/// What `x` is multiplied by: the function is `x s(x)`.
fn share<B: Backend>(x: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    match activation {
        // ndarray's own sigmoid computes f64 in f32.
        Activation::Silu => B::float_recip(B::float_add_scalar(
            B::float_exp(B::float_neg(x)),
            1.0.into(),
        )),
        Activation::Gelu => {
            half_of_one_more::<B>(B::float_erf(B::float_mul_scalar(x, FRAC_1_SQRT_2.into())))
        }
        Activation::GeluTanh => half_of_one_more::<B>(B::float_tanh(inner::<B>(x))),
    }
}

/// `(1 + x) / 2`.
fn half_of_one_more<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add_scalar(B::float_mul_scalar(x, 0.5.into()), 0.5.into())
}

/// `sqrt(2 / pi) (x + 0.044715 x^3)`.
fn inner<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let factor = (2.0 / PI).sqrt();
    let square = B::float_mul(x.clone(), x.clone());
    let slope = B::float_add_scalar(
        B::float_mul_scalar(square, (factor * 0.044715).into()),
        factor.into(),
    );
    B::float_mul(x, slope)
}

pub(crate) fn value<B: Backend>(x: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    let dtype = x.dtype();
    let x = cast::<B>(x, wide(dtype));
    let share = share::<B>(x.clone(), activation);
    cast::<B>(B::float_mul(x, share), dtype)
}

/// `grad (s(x) + x s'(x))`.
pub(crate) fn backward<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    let dtype = x.dtype();
    let (x, grad) = (cast::<B>(x, wide(dtype)), cast::<B>(grad, wide(dtype)));
    let share = share::<B>(x.clone(), activation);
    let slope = match activation {
        // s' = s (1 - s)
        Activation::Silu => {
            let square = B::float_mul(share.clone(), share.clone());
            B::float_sub(share.clone(), square)
        }
        // The density of the normal distribution.
        Activation::Gelu => {
            let square = B::float_mul(x.clone(), x.clone());
            let density = B::float_exp(B::float_mul_scalar(square, (-0.5).into()));
            B::float_mul_scalar(density, (1.0 / (2.0 * PI).sqrt()).into())
        }
        // (1 - tanh^2) / 2 inner'
        Activation::GeluTanh => {
            let tanh = B::float_tanh(inner::<B>(x.clone()));
            let square = B::float_mul(x.clone(), x.clone());
            let factor = 0.5 * (2.0 / PI).sqrt();
            let slope = B::float_add_scalar(
                B::float_mul_scalar(square, (3.0 * 0.044715 * factor).into()),
                factor.into(),
            );
            B::float_mul(one_less_square::<B>(tanh), slope)
        }
    };
    let slope = B::float_add(share, B::float_mul(x, slope));
    cast::<B>(B::float_mul(grad, slope), dtype)
}

pub(crate) fn gated<B: Backend>(
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    B::float_mul(value::<B>(gate, activation), up)
}

pub(crate) fn gated_backward<B: Backend>(
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    grad: FloatTensor<B>,
    activation: Activation,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let by_value = B::float_mul(grad.clone(), up);
    (
        backward::<B>(gate.clone(), by_value, activation),
        B::float_mul(grad, value::<B>(gate, activation)),
    )
}
