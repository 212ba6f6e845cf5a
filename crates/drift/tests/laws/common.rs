//! What the laws need: seeded numbers, tensors of them, and comparisons that say what differs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::StandardNormal;

/// Two devices that compute in f64 as well as in narrower dtypes.
pub(crate) fn devices() -> [(&'static str, Device); 2] {
    #[expect(
        deprecated,
        reason = "burn deprecates ndarray; what it holds is read as well"
    )]
    let ndarray = Device::ndarray();
    [("flex", Device::flex()), ("ndarray", ndarray)]
}

pub(crate) const FLOATS: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];

/// `n` numbers of the standard normal distribution.
pub(crate) fn normal(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..n).map(|_| rng.sample(StandardNormal)).collect()
}

/// `n` angles over the whole circle.
pub(crate) fn angles(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let circle = -std::f64::consts::PI..std::f64::consts::PI;
    (0..n).map(|_| rng.random_range(circle.clone())).collect()
}

/// The flat entries of the blocks of `pairs` pairs: rotations by any angle and noise, so that far
/// from the identity a product of many stays well conditioned.
pub(crate) fn blocks(seed: u64, pairs: usize) -> Vec<f64> {
    let rotations = angles(seed, pairs);
    let entries = rotations.iter().flat_map(|t| crate::oracle::givens(*t));
    let noise = normal(seed + 1, 4 * pairs);
    entries.zip(noise).map(|(e, n)| e + 0.15 * n).collect()
}

/// A tensor of these numbers, rounded to `dtype`; read the rounded ones back with [`numbers`].
pub(crate) fn tensor<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
    Tensor::from_data(data, (device, dtype))
}

/// The tensor's values in f64, row by row.
pub(crate) fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    // A device may have no buffer to read for an empty tensor.
    match tensor.shape().num_elements() {
        0 => Vec::new(),
        _ => tensor.to_data().iter().collect(),
    }
}

/// Distance from 1 to the next number: twice the largest relative rounding error.
pub(crate) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f64::from(f32::EPSILON),
        DType::F16 => f64::powi(2.0, -10),
        DType::BF16 => f64::powi(2.0, -7),
        _ => panic!("epsilon({dtype:?}): not a float dtype of the laws"),
    }
}

/// Number of levels of a rotation of dimension `d`.
pub(crate) fn levels(d: usize) -> f64 {
    (d as f64).log2().ceil()
}

/// The message with which `f` panics.
pub(crate) fn panic_message<T>(f: impl FnOnce() -> T) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("expected a panic")
    };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_string(),
    }
}
