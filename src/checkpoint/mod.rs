//! Adapter-only files: what is in them, and how a model takes them up.
//!
//! A safetensors file with the adapter's parameters (`encoder.0.query.weight.goft.angles`), the parameters trained beside it
//! (`head.weight`), and one metadata entry, `burn-goft`, a JSON object with the format's version, the kind, angle form and
//! norm scale, every target's path and shape, and a SHA-256 over all of it and all tensors.

mod file;
mod fit;
mod model;

pub(crate) use model::{load, save, unmerge};
