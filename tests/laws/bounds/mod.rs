//! The bounds on quasi rotations hold for what is measured by Jacobi's method, and each is
//! attained.

mod attained;
mod measured;

use burn::tensor::{DType, Tensor};
use burn_goft::{QuasiBounds, RotationPlan, quasi_bounds, strict_distance_bound};
use proptest::prelude::*;

use crate::common::{Blocks, Row, angles, blocks, normal, numbers, rows, tensor};
use crate::oracle::{Matrix, Rotation};

/// Rounding of float64 in a product of matrices, their Gram matrix and its eigenvalues.
const SLACK: f64 = 1e-12;

/// The widest dtype of every device.
fn widest_rows() -> Vec<Row> {
    let mut rows = rows();
    let wide: Vec<_> = rows
        .iter()
        .filter(|row| row.dtype == DType::F64)
        .map(|row| row.name)
        .collect();
    rows.retain(|row| match wide.contains(&row.name) {
        true => row.dtype == DType::F64,
        false => row.dtype == DType::F32,
    });
    rows
}

/// A bound, and a matrix that obeys it.
struct Measured {
    bounds: QuasiBounds,
    levels: Vec<Matrix>,
    rotation: Matrix,
    gram_excess: Matrix,
}

/// The bounds from the device and the rotation from the same numbers.
fn measure(row: &Row, entries: &[f64]) -> Measured {
    let pairs = entries.len() / 4;
    let blocks: Tensor<3> = tensor(entries, [pairs, 2, 2], &row.device, row.dtype);
    let rotation = Rotation::new(pairs + 1, &numbers(&blocks));
    let matrix = rotation.matrix();
    Measured {
        bounds: quasi_bounds(blocks, RotationPlan::new(pairs + 1)),
        levels: rotation.level_matrices(),
        gram_excess: matrix.gram().minus(&Matrix::identity(pairs + 1)),
        rotation: matrix,
    }
}

fn extreme_singular_values(matrix: &Matrix) -> (f64, f64) {
    let values = matrix.singular_values();
    (values[0], values[values.len() - 1])
}

fn angle(x: &[f64], y: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let cosine = dot(x, y) / (dot(x, x) * dot(y, y)).sqrt();
    cosine.clamp(-1.0, 1.0).acos()
}

fn image(matrix: &Matrix, v: &[f64]) -> Vec<f64> {
    matrix.times(&Matrix::new(v.len(), 1, v.to_vec())).entries
}

fn assert_bounds_hold(measured: &Measured, seed: u64) {
    let Measured {
        bounds,
        levels,
        rotation,
        gram_excess,
    } = measured;
    let d = rotation.rows;
    let at_most = |what: &str, value: f64, bound: f64| {
        assert!(
            value <= bound * (1.0 + SLACK) + SLACK,
            "d = {d}: {what} {value}, bound {bound}"
        );
    };
    at_most(
        "spectral norm",
        gram_excess.symmetric_norm(),
        bounds.gram_spectral,
    );
    at_most(
        "Frobenius norm",
        gram_excess.frobenius(),
        bounds.gram_frobenius,
    );
    let (least, most) = extreme_singular_values(rotation);
    at_most("largest singular value", most, bounds.sigma_max);
    at_most(
        "least singular value, from below",
        bounds.sigma_min,
        least + 1e-7,
    );
    at_most(
        "condition number",
        most / least,
        bounds.condition * (1.0 + 1e-7),
    );

    // The parts of the bounds are no estimates.
    assert_eq!(bounds.level_eps.len(), levels.len());
    let mut condition = 1.0;
    for (level, eps) in levels.iter().zip(&bounds.level_eps) {
        let excess = level.gram().minus(&Matrix::identity(d)).symmetric_norm();
        assert!(
            (excess - eps).abs() <= SLACK * (1.0 + eps),
            "d = {d}: eps {eps}, measured {excess}"
        );
        let (least, most) = extreme_singular_values(level);
        condition *= most / least;
    }
    assert!(
        (bounds.condition / condition - 1.0).abs() <= 1e-7,
        "d = {d}"
    );

    let vectors = normal(seed, 12 * d);
    let vectors: Vec<&[f64]> = vectors.chunks_exact(d).collect();
    for pair in vectors.chunks_exact(2) {
        let (least, most) = bounds.angle_range(angle(pair[0], pair[1]));
        let turned = angle(&image(rotation, pair[0]), &image(rotation, pair[1]));
        at_most("angle", turned, most);
        at_most("angle, from below", least, turned);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quasi_bounds_hold(
        d in 1usize..=32,
        noise in 0.0f64..0.6,
        scale in 0.3f64..2.0,
        seed in any::<u32>(),
    ) {
        let seed = u64::from(seed);
        let rotations = blocks(Blocks::Strict, seed, d - 1);
        let noises = normal(seed + 1, 4 * (d - 1));
        let entries = rotations.iter().zip(noises).map(|(r, n)| scale * r + noise * n);
        let entries: Vec<f64> = entries.collect();
        for row in widest_rows() {
            assert_bounds_hold(&measure(&row, &entries), seed + 2);
        }
    }

    #[test]
    fn the_distance_bound_of_strict_rotations_holds(
        d in 1usize..=32,
        size in 0.0f64..1.0,
        seed in any::<u32>(),
    ) {
        let angles: Vec<f64> = angles(seed.into(), d - 1).iter().map(|t| size * t).collect();
        for row in widest_rows() {
            let stored: Tensor<1> = tensor(&angles, [d - 1], &row.device, row.dtype);
            let moved = Rotation::strict(d, &numbers(&stored)).matrix().minus(&Matrix::identity(d));
            let (_, distance) = extreme_singular_values(&moved);
            let bound = strict_distance_bound(stored, RotationPlan::new(d));
            prop_assert!(distance <= bound + 1e-7, "{row} d = {d}: {distance}, bound {bound}");
        }
    }
}
