#![cfg_attr(docsrs, feature(doc_cfg))]
//! placeholder

mod adapter;
mod attach;
mod backends;
mod checkpoint;
mod error;
mod givens;
mod goft;
mod linear;
mod merge;
mod metrics;
mod module;
#[cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "the operation lists ndarray among its backends")
)]
mod ops;
mod plan;
mod portable;
mod regularizer;
mod report;
mod rotate;
mod switch;
mod targets;
mod walk;

pub use adapter::{GoftAdapter, Unmerged};
pub use error::Error;
pub use givens::{AngleForm, Givens, Penalty, QuasiGivens};
pub use goft::{Goft, Kind, NormScale};
pub use linear::GoftLinear;
pub use metrics::{
    OrthogonalityError, QuasiBounds, orthogonality_error, quasi_bounds, strict_distance_bound,
};
pub use module::GoftModule;
pub use ops::GivensOps;
pub use plan::{Level, RotationPlan};
pub use report::{AdaptedLayer, GoftReport};
pub use rotate::{rotate, rotate_portable, rotate_transpose};
