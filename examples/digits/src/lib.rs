//! What the quickstart and the example with burn's Learner share: 1797 handwritten digits, as a
//! camera sees them upright or sideways, and a small vision transformer that was pretrained on
//! upright ones. Nothing in it knows of adapters.

mod checkpoint;
mod data;
mod model;

pub use checkpoint::pretrained;
pub use data::{Batch, CLASSES, Digit, Digits, Mounting, Order, PIXELS, SIDE};
pub use model::Vit;
