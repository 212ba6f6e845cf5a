//! What holds for a language model, from its files to its answers.

mod base;
mod common;
mod compared;
mod life;
mod masks;
mod measures;
mod parity;
mod pretrained;
mod recompute;
mod refusals;
mod talk;
