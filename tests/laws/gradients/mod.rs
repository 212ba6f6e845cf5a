//! The gradients of a rotation in its data, its blocks and its angles equal the chain rule on dense
//! float64 matrices.

mod graph;
mod parameters;
mod sizes;

use burn::tensor::{DType, Tensor};
use burn_goft::{Penalty, rotate, rotate_transpose};
use proptest::prelude::*;

use crate::common::{
    BLOCKS, Blocks, DIMS, LARGE, Row, assert_close, assert_within, blocks, epsilon, levels, normal,
    numbers, parameter_dtype, rows, shape, tensor,
};
use crate::oracle::{self, Rotation, along_axis, vectors};

/// What is differentiated: `sum upstream * y` with `y` the rotated `x`.
struct Problem {
    shape: [usize; 3],
    axis: usize,
    transpose: bool,
    x: Vec<f64>,
    upstream: Vec<f64>,
}

impl Problem {
    /// Numbers that are exact in the row's dtype, so that the oracle sees what the device sees.
    fn new(row: &Row, d: usize, axis: usize, transpose: bool, seed: u64) -> Self {
        Self::of_shape(row, shape(d, axis), axis, transpose, seed)
    }

    fn of_shape(row: &Row, shape: [usize; 3], axis: usize, transpose: bool, seed: u64) -> Self {
        let rounded = |seed| {
            let values = normal(seed, shape.iter().product());
            numbers(&tensor(&values, shape, &row.device, row.dtype))
        };
        Self {
            shape,
            axis,
            transpose,
            x: rounded(seed),
            upstream: rounded(seed + 1),
        }
    }

    fn d(&self) -> usize {
        self.shape[self.axis]
    }

    fn loss(&self, x: Tensor<3>, blocks: Tensor<3>) -> Tensor<1> {
        let upstream = tensor(&self.upstream, self.shape, &x.device(), x.dtype());
        let turned = if self.transpose {
            rotate_transpose(x, blocks, self.axis)
        } else {
            rotate(x, blocks, self.axis)
        };
        (turned * upstream).sum()
    }

    /// The oracle's loss.
    fn value(&self, x: &[f64], blocks: &[f64]) -> f64 {
        let rotation = Rotation::new(self.d(), blocks);
        let turned = along_axis(x, self.shape, self.axis, |v| match self.transpose {
            true => rotation.apply_transpose(v),
            false => rotation.apply(v),
        });
        let products = turned.iter().zip(&self.upstream).map(|(y, g)| y * g);
        products.sum()
    }

    /// The oracle's gradients in data and blocks.
    fn gradients(&self, rotation: &Rotation) -> (Vec<f64>, Vec<f64>) {
        let of_x = along_axis(&self.upstream, self.shape, self.axis, |g| {
            match self.transpose {
                true => rotation.apply(g),
                false => rotation.apply_transpose(g),
            }
        });
        let v = vectors(&self.x, self.shape, self.axis);
        let g = vectors(&self.upstream, self.shape, self.axis);
        let of_blocks = oracle::block_gradients(rotation, &v, &g, self.transpose);
        (of_x, of_blocks)
    }

    /// The same problem with every number replaced by its magnitude: its gradients bound the
    /// rounding of this one's.
    fn magnitudes(&self) -> Self {
        let sizes = |values: &[f64]| values.iter().map(|v| v.abs()).collect();
        Self {
            x: sizes(&self.x),
            upstream: sizes(&self.upstream),
            ..*self
        }
    }

    /// Every sum over levels and vectors, rounded once a term.
    fn roundings(&self) -> f64 {
        let count: usize = self.shape.iter().product();
        2.0 * levels(self.d()) + (count / self.d()) as f64
    }
}

fn assert_row(row: &Row, kind: Blocks, problem: &Problem, seed: u64) {
    let device = row.device.clone().autodiff();
    let d = problem.d();
    let parameter = parameter_dtype(row.dtype);
    let x = tensor(&problem.x, problem.shape, &device, row.dtype).require_grad();
    let blocks = tensor(
        &blocks(kind, seed, d - 1),
        [d - 1, 2, 2],
        &device,
        parameter,
    );
    let blocks = blocks.require_grad();
    let gradients = problem.loss(x.clone(), blocks.clone()).backward();

    let rotation = Rotation::new(d, &numbers(&blocks));
    let (of_x, of_blocks) = problem.gradients(&rotation);
    let (size_x, size_blocks) = problem.magnitudes().gradients(&rotation.magnitudes());
    let rounding = problem.roundings() * epsilon(parameter);
    let what = format!(
        "{row} {kind:?} d = {d}, axis {}, transpose {}",
        problem.axis, problem.transpose
    );

    let found = x.grad(&gradients).expect("x is tracked");
    assert_eq!(found.dims(), problem.shape);
    assert_within(format!("{what}, x"), &numbers(&found), &of_x, |index| {
        rounding * size_x[index]
            + epsilon(row.dtype) * of_x[index].abs()
            + 1e-7 * epsilon(row.dtype)
    });
    // One axis has nothing to turn, and no gradient arrives.
    let found = blocks.grad(&gradients);
    assert_eq!(found.is_some(), d > 1, "{what}");
    let found = found.map_or(Vec::new(), |gradient| numbers(&gradient));
    assert_within(format!("{what}, blocks"), &found, &of_blocks, |index| {
        rounding * size_blocks[index]
    });
}

#[test]
fn gradients_equal_the_dense_chain_rule() {
    for row in rows() {
        for (d, kind) in DIMS.into_iter().flat_map(|d| BLOCKS.map(|kind| (d, kind))) {
            for transpose in [false, true] {
                // Every axis where it is cheap, the axis of weights and that of activations where
                // it is not.
                let axes = if d <= 12 {
                    vec![0, 1, 2]
                } else {
                    vec![2 * usize::from(transpose)]
                };
                for axis in axes {
                    let problem = Problem::new(&row, d, axis, transpose, d as u64);
                    assert_row(&row, kind, &problem, d as u64);
                }
            }
        }
    }
}

#[test]
fn gradients_sum_over_large_batches_and_long_vectors() {
    // In f64 a single vector that is lost among thousands shows.
    for row in rows()
        .iter()
        .filter(|row| matches!(row.dtype, DType::F32 | DType::F64))
    {
        for ((shape, axis), transpose) in LARGE.into_iter().zip([false, true].into_iter().cycle()) {
            let problem = Problem::of_shape(row, shape, axis, transpose, 19);
            assert_row(row, Blocks::Quasi, &problem, 20);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gradients_equal_the_dense_chain_rule_in_any_dimension(
        d in 1usize..=300,
        axis in 0usize..3,
        transpose in any::<bool>(),
        seed in any::<u32>(),
    ) {
        for row in rows() {
            let problem = Problem::new(&row, d, axis, transpose, seed.into());
            assert_row(&row, Blocks::Quasi, &problem, seed.into());
        }
    }
}

/// The two forms of the oracle's chain rule agree with each other and with differences of its loss.
#[test]
fn the_oracle_differentiates_itself() {
    let row = &rows()[0];
    for d in [2, 3, 5, 8, 12, 33] {
        for transpose in [false, true] {
            let problem = Problem::new(row, d, 1, transpose, 3);
            let entries = blocks(Blocks::Quasi, 4, d - 1);
            let rotation = Rotation::new(d, &entries);
            let (of_x, of_blocks) = problem.gradients(&rotation);
            let v = vectors(&problem.x, problem.shape, 1);
            let g = vectors(&problem.upstream, problem.shape, 1);
            let one_by_one = oracle::vector_by_vector(&rotation, &v, &g, transpose);
            assert_close("vector by vector", &one_by_one, &of_blocks, 1e-13);

            let by_blocks = |entries: &[f64]| problem.value(&problem.x, entries);
            let by_x = |x: &[f64]| problem.value(x, &entries);
            let slopes = oracle::central_differences(&entries, by_blocks);
            assert_close("differences in blocks", &of_blocks, &slopes, 1e-8);
            let slopes = oracle::central_differences(&problem.x, by_x);
            assert_close("differences in x", &of_x, &slopes, 1e-8);
        }
    }
    let entries = blocks(Blocks::Quasi, 5, 6);
    for kind in [Penalty::Paper, Penalty::Gram] {
        let slopes = oracle::central_differences(&entries, |e| oracle::penalty(e, kind));
        assert_close(
            "penalty",
            &oracle::penalty_gradients(&entries, kind),
            &slopes,
            1e-8,
        );
    }
}

/// Differences know nothing of the chain rule that device and oracle share.
#[test]
fn gradients_equal_differences_of_the_dense_loss() {
    for row in rows()
        .iter()
        .filter(|row| matches!(row.dtype, DType::F32 | DType::F64))
    {
        let device = row.device.clone().autodiff();
        for (d, transpose) in [2, 3, 5, 8, 12]
            .into_iter()
            .flat_map(|d| [(d, false), (d, true)])
        {
            let problem = Problem::new(row, d, 1, transpose, 6);
            let x = tensor(&problem.x, problem.shape, &device, row.dtype).require_grad();
            let blocks = tensor(
                &blocks(Blocks::Quasi, 7, d - 1),
                [d - 1, 2, 2],
                &device,
                row.dtype,
            );
            let blocks = blocks.require_grad();
            let gradients = problem.loss(x.clone(), blocks.clone()).backward();
            let entries = numbers(&blocks);

            let tolerance = 1e-8f64.max(64.0 * epsilon(row.dtype));
            let found = numbers(&x.grad(&gradients).expect("x is tracked"));
            let slopes = oracle::central_differences(&problem.x, |x| problem.value(x, &entries));
            assert_close(format!("{row} x, d = {d}"), &found, &slopes, tolerance);
            let found = numbers(&blocks.grad(&gradients).expect("blocks are tracked"));
            let slopes = oracle::central_differences(&entries, |e| problem.value(&problem.x, e));
            assert_close(format!("{row} blocks, d = {d}"), &found, &slopes, tolerance);
        }
    }
}
