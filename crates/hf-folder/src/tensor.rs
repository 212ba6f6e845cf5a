//! A tensor of a folder, of which the bytes are still in the file.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorInfo};

use crate::error::Error;
use crate::shard::Shard;

/// A tensor of an [`HfFolder`](crate::HfFolder): what the header says of it. The bytes are read
/// when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    pub(crate) shard: &'a Shard,
    pub(crate) name: &'a str,
    pub(crate) info: &'a TensorInfo,
}

impl Tensor<'_> {
    /// The name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// What its numbers are stored as.
    pub fn dtype(&self) -> Dtype {
        self.info.dtype
    }

    /// Its shape. PyTorch's linear layers have `[out, in]`.
    pub fn shape(&self) -> &[usize] {
        &self.info.shape
    }

    /// Number of its bytes.
    pub fn size(&self) -> usize {
        let (start, end) = self.info.data_offsets;
        end - start
    }

    /// The file that holds it.
    pub fn file(&self) -> &Path {
        &self.shard.path
    }

    /// Its bytes, the last axis running fastest, numbers in little endian.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        self.shard.read(self.info)
    }
}
