//! The gradients of several rotations of one tensor are those of the rotations, one by one.

use burn::tensor::{Device, Tensor};
use burn_goft::{Kind, rotate_transpose, rotate_transpose_each};

use crate::common::{
    Row, assert_close, blocks, epsilon, normal, numbers, parameter_dtype, rows, tensor,
};

const D: usize = 45;
const N: usize = 6;

/// The gradients by `x` and by the blocks of three rotations, of which the loss uses those that `used` names.
fn gradients(row: &Row, device: &Device, used: &[usize], together: bool) -> Vec<Option<Vec<f64>>> {
    let x = tensor(&normal(50, N * D), [N, D], device, row.dtype).require_grad();
    let blocks = [51, 52, 53].map(|seed| {
        let entries = blocks(Kind::Quasi, seed, D - 1);
        let shape = [D - 1, 2, 2];
        tensor(&entries, shape, device, parameter_dtype(row.dtype)).require_grad()
    });
    let turned = match together {
        true => rotate_transpose_each(x.clone(), blocks.clone()),
        false => blocks
            .clone()
            .map(|blocks| rotate_transpose(x.clone(), blocks, 1)),
    };
    let loss = used.iter().map(|&k| {
        let upstream = tensor(&normal(60 + k as u64, N * D), [N, D], device, row.dtype);
        // Squared, so that the rotated tensor itself is asked for on the way back.
        (turned[k].clone().square() * upstream).sum()
    });
    let gradients = loss
        .reduce(|a: Tensor<1>, b| a + b)
        .expect("one at least")
        .backward();
    let of_blocks = blocks
        .iter()
        .map(|blocks| blocks.grad(&gradients).map(|g| numbers(&g)));
    let of_x = x.grad(&gradients).map(|g| numbers(&g));
    std::iter::once(of_x).chain(of_blocks).collect()
}

#[test]
fn gradients_of_several_rotations_are_those_of_each() {
    for row in rows() {
        let device = row.device.clone().autodiff();
        for device in [device.clone(), device.gradient_checkpointing()] {
            for used in [vec![0, 1, 2], vec![1], vec![2, 0]] {
                let expected = gradients(&row, &device, &used, false);
                let found = gradients(&row, &device, &used, true);
                let tolerance = 4.0 * epsilon(row.dtype);
                for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let what = format!("{row} used {used:?}, gradient {place}");
                    match (found, expected) {
                        (Some(found), Some(expected)) => {
                            assert_close(what, found, expected, tolerance);
                        }
                        // Blocks beside the ones that are used share their tensor, and get zeros instead of nothing.
                        (Some(found), None) => {
                            assert!(found.iter().all(|g| *g == 0.0), "{what}: {found:?}");
                        }
                        (found, expected) => assert_eq!(found, expected, "{what}"),
                    }
                }
            }
        }
    }
}
