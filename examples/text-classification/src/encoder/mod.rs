//! Pretrained encoders of BERT's family: settings, weights and tokenizer, from Hugging Face's
//! files.

mod batch;
mod bert;
mod config;
mod disentangled;
mod distances;
mod folder;
mod kind;
mod norm;
mod tokenizer;
mod weights;

pub use batch::TokenBatch;
pub use bert::Bert;
pub use config::{Activation, BertConfig};
pub use disentangled::Reach;
pub use folder::{ModelFiles, Pretrained};
pub use kind::{KINDS, Kind};
pub use tokenizer::{TextTokenizer, Tokens};
pub use weights::load_bert;
