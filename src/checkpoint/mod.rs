//! Adapter-only files: what is in them, and how a model takes them up.
//!
//! A safetensors file with the adapter's parameters (`encoder.0.query.weight.goft.angles`), the
//! parameters trained beside it (`head.weight`) and running statistics that can move, and one
//! metadata entry, `burn-goft`, a JSON object with the format's version, every target's path, axis
//! and shape, the ids of all parameters, a fingerprint of every value that the model must have for
//! itself, and a SHA-256 over all of it and all tensors.

mod bytes;
mod disk;
mod file;
mod fingerprint;
mod fit;
mod load;
mod save;
mod values;

pub use disk::IntoAdapterFile;
pub use file::AdapterFile;
pub(crate) use load::{load, unmerge};
