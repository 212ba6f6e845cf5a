//! Where a metric has no value, it says so; what is not finite is never a number.

use burn::tensor::Tensor;
use burn_goft_drift::{
    Error, agreement, angle_change, angle_histogram, anisotropy, energy_change,
    hyperspherical_energy, kl_divergence, linear_cka, norm_change, procrustes_distance,
    relative_change, rotation_drift, row_cosine, row_norm_ratio, spectrum, spectrum_change,
    subspace_similarity, svcca,
};

use crate::common::{normal, panic_message};
use crate::matrix::Matrix;
use crate::rotation::quasi;
use crate::{close, random, tensor_of};

type Metric = (&'static str, fn(Tensor<2>, Tensor<2>) -> Result<f64, Error>);

const WEIGHTS: [Metric; 7] = [
    ("angle_change", |b, a| Ok(angle_change(b, a)?.max)),
    ("angle_histogram", |b, a| Ok(angle_histogram(b, a)?.width)),
    ("norm_change", |b, a| Ok(norm_change(b, a)?.max)),
    ("energy_change", energy_change),
    ("relative_change", relative_change),
    ("spectrum_change", spectrum_change),
    ("subspace_similarity", |b, a| subspace_similarity(b, a, 1)),
];

const REPRESENTATIONS: [Metric; 6] = [
    ("row_cosine", |b, a| Ok(row_cosine(b, a)?.mean)),
    ("row_norm_ratio", |b, a| Ok(row_norm_ratio(b, a)?.mean)),
    ("linear_cka", linear_cka),
    ("svcca", |b, a| Ok(svcca(b, a)?.mean)),
    ("procrustes_distance", procrustes_distance),
    ("anisotropy", |b, a| anisotropy(b).and(anisotropy(a))),
];

const ANSWERS: [Metric; 2] = [
    ("kl_divergence", |b, a| Ok(kl_divergence(b, a)?.mean)),
    ("agreement", agreement),
];

fn all() -> impl Iterator<Item = Metric> {
    WEIGHTS.into_iter().chain(REPRESENTATIONS).chain(ANSWERS)
}

fn filled(rows: usize, columns: usize, value: f64) -> Tensor<2> {
    tensor_of(&Matrix::new(rows, columns, vec![value; rows * columns]))
}

#[track_caller]
fn undefined(what: &str, result: Result<f64, Error>, says: &str) {
    match result {
        Err(error @ Error::Undefined { .. }) => {
            let message = error.to_string();
            assert!(
                message.contains(says),
                "{what}: `{message}` does not say `{says}`"
            );
        }
        other => panic!("{what}: expected no value, found {other:?}"),
    }
}

#[test]
fn what_is_not_finite_is_an_error_wherever_it_is() {
    let fine = random(1, 4, 3);
    for (name, metric) in all() {
        for at in 0..12 {
            for broken in [f64::NAN, f64::INFINITY] {
                let mut bad = fine.clone();
                bad.entries[at] = broken;
                for (before, after, side) in [(&bad, &fine, "before"), (&fine, &bad, "after")] {
                    match metric(tensor_of(before), tensor_of(after)) {
                        Err(Error::NonFinite { count: 1, what, .. }) => {
                            let named = what.ends_with(side) || name == "anisotropy";
                            assert!(named, "{name}: {what}");
                        }
                        other => panic!("{name}, {broken} {side} at {at}: {other:?}"),
                    }
                }
            }
        }
    }
    let mut bad = fine.clone();
    bad.entries[5] = f64::NAN;
    assert!(matches!(
        hyperspherical_energy(tensor_of(&bad)),
        Err(Error::NonFinite { .. })
    ));
    assert!(matches!(
        spectrum(tensor_of(&bad)),
        Err(Error::NonFinite { .. })
    ));
    let mut entries = [1.0, 0.0, 0.0, 1.0].repeat(3);
    entries[6] = f64::NAN;
    let distance = rotation_drift(&quasi(4, &entries));
    assert!(
        matches!(distance, Err(Error::NonFinite { .. })),
        "{distance:?}"
    );
}

#[test]
fn shapes_that_do_not_belong_together_panic_with_both() {
    for (name, metric) in all().filter(|(name, _)| *name != "anisotropy") {
        let message = panic_message(|| metric(filled(3, 2, 1.0), filled(4, 2, 1.0)));
        let says = |part: &str| assert!(message.contains(part), "{name}: {message}");
        [name, "[3, 2]", "[4, 2]", "pass"]
            .into_iter()
            .for_each(says);
    }
    for k in [0, 3] {
        let weight = || tensor_of(&random(1, 5, 2));
        let message = panic_message(|| subspace_similarity(weight(), weight(), k));
        assert!(message.contains("pass 1 to 2"), "{message}");
    }
}

#[test]
fn zero_matrices() {
    let (zero, one) = (|| filled(4, 3, 0.0), || tensor_of(&random(1, 4, 3)));
    for (name, metric) in WEIGHTS.into_iter().chain(REPRESENTATIONS) {
        let result = metric(zero(), one());
        assert!(
            matches!(result, Err(Error::Undefined { .. })),
            "{name}: {result:?}"
        );
    }
    // A weight that was switched off has a norm, a size and a spectrum.
    close(norm_change(one(), zero()).unwrap().mean, 1.0, 0.0);
    close(relative_change(one(), zero()).unwrap(), 1.0, 1e-15);
    close(spectrum_change(one(), zero()).unwrap(), 1.0, 1e-15);
    undefined(
        "subspace",
        subspace_similarity(one(), zero(), 2),
        "after has rank 0",
    );
    undefined(
        "CKA",
        linear_cka(one(), zero()),
        "all 4 rows after are the same",
    );
}

#[test]
fn no_row_and_one_row() {
    for (name, metric) in REPRESENTATIONS {
        undefined(name, metric(filled(0, 3, 0.0), filled(0, 3, 0.0)), "row");
    }
    undefined(
        "KL",
        kl_divergence(filled(0, 3, 0.0), filled(0, 3, 0.0)).map(|s| s.mean),
        "no row",
    );
    undefined(
        "KL",
        kl_divergence(filled(3, 0, 0.0), filled(3, 0, 0.0)).map(|s| s.mean),
        "no class",
    );
    undefined(
        "agreement",
        agreement(filled(0, 3, 0.0), filled(0, 3, 0.0)),
        "[0, 3]",
    );
    let one = || tensor_of(&random(2, 1, 3));
    for (name, metric) in &REPRESENTATIONS[2..] {
        undefined(name, metric(one(), one()), "two");
    }
    close(row_cosine(one(), one()).unwrap().mean, 1.0, 0.0);
    // Two rows have one direction, and any two directions of one dimension are the same.
    let (x, y) = (
        || tensor_of(&random(3, 2, 4)),
        || tensor_of(&random(4, 2, 4)),
    );
    close(linear_cka(x(), y()).unwrap(), 1.0, 1e-12);
    let found = svcca(x(), y()).unwrap();
    close(found.mean, 1.0, 1e-12);
    assert_eq!((found.kept, found.forced), ([1, 1], 1));
}

/// 0.1 has no finite binary fraction: the mean of copies of it is not always it.
#[test]
fn rows_that_are_all_the_same() {
    for n in 2..40 {
        let (same, other) = (filled(n, 3, 0.1), tensor_of(&random(5, n, 3)));
        for (name, metric) in &REPRESENTATIONS[2..5] {
            undefined(
                name,
                metric(same.clone(), other.clone()),
                "before are the same",
            );
            undefined(
                name,
                metric(other.clone(), same.clone()),
                "after are the same",
            );
        }
    }
}

#[test]
fn deficient_rank() {
    // Columns that are multiples of one.
    let column = random(6, 8, 1);
    let flat = column.times(&Matrix::new(1, 3, vec![1.0, -2.0, 0.5]));
    let full = random(7, 8, 3);
    let pair = || (tensor_of(&flat), tensor_of(&full));
    assert_eq!(svcca(pair().0, pair().1).unwrap().kept[0], 1);
    close(
        linear_cka(pair().0, tensor_of(&column)).unwrap(),
        1.0,
        1e-12,
    );
    close(
        procrustes_distance(pair().0, tensor_of(&column)).unwrap(),
        0.0,
        1e-12,
    );
    undefined(
        "subspace",
        subspace_similarity(pair().0, pair().1, 2),
        "before has rank 1",
    );
    close(spectrum(pair().0).unwrap()[1], 0.0, 1e-13);
    // Three neurons on one line: the energy of two that point one way is infinite.
    undefined("energy", hyperspherical_energy(pair().0), "same direction");
}

#[test]
fn neurons_without_direction() {
    let before = Matrix::new(2, 3, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let after = Matrix::new(2, 3, vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    let pair = || (tensor_of(&before), tensor_of(&after));
    let angles = angle_change(pair().0, pair().1).unwrap();
    assert_eq!((angles.count, angles.left_out), (1, 1));
    let norms = norm_change(pair().0, pair().1).unwrap();
    assert_eq!((norms.max, norms.left_out), (0.0, 1));
    undefined(
        "energy",
        hyperspherical_energy(pair().0),
        "neuron 2 is zero",
    );
    // One neuron has no pair.
    let one = || tensor_of(&random(8, 4, 1));
    undefined(
        "angles",
        angle_change(one(), one()).map(|c| c.max),
        "two neurons",
    );
    undefined("energy", hyperspherical_energy(one()), "two neurons");
}

/// Directions of multiples differ by rounding, and those of a neuron and its nearest neighbor in
/// f32 by more.
#[test]
fn multiples_of_a_neuron_have_its_direction() {
    let beside = |neuron: &[f64], other: Vec<f64>| {
        let entries = neuron.iter().zip(other).flat_map(|(a, b)| [*a, b]);
        let matrix = Matrix::new(neuron.len(), 2, entries.collect());
        hyperspherical_energy(tensor_of(&matrix))
    };
    for d in [3, 384, 16384] {
        let neuron = normal(9, d);
        for k in 1..300 {
            let multiple = neuron.iter().map(|v| f64::from(k) / 7.0 * v).collect();
            undefined("energy", beside(&neuron, multiple), "same direction");
        }
    }
    let neuron = normal(9, 384);
    let mut near = neuron.clone();
    near[5] += 1e-7 * near[5];
    let energy = beside(&neuron, near).unwrap();
    let sine: f64 = 1e-7 * neuron[5] / neuron.iter().map(|v| v * v).sum::<f64>().sqrt();
    assert!((energy * sine.abs() / 2.0 - 1.0).abs() < 0.05, "{energy}");
}

#[test]
fn masked_classes() {
    let masked = f64::NEG_INFINITY;
    let all = || tensor_of(&Matrix::new(2, 2, vec![0.0, 1.0, masked, masked]));
    let fine = || filled(2, 2, 0.0);
    undefined(
        "KL",
        kl_divergence(all(), fine()).map(|s| s.mean),
        "row 1 before",
    );
    undefined(
        "KL",
        kl_divergence(fine(), all()).map(|s| s.mean),
        "row 1 after",
    );
    // Masked on both sides is no difference.
    let half = || tensor_of(&Matrix::new(1, 3, vec![0.0, masked, 1.0]));
    assert_eq!(kl_divergence(half(), half()).unwrap().mean, 0.0);
    assert_eq!(agreement(half(), half()).unwrap(), 1.0);
}
