//! Strict blocks: rotations by angles, that keep every norm and every angle.

use burn::tensor::{DType, Tensor};
use burn_goft::{AngleForm, Givens, QuasiGivens, rotate, rotate_transpose};

use super::block_tensor;
use crate::common::{
    Blocks, DIMS, angles, assert_close, assert_within, cosine_of_one, devices, epsilon, levels,
    normal, numbers, panic_message, parameter_dtype, rows, tensor,
};
use crate::oracle;

#[test]
fn one_angle_turns_counter_clockwise() {
    for row in rows() {
        let quarter = tensor(
            &[std::f64::consts::FRAC_PI_2],
            [1],
            &row.device,
            parameter_dtype(row.dtype),
        );
        let blocks = Givens::from_angles(quarter).blocks();
        let x = tensor(&[3.0, 5.0], [2], &row.device, row.dtype);
        let close = |found: Tensor<1>, expected: &[f64]| {
            assert_close(&row, &numbers(&found), expected, 4.0 * epsilon(row.dtype));
        };
        close(rotate(x.clone(), blocks.clone(), 0), &[-5.0, 3.0]);
        close(rotate_transpose(x, blocks, 0), &[5.0, -3.0]);
    }
}

#[test]
fn f64_angles_are_refused_where_the_device_has_no_cosine_of_them() {
    for (name, device) in devices() {
        if !device.supports_dtype(DType::F64) {
            continue;
        }
        let angles = tensor::<1>(&[1.0, 2.0], [2], &device, DType::F64);
        let blocks = || numbers(&Givens::from_angles(angles).blocks());
        match cosine_of_one(&device, DType::F64) {
            Ok(()) => {
                let expected = [1.0, 2.0].map(oracle::givens).concat();
                assert_close(name, &blocks(), &expected, 1e-15);
            }
            Err(_) => {
                let message = panic_message(blocks);
                assert!(
                    message.contains("asked for the blocks of f64 angles"),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn blocks_of_angles_are_their_cosines_and_sines() {
    for row in rows() {
        let parameter = parameter_dtype(row.dtype);
        let stored = tensor::<1>(&normal(20, 40), [40], &row.device, parameter);
        let expected = |form: AngleForm| {
            let angle = move |p: f64| match form {
                AngleForm::Direct => p,
                AngleForm::Tanh => std::f64::consts::PI * p.tanh(),
                other => panic!("the oracle has no {other:?}"),
            };
            let stored = numbers(&stored);
            stored
                .into_iter()
                .map(angle)
                .flat_map(oracle::givens)
                .collect::<Vec<_>>()
        };
        for form in [AngleForm::Direct, AngleForm::Tanh] {
            let found = Givens::from_parameter(stored.clone(), form).blocks();
            assert_eq!(
                (found.dims(), found.dtype()),
                ([40, 2, 2], parameter),
                "{row}"
            );
            // An angle of up to pi is rounded after the hyperbolic tangent and after the product.
            let tolerance = 8.0 * epsilon(parameter);
            assert_within(
                format!("{row} {form:?}"),
                &numbers(&found),
                &expected(form),
                |_| tolerance,
            );
        }
    }
}

#[test]
fn a_strict_rotation_is_orthogonal() {
    for row in rows() {
        if !matches!(row.dtype, DType::F32 | DType::F64) {
            continue;
        }
        // Beyond, a d x d matrix in f64 tests nothing new.
        let largest = if row.dtype == DType::F64 { 768 } else { 4096 };
        for d in DIMS.into_iter().filter(|d| *d <= largest) {
            let identity = Tensor::<2>::eye(d, &row.device).cast(row.dtype);
            let blocks =
                Givens::from_angles(tensor(&angles(9, d - 1), [d - 1], &row.device, row.dtype))
                    .blocks();
            let matrix = rotate(identity.clone(), blocks.clone(), 0);
            let gram = rotate_transpose(matrix, blocks, 0);
            let error = (gram - identity)
                .abs()
                .max()
                .into_data()
                .iter::<f64>()
                .next();
            let tolerance = if row.dtype == DType::F64 { 1e-14 } else { 1e-5 };
            assert!(
                error.is_some_and(|error| error <= tolerance),
                "{row} d = {d}: {error:?}"
            );
        }
    }
}

#[test]
fn a_strict_rotation_has_determinant_one() {
    for row in rows().iter().filter(|row| row.dtype == DType::F32) {
        for d in DIMS.into_iter().filter(|d| *d <= 137) {
            let blocks = block_tensor(Blocks::Strict, 10, d, &row.device, row.dtype);
            let matrix = rotate(Tensor::<2>::eye(d, &row.device), blocks, 0);
            let determinant = oracle::Matrix::new(d, d, numbers(&matrix)).determinant();
            let tolerance = d as f64 * levels(d) * epsilon(row.dtype);
            assert!(
                (determinant - 1.0).abs() <= tolerance,
                "{row} d = {d}: {determinant}"
            );
        }
    }
}

#[test]
fn a_strict_rotation_keeps_norms_and_angles() {
    for row in rows() {
        for d in DIMS {
            let blocks = block_tensor(
                Blocks::Strict,
                11,
                d,
                &row.device,
                parameter_dtype(row.dtype),
            );
            let x = tensor(&normal(12, 4 * d), [4, d], &row.device, row.dtype);
            let turned = rotate(x.clone(), blocks, 1);
            let gram = |x: &Tensor<2>| oracle::Matrix::new(4, d, numbers(x)).transpose().gram();
            let (before, after) = (gram(&x), gram(&turned));
            for (a, b) in (0..4).flat_map(|a| (0..=a).map(move |b| (a, b))) {
                let lengths = (before[(a, a)] * before[(b, b)]).sqrt();
                let tolerance = (2.0 * levels(d) * epsilon(parameter_dtype(row.dtype))
                    + 2.0 * epsilon(row.dtype))
                    * lengths;
                let error = (before[(a, b)] - after[(a, b)]).abs();
                assert!(
                    error <= tolerance,
                    "{row} d = {d}: {error:.3e} of {lengths:.3e}"
                );
            }
        }
    }
}

#[test]
fn the_identity_returns_every_bit() {
    for row in rows() {
        let parameter = parameter_dtype(row.dtype);
        for d in DIMS {
            let x = tensor(&normal(13, 6 * d), [2, d, 3], &row.device, row.dtype);
            let zero = Tensor::<1>::zeros([d - 1], (&row.device, parameter));
            let identity = [1.0, 0.0, 0.0, 1.0].repeat(d - 1);
            let free = tensor(&identity, [d - 1, 2, 2], &row.device, parameter);
            let starts = [
                Givens::from_parameter(zero.clone(), AngleForm::Direct).blocks(),
                Givens::from_parameter(zero, AngleForm::Tanh).blocks(),
                QuasiGivens::from_blocks(free).blocks(),
            ];
            for blocks in starts {
                for turned in [
                    rotate(x.clone(), blocks.clone(), 1),
                    rotate_transpose(x.clone(), blocks.clone(), 1),
                ] {
                    assert_eq!(turned.into_data(), x.to_data(), "{row} d = {d}");
                }
            }
        }
    }
}
