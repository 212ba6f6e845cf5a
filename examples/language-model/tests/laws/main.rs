//! What holds for a language model, from its files to its answers.

mod common;
mod life;
mod masks;
mod parity;
mod pretrained;
mod refusals;
