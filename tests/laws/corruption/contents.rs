//! A file taken apart and put together again, by the safetensors crate and the description of the
//! format alone.

use std::collections::{BTreeMap, HashMap};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) type Tensor = (Dtype, Vec<usize>, Vec<u8>);

/// The contents of a file, open to changes.
#[derive(Clone)]
pub(crate) struct Contents {
    pub(crate) manifest: Value,
    pub(crate) tensors: BTreeMap<String, Tensor>,
}

impl Contents {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let manifest = &header.metadata().as_ref().unwrap()["burn-goft"];
        let file = SafeTensors::deserialize(bytes).unwrap();
        let tensors = file.iter().map(|(name, view)| {
            let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_string(), tensor)
        });
        Self {
            manifest: serde_json::from_str(manifest).unwrap(),
            tensors: tensors.collect(),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        let metadata = HashMap::from([("burn-goft".to_string(), self.manifest.to_string())]);
        safetensors::serialize(views, Some(metadata)).unwrap()
    }

    /// As the format defines it: every field with its length before it, every list with its number
    /// of lines.
    pub(crate) fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(&2u32.to_le_bytes());
        for name in ["targets", "ids", "bases", "buffers"] {
            let lines = self.manifest[name].as_array().unwrap();
            field(&(lines.len() as u64).to_le_bytes());
            for line in lines {
                field(line.as_str().unwrap().as_bytes());
            }
        }
        for (name, (dtype, shape, data)) in &self.tensors {
            field(name.as_bytes());
            field(format!("{dtype:?} {shape:?}").as_bytes());
            field(data);
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    pub(crate) fn signed(mut self) -> Vec<u8> {
        self.manifest["sha256"] = self.checksum().into();
        self.to_bytes()
    }
}
