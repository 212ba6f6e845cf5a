//! Known answers.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, LN_2, PI};

use burn::tensor::Tensor;
use burn_goft_drift::{
    agreement, angle_change, angle_histogram, anisotropy, energy_change, hyperspherical_energy,
    kl_divergence, linear_cka, norm_change, procrustes_distance, relative_change, rotation_drift,
    row_cosine, row_norm_ratio, spectrum_change, subspace_similarity, svcca,
};

use crate::common::{self, angles, levels};
use crate::matrix::Matrix;
use crate::oracle::{self, givens};
use crate::rotation::quasi;
use crate::svd::singular_values;
use crate::{close, random, rotation, tensor_of};

/// Rounding of products of a few dozen f64 numbers.
const ROUNDING: f64 = 1e-12;

fn of_rows<const N: usize, const D: usize>(rows: [[f64; D]; N]) -> Tensor<2> {
    tensor_of(&Matrix::new(N, D, rows.concat()))
}

#[test]
fn nothing_moved() {
    let w = tensor_of(&random(1, 9, 6));
    let pair = || (w.clone(), w.clone());
    let angles = angle_change(pair().0, pair().1).unwrap();
    assert_eq!((angles.mean, angles.max, angles.count), (0.0, 0.0, 15));
    let histogram = angle_histogram(pair().0, pair().1).unwrap();
    assert_eq!(histogram.counts[0], 15);
    let norms = norm_change(pair().0, pair().1).unwrap();
    assert_eq!((norms.mean, norms.max, norms.left_out), (0.0, 0.0, 0));
    assert_eq!(energy_change(pair().0, pair().1).unwrap(), 0.0);
    assert_eq!(relative_change(pair().0, pair().1).unwrap(), 0.0);
    assert_eq!(spectrum_change(pair().0, pair().1).unwrap(), 0.0);
    close(
        subspace_similarity(pair().0, pair().1, 3).unwrap(),
        1.0,
        ROUNDING,
    );
    for rows in [row_cosine, row_norm_ratio] {
        let one = rows(pair().0, pair().1).unwrap();
        assert_eq!((one.mean, one.min, one.max), (1.0, 1.0, 1.0));
    }
    close(linear_cka(pair().0, pair().1).unwrap(), 1.0, ROUNDING);
    close(svcca(pair().0, pair().1).unwrap().mean, 1.0, ROUNDING);
    close(
        procrustes_distance(pair().0, pair().1).unwrap(),
        0.0,
        ROUNDING,
    );
    assert_eq!(kl_divergence(pair().0, pair().1).unwrap().max, 0.0);
    assert_eq!(agreement(pair().0, pair().1).unwrap(), 1.0);
}

/// What a strict adapter does: seen by distance and subspace, and by nothing else.
#[test]
fn a_rotation_of_all_neurons_keeps_angles_norms_energy_and_spectrum() {
    let w = random(2, 12, 7);
    let (before, after) = (tensor_of(&w), tensor_of(&rotation(3, 12).times(&w)));
    let pair = || (before.clone(), after.clone());
    close(angle_change(pair().0, pair().1).unwrap().max, 0.0, ROUNDING);
    close(norm_change(pair().0, pair().1).unwrap().max, 0.0, ROUNDING);
    close(energy_change(pair().0, pair().1).unwrap(), 0.0, ROUNDING);
    close(spectrum_change(pair().0, pair().1).unwrap(), 0.0, ROUNDING);
    assert!(relative_change(pair().0, pair().1).unwrap() > 0.5);
    assert!(subspace_similarity(pair().0, pair().1, 3).unwrap() < 0.9);
}

/// What a strict adapter does to the layer above: CKA, SVCCA and Procrustes distance are blind to
/// it, rows are not.
#[test]
fn a_rotation_of_a_representation_is_seen_row_by_row_only() {
    // More rows than columns, and fewer: each metric has a way for both.
    for (n, d) in [(40, 6), (6, 40)] {
        let x = random(4, n, d);
        let turned = x.times(&rotation(5, d));
        let moved = Matrix::new(n, d, turned.entries.iter().map(|v| 3.0 * v + 2.0).collect());
        let (before, after) = (tensor_of(&x), tensor_of(&moved));
        let pair = || (before.clone(), after.clone());
        close(linear_cka(pair().0, pair().1).unwrap(), 1.0, ROUNDING);
        close(svcca(pair().0, pair().1).unwrap().mean, 1.0, ROUNDING);
        close(
            procrustes_distance(pair().0, pair().1).unwrap(),
            0.0,
            ROUNDING,
        );
        let cosine = row_cosine(before.clone(), tensor_of(&turned)).unwrap();
        assert!(cosine.mean < 0.7, "{cosine:?}");
        let ratio = row_norm_ratio(before.clone(), tensor_of(&turned)).unwrap();
        close(ratio.min, 1.0, ROUNDING);
        close(ratio.max, 1.0, ROUNDING);
    }
}

#[test]
fn a_neuron_that_is_scaled_moves_norms_only() {
    let w = random(6, 5, 4);
    let mut scaled = w.clone();
    (0..5).for_each(|row| scaled[(row, 2)] *= 3.0);
    let (before, after) = (tensor_of(&w), tensor_of(&scaled));
    let norms = norm_change(before.clone(), after.clone()).unwrap();
    close(norms.max, 2.0, ROUNDING);
    close(norms.mean, 0.5, ROUNDING);
    close(
        angle_change(before.clone(), after.clone()).unwrap().max,
        0.0,
        ROUNDING,
    );
    close(
        energy_change(before.clone(), after.clone()).unwrap(),
        0.0,
        ROUNDING,
    );
    let column: f64 = (0..5).map(|row| w[(row, 2)].powi(2)).sum::<f64>().sqrt();
    close(
        relative_change(before, after).unwrap(),
        2.0 * column / w.frobenius(),
        ROUNDING,
    );
}

#[test]
fn angles_are_those_of_the_plane() {
    // At 0, 90 and 180 degrees; the second then at 45.
    let before = of_rows([[1.0, 0.0, -2.0], [0.0, 5.0, 0.0]]);
    let after = of_rows([[1.0, 7.0, -2.0], [0.0, 7.0, 0.0]]);
    let change = angle_change(before.clone(), after.clone()).unwrap();
    close(change.max, FRAC_PI_4, ROUNDING);
    close(change.mean, FRAC_PI_2 / 3.0, ROUNDING);
    // 0 is in the first bin, both others in the bin that holds pi / 4.
    let histogram = angle_histogram(before, after).unwrap();
    let bin = (FRAC_PI_4 / histogram.width) as usize;
    assert_eq!((histogram.counts[0], histogram.counts[bin]), (1, 2));
    assert_eq!(histogram.counts.iter().sum::<u64>(), 3);
    assert!(
        (16..32).contains(&bin),
        "the upper half of the bins is in use"
    );
}

/// The inverse cosine cannot tell angles below 1e-8 from zero.
#[test]
fn small_angles_keep_their_digits() {
    // Near each other, and near opposite.
    for sign in [1.0, -1.0] {
        let at = |t: f64| of_rows([[1.0, sign * t.cos()], [0.0, t.sin()]]);
        let change = angle_change(at(1e-9), at(3e-9)).unwrap();
        close(change.max, 2e-9, 1e-15);
    }
    let energy = hyperspherical_energy(of_rows([[1.0, 1.0], [0.0, 1e-9]])).unwrap();
    close(energy / 2e9, 1.0, ROUNDING);
}

#[test]
fn energy_of_evenly_spread_neurons() {
    // The square: four neighbors at distance sqrt(2), two opposite pairs at 2, each counted twice.
    let square = of_rows([[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0]]);
    let energy = hyperspherical_energy(square).unwrap();
    close(energy, 8.0 / 2f64.sqrt() + 4.0 / 2.0, ROUNDING);
}

#[test]
fn subspaces_that_share_nothing_and_half() {
    let axes = |columns: [usize; 2]| {
        let mut w = Matrix::new(4, 2, vec![0.0; 8]);
        w[(columns[0], 0)] = 3.0;
        w[(columns[1], 1)] = 2.0;
        tensor_of(&w)
    };
    let similarity = |a, b| subspace_similarity(axes(a), axes(b), 2).unwrap();
    close(similarity([0, 1], [2, 3]), 0.0, ROUNDING);
    close(similarity([0, 1], [1, 2]), 0.5, ROUNDING);
    close(similarity([0, 1], [1, 0]), 1.0, ROUNDING);
}

#[test]
fn representations_that_share_nothing() {
    let before = || of_rows([[1.0], [1.0], [-1.0], [-1.0]]);
    let after = || of_rows([[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0], [-1.0, -2.0]]);
    close(linear_cka(before(), after()).unwrap(), 0.0, ROUNDING);
    close(
        procrustes_distance(before(), after()).unwrap(),
        2.0,
        ROUNDING,
    );
    let found = svcca(before(), after()).unwrap();
    close(found.mean, 0.0, ROUNDING);
    // The two columns after are one direction.
    assert_eq!((found.kept, found.forced), ([1, 1], 0));
}

/// Three directions of variances 0.96, 0.035 and 0.005: two hold 99 %.
#[test]
fn svcca_keeps_the_directions_of_99_percent_of_the_variance() {
    let sizes = [0.96f64, 0.035, 0.005].map(f64::sqrt);
    let signs = [
        [1.0, 1.0, 1.0],
        [1.0, -1.0, -1.0],
        [-1.0, 1.0, -1.0],
        [-1.0, -1.0, 1.0],
    ];
    let before = signs.map(|row| [row[0] * sizes[0], row[1] * sizes[1], row[2] * sizes[2]]);
    // What is left out is replaced by nonsense.
    let after = before.map(|row| [row[0], row[1], 0.0]);
    let found = svcca(of_rows(before), of_rows(after)).unwrap();
    assert_eq!((found.kept, found.forced), ([2, 2], 1));
    close(found.mean, 1.0, ROUNDING);
}

#[test]
fn anisotropy_of_a_cone_and_of_a_cross() {
    let cross = of_rows([[1.0, 0.0], [-3.0, 0.0], [0.0, 2.0], [0.0, -1.0]]);
    close(anisotropy(cross).unwrap(), -1.0 / 3.0, ROUNDING);
    let line = of_rows([[1.0, 2.0], [10.0, 20.0], [0.5, 1.0]]);
    close(anisotropy(line).unwrap(), 1.0, ROUNDING);
    let with_zero = of_rows([[1.0, 0.0], [0.0, 0.0], [0.0, 4.0]]);
    close(anisotropy(with_zero).unwrap(), 0.0, ROUNDING);
}

#[test]
fn rows_that_turn_and_grow() {
    let before = of_rows([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [1.0, 1.0]]);
    let after = of_rows([[-1.0, 0.0], [2.0, 2.0], [1.0, 0.0], [0.0, 0.0]]);
    let cosine = row_cosine(before.clone(), after.clone()).unwrap();
    let ratio = row_norm_ratio(before, after).unwrap();
    assert_eq!((cosine.count, cosine.left_out), (2, 2));
    assert_eq!((ratio.count, ratio.left_out), (2, 2));
    let half = 0.5f64.sqrt();
    close(cosine.min, -1.0, ROUNDING);
    close(cosine.max, half, ROUNDING);
    close(cosine.mean, (half - 1.0) / 2.0, ROUNDING);
    close(ratio.min, 1.0, ROUNDING);
    close(ratio.max, 2f64.sqrt(), ROUNDING);
}

#[test]
fn divergence_in_nats_and_in_one_direction() {
    let certain = || of_rows([[0.0, f64::NEG_INFINITY]]);
    let half = || of_rows([[5.0, 5.0]]);
    // All on one class, seen from a model that gave it a half, is one bit.
    close(
        kl_divergence(certain(), half()).unwrap().mean,
        LN_2,
        ROUNDING,
    );
    assert_eq!(
        kl_divergence(half(), certain()).unwrap().mean,
        f64::INFINITY
    );
    // A probability that rounds to zero and is masked after is no less masked.
    let nearly = of_rows([[0.0, -800.0]]);
    assert_eq!(
        kl_divergence(nearly, certain()).unwrap().mean,
        f64::INFINITY
    );
    // Logits whose exponential overflows; a shift of all of them is no change.
    let large = of_rows([[1e4, 1e4 - 1.0], [-1e4, -1e4 - 1.0]]);
    let small = of_rows([[1.0, 0.0], [0.0, 1.0]]);
    let spread = kl_divergence(large, small).unwrap();
    let p = 1.0 / (1.0 + (-1.0f64).exp());
    // What a difference of numbers of this size loses.
    let rounding = 4.0 * f64::EPSILON * 1e4;
    close(spread.min, 0.0, rounding);
    close(spread.max, 2.0 * p - 1.0, rounding);
    close(spread.mean, p - 0.5, rounding);
}

#[test]
fn the_answer_is_the_first_of_the_largest() {
    let before = of_rows([
        [1.0, 1.0, 0.0],
        [0.0, 2.0, 1.0],
        [3.0, 0.0, 3.0],
        [0.0, 0.0, 1.0],
    ]);
    let after = of_rows([
        [2.0, 1.0, 1.0],
        [0.0, 1.0, 1.0],
        [0.0, 1.0, 3.0],
        [0.0, 1.0, 0.0],
    ]);
    assert_eq!(agreement(before, after).unwrap(), 0.5);
}

#[test]
fn the_distance_from_the_identity_is_that_of_the_dense_rotation() {
    for d in [1, 2, 3, 5, 8, 13] {
        let entries: Vec<f64> = angles(7, d - 1).iter().flat_map(|t| givens(*t)).collect();
        let dense = oracle::rotation(d, &entries).minus(&Matrix::identity(d));
        let distance = rotation_drift(&quasi(d, &entries)).unwrap();
        let tolerance = ROUNDING * levels(d).max(1.0);
        close(distance.spectral, singular_values(&dense)[0], tolerance);
        close(distance.frobenius, dense.frobenius(), tolerance);
    }
    // One plane turned by 60 degrees.
    let distance = rotation_drift(&quasi(2, &givens(PI / 3.0))).unwrap();
    close(distance.spectral, 1.0, ROUNDING);
    close(distance.frobenius, 2f64.sqrt(), ROUNDING);
}

/// Sizes at which a square of an entry overflows or vanishes.
#[test]
fn sizes_do_not_matter() {
    let (x, y) = (random(8, 10, 3), random(9, 10, 3));
    let sized = |m: &Matrix, by: f64| {
        let entries = m.entries.iter().map(|v| v * by).collect();
        tensor_of(&Matrix::new(m.rows, m.columns, entries))
    };
    let all = |by: f64| {
        let pair = || (sized(&x, by), sized(&y, by));
        [
            linear_cka(pair().0, pair().1).unwrap(),
            svcca(pair().0, pair().1).unwrap().mean,
            procrustes_distance(pair().0, pair().1).unwrap(),
            row_cosine(pair().0, pair().1).unwrap().mean,
            norm_change(pair().0, pair().1).unwrap().mean,
            angle_change(pair().0, pair().1).unwrap().mean,
            relative_change(pair().0, pair().1).unwrap(),
            anisotropy(pair().0).unwrap(),
            spectrum_change(pair().0, pair().1).unwrap(),
        ]
    };
    let plain = all(1.0);
    for by in [1e200, 1e-200] {
        for (metric, (found, expected)) in all(by).into_iter().zip(plain).enumerate() {
            assert!(
                (found - expected).abs() < 1e-11,
                "metric {metric} at {by}: {found}, {expected}"
            );
        }
    }
}

/// The same numbers in every dtype of every device give the same answer up to their rounding.
#[test]
fn every_device_and_dtype_is_read() {
    let (w, v) = (random(10, 6, 5), random(11, 6, 5));
    let expected = relative_change(tensor_of(&w), tensor_of(&v)).unwrap();
    for (name, device) in common::devices() {
        let floats = common::FLOATS.into_iter();
        for dtype in floats.filter(|dtype| device.supports_dtype(*dtype)) {
            let stored = |m: &Matrix| common::tensor(&m.entries, [6, 5], &device, dtype);
            let found = relative_change(stored(&w), stored(&v)).unwrap();
            let allowed = 4.0 * common::epsilon(dtype);
            assert!(
                (found - expected).abs() <= allowed,
                "{name} {dtype:?}: {found}, {expected}"
            );
        }
    }
}
