//! The loss of each row of logits.

use rayon::prelude::*;

use super::math::{exp, largest, sum, tanh};

pub(super) struct Found {
    pub(super) losses: Vec<f32>,
    pub(super) slopes: Vec<f32>,
    pub(super) likeliest: Vec<i32>,
}

pub(super) fn rows(products: &[f32], classes: &[i32], width: usize, cap: Option<f64>) -> Found {
    let mut slopes = vec![0.0; products.len()];
    let given = products.par_chunks(width).zip(classes);
    let rows = slopes.par_chunks_mut(width).zip(given);
    let found: (Vec<f32>, Vec<i32>) = rows
        .map(|(slopes, (products, class))| {
            let class = usize::try_from(*class).ok().filter(|class| *class < width);
            let class = class.unwrap_or_else(|| {
                panic!("cross_entropy: a class that is none of the {width} there are")
            });
            row(slopes, products, class, cap.map(|cap| cap as f32))
        })
        .unzip();
    Found {
        losses: found.0,
        slopes,
        likeliest: found.1,
    }
}

/// The loss and the likeliest class.
#[macerator::with_simd]
fn row<S: macerator::Simd>(
    slopes: &mut [f32],
    products: &[f32],
    class: usize,
    cap: Option<f32>,
) -> (f32, i32) {
    // Logits first, then their exponentials, then the derivatives, in one place.
    match cap {
        None => slopes.copy_from_slice(products),
        Some(cap) => {
            for (logit, product) in slopes.iter_mut().zip(products) {
                *logit = cap * tanh(product / cap);
            }
        }
    }
    let most = largest(slopes);
    let likeliest = slopes.iter().position(|logit| *logit == most).unwrap_or(0);
    let right = slopes[class] - most;
    for logit in slopes.iter_mut() {
        *logit = exp(*logit - most);
    }
    let total = sum(slopes.len(), |i| slopes[i]);
    let factor = 1.0 / total;
    for exponential in slopes.iter_mut() {
        *exponential *= factor;
    }
    slopes[class] -= 1.0;
    if let Some(cap) = cap {
        for (slope, product) in slopes.iter_mut().zip(products) {
            let share = tanh(product / cap);
            *slope *= 1.0 - share * share;
        }
    }
    (total.ln() - right, likeliest as i32)
}
