//! What is measured is the truth: against dense matrices, for isometries, and for numbers that are
//! none.

use burn::tensor::{DType, Tensor};
use burn_goft::{
    Givens, QuasiBounds, RotationPlan, orthogonality_error, quasi_bounds, strict_distance_bound,
};

use super::widest_rows;
use crate::common::{BLOCKS, Blocks, DIMS, angles, blocks, epsilon, levels, numbers, rows, tensor};
use crate::oracle::{Matrix, Rotation};

#[test]
fn the_orthogonality_error_is_that_of_the_dense_gram_matrix() {
    for row in rows()
        .iter()
        .filter(|row| matches!(row.dtype, DType::F32 | DType::F64))
    {
        for (d, kind) in DIMS
            .into_iter()
            .flat_map(|d| BLOCKS.map(|kind| (d, kind)))
            .filter(|(d, _)| *d <= 137)
        {
            let entries = blocks(kind, 5, d - 1);
            let stored: Tensor<3> = tensor(&entries, [d - 1, 2, 2], &row.device, row.dtype);
            let gram = Rotation::new(d, &numbers(&stored)).matrix().gram();
            let excess = gram.minus(&Matrix::identity(d));
            let found = orthogonality_error(stored, RotationPlan::new(d));
            let rounding = 4.0 * levels(d) * epsilon(row.dtype) * (1.0 + gram.max());
            let what = format!("{row} {kind:?} d = {d}: {found:?}");
            assert!((found.max - excess.max()).abs() <= rounding, "{what}");
            let difference = (found.frobenius - excess.frobenius()).abs();
            assert!(difference <= rounding * (d as f64), "{what}");
            if kind == Blocks::Quasi && d > 1 {
                assert!(found.max > 0.1, "{what}, not near zero by accident");
            }
        }
    }
}

#[test]
fn strict_blocks_have_the_bounds_of_an_isometry() {
    for row in widest_rows() {
        let angles: Tensor<1> = tensor(&angles(6, 99), [99], &row.device, row.dtype);
        let bounds = quasi_bounds(Givens::from_angles(angles).blocks(), RotationPlan::new(100));
        let rounding = 16.0 * levels(100) * epsilon(row.dtype);
        assert!(bounds.gram_spectral <= rounding, "{row} {bounds:?}");
        assert!(bounds.gram_frobenius <= 10.0 * rounding, "{row} {bounds:?}");
        for one in [bounds.sigma_min, bounds.sigma_max, bounds.condition] {
            assert!((one - 1.0).abs() <= rounding, "{row} {bounds:?}");
        }
    }
}

/// A rotation that diverged must not measure as a perfect one, wherever the broken number is.
#[test]
fn a_number_that_is_none_is_in_no_bound() {
    let (d, entries) = (7, blocks(Blocks::Quasi, 7, 6));
    for (row, broken) in widest_rows()
        .iter()
        .flat_map(|row| (0..24).map(move |at| (row, at)))
    {
        let mut entries = entries.clone();
        entries[broken] = f64::NAN;
        let stored: Tensor<3> = tensor(&entries, [d - 1, 2, 2], &row.device, row.dtype);
        let what = format!("{row}, entry {broken}");
        let error = orthogonality_error(stored.clone(), RotationPlan::new(d));
        assert!(
            error.max.is_nan() && error.frobenius.is_nan(),
            "{what} {error:?}"
        );
        let bounds = quasi_bounds(stored, RotationPlan::new(d));
        let QuasiBounds {
            level_eps,
            gram_spectral,
            gram_frobenius,
            sigma_min,
            sigma_max,
            condition,
            ..
        } = bounds;
        // Level 1 has the first three blocks, level 2 the next two.
        let level = [0, 0, 0, 1, 1, 2][broken / 4];
        assert!(level_eps[level].is_nan(), "{what} {level_eps:?}");
        for value in [
            gram_spectral,
            gram_frobenius,
            sigma_min,
            sigma_max,
            condition,
        ] {
            assert!(value.is_nan(), "{what} {value}");
        }
    }
    for (row, broken) in widest_rows()
        .iter()
        .flat_map(|row| (0..6).map(move |at| (row, at)))
    {
        let mut angles = angles(8, d - 1);
        angles[broken] = f64::NAN;
        let angles = tensor(&angles, [d - 1], &row.device, row.dtype);
        let bound = strict_distance_bound(angles, RotationPlan::new(d));
        assert!(bound.is_nan(), "{row}, angle {broken}");
    }
}
