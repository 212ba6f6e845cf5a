//! Functions of each number and gates.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::math::{erf, exp, sigmoid, tanh};
use super::{PIECE, written};
use crate::ops::Activation;

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// A function and its derivative; a type each, so that a loop is compiled for each.
trait Function: Copy + Send + Sync {
    fn value(self, x: f32) -> f32;
    /// The value and the derivative.
    fn both(self, x: f32) -> (f32, f32);
}

#[derive(Clone, Copy)]
struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * sigmoid(x)
    }

    #[inline(always)]
    fn both(self, x: f32) -> (f32, f32) {
        let share = sigmoid(x);
        let value = x * share;
        (value, share + value * (1.0 - share))
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
    }

    #[inline(always)]
    fn both(self, x: f32) -> (f32, f32) {
        let share = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        let density = 0.398_942_3 * exp(-0.5 * x * x);
        (x * share, share + x * density)
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Function for GeluTanh {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let inner = SQRT_2_OVER_PI * x * (1.0 + CUBE * x * x);
        0.5 * x * (1.0 + tanh(inner))
    }

    #[inline(always)]
    fn both(self, x: f32) -> (f32, f32) {
        let inner = SQRT_2_OVER_PI * x * (1.0 + CUBE * x * x);
        let tanh = tanh(inner);
        let share = 0.5 * (1.0 + tanh);
        let slope = 0.5 * SQRT_2_OVER_PI * (1.0 + 3.0 * CUBE * x * x);
        (x * share, share + x * (1.0 - tanh * tanh) * slope)
    }
}

/// A loop of the function that is meant.
macro_rules! of {
    ($activation:expr, $loop:ident($($given:expr),+)) => {
        match $activation {
            Activation::Silu => $loop(Silu, $($given),+),
            Activation::Gelu => $loop(Gelu, $($given),+),
            Activation::GeluTanh => $loop(GeluTanh, $($given),+),
        }
    };
}

pub(super) fn value(x: &[f32], activation: Activation) -> Vec<f32> {
    written(x.len(), |to| {
        let pieces = to.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE));
        pieces.for_each(|(to, x)| of!(activation, value_of(to, x)));
    })
}

#[macerator::with_simd]
fn value_of<S: macerator::Simd, F: Function>(function: F, to: &mut [MaybeUninit<f32>], x: &[f32]) {
    for (to, x) in to.iter_mut().zip(x) {
        to.write(function.value(*x));
    }
}

pub(super) fn backward(x: &[f32], grad: &[f32], activation: Activation) -> Vec<f32> {
    assert_eq!(x.len(), grad.len(), "a derivative for each number");
    written(x.len(), |to| {
        let given = x.par_chunks(PIECE).zip(grad.par_chunks(PIECE));
        let pieces = to.par_chunks_mut(PIECE).zip(given);
        pieces.for_each(|(to, (x, grad))| of!(activation, backward_of(to, x, grad)));
    })
}

#[macerator::with_simd]
fn backward_of<S: macerator::Simd, F: Function>(
    function: F,
    to: &mut [MaybeUninit<f32>],
    x: &[f32],
    grad: &[f32],
) {
    for ((to, x), grad) in to.iter_mut().zip(x).zip(grad) {
        to.write(grad * function.both(*x).1);
    }
}

pub(super) fn gated(gate: &[f32], up: &[f32], activation: Activation) -> Vec<f32> {
    assert_eq!(gate.len(), up.len(), "gate and up have one shape");
    written(gate.len(), |to| {
        let given = gate.par_chunks(PIECE).zip(up.par_chunks(PIECE));
        let pieces = to.par_chunks_mut(PIECE).zip(given);
        pieces.for_each(|(to, (gate, up))| of!(activation, gated_of(to, gate, up)));
    })
}

#[macerator::with_simd]
fn gated_of<S: macerator::Simd, F: Function>(
    function: F,
    to: &mut [MaybeUninit<f32>],
    gate: &[f32],
    up: &[f32],
) {
    for ((to, gate), up) in to.iter_mut().zip(gate).zip(up) {
        to.write(function.value(*gate) * up);
    }
}

pub(super) fn gated_backward(
    [gate, up, grad]: [&[f32]; 3],
    activation: Activation,
) -> (Vec<f32>, Vec<f32>) {
    assert!(
        gate.len() == up.len() && gate.len() == grad.len(),
        "gate, up and derivative have one shape"
    );
    let mut by_gate = Vec::new();
    let by_up = written(gate.len(), |by_up| {
        by_gate = written(gate.len(), |by_gate| {
            let to = by_gate
                .par_chunks_mut(PIECE)
                .zip(by_up.par_chunks_mut(PIECE));
            let given = gate.par_chunks(PIECE).zip(up.par_chunks(PIECE));
            let pieces = to.zip(given.zip(grad.par_chunks(PIECE)));
            pieces.for_each(|((by_gate, by_up), ((gate, up), grad))| {
                of!(
                    activation,
                    gated_backward_of(by_gate, by_up, gate, up, grad)
                );
            });
        });
    });
    (by_gate, by_up)
}

#[macerator::with_simd]
fn gated_backward_of<S: macerator::Simd, F: Function>(
    function: F,
    by_gate: &mut [MaybeUninit<f32>],
    by_up: &mut [MaybeUninit<f32>],
    gate: &[f32],
    up: &[f32],
    grad: &[f32],
) {
    let to = by_gate.iter_mut().zip(by_up);
    for (((by_gate, by_up), (gate, up)), grad) in to.zip(gate.iter().zip(up)).zip(grad) {
        let (value, slope) = function.both(*gate);
        by_gate.write(grad * up * slope);
        by_up.write(grad * value);
    }
}
