//! Where a kernel may change its way: every small dimension, long vectors, batches of any size,
//! extreme numbers, shared buffers.

use burn::tensor::{DType, Tensor};
use burn_goft::{rotate, rotate_portable, rotate_transpose};

use super::{assert_row, block_tensor};
use crate::common::{
    Blocks, LONG, Row, assert_within, normal, numbers, parameter_dtype, rows, tensor, turn,
};

fn single() -> impl Iterator<Item = Row> {
    rows().into_iter().filter(|row| row.dtype == DType::F32)
}

#[test]
fn every_dimension_rotates_as_the_dense_matrix() {
    for row in single() {
        for d in (1..=300).chain(LONG).chain([65539]) {
            assert_row(&row, Blocks::Quasi, [1, 3, d], 2, d as u64);
            assert_row(&row, Blocks::Quasi, [d, 3, 1], 0, d as u64);
        }
    }
}

#[test]
fn every_number_of_vectors_rotates_as_the_dense_matrix() {
    for row in rows() {
        for (n, d) in [1, 2, 3, 31, 1000].map(|n| [(n, 5), (n, 137)]).concat() {
            assert_row(&row, Blocks::Strict, [n, 1, d], 2, n as u64);
            assert_row(&row, Blocks::Strict, [1, d, n], 1, n as u64);
        }
    }
}

/// Where a device takes several launches for a vector, what one leaves to the next must not be
/// rounded in between.
#[test]
fn long_vectors_in_half_precision_are_rounded_once() {
    let half = |row: &Row| matches!(row.dtype, DType::F16 | DType::BF16);
    for row in rows().into_iter().filter(half) {
        for d in [5000, 20000] {
            assert_row(&row, Blocks::Quasi, [2, 3, d], 2, d as u64);
            assert_row(&row, Blocks::Quasi, [d, 3, 1], 0, d as u64);
        }
    }
}

/// The result of a kernel and of the portable body differ by rounding at most, which is far less
/// than between either and a rotation of other signs or order.
#[test]
fn kernels_agree_with_the_portable_body() {
    for row in rows() {
        let parameter = parameter_dtype(row.dtype);
        for d in [2, 3, 8, 31, 137, 384, 1000] {
            let blocks = block_tensor(Blocks::Quasi, 21, d, &row.device, parameter);
            for (shape, axis) in [([5, 3, d], 2), ([d, 5, 3], 0)] {
                let x = tensor(&normal(22, 15 * d), shape, &row.device, row.dtype);
                for transpose in [false, true] {
                    let expected =
                        rotate_portable(x.clone(), blocks.clone(), turn(axis, transpose));
                    let found = match transpose {
                        true => rotate_transpose(x.clone(), blocks.clone(), axis),
                        false => rotate(x.clone(), blocks.clone(), axis),
                    };
                    let tolerance = 32.0 * super::epsilon(parameter) + super::epsilon(row.dtype);
                    let what = format!("{row} d = {d}, axis {axis}, transpose {transpose}");
                    let expected = numbers(&expected);
                    let largest = expected.iter().fold(0.0f64, |max, v| max.max(v.abs()));
                    assert_within(what, &numbers(&found), &expected, |_| tolerance * largest);
                }
            }
        }
    }
}

#[test]
fn huge_and_tiny_numbers_rotate_as_any_other() {
    for row in single() {
        let (d, n) = (137, 4);
        let blocks = block_tensor(Blocks::Strict, 23, d, &row.device, row.dtype);
        let values = normal(24, n * d);
        let turned = |exponent: i32| {
            let scale = 2f64.powi(exponent);
            let scaled: Vec<f64> = values.iter().map(|v| v * scale).collect();
            let x = tensor(&scaled, [n, d], &row.device, row.dtype);
            let turned = numbers(&rotate(x, blocks.clone(), 1));
            turned.iter().map(|v| v / scale).collect::<Vec<_>>()
        };
        // Powers of two scale without rounding, so not a bit may change. Below 2^-126 a device may
        // flush to zero.
        let expected = turned(0);
        for exponent in [100, 120, -60, -90] {
            assert_eq!(turned(exponent), expected, "{row} 2^{exponent}");
        }
    }
}

#[test]
fn what_is_not_finite_stays_in_its_own_vector() {
    for row in single() {
        let (d, n) = (45, 7);
        let blocks = block_tensor(Blocks::Strict, 25, d, &row.device, row.dtype);
        let values = normal(26, n * d);
        for (bad, at) in [
            (f64::NAN, 0),
            (f64::INFINITY, d - 1),
            (f64::NEG_INFINITY, 8),
        ] {
            for (axis, shape) in [(1, [n, d]), (0, [d, n])] {
                let place = |vector: usize, coordinate: usize| match axis {
                    1 => vector * d + coordinate,
                    _ => coordinate * n + vector,
                };
                let mut broken = values.clone();
                broken[place(3, at)] = bad;
                let [whole, broken] = [&values, &broken].map(|values| {
                    let x = tensor(values, shape, &row.device, row.dtype);
                    numbers(&rotate(x, blocks.clone(), axis))
                });
                for vector in (0..n).filter(|vector| *vector != 3) {
                    for coordinate in 0..d {
                        let index = place(vector, coordinate);
                        assert_eq!(whole[index], broken[index], "{row} {bad} axis {axis}");
                    }
                }
                let touched = (0..d).any(|coordinate| !broken[place(3, coordinate)].is_finite());
                assert!(touched, "{row} {bad}: it must not vanish");
            }
        }
    }
}

/// A buffer that nothing else holds may be overwritten, one that something holds must not.
#[test]
fn a_shared_tensor_keeps_its_values_and_a_lone_one_gives_the_same_result() {
    for row in rows() {
        let blocks = block_tensor(
            Blocks::Quasi,
            27,
            96,
            &row.device,
            parameter_dtype(row.dtype),
        );
        for (shape, axis) in [([6, 5, 96], 2), ([96, 6, 5], 0), ([6, 96, 5], 1)] {
            let make = || tensor(&normal(28, 30 * 96), shape, &row.device, row.dtype);
            let shared = make();
            let before = shared.to_data();
            let of_shared = rotate(shared.clone(), blocks.clone(), axis).into_data();
            assert_eq!(shared.to_data(), before, "{row}");
            let of_lone = rotate(make(), blocks.clone(), axis).into_data();
            assert_eq!(of_lone, of_shared, "{row}");
            // A view of a buffer that holds more than the view.
            let [a, b, c] = shape;
            let larger: Tensor<3> = Tensor::cat(vec![make(), make()], 0);
            let of_part = rotate(larger.narrow(0, a, a), blocks.clone(), axis);
            assert_eq!(of_part.dims(), [a, b, c]);
            assert_eq!(of_part.into_data(), of_shared, "{row}");
        }
    }
}
