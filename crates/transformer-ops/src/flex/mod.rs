//! Kernels for burn's CPU backend, for contiguous f32; the portable body for the rest.
#![expect(
    clippy::extra_unused_type_parameters,
    reason = "`S` is the instruction set that `with_simd` compiles a body for; the compiler vectorizes plain loops with it"
)]

mod activation;
mod attention;
mod cross_entropy;
mod few_rows;
mod math;
mod norm;
mod product;
mod rotary;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Bytes, Flex, TensorMetadata};
use burn::tensor::{DType, Element, Shape};
use std::mem::MaybeUninit;

use crate::ops::{Activation, Attention, TransformerOps};
use crate::portable;

/// Enough numbers to be worth a thread's while.
const PIECE: usize = 1 << 14;

/// Contiguous tensors, if all of them are f32.
fn f32s<const N: usize>(tensors: [&FlexTensor; N]) -> Option<[FlexTensor; N]> {
    let all = tensors.iter().all(|tensor| tensor.dtype() == DType::F32);
    all.then(|| tensors.map(FlexTensor::to_contiguous))
}

fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("made contiguous before")
}

fn tensor<E: Element + bytemuck::Pod>(values: Vec<E>, shape: Shape) -> FlexTensor {
    let layout = Layout::contiguous(shape);
    FlexTensor::new(Bytes::from_elems(values), layout, E::dtype())
}

/// Numbers in memory that was not filled before: `fill` has to write each of them.
fn written(count: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(count);
    fill(&mut numbers.spare_capacity_mut()[..count]);
    #[expect(
        unsafe_code,
        reason = "there is room for so many, and every function that is given here writes all of its slice, having checked that \
                  what it reads is as long"
    )]
    unsafe {
        numbers.set_len(count);
    }
    numbers
}

/// The length of the last axis.
fn width(x: &FlexTensor) -> usize {
    let shape = x.shape();
    shape[shape.num_dims() - 1]
}

impl TransformerOps for Flex {
    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        starts: FloatTensor<Self>,
        ends: FloatTensor<Self>,
        how: Attention,
    ) -> FloatTensor<Self> {
        match f32s([&query, &key, &value, &starts, &ends]) {
            Some(all) => {
                let shape = query.shape();
                let attention = attention::Parts::new(&query, &key, how);
                tensor(attention.forward(all.each_ref().map(values)), shape)
            }
            None => portable::attention::forward::<Self>([query, key, value], [starts, ends], how),
        }
    }

    fn fused_attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        starts: FloatTensor<Self>,
        ends: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        how: Attention,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        match f32s([&query, &key, &value, &starts, &ends, &grad]) {
            Some([q, k, v, starts, ends, grad]) => {
                let shapes = [query.shape(), key.shape(), value.shape()];
                let parts = attention::Parts::new(&query, &key, how);
                let given = [&q, &k, &v, &starts, &ends].map(values);
                let [by_query, by_key, by_value] = parts.backward(given, values(&grad));
                let [of_query, of_key, of_value] = shapes;
                (
                    tensor(by_query, of_query),
                    tensor(by_key, of_key),
                    tensor(by_value, of_value),
                )
            }
            None => portable::attention::backward::<Self>(
                [query, key, value],
                [starts, ends],
                grad,
                how,
            ),
        }
    }

    fn fused_activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        match f32s([&x]) {
            Some([given]) => tensor(activation::value(values(&given), activation), x.shape()),
            None => portable::activation::value::<Self>(x, activation),
        }
    }

    fn fused_activate_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        match f32s([&x, &grad]) {
            Some(given) => {
                let [x, grad] = given.each_ref().map(values);
                tensor(activation::backward(x, grad, activation), given[0].shape())
            }
            None => portable::activation::backward::<Self>(x, grad, activation),
        }
    }

    fn fused_gated(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        match f32s([&gate, &up]) {
            Some(given) => {
                let [gate, up] = given.each_ref().map(values);
                tensor(activation::gated(gate, up, activation), given[0].shape())
            }
            None => portable::activation::gated::<Self>(gate, up, activation),
        }
    }

    fn fused_gated_backward(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match f32s([&gate, &up, &grad]) {
            Some(given) => {
                let shape = given[0].shape();
                let (by_gate, by_up) =
                    activation::gated_backward(given.each_ref().map(values), activation);
                (tensor(by_gate, shape.clone()), tensor(by_up, shape))
            }
            None => portable::activation::gated_backward::<Self>(gate, up, grad, activation),
        }
    }

    fn fused_rms_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        match f32s([&x, &weight]) {
            Some(given) if width(&x) > 0 => {
                let [x, weight] = given.each_ref().map(values);
                tensor(norm::rms(x, weight, epsilon as f32), given[0].shape())
            }
            _ => portable::norm::rms::<Self>(x, weight, epsilon),
        }
    }

    fn fused_rms_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match f32s([&x, &weight, &grad]) {
            Some(given) if width(&x) > 0 => {
                let epsilon = epsilon as f32;
                let (by_x, by_weight) = norm::rms_backward(given.each_ref().map(values), epsilon);
                (
                    tensor(by_x, given[0].shape()),
                    tensor(by_weight, given[1].shape()),
                )
            }
            _ => portable::norm::rms_backward::<Self>(x, weight, grad, epsilon),
        }
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        match f32s([&x, &weight, &bias]) {
            Some(given) if width(&x) > 0 => {
                let result = norm::layer(given.each_ref().map(values), epsilon as f32);
                tensor(result, given[0].shape())
            }
            _ => portable::norm::layer::<Self>(x, weight, bias, epsilon),
        }
    }

    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        match f32s([&x, &weight, &grad]) {
            Some(given) if width(&x) > 0 => {
                let given_values = given.each_ref().map(values);
                let [by_x, by_weight, by_bias] = norm::layer_backward(given_values, epsilon as f32);
                let of_weight = given[1].shape();
                (
                    tensor(by_x, given[0].shape()),
                    tensor(by_weight, of_weight.clone()),
                    tensor(by_bias, of_weight),
                )
            }
            _ => portable::norm::layer_backward::<Self>(x, weight, grad, epsilon),
        }
    }

    fn fused_rotate_positions(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        back: bool,
    ) -> FloatTensor<Self> {
        match f32s([&x, &cos, &sin]) {
            Some(given) if width(&x) > 0 => {
                let (shape, tables) = (given[0].shape(), given[1].shape());
                let turned = rotary::turn(given.each_ref().map(values), &shape, &tables, back);
                tensor(turned, shape)
            }
            _ => portable::rotary::turn::<Self>(x, cos, sin, back),
        }
    }

    fn fused_few_rows(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        match few_rows::Matrix::of(&weight) {
            Some(matrix) if x.dtype() == DType::F32 && x.shape().num_elements() > 0 => {
                let rows = x.shape()[0];
                let x = x.to_contiguous();
                let result = matrix.times(values(&x), rows);
                tensor(result, Shape::new([rows, weight.shape()[1]]))
            }
            _ => Self::float_matmul(x, weight),
        }
    }

    fn fused_product(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        match product::Matrix::of(&weight, transposed) {
            Some(matrix) if x.dtype() == DType::F32 && x.shape().num_elements() > 0 => {
                let x = x.to_contiguous();
                let shape = Shape::new([x.shape()[0], matrix.outputs()]);
                tensor(matrix.times(values(&x), None), shape)
            }
            _ if transposed => Self::float_matmul(x, Self::float_swap_dims(weight, 0, 1)),
            _ => Self::float_matmul(x, weight),
        }
    }

    fn fused_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        match (product::Matrix::of(&weight, false), f32s([&x, &bias])) {
            (Some(matrix), Some([x, bias])) if x.shape().num_elements() > 0 => {
                let shape = Shape::new([x.shape()[0], matrix.outputs()]);
                tensor(matrix.times(values(&x), Some(values(&bias))), shape)
            }
            _ => portable::affine::<Self>(x, weight, bias),
        }
    }

    fn fused_cross_entropy(
        products: FloatTensor<Self>,
        classes: IntTensor<Self>,
        cap: Option<f64>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, IntTensor<Self>) {
        match (f32s([&products]), classes.dtype()) {
            (Some([given]), DType::I32) if width(&products) > 0 => {
                let (shape, rows) = (given.shape(), classes.shape());
                let classes = classes.to_contiguous();
                let right: &[i32] = classes.as_slice().expect("made contiguous before");
                let found = cross_entropy::rows(values(&given), right, shape[1], cap);
                (
                    tensor(found.losses, rows.clone()),
                    tensor(found.slopes, shape),
                    tensor(found.likeliest, rows),
                )
            }
            _ => portable::cross_entropy::<Self>(products, classes, cap),
        }
    }
}
