//! Conversations and texts as tokens, with those marked that are learned.

mod chat;
mod examples;
mod split;
mod tokens;

pub use chat::ChatFormat;
pub(crate) use chat::TOOLS_FILE;
pub use examples::{Example, Source, read};
pub use split::Data;
pub(crate) use split::encode;
pub use tokens::{Skip, TextTokenizer, Trained};
