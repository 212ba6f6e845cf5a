//! Gradients of what is stored: angles in both forms, blocks under a penalty, blocks that are used
//! twice.

use burn_goft::{AngleForm, Givens, Penalty, QuasiGivens};

use super::Problem;
use crate::common::{
    Blocks, angles, assert_close, assert_within, blocks, epsilon, normal, numbers, parameter_dtype,
    rows, tensor,
};
use crate::oracle::{self, Rotation};

#[test]
fn angles_learn_through_both_forms() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let parameter = parameter_dtype(row.dtype);
        for (d, form) in [2, 3, 5, 8, 12, 137, 4096]
            .into_iter()
            .flat_map(|d| [(d, AngleForm::Direct), (d, AngleForm::Tanh)])
        {
            let transpose = form == AngleForm::Tanh;
            let problem = Problem::new(&row, d, 2, transpose, 8);
            let stored: Vec<f64> = normal(9, d - 1).iter().map(|p| 0.5 * p).collect();
            let stored = tensor::<1>(&stored, [d - 1], &device, parameter).require_grad();
            let x = tensor(&problem.x, problem.shape, &device, row.dtype);
            let blocks = Givens::from_parameter(stored.clone(), form).blocks();
            let gradients = problem.loss(x, blocks).backward();

            let pi = std::f64::consts::PI;
            let (angles, slopes): (Vec<f64>, Vec<f64>) = numbers(&stored)
                .into_iter()
                .map(|p| match form {
                    AngleForm::Direct => (p, 1.0),
                    AngleForm::Tanh => (pi * p.tanh(), pi / p.cosh().powi(2)),
                    other => panic!("the oracle has no {other:?}"),
                })
                .unzip();
            let (_, of_blocks) = problem.gradients(&Rotation::strict(d, &angles));
            let of_angles = oracle::angle_gradients(&angles, &of_blocks);
            let expected: Vec<f64> = of_angles.iter().zip(slopes).map(|(g, s)| g * s).collect();
            let found = numbers(&stored.grad(&gradients).expect("the parameter is tracked"));
            // Unlike blocks that are given, those of angles are themselves rounded at every level.
            let tolerance = 8.0 * problem.roundings() * epsilon(parameter);
            assert_close(
                format!("{row} {form:?} d = {d}"),
                &found,
                &expected,
                tolerance,
            );
        }
    }
}

/// Whatever the blocks are used for, and wherever angles and derivatives lie in memory.
#[test]
fn angles_learn_from_their_blocks_alone() {
    for row in rows() {
        for device in [
            row.device.clone().autodiff(),
            row.device.clone().autodiff().gradient_checkpointing(),
        ] {
            let (stored, upstream) = (angles(30, 60), normal(31, 4 * 30));
            let stored = tensor::<1>(&stored, [60], &device, row.dtype).require_grad();
            let upstream = tensor::<3>(&upstream, [2, 30, 2], &device, row.dtype);
            // Every other angle, which counts beside its block too.
            let every_other = stored.clone().reshape([30, 2]).narrow(1, 1, 1);
            let every_other = every_other.squeeze_dim::<1>(1);
            let blocks = Givens::from_angles(every_other.clone()).blocks();
            assert_eq!((blocks.dims(), blocks.dtype()), ([30, 2, 2], row.dtype));
            // The derivative comes back turned.
            let turned = blocks.clone().swap_dims(0, 1);
            let loss = (turned * upstream.clone()).sum() + every_other.sum();
            let gradients = loss.backward();
            let found = numbers(&stored.grad(&gradients).expect("the angles are tracked"));

            let of_blocks = numbers(&upstream.swap_dims(0, 1));
            let chosen: Vec<f64> = numbers(&stored).into_iter().skip(1).step_by(2).collect();
            let tolerance = 4.0 * epsilon(row.dtype);
            let expected: Vec<f64> = chosen.iter().copied().flat_map(oracle::givens).collect();
            assert_within(&row, &numbers(&blocks), &expected, |_| tolerance);
            let of_angles = oracle::angle_gradients(&chosen, &of_blocks);
            let mut expected = vec![0.0; 60];
            for (place, gradient) in of_angles.into_iter().enumerate() {
                expected[2 * place + 1] = gradient + 1.0;
            }
            assert_close(&row, &found, &expected, 2.0 * tolerance);
        }
    }
}

#[test]
fn an_angle_that_is_no_number_spoils_its_own_block_only() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let parameter = parameter_dtype(row.dtype);
        let stored = [0.5, f64::NAN, -1.0, f64::INFINITY, 2.0];
        let stored = tensor::<1>(&stored, [5], &device, parameter).require_grad();
        let blocks = Givens::from_angles(stored.clone()).blocks();
        let gradients = blocks.clone().sum().backward();
        let gradient = numbers(&stored.grad(&gradients).expect("tracked"));
        let blocks = numbers(&blocks);
        for (pair, finite) in [true, false, true, false, true].into_iter().enumerate() {
            let block = &blocks[4 * pair..][..4];
            assert!(
                block.iter().all(|entry| entry.is_nan() != finite),
                "{row}: {block:?}"
            );
            assert_eq!(gradient[pair].is_nan(), !finite, "{row}: {gradient:?}");
        }
    }
}

#[test]
fn penalties_add_their_gradient() {
    let strength = 0.3;
    for row in rows() {
        let device = row.device.clone().autodiff();
        let parameter = parameter_dtype(row.dtype);
        for (d, kind) in [1, 2, 5, 137]
            .into_iter()
            .flat_map(|d| [(d, Penalty::Paper), (d, Penalty::Gram)])
        {
            let problem = Problem::new(&row, d, 2, true, 10);
            let x = tensor(&problem.x, problem.shape, &device, row.dtype).require_grad();
            let blocks = tensor(
                &blocks(Blocks::Quasi, 11, d - 1),
                [d - 1, 2, 2],
                &device,
                parameter,
            );
            let blocks = blocks.require_grad();
            let penalty = QuasiGivens::from_blocks(blocks.clone()).penalty(kind);
            let entries = numbers(&blocks);
            let expected = oracle::penalty(&entries, kind);
            let tolerance = 16.0 * (d as f64) * epsilon(parameter);
            assert_close(
                format!("{row} {kind:?}"),
                &numbers(&penalty),
                &[expected],
                tolerance,
            );

            let task = problem.loss(x, blocks.clone()).cast(parameter);
            let gradients = (task + penalty.mul_scalar(strength)).backward();
            let found = blocks.grad(&gradients);
            let found = found.map_or(Vec::new(), |gradient| numbers(&gradient));
            let (_, of_task) = problem.gradients(&Rotation::new(d, &entries));
            let of_penalty = oracle::penalty_gradients(&entries, kind);
            let both = of_task.iter().zip(of_penalty);
            let expected: Vec<f64> = both
                .map(|(task, penalty)| task + strength * penalty)
                .collect();
            let tolerance = 4.0 * problem.roundings() * epsilon(parameter);
            assert_close(
                format!("{row} {kind:?} d = {d}"),
                &found,
                &expected,
                tolerance,
            );
        }
    }
}

#[test]
fn blocks_used_twice_receive_both_gradients() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        let parameter = parameter_dtype(row.dtype);
        let there = Problem::new(&row, 8, 2, false, 16);
        let back = Problem::new(&row, 8, 2, true, 17);
        let blocks = tensor(&blocks(Blocks::Quasi, 18, 7), [7, 2, 2], &device, parameter);
        let blocks = blocks.require_grad();
        let x = |problem: &Problem| tensor(&problem.x, problem.shape, &device, row.dtype);
        let loss = there.loss(x(&there), blocks.clone()) + back.loss(x(&back), blocks.clone());
        let gradients = loss.backward();

        let rotation = Rotation::new(8, &numbers(&blocks));
        let (one, other) = (there.gradients(&rotation).1, back.gradients(&rotation).1);
        let expected: Vec<f64> = one.iter().zip(other).map(|(a, b)| a + b).collect();
        let found = numbers(&blocks.grad(&gradients).expect("tracked"));
        let tolerance = 4.0 * there.roundings() * epsilon(parameter);
        assert_close(&row, &found, &expected, tolerance);
    }
}
