//! Inverses of small dense matrices, in f64 on the host.

use burn::tensor::{Tensor, TensorData};

use crate::error::{Error, Problem};

/// The transposed inverses of matrices `[n, b, b]`, and a bound on the largest condition number, at
/// most `b^(1/64)` times as large.
///
/// # Errors
///
/// [`Error::Singular`] for a matrix whose condition is beyond `largest`.
pub(super) fn of_blocks(blocks: Tensor<3>, largest: f64) -> Result<(Tensor<3>, f64), Error> {
    let (device, dtype, shape) = (blocks.device(), blocks.dtype(), blocks.dims());
    let size = shape[1];
    let entries: Vec<f64> = blocks.into_data().iter().collect();
    let mut inverses = Vec::with_capacity(entries.len());
    let mut worst = 1.0f64;
    for (index, matrix) in entries.chunks_exact(size * size).enumerate() {
        let inverse = invert(matrix, size);
        let condition = (squared_norm(matrix, size) * squared_norm(&inverse, size)).sqrt();
        // What has no inverse at all.
        let condition = if condition.is_nan() {
            f64::INFINITY
        } else {
            condition
        };
        if condition > largest || condition == f64::INFINITY {
            return Err(Problem::Singular {
                what: "block",
                index,
                condition,
            }
            .into());
        }
        worst = worst.max(condition);
        let transposed = |k: usize| inverse[(k % size) * size + k / size];
        inverses.extend((0..size * size).map(transposed));
    }
    let data = TensorData::new(inverses, shape).convert_dtype(dtype);
    Ok((Tensor::from_data(data, (&device, dtype)), worst))
}

/// How often the Gram matrix is squared: enough for a bound to rounding where squaring is cheap,
/// and to its 64th power where it is not.
fn squarings(size: usize) -> u32 {
    if size <= 128 { 48 } else { 6 }
}

/// `|| A ||_2^2`, at most `b^(1/64)` times as large, and to rounding up to `b = 128`: the
/// largest eigenvalue of `G = A^T A` is not above the n-th root of the trace of `G^n`.
pub(super) fn squared_norm(matrix: &[f64], size: usize) -> f64 {
    let squarings = squarings(size);
    let mut power = product(matrix, matrix, size);
    let mut logarithm = 0.0;
    for squaring in 0..=squarings {
        let trace: f64 = (0..size).map(|i| power[i * size + i]).sum();
        // What the trace is taken out of, at its root.
        logarithm += trace.ln() / (1u64 << squaring) as f64;
        if squaring < squarings {
            power.iter_mut().for_each(|entry| *entry /= trace);
            power = product(&power, &power, size);
        }
    }
    logarithm.exp()
}

/// `A^T B`, one row of each at a time.
pub(super) fn product(a: &[f64], b: &[f64], size: usize) -> Vec<f64> {
    let mut product = vec![0.0; size * size];
    for (a, b) in a.chunks_exact(size).zip(b.chunks_exact(size)) {
        for (row, factor) in product.chunks_exact_mut(size).zip(a) {
            row.iter_mut()
                .zip(b)
                .for_each(|(sum, b)| *sum += factor * b);
        }
    }
    product
}

/// By Gauss and Jordan with the largest pivot of each column; not finite for a singular matrix.
fn invert(matrix: &[f64], size: usize) -> Vec<f64> {
    let mut left = matrix.to_vec();
    let mut right = vec![0.0; size * size];
    for i in 0..size {
        right[i * size + i] = 1.0;
    }
    for column in 0..size {
        let magnitude = |row: &usize| left[row * size + column].abs();
        let pivot = (column..size)
            .max_by(|a, b| magnitude(a).total_cmp(&magnitude(b)))
            .expect("at least the diagonal");
        for k in 0..size {
            left.swap(column * size + k, pivot * size + k);
            right.swap(column * size + k, pivot * size + k);
        }
        let scale = left[column * size + column].recip();
        for k in 0..size {
            left[column * size + k] *= scale;
            right[column * size + k] *= scale;
        }
        for row in (0..size).filter(|row| *row != column) {
            let factor = left[row * size + column];
            for k in 0..size {
                left[row * size + k] -= factor * left[column * size + k];
                right[row * size + k] -= factor * right[column * size + k];
            }
        }
    }
    right
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;

    fn of(diagonal: &[f64], largest: f64) -> Result<f64, Error> {
        let size = diagonal.len();
        // Turned by a reflection, which keeps singular values.
        let reflected = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 / size as f64;
        let entries = (0..size * size).map(|at| {
            let (i, j) = (at / size, at % size);
            reflected(i, j) * diagonal[j]
        });
        let data = TensorData::new(Vec::from_iter(entries), [1, size, size]);
        let blocks = Tensor::from_data(data, (&Device::flex(), DType::F64));
        of_blocks(blocks, largest).map(|(_, condition)| condition)
    }

    #[test]
    fn the_condition_is_that_of_the_spectral_norm() {
        for (size, least) in [(2, 1.0), (32, 1.0), (32, 1e-3), (7, 1e-12), (2, 1e-150)] {
            let mut diagonal = vec![1.0; size];
            diagonal[size / 2] = least;
            let condition = of(&diagonal, f64::INFINITY).unwrap() * least;
            let above = (size as f64).powf(1.0 / 64.0);
            assert!(
                (1.0 - 1e-3..=above + 1e-3).contains(&condition),
                "{size} {least}: {condition}"
            );
        }
    }

    /// By Frobenius norms over the size its condition would be 1.7e6.
    #[test]
    fn a_block_with_one_direction_lost_is_refused() {
        let mut diagonal = vec![1.0; 32];
        diagonal[31] = 1e-7;
        assert!(of(&diagonal, 8.4e6).is_err());
        assert!(of(&diagonal, 1.2e7).is_ok());
        diagonal[31] = 0.0;
        assert!(of(&diagonal, f64::MAX).is_err());
    }
}
