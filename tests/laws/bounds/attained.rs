//! Each bound is attained by some rotation: one that nothing attains says nothing.

use burn::tensor::Tensor;
use burn_goft::{RotationPlan, strict_distance_bound};

use super::{angle, assert_bounds_hold, extreme_singular_values, image, measure, widest_rows};
use crate::common::tensor;
use crate::oracle::{Matrix, Rotation};

/// Within a hundredth.
fn assert_attained(what: &str, value: f64, bound: f64) {
    let nearness = (value / bound - 1.0).abs();
    assert!(nearness <= 0.01, "{what}: {value}, bound {bound}");
}

fn stretch(first: f64, second: f64) -> [f64; 4] {
    [first, 0.0, 0.0, second]
}

#[test]
fn quasi_bounds_are_attained() {
    // One block of no symmetry; blocks along one axis that stretch or shrink it level after level.
    let single = vec![[1.3, -0.4, 0.2, 0.8]];
    let stretched = vec![stretch(1.3, 1.0), stretch(1.0, 1.0), stretch(1.2, 1.0)];
    let shrunk = vec![stretch(0.7, 1.0), stretch(1.0, 1.0), stretch(0.8, 1.0)];
    for row in widest_rows() {
        for (d, entries) in [(2, &single), (4, &stretched), (4, &shrunk)] {
            let measured = measure(&row, &entries.concat());
            let what = format!("{row} {entries:?}");
            let bounds = &measured.bounds;
            let (least, most) = extreme_singular_values(&measured.rotation);
            assert_attained(&what, least, bounds.sigma_min);
            assert_attained(&what, most, bounds.sigma_max);
            assert_attained(&what, most / least, bounds.condition);
            assert_bounds_hold(&measured, d);
        }
        // A Gram matrix cannot shrink by more than 1: its bounds are those of stretching.
        for entries in [&single, &stretched] {
            let measured = measure(&row, &entries.concat());
            let (bounds, excess) = (&measured.bounds, &measured.gram_excess);
            let what = format!("{row} {entries:?}");
            assert_attained(&what, excess.symmetric_norm(), bounds.gram_spectral);
            assert_attained(&what, excess.frobenius(), bounds.gram_frobenius);
        }
    }
}

#[test]
fn the_range_of_angles_is_attained() {
    // Condition number 1.5 on the axes 0 and 1, so that vectors mirrored on one of them open or
    // close the most.
    let entries = [stretch(1.5, 1.0), stretch(1.0, 1.0), stretch(1.0, 1.0)].concat();
    for row in widest_rows() {
        let measured = measure(&row, &entries);
        for theta in [0.2, 1.0, std::f64::consts::FRAC_PI_2, 2.5] {
            let (least, most) = measured.bounds.angle_range(theta);
            let (cosine, sine) = ((theta / 2.0_f64).cos(), (theta / 2.0_f64).sin());
            let turned = |x: [f64; 4], y: [f64; 4]| {
                angle(
                    &image(&measured.rotation, &x),
                    &image(&measured.rotation, &y),
                )
            };
            let closed = turned([cosine, sine, 0.0, 0.0], [cosine, -sine, 0.0, 0.0]);
            let opened = turned([sine, cosine, 0.0, 0.0], [-sine, cosine, 0.0, 0.0]);
            assert_attained("least angle", closed, least);
            assert_attained("largest angle", opened, most);
        }
    }
}

#[test]
fn the_distance_bound_of_strict_rotations_is_attained() {
    for row in widest_rows() {
        let distance = |angles: &[f64]| {
            let d = angles.len() + 1;
            let moved = Rotation::strict(d, angles)
                .matrix()
                .minus(&Matrix::identity(d));
            let stored: Tensor<1> = tensor(angles, [d - 1], &row.device, row.dtype);
            (
                extreme_singular_values(&moved).1,
                strict_distance_bound(stored, RotationPlan::new(d)),
            )
        };
        for angles in [&[2.0][..], &[0.7, -0.7, 0.0], &[0.0, 0.0, -1.1]] {
            let (measured, bound) = distance(angles);
            assert_attained(&format!("{row} {angles:?}"), measured, bound);
        }
        // Two levels move further than either: the sum over levels is needed.
        let (measured, bound) = distance(&[0.5, 0.0, 0.5]);
        assert!(
            measured > 1.3 * 2.0 * 0.25f64.sin() && measured <= bound,
            "{measured}, {bound}"
        );
    }
}
