//! The largest eigenvalue of a matrix that is known by its products with vectors.
//!
//! faer has restarted methods of this kind, which give nothing where they do not converge: for
//! eigenvalues that crowd at the largest, as those of rotations do, plain steps give the value from
//! below, with a probability that can be stated.

use std::f64::consts::TAU;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::vector::norm;

/// Steps at most.
const STEPS: usize = 256;
/// Steps between two looks at what they have found.
const STRIDE: usize = 16;
/// Growth of the largest eigenvalue in [`STRIDE`] steps, relative to it, below which no more are
/// made.
const GROWTH: f64 = 1e-12;

/// The largest eigenvalue of a symmetric matrix without negative ones, by Lanczos's method: three
/// vectors, a product with the matrix in each step. What it finds is never above the eigenvalue,
/// but for rounding.
///
/// Lost orthogonality is not restored: it costs steps, and copies of eigenvalues that have been
/// found, and does no harm to the largest (Paige 1980).
///
/// What is not above `negligible` after [`STRIDE`] steps is not looked for more closely.
pub(super) fn largest_eigenvalue(
    dim: usize,
    negligible: f64,
    times: impl Fn(&[f64]) -> Vec<f64>,
) -> f64 {
    let mut tridiagonal = Tridiagonal::default();
    let mut vector = direction(dim);
    let (mut previous, mut beta) = (vec![0.0; dim], 0.0);
    let (mut largest, mut size) = (0.0, 0.0f64);
    for step in 1..=STEPS {
        let mut next = times(&vector);
        add(&mut next, &previous, -beta);
        let alpha = dot(&next, &vector);
        add(&mut next, &vector, -alpha);
        tridiagonal.push(alpha, beta);
        beta = norm(&next);
        size = size.max(alpha).max(beta);
        let exhausted = beta <= f64::EPSILON * f64::EPSILON * size;
        if step % STRIDE == 0 || exhausted {
            let found = tridiagonal.largest_eigenvalue(largest);
            let done = found - largest <= GROWTH * found || found <= negligible;
            largest = found;
            if done || exhausted {
                break;
            }
        }
        next.iter_mut().for_each(|entry| *entry /= beta);
        previous = std::mem::replace(&mut vector, next);
    }
    largest
}

/// A unit vector, every direction equally likely; the same in every run.
fn direction(dim: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(0);
    let mut normal = || {
        let (radius, angle): (f64, f64) = rng.random();
        (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos()
    };
    let mut vector: Vec<f64> = (0..dim).map(|_| normal()).collect();
    let size = norm(&vector);
    vector.iter_mut().for_each(|entry| *entry /= size);
    vector
}

/// A symmetric matrix by its diagonal and, from the second row on, what is left of it.
#[derive(Default)]
struct Tridiagonal {
    rows: Vec<(f64, f64)>,
}

impl Tridiagonal {
    fn push(&mut self, diagonal: f64, left: f64) {
        self.rows.push((diagonal, left));
    }

    /// By bisection, from a value that it is not below.
    fn largest_eigenvalue(&self, least: f64) -> f64 {
        let mut least = self.rows.iter().fold(least, |max, (a, _)| max.max(*a));
        // Gershgorin's bound.
        let right = self.rows.iter().skip(1).map(|(_, left)| *left).chain([0.0]);
        let rows = self.rows.iter().zip(right);
        let mut most = rows.fold(least, |max, ((a, left), right)| max.max(a + left + right));
        loop {
            let middle = least + (most - least) / 2.0;
            if middle <= least || middle >= most {
                return least;
            }
            if self.is_below(middle) {
                most = middle;
            } else {
                least = middle;
            }
        }
    }

    /// Whether all eigenvalues are: then all pivots of `x I - T` are positive.
    fn is_below(&self, x: f64) -> bool {
        let mut pivot = f64::INFINITY;
        self.rows.iter().all(|(diagonal, left)| {
            pivot = x - diagonal - left * left / pivot;
            pivot > 0.0
        })
    }
}

fn add(to: &mut [f64], vector: &[f64], times: f64) {
    to.iter_mut()
        .zip(vector)
        .for_each(|(to, v)| *to += times * v);
}

fn dot(u: &[f64], v: &[f64]) -> f64 {
    u.iter().zip(v).map(|(u, v)| u * v).sum()
}
