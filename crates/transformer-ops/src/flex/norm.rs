//! Norms along the last axis.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::math::sum;
use super::{PIECE, written};

/// Numbers in a piece of whole rows, of which `x` has to consist.
fn piece(x: &[f32], width: usize) -> usize {
    assert!(x.len().is_multiple_of(width), "rows of {width} numbers");
    (PIECE / width).max(1) * width
}

pub(super) fn rms(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let piece = piece(x, weight.len());
    written(x.len(), |to| {
        let pieces = to.par_chunks_mut(piece).zip(x.par_chunks(piece));
        pieces.for_each(|(to, x)| rms_rows(to, x, weight, epsilon));
    })
}

#[inline(always)]
fn inverse_root(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum(x.len(), |i| x[i] * x[i]) / x.len() as f32 + epsilon).sqrt()
}

#[macerator::with_simd]
fn rms_rows<S: macerator::Simd>(
    to: &mut [MaybeUninit<f32>],
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
) {
    let width = weight.len();
    for (to, x) in to.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let factor = inverse_root(x, epsilon);
        for ((to, x), weight) in to.iter_mut().zip(x).zip(weight) {
            to.write(x * factor * weight);
        }
    }
}

pub(super) fn rms_backward([x, weight, grad]: [&[f32]; 3], epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let width = weight.len();
    let piece = piece(x, width);
    assert_eq!(x.len(), grad.len(), "a derivative for each number");
    let mut parts = Vec::new();
    let by_x = written(x.len(), |by_x| {
        let given = x.par_chunks(piece).zip(grad.par_chunks(piece));
        let pieces = by_x.par_chunks_mut(piece).zip(given);
        parts = pieces
            .map(|(to, (x, grad))| {
                let mut by_weight = vec![0.0; width];
                rms_rows_backward(to, &mut by_weight, x, weight, grad, epsilon);
                by_weight
            })
            .collect();
    });
    (by_x, summed(parts, width))
}

/// In their order, which depends on shapes alone.
fn summed(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sums
}

#[macerator::with_simd]
fn rms_rows_backward<S: macerator::Simd>(
    to: &mut [MaybeUninit<f32>],
    by_weight: &mut [f32],
    x: &[f32],
    weight: &[f32],
    grad: &[f32],
    epsilon: f32,
) {
    let width = weight.len();
    let given = x.chunks_exact(width).zip(grad.chunks_exact(width));
    for (to, (x, grad)) in to.chunks_exact_mut(width).zip(given) {
        let factor = inverse_root(x, epsilon);
        let along = sum(width, |i| grad[i] * weight[i] * x[i]) / width as f32;
        let along = along * factor * factor;
        let rows = to.iter_mut().zip(by_weight.iter_mut());
        let given = x.iter().zip(weight).zip(grad);
        for ((to, by_weight), ((x, weight), grad)) in rows.zip(given) {
            to.write(factor * (grad * weight - x * along));
            *by_weight += grad * x * factor;
        }
    }
}

pub(super) fn layer([x, weight, bias]: [&[f32]; 3], epsilon: f32) -> Vec<f32> {
    assert_eq!(weight.len(), bias.len(), "a bias for each weight");
    let piece = piece(x, weight.len());
    written(x.len(), |to| {
        let pieces = to.par_chunks_mut(piece).zip(x.par_chunks(piece));
        pieces.for_each(|(to, x)| layer_rows(to, x, weight, bias, epsilon));
    })
}

/// The mean, and one over the root of the variance.
#[inline(always)]
fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let width = x.len() as f32;
    let mean = sum(x.len(), |i| x[i]) / width;
    let variance = sum(x.len(), |i| (x[i] - mean) * (x[i] - mean)) / width;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

#[macerator::with_simd]
fn layer_rows<S: macerator::Simd>(
    to: &mut [MaybeUninit<f32>],
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) {
    let width = weight.len();
    for (to, x) in to.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let (mean, factor) = moments(x, epsilon);
        let given = x.iter().zip(weight).zip(bias);
        for (to, ((x, weight), bias)) in to.iter_mut().zip(given) {
            to.write((x - mean) * factor * weight + bias);
        }
    }
}

pub(super) fn layer_backward([x, weight, grad]: [&[f32]; 3], epsilon: f32) -> [Vec<f32>; 3] {
    let width = weight.len();
    let piece = piece(x, width);
    assert_eq!(x.len(), grad.len(), "a derivative for each number");
    let mut parts = (Vec::new(), Vec::new());
    let by_x = written(x.len(), |by_x| {
        let given = x.par_chunks(piece).zip(grad.par_chunks(piece));
        let pieces = by_x.par_chunks_mut(piece).zip(given);
        parts = pieces
            .map(|(to, (x, grad))| {
                let (mut by_weight, mut by_bias) = (vec![0.0; width], vec![0.0; width]);
                layer_rows_backward(to, &mut by_weight, &mut by_bias, x, weight, grad, epsilon);
                (by_weight, by_bias)
            })
            .unzip();
    });
    [by_x, summed(parts.0, width), summed(parts.1, width)]
}

#[macerator::with_simd]
fn layer_rows_backward<S: macerator::Simd>(
    to: &mut [MaybeUninit<f32>],
    by_weight: &mut [f32],
    by_bias: &mut [f32],
    x: &[f32],
    weight: &[f32],
    grad: &[f32],
    epsilon: f32,
) {
    let width = weight.len();
    let given = x.chunks_exact(width).zip(grad.chunks_exact(width));
    for (to, (x, grad)) in to.chunks_exact_mut(width).zip(given) {
        let (mean, factor) = moments(x, epsilon);
        let shift = sum(width, |i| grad[i] * weight[i]) / width as f32;
        let along = sum(width, |i| grad[i] * weight[i] * (x[i] - mean)) / width as f32;
        let along = along * factor * factor;
        let rows = to
            .iter_mut()
            .zip(by_weight.iter_mut().zip(by_bias.iter_mut()));
        let given = x.iter().zip(weight).zip(grad);
        for ((to, (by_weight, by_bias)), ((x, weight), grad)) in rows.zip(given) {
            let centered = x - mean;
            to.write(factor * (grad * weight - shift - centered * along));
            *by_weight += grad * centered * factor;
            *by_bias += grad;
        }
    }
}
