//! What a transformer computes: attention, gates, norms, rotary positions, products and the loss of its
//! head.
//!
//! Each is one operation of burn's graph. It keeps its inputs for the backward pass and nothing
//! else: scores of attention are computed again, a block of queries at a time, and are never all in
//! memory. On the CPU (feature `flex`, f32) each is written for vector instructions and caches;
//! elsewhere, and in other dtypes, it is composed of burn's operations, which is also its
//! definition.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use transformer_ops::{Attention, Spans, attention};
//!
//! let device = Device::flex();
//! // One row of three tokens, one head of width 2; each token sees itself and what is before it.
//! let x = Tensor::<4>::from_floats([[[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]]], &device);
//! let spans = Spans::new(&[vec![0..1, 0..2, 0..3]], &device);
//! let y = attention(x.clone(), x.clone(), x, &spans, Attention { scale: 1.0, cap: None });
//! let first: Vec<f32> = y.narrow(1, 0, 1).into_data().iter().collect();
//! assert_eq!(first, [1.0, 0.0]);
//! ```
// Without a backend the generated dispatch has nobody to pass its arguments to.
#![cfg_attr(
    not(any(feature = "flex", feature = "ndarray", feature = "cubecl-backend")),
    allow(unused_variables, unreachable_code)
)]
#![cfg_attr(
    feature = "ndarray",
    expect(
        deprecated,
        reason = "burn deprecates ndarray; it stays until burn removes it"
    )
)]

#[cfg(feature = "autodiff")]
mod autodiff;
#[cfg(feature = "flex")]
mod flex;
mod functions;
mod ops;
mod portable;

pub use functions::{
    Predictions, activate, attention, cross_entropy, gated, layer_norm, linear, rms_norm,
    rotate_positions,
};
pub use ops::{Activation, Attention, TransformerOps};

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Which keys each query sees: for every row and query a range of them, so that causal attention,
/// windows, padding on either side and several texts in a row are all said the same way.
#[derive(Clone, Debug)]
pub struct Spans {
    /// The first key, `[rows, queries]`. Numbers of keys are exact in f32 up to 2^24.
    pub(crate) starts: Tensor<2>,
    /// One behind the last.
    pub(crate) ends: Tensor<2>,
}

impl Spans {
    /// The ranges of the queries of each row.
    ///
    /// # Panics
    ///
    /// If rows differ in their number of queries.
    pub fn new(rows: &[Vec<Range<usize>>], device: &Device) -> Self {
        let queries = rows.first().map_or(0, Vec::len);
        assert!(
            rows.iter().all(|row| row.len() == queries),
            "Spans: rows of {:?} queries; give each row as many",
            rows.iter().map(Vec::len).collect::<Vec<_>>()
        );
        let table = |of: fn(&Range<usize>) -> usize| {
            let values: Vec<f32> = rows.iter().flatten().map(|span| of(span) as f32).collect();
            let data = TensorData::new(values, [rows.len(), queries]);
            Tensor::from_data(data, (device, DType::F32))
        };
        Self {
            starts: table(|span| span.start),
            ends: table(|span| span.end),
        }
    }
}

#[cfg(feature = "cubecl-backend")]
impl TransformerOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "ndarray")]
impl TransformerOps for burn::backend::NdArray {}

/// The program of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctest;
