//! The laws of the library, an area each, in one binary: burn is linked once, and helpers exist
//! once.

mod common;
mod methods;
mod models;
mod oracle;

mod adapter;
mod adapter_only;
mod attach;
mod bounds;
mod checkpoint;
mod corruption;
mod gradients;
mod linear;
mod merge;
mod nn;
mod oft;
mod plan;
mod rotation;
mod seed;
mod silent;
mod training;
