//! Fine-tunes BERT encoders on texts, with GOFT adapters and the methods that one would compare them with.

mod batch;
mod bert;
mod config;
mod error;
mod folder;
mod tokenizer;
mod weights;

pub use batch::TokenBatch;
pub use bert::Bert;
pub use config::{Activation, BertConfig};
pub use error::Error;
pub use folder::{ModelFiles, Pretrained};
pub use tokenizer::{TextTokenizer, Tokens};
pub use weights::load_bert;
