//! Products of 2x2 blocks on pairs of axes: which pairs, the operation and its derivative, and
//! bounds.

mod angles;
mod block;
mod bounds;
mod ops;
mod orthogonality;
mod portable;
mod pyramid;
mod rotate;
#[cfg(all(test, any(feature = "flex", feature = "ndarray", feature = "wgpu")))]
mod tests;
mod topology;
pub(crate) mod tree;
mod turn;

pub(crate) use angles::blocks_of;
#[cfg(feature = "cubecl-backend")]
pub(crate) use angles::{blocks as portable_blocks, gradients as portable_angle_gradients};
pub use bounds::{QuasiBounds, quasi_bounds, strict_distance_bound};
pub use ops::GivensOps;
pub use orthogonality::{OrthogonalityError, orthogonality_error};
#[cfg(any(feature = "host-kernels", feature = "cubecl-backend"))]
pub(crate) use portable::{gradients as portable_gradients, rotate as portable_rotate};
pub(crate) use rotate::turn;
pub use rotate::{rotate, rotate_portable, rotate_transpose};
pub use topology::{Level, RotationPlan, Topology};
pub use turn::Turn;
