//! Single precision is widened where it is used; what is measured is the same numbers in f64.

use burn::tensor::{DType, Tensor};
use burn_goft_drift::{
    agreement, angle_change, anisotropy, energy_change, kl_divergence, linear_cka, norm_change,
    procrustes_distance, relative_change, row_cosine, row_norm_ratio, spectrum, spectrum_change,
    subspace_similarity, svcca,
};

use crate::common::{self, tensor};
use crate::matrix::Matrix;
use crate::{close, device, random, tensor_of};

fn all(before: &Tensor<2>, after: &Tensor<2>) -> Vec<f64> {
    let pair = || (before.clone(), after.clone());
    let norms = norm_change(pair().0, pair().1).unwrap();
    let angles = angle_change(pair().0, pair().1).unwrap();
    vec![
        relative_change(pair().0, pair().1).unwrap(),
        norms.mean,
        norms.max,
        angles.mean,
        angles.max,
        energy_change(pair().0, pair().1).unwrap(),
        spectrum_change(pair().0, pair().1).unwrap(),
        spectrum(after.clone()).unwrap()[1],
        subspace_similarity(pair().0, pair().1, 3).unwrap(),
        row_cosine(pair().0, pair().1).unwrap().mean,
        row_norm_ratio(pair().0, pair().1).unwrap().max,
        linear_cka(pair().0, pair().1).unwrap(),
        svcca(pair().0, pair().1).unwrap().mean,
        procrustes_distance(pair().0, pair().1).unwrap(),
        anisotropy(after.clone()).unwrap(),
        kl_divergence(pair().0, pair().1).unwrap().mean,
        agreement(pair().0, pair().1).unwrap(),
    ]
}

#[test]
fn every_metric_of_single_precision_is_that_of_the_same_numbers_in_f64() {
    // Beyond the eight lanes of a sum, and no multiple of them.
    for (rows, columns) in [(19, 13), (5, 37)] {
        let single = |matrix: &Matrix| -> Tensor<2> {
            tensor(&matrix.entries, [rows, columns], &device(), DType::F32)
        };
        let (before, after) = (random(1, rows, columns), random(2, rows, columns));
        let (before, after) = (single(&before), single(&after));
        let wide = |x: &Tensor<2>| x.clone().cast(DType::F64);
        let found = all(&before, &after);
        assert_eq!(found, all(&wide(&before), &wide(&after)));
        // But for the last, whether answers agree, where few do.
        let (_, numbers) = found.split_last().unwrap();
        assert!(numbers.iter().all(|value| *value != 0.0), "{found:?}");
    }
}

/// Where a tensor is part of another one, or lies in memory by columns or backwards, its own
/// numbers are measured.
#[test]
fn every_metric_of_a_view_is_that_of_its_copy() {
    let (rows, columns) = (19, 13);
    let whole = |seed| {
        let entries = common::normal(seed, (rows + 3) * (columns + 2));
        tensor(&entries, [rows + 3, columns + 2], &device(), DType::F32)
    };
    type View = fn(Tensor<2>) -> Tensor<2>;
    let views: [(&str, View); 5] = [
        ("rows", |x| x.slice([2..21, 0..15])),
        ("columns", |x| x.slice([0..22, 1..14])),
        ("transposed", Tensor::transpose),
        ("backwards", |x| x.flip([0])),
        ("another shape", |x| {
            x.slice([1..20, 0..13]).reshape([13, 19])
        }),
    ];
    for (name, view) in views {
        let [before, after] = [whole(3), whole(4)];
        let copy = |x: &Tensor<2>| Tensor::from_data(view(x.clone()).into_data(), &device());
        let expected = all(&copy(&before), &copy(&after));
        let found = all(&view(before.clone()), &view(after.clone()));
        assert_eq!(found, expected, "{name}");
        assert_ne!(found, all(&before, &after), "{name}");
    }
}

/// A square that vanishes is no reason to call a matrix unmoved.
#[test]
fn a_change_whose_square_vanishes_is_a_change() {
    let change = |entry: f64| {
        let of = |entry| tensor_of(&Matrix::new(2, 2, vec![1.0, 0.0, entry, 0.0]));
        relative_change(of(0.0), of(entry)).unwrap()
    };
    close(change(1e-200) / 1e-200, 1.0, 1e-15);
    assert_eq!(change(0.0), 0.0);
}

/// Beyond what is read at once: every row is seen, by its own number.
#[test]
fn a_large_matrix_is_seen_whole() {
    let (rows, columns) = (70_000, 4);
    let before = random(5, rows, columns);
    // The neurons trade places.
    let traded = before
        .entries
        .chunks_exact(4)
        .flat_map(|row| [row[1], row[2], row[3], row[0]]);
    let after = Matrix::new(rows, columns, traded.collect());
    let pair = || (tensor_of(&before), tensor_of(&after));

    close(row_norm_ratio(pair().0, pair().1).unwrap().max, 1.0, 1e-15);
    close(linear_cka(pair().0, pair().1).unwrap(), 1.0, 1e-12);
    close(spectrum_change(pair().0, pair().1).unwrap(), 0.0, 1e-12);
    let same = before
        .entries
        .chunks_exact(4)
        .zip(after.entries.chunks_exact(4));
    let largest = |row: &[f64]| (0..4).max_by(|a, b| row[*a].total_cmp(&row[*b]));
    let same = same.filter(|(before, after)| largest(before) == largest(after));
    let expected = same.count() as f64 / rows as f64;
    assert_eq!(agreement(pair().0, pair().1).unwrap(), expected);

    let neurons = crate::svd::rows(&before.transpose());
    let norm = |neuron: &[f64]| crate::svd::dot(neuron, neuron).sqrt();
    let of = |at: usize| (&neurons[at % 4], &neurons[(at + 1) % 4]);
    let changes = (0..4).map(|at| (norm(of(at).1) / norm(of(at).0) - 1.0).abs());
    let found = norm_change(pair().0, pair().1).unwrap();
    close(found.mean, changes.sum::<f64>() / 4.0, 1e-12);
    let angle = |at: usize, beside: usize| {
        let (u, v) = (of(at).0, of(at + beside).0);
        (crate::svd::dot(u, v) / (norm(u) * norm(v))).acos()
    };
    let pairs = (0..4).flat_map(|at| [1, 2, 3].map(|beside| (at, beside)));
    let turned = pairs.map(|(at, beside)| (angle(at + 1, beside) - angle(at, beside)).abs());
    let found = angle_change(pair().0, pair().1).unwrap();
    close(found.max, turned.fold(0.0, f64::max), 1e-12);

    let mut broken = after.clone();
    for at in [3, 150_000, 279_999] {
        broken.entries[at] = f64::NAN;
    }
    let error = row_cosine(pair().0, tensor_of(&broken)).unwrap_err();
    assert!(error.to_string().contains("3 NaN"), "{error}");
}
