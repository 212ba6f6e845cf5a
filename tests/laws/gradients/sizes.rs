//! Where a kernel may change its way: every small dimension, long vectors, batches of any size.

use burn::tensor::{DType, Tensor};
use burn_goft::{rotate_portable, rotate_transpose};

use super::{Problem, assert_row};
use crate::common::{
    Blocks, LONG, Row, assert_close, blocks, epsilon, numbers, parameter_dtype, rows, tensor, turn,
};

#[test]
fn every_dimension_has_the_gradients_of_the_chain_rule() {
    for row in rows().iter().filter(|row| row.dtype == DType::F32) {
        for d in 1..=300 {
            let transpose = d % 2 == 0;
            let problem = Problem::of_shape(row, [1, 3, d], 2, transpose, d as u64);
            assert_row(row, Blocks::Quasi, &problem, d as u64);
        }
        for d in LONG {
            assert_long(row, d);
        }
    }
}

/// Where a device takes several launches for a vector, what one leaves to the next must not be
/// rounded in between.
#[test]
fn long_vectors_in_half_precision_are_rounded_once() {
    let half = |row: &&Row| matches!(row.dtype, DType::F16 | DType::BF16);
    for row in rows().iter().filter(half) {
        for d in [5000, 20000] {
            assert_long(row, d);
        }
    }
}

fn assert_long(row: &Row, d: usize) {
    for transpose in [false, true] {
        for (shape, axis) in [([1, 3, d], 2), ([d, 3, 1], 0)] {
            let problem = Problem::of_shape(row, shape, axis, transpose, d as u64);
            assert_row(row, Blocks::Quasi, &problem, d as u64);
        }
    }
}

#[test]
fn every_number_of_vectors_has_the_gradients_of_the_chain_rule() {
    for row in rows() {
        for (n, transpose) in [1, 2, 3, 31, 1000]
            .map(|n| [(n, false), (n, true)])
            .concat()
        {
            let problem = Problem::of_shape(&row, [n, 1, 45], 2, transpose, n as u64);
            assert_row(&row, Blocks::Quasi, &problem, 30);
            let problem = Problem::of_shape(&row, [1, 45, n], 1, transpose, n as u64);
            assert_row(&row, Blocks::Quasi, &problem, 31);
        }
    }
}

#[test]
fn no_vectors_have_gradients_of_zero() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let x = Tensor::<2>::zeros([0, 7], (&device, row.dtype)).require_grad();
        let parameter = parameter_dtype(row.dtype);
        let blocks = tensor(&blocks(Blocks::Quasi, 32, 6), [6, 2, 2], &device, parameter);
        let blocks = blocks.require_grad();
        let turned = rotate_transpose(x.clone(), blocks.clone(), 1);
        // The sum of nothing, and something that is differentiable beside it.
        let gradients = (turned.sum().cast(parameter) + blocks.clone().sum()).backward();
        let found = blocks.grad(&gradients).expect("tracked");
        assert_eq!(numbers(&found), vec![1.0; 24], "{row}");
    }
}

/// One node with a derivative of its own, and the graph of the portable body's operations.
#[test]
fn gradients_agree_with_those_of_the_portable_body() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let parameter = parameter_dtype(row.dtype);
        for (d, transpose) in [2, 3, 31, 137].map(|d| [(d, false), (d, true)]).concat() {
            let problem = Problem::of_shape(&row, [4, 2, d], 2, transpose, 33);
            let entries = blocks(Blocks::Quasi, 34, d - 1);
            let upstream = tensor(&problem.upstream, problem.shape, &device, row.dtype);
            let [found, expected] = [false, true].map(|portable| {
                let x = tensor(&problem.x, problem.shape, &device, row.dtype).require_grad();
                let blocks = tensor(&entries, [d - 1, 2, 2], &device, parameter).require_grad();
                let loss = match portable {
                    true => {
                        let turned = rotate_portable(x.clone(), blocks.clone(), turn(2, transpose));
                        (turned * upstream.clone()).sum()
                    }
                    false => problem.loss(x.clone(), blocks.clone()),
                };
                let gradients = loss.backward();
                let of_x = numbers(&x.grad(&gradients).expect("tracked"));
                (of_x, numbers(&blocks.grad(&gradients).expect("tracked")))
            });
            let tolerance = 64.0 * epsilon(parameter) + 2.0 * epsilon(row.dtype);
            let what = format!("{row} d = {d}, transpose {transpose}");
            assert_close(format!("{what}, x"), &found.0, &expected.0, tolerance);
            assert_close(format!("{what}, blocks"), &found.1, &expected.1, tolerance);
        }
    }
}
