//! Inverses of small dense matrices, in f64 on the host.

use burn::tensor::{Tensor, TensorData};

use crate::error::Error;

/// The transposed inverses of matrices `[n, b, b]`, and the largest condition number by Frobenius norms, which bounds that of the
/// spectral norm from above.
///
/// # Errors
///
/// [`Error::Singular`] for a matrix whose condition is beyond `largest`.
pub(crate) fn of_blocks(blocks: Tensor<3>, largest: f64) -> Result<(Tensor<3>, f64), Error> {
    let (device, dtype, shape) = (blocks.device(), blocks.dtype(), blocks.dims());
    let size = shape[1];
    let entries: Vec<f64> = blocks.into_data().iter().collect();
    let mut inverses = Vec::with_capacity(entries.len());
    let mut worst = 1.0f64;
    for (index, matrix) in entries.chunks_exact(size * size).enumerate() {
        let inverse = invert(matrix, size);
        let condition = norm(matrix) * norm(&inverse) / size as f64;
        if condition.is_nan() || condition > largest {
            return Err(Error::Singular {
                what: "block",
                index,
                condition,
            });
        }
        worst = worst.max(norm(matrix) * norm(&inverse));
        let transposed = |k: usize| inverse[(k % size) * size + k / size];
        inverses.extend((0..size * size).map(transposed));
    }
    let data = TensorData::new(inverses, shape).convert_dtype(dtype);
    Ok((Tensor::from_data(data, (&device, dtype)), worst))
}

fn norm(matrix: &[f64]) -> f64 {
    matrix.iter().map(|entry| entry * entry).sum::<f64>().sqrt()
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
