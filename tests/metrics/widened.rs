//! Single precision is widened where it is used; what is measured is the same numbers in f64.

use burn::tensor::{DType, Tensor};
use burn_goft::{
    agreement, angle_change, anisotropy, energy_change, kl_divergence, linear_cka, norm_change,
    procrustes_distance, relative_change, row_drift, spectrum_change, subspace_similarity, svcca,
};

use crate::common::{self, tensor};
use crate::oracle::Matrix;
use crate::{close, device, random, tensor_of};

fn all(before: &Tensor<2>, after: &Tensor<2>) -> Vec<f64> {
    let pair = || (before.clone(), after.clone());
    let rows = row_drift(pair().0, pair().1).unwrap();
    let norms = norm_change(pair().0, pair().1).unwrap();
    let angles = angle_change(pair().0, pair().1).unwrap();
    vec![
        relative_change(pair().0, pair().1).unwrap(),
        norms.mean,
        norms.max,
        angles.mean,
        angles.max,
        energy_change(pair().0, pair().1).unwrap().relative,
        spectrum_change(pair().0, pair().1).unwrap().largest,
        subspace_similarity(pair().0, pair().1, 3).unwrap(),
        rows.cosine.mean,
        rows.norm_ratio.max,
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

/// Where a tensor is part of another one, or lies in memory by columns or backwards, its own numbers are measured.
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
