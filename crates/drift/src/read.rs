//! Reading two tensors row by row, a part of each at a time.

use burn::tensor::{DType, Tensor};

use crate::error::Error;
use crate::matrix::Matrix;

/// Entries that are read at once: what a processor keeps near, and below what an allocator takes
/// from the system each time. Fresh memory takes longer than what is computed of it.
const TOGETHER: usize = 3 << 13;

/// Shows every row of two tensors of as many rows, with its number. A value is broken if it is not
/// finite.
pub(crate) fn each_pair(
    before: &Tensor<2>,
    after: &Tensor<2>,
    see: impl FnMut(usize, &[f64], &[f64]),
) -> Result<(), Error> {
    each_pair_unless(|v| !v.is_finite(), before, after, see)
}

/// The same with another idea of a broken value.
pub(crate) fn each_pair_unless(
    is_broken: impl Fn(f64) -> bool,
    before: &Tensor<2>,
    after: &Tensor<2>,
    mut see: impl FnMut(usize, &[f64], &[f64]),
) -> Result<(), Error> {
    each_part_unless(is_broken, before, after, |start, before, after| {
        let rows = before.each_row().zip(after.each_row());
        (start..)
            .zip(rows)
            .for_each(|(row, (before, after))| see(row, before, after));
    })
}

/// Shows some rows at a time, with the number of the first.
pub(crate) fn each_part(
    before: &Tensor<2>,
    after: &Tensor<2>,
    see: impl FnMut(usize, &Matrix, &Matrix),
) -> Result<(), Error> {
    each_part_unless(|v| !v.is_finite(), before, after, see)
}

fn each_part_unless(
    is_broken: impl Fn(f64) -> bool,
    before: &Tensor<2>,
    after: &Tensor<2>,
    mut see: impl FnMut(usize, &Matrix, &Matrix),
) -> Result<(), Error> {
    let sides = [before, after].map(|side| match side.dtype() {
        DType::QFloat(_) => side.clone().dequantize(),
        _ => side.clone().without_autodiff(),
    });
    let rows = before.dims()[0];
    let longest = before.dims()[1].max(after.dims()[1]).max(1);
    let step = (TOGETHER / longest).max(1);
    let (mut broken, mut parts) = ([0, 0], [Matrix::default(), Matrix::default()]);
    for start in (0..rows).step_by(step) {
        let end = (start + step).min(rows);
        for ((part, side), broken) in parts.iter_mut().zip(&sides).zip(&mut broken) {
            part.refill(side.clone().narrow(0, start, end - start));
            *broken += part.values().iter().filter(|v| is_broken(**v)).count();
        }
        if broken == [0, 0] {
            see(start, &parts[0], &parts[1]);
        }
    }
    Error::unless_finite("the matrix before", broken[0])?;
    Error::unless_finite("the matrix after", broken[1])
}

/// Panics if two matrices differ in shape; `metric` is the function's name.
pub(crate) fn same_shape(metric: &'static str, before: &Tensor<2>, after: &Tensor<2>) {
    let (before, after) = (before.dims(), after.dims());
    assert!(
        before == after,
        "{metric}: found {before:?} before and {after:?} after; pass matrices of one shape"
    );
}

/// Panics unless there is a row for each of the same inputs.
pub(crate) fn same_rows(metric: &'static str, before: &Tensor<2>, after: &Tensor<2>) {
    let (before, after) = (before.dims(), after.dims());
    assert!(
        before[0] == after[0],
        "{metric}: found {before:?} before and {after:?} after; pass representations [n, d] of the \
         same n inputs"
    );
}
