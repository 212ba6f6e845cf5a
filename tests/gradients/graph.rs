//! What surrounds the rotation in a graph changes no gradient: checkpointing, untracked neighbours, views.

use burn::tensor::{Device, Tensor};
use burn_goft::{Kind, rotate};

use crate::Problem;
use crate::common::{Row, assert_close, blocks, epsilon, numbers, parameter_dtype, rows, tensor};
use crate::oracle::Rotation;

/// Data and blocks on `device`, each tracked or not, and what `backward` gives.
fn gradients_on(device: &Device, row: &Row, tracked: [bool; 2]) -> [Option<Vec<f64>>; 2] {
    let problem = Problem::new(row, 137, 2, true, 12);
    let x = tensor(&problem.x, problem.shape, device, row.dtype);
    let x = x.set_require_grad(tracked[0]);
    let entries = blocks(Kind::Quasi, 13, 136);
    let blocks = tensor(&entries, [136, 2, 2], device, parameter_dtype(row.dtype));
    let blocks = blocks.set_require_grad(tracked[1]);
    let gradients = problem.loss(x.clone(), blocks.clone()).backward();
    [x.grad(&gradients), blocks.grad(&gradients)].map(|gradient| gradient.map(|g| numbers(&g)))
}

#[test]
fn checkpointing_two_runs_and_untracked_neighbours_change_no_gradient() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let [x, blocks] = gradients_on(&device, &row, [true, true]);
        assert!(x.is_some() && blocks.is_some());
        assert_eq!(
            gradients_on(&device, &row, [true, true]),
            [x.clone(), blocks.clone()],
            "{row} twice"
        );
        for device in [device.clone(), device.gradient_checkpointing()] {
            let strategy = device.gradient_checkpointing_strategy();
            let cases = [
                ([true, true], [x.clone(), blocks.clone()]),
                ([true, false], [x.clone(), None]),
                ([false, true], [None, blocks.clone()]),
            ];
            for (tracked, expected) in cases {
                let found = gradients_on(&device, &row, tracked);
                assert_eq!(found, expected, "{row} {strategy:?} tracked {tracked:?}");
            }
        }
    }
}

/// A gradient that arrives as a view, and data that is one, need no copy by the caller.
#[test]
fn views_differentiate_as_their_values() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let parameter = parameter_dtype(row.dtype);
        let problem = Problem::new(&row, 12, 1, false, 14);
        let rotation = |blocks: &Tensor<3>| Rotation::new(12, &numbers(blocks));
        let leaves = || {
            let stored = tensor(&problem.x, problem.shape, &device, row.dtype);
            let stored = stored.swap_dims(0, 1).detach().require_grad();
            let blocks = tensor(&blocks(Kind::Quasi, 15, 11), [11, 2, 2], &device, parameter);
            (stored, blocks.swap_dims(1, 2).detach().require_grad())
        };
        let tolerance = 4.0 * problem.roundings() * epsilon(parameter) + 2.0 * epsilon(row.dtype);

        let (stored, blocks) = leaves();
        let upstream = tensor(&problem.upstream, problem.shape, &device, row.dtype);
        let turned = rotate(stored.clone().swap_dims(0, 1), blocks.clone(), 1);
        let gradients = (turned.swap_dims(1, 2) * upstream.swap_dims(1, 2))
            .sum()
            .backward();
        let (of_x, of_blocks) = problem.gradients(&rotation(&blocks));
        let found = stored.grad(&gradients).expect("tracked").swap_dims(0, 1);
        assert_close(
            format!("{row} transposed x"),
            &numbers(&found),
            &of_x,
            tolerance,
        );
        let found = blocks.grad(&gradients).expect("tracked");
        assert_close(
            format!("{row} transposed blocks"),
            &numbers(&found),
            &of_blocks,
            tolerance,
        );

        // The gradient of a sum is one number, expanded.
        let (stored, blocks) = leaves();
        let turned = rotate(stored.clone().swap_dims(0, 1), blocks.clone(), 1);
        let gradients = turned.sum().backward();
        let ones = Problem {
            upstream: vec![1.0; problem.x.len()],
            x: problem.x.clone(),
            ..problem
        };
        let (of_x, of_blocks) = ones.gradients(&rotation(&blocks));
        let found = stored.grad(&gradients).expect("tracked").swap_dims(0, 1);
        assert_close(
            format!("{row} expanded, x"),
            &numbers(&found),
            &of_x,
            tolerance,
        );
        let found = blocks.grad(&gradients).expect("tracked");
        assert_close(
            format!("{row} expanded, blocks"),
            &numbers(&found),
            &of_blocks,
            tolerance,
        );
    }
}
