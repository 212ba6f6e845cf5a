//! What the call accepts: views, mixed dtypes, empty tensors; and how it refuses the rest.

use burn::tensor::{Tensor, s};
use burn_goft::{rotate, rotate_transpose};

use super::{assert_rotates, block_tensor};
use crate::common::{Blocks, devices, normal, panic_message, parameter_dtype, rows, tensor};

#[test]
fn views_rotate_as_their_values() {
    let (d, seed) = (12, 16);
    for row in rows() {
        let (device, dtype) = (&row.device, row.dtype);
        let parameter = parameter_dtype(dtype);
        let make =
            |shape: [usize; 3]| tensor(&normal(seed, shape.iter().product()), shape, device, dtype);
        let blocks = block_tensor(Blocks::Quasi, seed, d, device, parameter);
        let views = [
            ("transposed", make([3, 5, d]).swap_dims(1, 2)),
            ("permuted", make([5, d, 3]).permute([2, 1, 0])),
            ("narrowed", make([3, d + 4, 5]).narrow(1, 2, d)),
            ("stepped", make([3, 2 * d, 5]).slice(s![.., 0..;2, ..])),
            ("flipped", make([3, d, 5]).flip([1])),
            ("expanded along the axis", make([3, 1, 5]).expand([3, d, 5])),
            (
                "expanded beside the axis",
                make([1, d, 1]).expand([3, d, 5]),
            ),
        ];
        for (what, x) in views {
            assert_rotates(&format!("{row} {what}"), &x, &blocks, 1);
        }
        let x = make([3, d, 5]);
        let pairs = d - 1;
        let large = tensor(
            &normal(seed, 8 * (pairs + 3)),
            [pairs + 3, 2, 4],
            device,
            parameter,
        );
        let views = [
            ("transposed blocks", blocks.clone().swap_dims(1, 2)),
            ("narrowed blocks", large.narrow(0, 1, pairs).narrow(2, 1, 2)),
            (
                "one block for all pairs",
                blocks.narrow(0, 0, 1).expand([pairs, 2, 2]),
            ),
        ];
        for (what, blocks) in views {
            assert_rotates(&format!("{row} {what}"), &x, &blocks, 1);
        }
    }
}

#[test]
fn the_result_has_the_dtype_of_the_data_whatever_that_of_the_blocks() {
    let rows = rows();
    for row in &rows {
        for other in rows.iter().filter(|other| other.name == row.name) {
            let x = tensor(&normal(17, 6 * 12), [2, 12, 3], &row.device, row.dtype);
            let blocks = block_tensor(Blocks::Strict, 18, 12, &row.device, other.dtype);
            assert_rotates(
                &format!("{row} with blocks in {:?}", other.dtype),
                &x,
                &blocks,
                1,
            );
        }
    }
}

#[test]
fn no_vectors_rotate_to_no_vectors() {
    for row in rows() {
        for (shape, axis) in [
            ([0, 5, 3], 1),
            ([2, 5, 0], 1),
            ([0, 3, 5], 2),
            ([5, 0, 3], 0),
            ([0, 1, 3], 1),
        ] {
            let d = shape[axis];
            let x = Tensor::<3>::empty(shape, (&row.device, row.dtype));
            let blocks = block_tensor(
                Blocks::Strict,
                19,
                d,
                &row.device,
                parameter_dtype(row.dtype),
            );
            for turned in [
                rotate(x.clone(), blocks.clone(), axis),
                rotate_transpose(x, blocks, axis),
            ] {
                assert_eq!((turned.dims(), turned.dtype()), (shape, row.dtype), "{row}");
            }
        }
    }
}

#[test]
fn wrong_arguments_panic_with_what_was_asked_and_found() {
    for (name, device) in devices() {
        let x = || Tensor::<3>::zeros([2, 5, 3], &device);
        let blocks = |pairs| Tensor::<3>::zeros([pairs, 2, 2], &device);
        let expect = |message: String, parts: &[&str]| {
            for part in parts {
                assert!(message.contains(part), "{name}: {message:?} lacks {part:?}");
            }
        };
        expect(
            panic_message(|| rotate(x(), blocks(7), 1)),
            &[
                "rotate: axis 1 of shape [2, 5, 3] has length 5 and needs blocks [4, 2, 2], found [7, 2, 2]",
                "make the blocks from 4 angles, or pass the axis that they were made for",
            ],
        );
        expect(
            panic_message(|| rotate_transpose(x(), blocks(4), 2)),
            &[
                "rotate_transpose: axis 2 of shape [2, 5, 3] has length 3 and needs blocks [2, 2, 2], found [4, 2, 2]",
            ],
        );
        expect(
            panic_message(|| rotate(x(), Tensor::zeros([4, 2, 3], &device), 1)),
            &["needs blocks [4, 2, 2], found [4, 2, 3]"],
        );
        expect(
            panic_message(|| rotate(x(), blocks(4), 3)),
            &["rotate: asked for axis 3 of a tensor of rank 3 (shape [2, 5, 3])"],
        );
        expect(
            panic_message(|| rotate(Tensor::<2>::zeros([2, 0], &device), blocks(0), 1)),
            &["rotate: axis 1 of shape [2, 0] is empty"],
        );
    }
}
