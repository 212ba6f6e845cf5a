//! Every metric against plain float64 code that goes another way, over shapes and seeds.

use burn_goft_drift::{
    angle_change, angle_histogram, anisotropy, energy_change, hyperspherical_energy, kl_divergence,
    linear_cka, norm_change, procrustes_distance, relative_change, row_cosine, row_norm_ratio,
    spectrum, spectrum_change, subspace_similarity, svcca,
};
use proptest::prelude::*;

use crate::matrix::Matrix;
use crate::svd::{dot, rows, singular_values, svd};
use crate::{random, tensor_of};

/// Rounding of dense products and decompositions of these sizes.
const ROUNDING: f64 = 1e-10;

/// Noise beside what was, so that the answers are neither 0 nor 1.
fn moved(x: &Matrix, noise: f64, seed: u64) -> Matrix {
    let noises = random(seed, x.rows, x.columns).entries;
    let entries = x.entries.iter().zip(noises).map(|(x, n)| x + noise * n);
    Matrix::new(x.rows, x.columns, entries.collect())
}

/// A matrix with the columns' means taken off by `H = I - 1 1^T / n`.
fn centered(x: &Matrix) -> Matrix {
    let n = x.rows;
    let mut h = Matrix::identity(n);
    h.entries
        .iter_mut()
        .for_each(|entry| *entry -= 1.0 / n as f64);
    h.times(x)
}

/// From the centered `n x n` Gram matrices.
fn cka(x: &Matrix, y: &Matrix) -> f64 {
    let (x, y) = (centered(x), centered(y));
    let (k, l) = (x.times(&x.transpose()), y.times(&y.transpose()));
    dot(&k.entries, &l.entries) / (k.frobenius() * l.frobenius())
}

fn procrustes(x: &Matrix, y: &Matrix) -> f64 {
    let (x, y) = (centered(x), centered(y));
    let cross = x.transpose().times(&y);
    let nuclear: f64 = singular_values(&cross).iter().sum();
    2.0 - 2.0 * nuclear / (x.frobenius() * y.frobenius())
}

/// Left singular vectors of 99 % of the variance.
fn kept(x: &Matrix) -> Matrix {
    let x = centered(x);
    let decomposed = svd(&x);
    let total: f64 = decomposed.values.iter().map(|s| s * s).sum();
    let mut count = 0;
    let mut held = 0.0;
    while held < 0.99 * total {
        held += decomposed.values[count].powi(2);
        count += 1;
    }
    first_columns(&decomposed.u, count)
}

fn first_columns(x: &Matrix, count: usize) -> Matrix {
    let entries = rows(x)
        .iter()
        .flat_map(|row| row[..count].to_vec())
        .collect();
    Matrix::new(x.rows, count, entries)
}

fn angle(u: &[f64], v: &[f64]) -> f64 {
    (dot(u, v) / (dot(u, u) * dot(v, v)).sqrt())
        .clamp(-1.0, 1.0)
        .acos()
}

fn pairs<T>(vectors: &[Vec<f64>], f: impl Fn(&[f64], &[f64]) -> T) -> Vec<T> {
    let indices = (0..vectors.len()).flat_map(|i| (i + 1..vectors.len()).map(move |j| (i, j)));
    indices.map(|(i, j)| f(&vectors[i], &vectors[j])).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |max, value| max.max(*value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn representations(
        n in 3usize..24,
        d in 1usize..14,
        wider in 0usize..4,
        noise in 0.01f64..2.0,
        seed in any::<u32>(),
    ) {
        let seed = u64::from(seed);
        let x = random(seed, n, d);
        let mut y = moved(&x, noise, seed + 1);
        if wider > 0 {
            // Another width after than before.
            y = y.times(&random(seed + 2, d, d + wider));
        }
        let pair = || (tensor_of(&x), tensor_of(&y));
        let found = linear_cka(pair().0, pair().1).unwrap();
        prop_assert!((found - cka(&x, &y)).abs() <= ROUNDING, "CKA {found}, {}", cka(&x, &y));
        let found = procrustes_distance(pair().0, pair().1).unwrap();
        let expected = procrustes(&x, &y);
        prop_assert!((found - expected).abs() <= ROUNDING, "Procrustes {found}, {expected}");
        let found = svcca(pair().0, pair().1).unwrap();
        let (u, v) = (kept(&x), kept(&y));
        prop_assert_eq!(found.kept, [u.columns, v.columns]);
        let correlations = singular_values(&u.transpose().times(&v));
        let expected = mean(&correlations);
        prop_assert!((found.mean - expected).abs() <= ROUNDING, "SVCCA {}, {expected}", found.mean);
        let ones = correlations.iter().filter(|c| **c > 1.0 - 1e-9).count();
        prop_assert!(ones >= found.forced, "{ones} correlations are 1, forced {}", found.forced);

        let cosines: Vec<f64> = pairs(&rows(&x), |u, v| angle(u, v).cos());
        let found = anisotropy(tensor_of(&x)).unwrap();
        prop_assert!((found - mean(&cosines)).abs() <= ROUNDING, "{found}, {}", mean(&cosines));
    }

    #[test]
    fn rows_one_by_one(n in 1usize..12, d in 1usize..9, noise in 0.01f64..2.0, seed in any::<u32>()) {
        let x = random(seed.into(), n, d);
        let y = moved(&x, noise, u64::from(seed) + 1);
        let cosine = row_cosine(tensor_of(&x), tensor_of(&y)).unwrap();
        let ratio = row_norm_ratio(tensor_of(&x), tensor_of(&y)).unwrap();
        let (x, y) = (rows(&x), rows(&y));
        let cosines: Vec<f64> = x.iter().zip(&y).map(|(x, y)| angle(x, y).cos()).collect();
        let ratios = x.iter().zip(&y).map(|(x, y)| (dot(y, y) / dot(x, x)).sqrt());
        let ratios: Vec<f64> = ratios.collect();
        for (spread, values) in [(cosine, cosines), (ratio, ratios)] {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((spread.mean - mean(&values)).abs() <= ROUNDING * most.abs().max(1.0));
            prop_assert!((spread.min - least).abs() <= ROUNDING);
            prop_assert!((spread.max - most).abs() <= ROUNDING * most.abs().max(1.0));
        }
    }

    #[test]
    fn weights(d in 2usize..12, n in 2usize..10, noise in 0.01f64..2.0, seed in any::<u32>()) {
        let w = random(seed.into(), d, n);
        let v = moved(&w, noise, u64::from(seed) + 1);
        let pair = || (tensor_of(&w), tensor_of(&v));
        let (old, new) = (rows(&w.transpose()), rows(&v.transpose()));

        let change = angle_change(pair().0, pair().1).unwrap();
        let angles = pairs(&old, angle).into_iter().zip(pairs(&new, angle));
        let angles: Vec<f64> = angles.map(|(b, a)| (a - b).abs()).collect();
        // The oracle's inverse cosine loses half of the digits near 0 and pi.
        prop_assert!((change.mean - mean(&angles)).abs() <= 1e-7);
        prop_assert!((change.max - largest(&angles)).abs() <= 1e-7);
        prop_assert_eq!(change.count, angles.len());
        let histogram = angle_histogram(pair().0, pair().1).unwrap();
        for (bin, count) in histogram.counts.iter().enumerate() {
            let range = bin as f64 * histogram.width - 1e-7..(bin + 1) as f64 * histogram.width + 1e-7;
            let inside = angles.iter().filter(|angle| range.contains(angle)).count();
            prop_assert!(inside >= *count as usize, "bin {bin}: {count}, and {inside} lie in {range:?}");
        }
        prop_assert_eq!(histogram.counts.iter().sum::<u64>(), change.count as u64);

        let found = norm_change(pair().0, pair().1).unwrap();
        let norm = |v: &Vec<f64>| dot(v, v).sqrt();
        let norms: Vec<f64> = old.iter().zip(&new).map(|(b, a)| (norm(a) / norm(b) - 1.0).abs()).collect();
        prop_assert!((found.mean - mean(&norms)).abs() <= ROUNDING * largest(&norms).max(1.0));
        prop_assert!((found.max - largest(&norms)).abs() <= ROUNDING * largest(&norms).max(1.0));

        // The chord of an angle, instead of a difference of unit vectors.
        let energy = |vectors| pairs(vectors, |u, v| 1.0 / (2.0 * (angle(u, v) / 2.0).sin())).iter().sum::<f64>() * 2.0;
        for (weight, neurons) in [(&w, &old), (&v, &new)] {
            let found = hyperspherical_energy(tensor_of(weight)).unwrap();
            prop_assert!((found / energy(neurons) - 1.0).abs() <= 1e-6, "{found}");
        }
        let found = energy_change(pair().0, pair().1).unwrap();
        prop_assert!((found - (energy(&new) / energy(&old) - 1.0)).abs() <= 1e-5, "{found}");

        let expected = v.minus(&w).frobenius() / w.frobenius();
        prop_assert!((relative_change(pair().0, pair().1).unwrap() - expected).abs() <= ROUNDING);

        let found = spectrum_change(pair().0, pair().1).unwrap();
        let (before, after) = (singular_values(&w), singular_values(&v));
        let changes: Vec<f64> = before.iter().zip(&after).map(|(b, a)| (a - b).abs()).collect();
        for (weight, expected) in [(&w, &before), (&v, &after)] {
            let found = spectrum(tensor_of(weight)).unwrap();
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                prop_assert!((found - expected).abs() <= ROUNDING * before[0].max(after[0]));
            }
        }
        prop_assert!((found - largest(&changes) / before[0]).abs() <= ROUNDING * after[0].max(1.0));
        let bound = singular_values(&v.minus(&w))[0] / before[0];
        prop_assert!(found <= bound + ROUNDING, "Weyl: {found} over {bound}");

        let (u, u_after) = (svd(&w), svd(&v));
        for k in 1..=d.min(n) {
            // Where two values are near, the subspace is an accident.
            let gap = |values: &[f64]| values[k - 1] - values.get(k).filter(|_| k < d.min(n)).unwrap_or(&0.0);
            if gap(&u.values).min(gap(&u_after.values)) < 1e-3 {
                continue;
            }
            let overlap = first_columns(&u.u, k).transpose().times(&first_columns(&u_after.u, k));
            let expected = overlap.frobenius().powi(2) / k as f64;
            let found = subspace_similarity(pair().0, pair().1, k).unwrap();
            prop_assert!((found - expected).abs() <= 1e-8, "k = {k}: {found}, {expected}");
        }
    }

    #[test]
    fn answers(n in 1usize..8, classes in 1usize..7, noise in 0.0f64..4.0, seed in any::<u32>()) {
        let x = random(seed.into(), n, classes);
        let y = moved(&x, noise, u64::from(seed) + 1);
        let softmax = |z: &Vec<f64>| {
            let total: f64 = z.iter().map(|z| z.exp()).sum();
            z.iter().map(|z| z.exp() / total).collect::<Vec<f64>>()
        };
        let divergence = |(z, w): (&Vec<f64>, &Vec<f64>)| {
            let (p, q) = (softmax(z), softmax(w));
            p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum::<f64>()
        };
        let expected: Vec<f64> = rows(&x).iter().zip(&rows(&y)).map(divergence).collect();
        let found = kl_divergence(tensor_of(&x), tensor_of(&y)).unwrap();
        prop_assert!((found.mean - mean(&expected)).abs() <= ROUNDING, "{found:?} {expected:?}");
        prop_assert!((found.max - largest(&expected)).abs() <= ROUNDING);
        prop_assert!(found.min >= 0.0);
    }
}

/// Beyond one block of neurons at once.
#[test]
fn angles_of_many_neurons() {
    let w = random(1, 5, 300);
    let v = moved(&w, 0.1, 2);
    let change = angle_change(tensor_of(&w), tensor_of(&v)).unwrap();
    let angles = |m: &Matrix| pairs(&rows(&m.transpose()), angle);
    let changes: Vec<f64> = angles(&w)
        .iter()
        .zip(angles(&v))
        .map(|(b, a)| (a - b).abs())
        .collect();
    assert_eq!(change.count, 300 * 299 / 2);
    assert!((change.mean - mean(&changes)).abs() < 1e-8);
    assert!((change.max - largest(&changes)).abs() < 1e-7);
}
