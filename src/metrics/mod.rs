//! What moved, and by how much.

mod bounds;
#[cfg(feature = "drift")]
pub(crate) mod drift;
mod orthogonality;

pub(crate) use bounds::Block;
pub use bounds::{QuasiBounds, quasi_bounds, strict_distance_bound};
pub use orthogonality::{OrthogonalityError, orthogonality_error};
#[cfg(feature = "drift")]
pub(crate) use orthogonality::{gram_excess, identity_like};

/// The larger of the two, NaN if one is NaN: `f64::max` would drop it, and a broken rotation would measure as perfect.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The smaller of the two, NaN if one is NaN.
fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}
