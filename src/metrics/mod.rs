//! What moved, and by how much.

mod bounds;
mod orthogonality;

pub(crate) use bounds::Block;
pub use bounds::{QuasiBounds, quasi_bounds, strict_distance_bound};
pub use orthogonality::{OrthogonalityError, orthogonality_error};
