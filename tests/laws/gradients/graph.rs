//! What surrounds the rotation in a graph changes no gradient: checkpointing, untracked neighbors,
//! views.

use burn::tensor::{Device, Tensor};
use burn_goft::{rotate, rotate_transpose};

use super::Problem;
use crate::common::{
    Blocks, Row, assert_close, blocks, epsilon, numbers, parameter_dtype, rows, tensor,
};
use crate::oracle::Rotation;

/// Data and blocks on `device`, each tracked or not, and what `backward` gives.
fn gradients_on(device: &Device, row: &Row, tracked: [bool; 2]) -> [Option<Vec<f64>>; 2] {
    let problem = Problem::new(row, 137, 2, true, 12);
    let x = tensor(&problem.x, problem.shape, device, row.dtype);
    let x = x.set_require_grad(tracked[0]);
    let entries = blocks(Blocks::Quasi, 13, 136);
    let blocks = tensor(&entries, [136, 2, 2], device, parameter_dtype(row.dtype));
    let blocks = blocks.set_require_grad(tracked[1]);
    let gradients = problem.loss(x.clone(), blocks.clone()).backward();
    [x.grad(&gradients), blocks.grad(&gradients)].map(|gradient| gradient.map(|g| numbers(&g)))
}

/// A loss that needs the rotated tensor on the way back, where a checkpointing strategy may compute
/// it once more.
#[test]
fn a_rotated_tensor_that_is_asked_for_again_is_the_same() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let found = [device.clone(), device.gradient_checkpointing()].map(|device| {
            let problem = Problem::new(&row, 45, 2, true, 40);
            let x = tensor(&problem.x, problem.shape, &device, row.dtype).require_grad();
            let entries = blocks(Blocks::Quasi, 41, 44);
            let blocks = tensor(&entries, [44, 2, 2], &device, parameter_dtype(row.dtype));
            let blocks = blocks.require_grad();
            // `x` is used after it was rotated, too: it must not have been overwritten.
            let turned = rotate_transpose(x.clone() * 2.0, blocks.clone(), 2);
            let loss = turned.clone().exp() * turned * x.clone();
            let gradients = loss.sum().backward();
            let [x, blocks] = [
                x.grad(&gradients).map(|g| numbers(&g)),
                blocks.grad(&gradients).map(|g| numbers(&g)),
            ];
            [x.expect("tracked"), blocks.expect("tracked")]
        });
        let [kept, recomputed] = found;
        assert!(kept.iter().flatten().all(|g| g.is_finite()), "{row}");
        assert_eq!(kept, recomputed, "{row}");
    }
}

/// The same sums, whatever the number of threads: more vectors than are summed in one go.
#[test]
fn large_batches_give_the_same_bits_in_every_run() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let run = || {
            let problem = Problem::of_shape(&row, [5000, 1, 9], 2, true, 42);
            let x = tensor(&problem.x, problem.shape, &device, row.dtype);
            let entries = blocks(Blocks::Quasi, 43, 8);
            let blocks = tensor(&entries, [8, 2, 2], &device, parameter_dtype(row.dtype));
            let blocks = blocks.require_grad();
            let gradients = problem.loss(x, blocks.clone()).backward();
            numbers(&blocks.grad(&gradients).expect("tracked"))
        };
        let of_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(run)
        };
        let expected = run();
        assert_eq!(run(), expected, "{row} twice");
        for threads in [1, 3] {
            assert_eq!(of_threads(threads), expected, "{row} {threads} threads");
        }
    }
}

/// Blocks may be wider or narrower than the data; each gradient has the dtype of what it belongs
/// to.
#[test]
fn gradients_have_the_dtype_of_what_they_belong_to() {
    let rows = rows();
    for row in &rows {
        let device = row.device.clone().autodiff();
        for other in rows.iter().filter(|other| other.name == row.name) {
            let problem = Problem::new(row, 12, 2, false, 44);
            let x = tensor(&problem.x, problem.shape, &device, row.dtype).require_grad();
            let entries = blocks(Blocks::Quasi, 45, 11);
            let blocks = tensor(&entries, [11, 2, 2], &device, other.dtype).require_grad();
            let rotation = Rotation::new(12, &numbers(&blocks));
            let gradients = problem.loss(x.clone(), blocks.clone()).backward();
            let (of_x, of_blocks) = problem.gradients(&rotation);
            let what = format!("{row} with blocks in {:?}", other.dtype);
            let found = x.grad(&gradients).expect("tracked");
            assert_eq!(found.dtype(), row.dtype, "{what}");
            let coarse = epsilon(row.dtype).max(f64::from(f32::EPSILON) * 16.0);
            assert_close(format!("{what}, x"), &numbers(&found), &of_x, 4.0 * coarse);
            let found = blocks.grad(&gradients).expect("tracked");
            assert_eq!(found.dtype(), other.dtype, "{what}");
            let coarse = epsilon(other.dtype).max(f64::from(f32::EPSILON) * 64.0);
            assert_close(
                format!("{what}, blocks"),
                &numbers(&found),
                &of_blocks,
                4.0 * coarse,
            );
        }
    }
}

#[test]
fn checkpointing_two_runs_and_untracked_neighbors_change_no_gradient() {
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
            let blocks = tensor(
                &blocks(Blocks::Quasi, 15, 11),
                [11, 2, 2],
                &device,
                parameter,
            );
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
