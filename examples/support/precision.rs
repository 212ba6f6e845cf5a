//! How exactly a device multiplies matrices.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// The largest error of a device's matrix products in a dtype, over the largest magnitude of the result, measured on
/// matrices of numbers in [-1, 1) against f64: sums of 3 products and of 320. It is some 1e-7 for f32, and 1e-4 to 1e-3
/// where f32 is multiplied in fewer digits, as by TF32.
pub(crate) fn product_error(device: &Device, dtype: DType) -> f64 {
    let errors = [3, 320].map(|inner| error_of_sums(inner, device, dtype));
    // `max` would drop a NaN.
    errors.into_iter().fold(0.0, |largest, error| {
        if error.is_nan() || error > largest {
            error
        } else {
            largest
        }
    })
}

fn error_of_sums(inner: usize, device: &Device, dtype: DType) -> f64 {
    const ROWS: usize = 48;
    const COLUMNS: usize = 64;
    let numbers = |seed: usize, count: usize| -> Vec<f64> {
        let number = |k: usize| (((seed * 7919 + k) as f64) * 12.9898).sin() * 43758.5453;
        (0..count)
            .map(|k| 2.0 * number(k).rem_euclid(1.0) - 1.0)
            .collect()
    };
    let tensor = |values: Vec<f64>, shape: [usize; 2]| {
        let data = TensorData::new(values, shape).convert_dtype(dtype);
        Tensor::<2>::from_data(data, (device, dtype))
    };
    let a = tensor(numbers(1, ROWS * inner), [ROWS, inner]);
    let b = tensor(numbers(2, inner * COLUMNS), [inner, COLUMNS]);
    // What the device has of them, rounded to the dtype.
    let [left, right] = [&a, &b].map(|matrix| matrix.to_data().iter::<f64>().collect::<Vec<_>>());
    let found: Vec<f64> = a.matmul(b).into_data().iter().collect();
    let (mut error, mut magnitude) = (0.0f64, 0.0f64);
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let products = (0..inner).map(|k| left[row * inner + k] * right[k * COLUMNS + column]);
            let expected: f64 = products.sum();
            let apart = (found[row * COLUMNS + column] - expected).abs();
            // As above: a NaN must show.
            if apart.is_nan() || apart > error {
                error = apart;
            }
            magnitude = magnitude.max(expected.abs());
        }
    }
    error / magnitude
}
