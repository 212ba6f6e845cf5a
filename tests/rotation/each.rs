//! Several rotations of one tensor are those rotations, one by one.

use burn::tensor::Tensor;
use burn_goft::{Kind, rotate_transpose, rotate_transpose_each};

use crate::block_tensor;
use crate::common::{Row, normal, numbers, panic_message, parameter_dtype, rows, tensor};

fn three(row: &Row, d: usize) -> [Tensor<3>; 3] {
    let parameter = parameter_dtype(row.dtype);
    [40, 41, 42].map(|seed| block_tensor(Kind::Quasi, seed, d, &row.device, parameter))
}

#[test]
fn several_rotations_of_one_tensor_are_those_rotations() {
    for row in rows() {
        for (d, n) in [
            (1, 3),
            (2, 1),
            (5, 31),
            (137, 4),
            (768, 3),
            (96, 1000),
            (3000, 2),
            (8, 0),
        ] {
            let x = tensor(&normal(43, n * d), [n, 1, d], &row.device, row.dtype);
            let blocks = three(&row, d);
            let found = rotate_transpose_each(x.clone(), blocks.clone());
            for (found, blocks) in found.into_iter().zip(blocks) {
                let expected = rotate_transpose(x.clone(), blocks, 2);
                assert_eq!(found.dims(), [n, 1, d]);
                assert_eq!(found.dtype(), row.dtype);
                assert_eq!(
                    numbers(&found),
                    numbers(&expected),
                    "{row} d = {d}, n = {n}"
                );
            }
        }
    }
}

/// Kernels that take some at a time have to take all in turn.
#[test]
fn any_number_of_rotations_is_each_of_them() {
    for row in rows() {
        let d = 45;
        let x = tensor(&normal(46, 7 * d), [7, d], &row.device, row.dtype);
        let parameter = parameter_dtype(row.dtype);
        let block = |seed| block_tensor(Kind::Quasi, seed, d, &row.device, parameter);
        let check = |found: Vec<Tensor<2>>, count: u64| {
            assert_eq!(found.len() as u64, count);
            for (found, seed) in found.iter().zip(50..) {
                let expected = rotate_transpose(x.clone(), block(seed), 1);
                let what = format!("{row}, {seed} of {count}");
                assert_eq!(numbers(found), numbers(&expected), "{what}");
            }
        };
        let blocks = [50, 51, 52, 53, 54].map(block);
        let [one, two, three, four, _] = blocks.clone();
        let four = [one, two, three, four];
        check(rotate_transpose_each(x.clone(), four).to_vec(), 4);
        check(rotate_transpose_each(x.clone(), blocks).to_vec(), 5);
    }
}

#[test]
fn one_rotation_and_views_are_no_exception() {
    for row in rows() {
        let x = tensor(&normal(44, 12 * 5), [12, 5], &row.device, row.dtype).swap_dims(0, 1);
        let [first, ..] = three(&row, 12);
        let [found] = rotate_transpose_each(x.clone(), [first.clone()]);
        let expected = numbers(&rotate_transpose(x.clone(), first.clone(), 1));
        assert_eq!(numbers(&found), expected);
        let [found, again] = rotate_transpose_each(x, [first.clone(), first]);
        assert_eq!(
            (numbers(&found), numbers(&again)),
            (expected.clone(), expected)
        );
    }
}

#[test]
fn blocks_of_another_dimension_panic() {
    let row = &rows()[0];
    let x = tensor(&normal(45, 24), [2, 12], &row.device, row.dtype);
    let [first, second, _] = three(row, 12);
    let [other, ..] = three(row, 8);
    let message = panic_message(|| rotate_transpose_each(x, [first, second, other]));
    assert!(
        message.contains("[11, 2, 2]") && message.contains("[7, 2, 2]"),
        "{message}"
    );
}
