#![cfg_attr(docsrs, feature(doc_cfg))]
//! How far has a fine-tuned [burn](https://burn.dev) model moved: metrics of weights, of
//! representations and of answers, and a report of them all.
//!
//! [`Drift`] compares two models, of any method of fine-tuning, on one batch and makes a
//! [`DriftReport`], which prints as a table, is serialized by serde and draws itself (feature
//! `figure`). Each metric is also a function of its own.
//!
//! # Example
//!
//! ```
//! use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Distribution, Tensor}};
//! use burn_goft::{Goft, GoftModule};
//! use burn_goft_drift::{Drift, Trace};
//!
//! let device = Device::flex();
//! let before = LinearConfig::new(16, 8).init(&device); // or any burn module
//! let after = before.clone().apply_goft(Goft::strict().with_init_std(0.1))?;
//! let x = Tensor::<2>::random([100, 16], Distribution::Default, &device);
//!
//! let trace = |model: &Linear| Trace::new().with_layer("output", model.forward(x.clone()));
//! let (old, new) = (trace(&before), trace(&after));
//! let report = Drift::new().compare(&before, old, &after, new)?;
//! println!("{report}");
//! assert!(report.weights[0].get("relative_change").unwrap() > 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The metrics
//!
//! | measures | functions |
//! |---|---|
//! | weights | [`relative_change`], [`angle_change`], [`angle_histogram`], [`norm_change`], [`energy_change`], [`hyperspherical_energy`], [`spectrum_change`], [`spectrum`], [`subspace_similarity`] |
//! | representations | [`row_cosine`], [`row_norm_ratio`], [`linear_cka`], [`svcca`](fn@svcca), [`procrustes_distance`], [`anisotropy`] |
//! | answers | [`kl_divergence`], [`agreement`] |
//! | rotations of adapters | [`rotation_drift`] |
//!
//! Everything is computed in f64 on the host, from the tensors read a part at a time. Each metric
//! says what it is blind to. A pair of matrices whose shapes do not belong together panics; what is
//! not finite is [`Error::NonFinite`], and where a metric has no value for what it was given,
//! [`Error::Undefined`] says why.

mod answers;
mod error;
mod histogram;
mod linalg;
mod matrix;
mod metric;
mod read;
mod report;
mod representations;
mod rotation;
mod spread;
mod vector;
mod weights;

pub use answers::{agreement, kl_divergence};
pub use error::Error;
pub use histogram::Histogram;
pub use report::{Drift, DriftReport, Forgetting, Measured, Trace};
pub use representations::{
    Svcca, anisotropy, linear_cka, procrustes_distance, row_cosine, row_norm_ratio, svcca,
};
pub use rotation::{RotationDrift, rotation_drift};
pub use spread::Spread;
pub use weights::{
    angle_change, angle_histogram, energy_change, hyperspherical_energy, norm_change,
    relative_change, spectrum, spectrum_change, subspace_similarity,
};

/// The program of the README, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctest;
