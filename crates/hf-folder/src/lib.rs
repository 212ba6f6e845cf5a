//! Model folders as Hugging Face's libraries write them: reading their tensors, and writing a copy
//! with other values in some of them.
//!
//! An [`HfFolder`] knows the tensors of `model.safetensors`, or of the shards that
//! `model.safetensors.index.json` names, by their headers. [`HfFolder::rewrite`] writes the folder
//! anew: every file, name, shape, dtype and shard as it was, other values where they were given. It
//! needs no description of the model, so it works for any architecture, and whatever loads the
//! source loads the copy. This is how fine-tuned weights leave a training:
//! [`HfFolder::merge`] is the same for an adapter of burn-goft.

mod error;
pub mod floats;
mod folder;
#[cfg(feature = "hub")]
mod hub;
mod merge;
mod others;
mod rewrite;
mod shard;
mod tensor;

pub use error::Error;
pub use folder::HfFolder;
#[cfg(feature = "hub")]
pub use hub::HubModel;
pub use merge::Place;
pub use rewrite::{Change, Replaced, Rewritten};
/// What the numbers of a tensor are stored as.
pub use safetensors::tensor::Dtype;
pub use tensor::Tensor;
