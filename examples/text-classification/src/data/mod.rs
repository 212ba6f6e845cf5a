//! Labeled texts: from files to what the model reads.

mod encoded;
mod examples;
mod split;
mod task;
mod understood;

pub(crate) use encoded::{Encoded, about_truncation, lengths, tokenize};
pub(crate) use examples::refuse_other_shape;
pub use examples::{Example, Examples, Text, read_texts};
pub(crate) use split::{Data, hold_out};
pub(crate) use task::Target;
pub use task::Task;
pub(crate) use understood::sentences;
