//! How far a model moved: every metric at known answers, against plain float64 code that goes
//! another way, and where it has none.

mod answers;
mod common;
mod compare;
mod degenerate;
mod independent;
mod matrix;
mod models;
mod oft;
mod oracle;
mod report;
mod rotation;
mod svd;
mod widened;

use burn::tensor::{DType, Device, Tensor};
use matrix::Matrix;

/// Where f64 is f64. The metrics compute on the host, so one device stands for all.
fn device() -> Device {
    Device::flex()
}

fn tensor_of(matrix: &Matrix) -> Tensor<2> {
    let shape = [matrix.rows, matrix.columns];
    common::tensor(&matrix.entries, shape, &device(), DType::F64)
}

fn random(seed: u64, rows: usize, columns: usize) -> Matrix {
    Matrix::new(rows, columns, common::normal(seed, rows * columns))
}

/// A rotation far from the identity.
fn rotation(seed: u64, d: usize) -> Matrix {
    let tree = |seed| oracle::strict(d, &common::angles(seed, d - 1));
    tree(seed).times(&tree(seed + 1).transpose())
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{found}, expected {expected} up to {tolerance:.0e}"
    );
}
