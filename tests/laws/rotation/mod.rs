//! The rotation equals the dense float64 product of its levels, on every device, in every dtype,
//! along every axis.

mod arguments;
mod sizes;
mod strict;

use burn::tensor::{DType, Device, Tensor};
use burn_goft::{rotate, rotate_transpose};
use proptest::prelude::*;

use crate::common::{
    self, BLOCKS, Blocks, DIMS, LARGE, Row, assert_within, blocks, epsilon, levels, normal,
    numbers, parameter_dtype, rows, shape, tensor,
};
use crate::oracle::{self, Rotation, along_axis};

fn block_tensor(kind: Blocks, seed: u64, d: usize, device: &Device, dtype: DType) -> Tensor<3> {
    let entries = blocks(kind, seed, d - 1);
    tensor(&entries, [d - 1, 2, 2], device, dtype)
}

/// Both directions equal the oracle on the tensors' own values, within what rounding every
/// operation once can cost.
fn assert_rotates(what: &str, x: &Tensor<3>, blocks: &Tensor<3>, axis: usize) {
    let shape = x.dims();
    let d = shape[axis];
    let rotation = Rotation::new(d, &numbers(blocks));
    let magnitudes = rotation.magnitudes();
    let values = numbers(x);
    let sizes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
    let narrow = [x.dtype(), blocks.dtype()]
        .iter()
        .all(|dtype| *dtype != DType::F64);
    let compute = epsilon(if narrow { DType::F32 } else { DType::F64 });

    for transpose in [false, true] {
        let (found, expected, size) = if transpose {
            (
                rotate_transpose(x.clone(), blocks.clone(), axis),
                along_axis(&values, shape, axis, |v| rotation.apply_transpose(v)),
                along_axis(&sizes, shape, axis, |v| magnitudes.apply_transpose(v)),
            )
        } else {
            (
                rotate(x.clone(), blocks.clone(), axis),
                along_axis(&values, shape, axis, |v| rotation.apply(v)),
                along_axis(&sizes, shape, axis, |v| magnitudes.apply(v)),
            )
        };
        let what = format!("{what}, d = {d}, axis {axis}, transpose {transpose}");
        assert_eq!(found.dims(), shape, "{what}");
        assert_eq!(found.dtype(), x.dtype(), "{what}");
        let last_rounding = epsilon(x.dtype());
        assert_within(what, &numbers(&found), &expected, |index| {
            levels(d) * compute * size[index]
                + last_rounding * expected[index].abs()
                + smallest(x.dtype())
        });
    }
}

/// Numbers below this may be flushed to zero.
fn smallest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2f64.powi(-24),
        _ => 1e-37,
    }
}

fn assert_row(row: &Row, kind: Blocks, shape: [usize; 3], axis: usize, seed: u64) {
    let values = normal(seed, shape.iter().product());
    let x = tensor(&values, shape, &row.device, row.dtype);
    let parameter = parameter_dtype(row.dtype);
    let blocks = block_tensor(kind, seed, shape[axis], &row.device, parameter);
    assert_rotates(&format!("{row} {kind:?}"), &x, &blocks, axis);
}

#[test]
fn rotating_multiplies_by_the_dense_matrix() {
    for row in rows() {
        for (d, kind) in DIMS.into_iter().flat_map(|d| BLOCKS.map(|kind| (d, kind))) {
            for axis in 0..3 {
                assert_row(&row, kind, shape(d, axis), axis, d as u64);
            }
        }
        for (shape, axis) in LARGE {
            assert_row(&row, Blocks::Quasi, shape, axis, 2);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rotating_multiplies_by_the_dense_matrix_in_any_dimension(
        d in 1usize..=300,
        axis in 0usize..3,
        quasi in any::<bool>(),
        seed in any::<u32>(),
    ) {
        let kind = if quasi { Blocks::Quasi } else { Blocks::Strict };
        for row in rows() {
            assert_row(&row, kind, shape(d, axis), axis, seed.into());
        }
    }
}

/// What the table above compares with, level by level, is the matrix of the paper's Eq. 3.
#[test]
fn the_oracle_applies_its_own_dense_product() {
    for d in DIMS.into_iter().filter(|d| *d <= 137) {
        let rotation = Rotation::new(d, &blocks(Blocks::Quasi, 7, d - 1));
        let matrix = rotation.matrix();
        let v = normal(8, d);
        let column = oracle::Matrix::new(d, 1, v.clone());
        let pairs = [
            (matrix.times(&column), rotation.apply(&v)),
            (
                matrix.transpose().times(&column),
                rotation.apply_transpose(&v),
            ),
        ];
        for (expected, found) in pairs {
            common::assert_close(format!("d = {d}"), &found, &expected.entries, 1e-13);
        }
    }
}

#[test]
fn the_transpose_moves_to_the_other_side_of_an_inner_product() {
    for row in rows().iter().filter(|row| row.dtype == DType::F32) {
        for d in DIMS {
            let blocks = block_tensor(Blocks::Quasi, 3, d, &row.device, row.dtype);
            let vector = |seed| tensor(&normal(seed, d), [1, d], &row.device, row.dtype);
            let (x, y) = (vector(4), vector(5));
            let dot = |a: Tensor<2>, b: Tensor<2>| -> f64 {
                let (a, b) = (numbers(&a), numbers(&b));
                a.iter().zip(b).map(|(a, b)| a * b).sum()
            };
            let left = dot(rotate(x.clone(), blocks.clone(), 1), y.clone());
            let right = dot(x, rotate_transpose(y, blocks, 1));
            let tolerance = levels(d) * epsilon(row.dtype) * d as f64;
            assert!(
                (left - right).abs() <= tolerance,
                "{row} d = {d}: {left} and {right}"
            );
        }
    }
}

#[test]
fn two_runs_give_the_same_bits() {
    for row in rows() {
        let x = tensor(&normal(14, 6 * 384), [6, 384], &row.device, row.dtype);
        let blocks = block_tensor(
            Blocks::Quasi,
            15,
            384,
            &row.device,
            parameter_dtype(row.dtype),
        );
        let run = || rotate_transpose(x.clone(), blocks.clone(), 1).into_data();
        assert_eq!(run(), run(), "{row}");
    }
}
