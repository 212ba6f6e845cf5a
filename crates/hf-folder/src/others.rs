//! The files of a folder beside its weights.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::shard::Shard;

/// What became of them, relative to the folder and in order.
pub(crate) struct Others {
    pub(crate) copied: Vec<PathBuf>,
    pub(crate) left_out: Vec<PathBuf>,
}

/// Endings of files that hold weights.
const WEIGHTS: [&str; 16] = [
    "safetensors",
    "bin",
    "pt",
    "pth",
    "ckpt",
    "h5",
    "msgpack",
    "onnx",
    "onnx_data",
    "gguf",
    "ggml",
    "tflite",
    "mlmodel",
    "npz",
    "pkl",
    "tar",
];

/// Files that say where weights or adapters are, which are not there any more.
const ABOUT_WEIGHTS: [&str; 4] = [
    "pytorch_model.bin.index.json",
    "tf_model.h5.index.json",
    "flax_model.msgpack.index.json",
    "adapter_config.json",
];

/// Copies everything but weights; links are followed, as a cache of the hub has them.
pub(crate) fn copy(source: &Path, target: &Path, shards: &[Shard]) -> Result<Others, Error> {
    let mut others = Others {
        copied: Vec::new(),
        left_out: Vec::new(),
    };
    let is_shard = |path: &Path| shards.iter().any(|shard| shard.path == path);
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let listed = source.join(&folder);
        let listing = || Error::io("listing", &listed);
        let entries = std::fs::read_dir(&listed).map_err(listing())?;
        for entry in entries {
            let name = entry.map_err(listing())?.file_name();
            let inside = folder.join(&name);
            let path = source.join(&inside);
            if path.is_dir() {
                // `.git` and `.cache` are about the source.
                if !name.to_string_lossy().starts_with('.') {
                    folders.push(inside);
                }
            } else if !is_shard(&path) {
                copy_file(&path, target, inside, &mut others)?;
            }
        }
    }
    others.copied.sort();
    others.left_out.sort();
    Ok(others)
}

fn copy_file(
    path: &Path,
    target: &Path,
    inside: PathBuf,
    others: &mut Others,
) -> Result<(), Error> {
    if holds_weights(&inside) {
        others.left_out.push(inside);
        return Ok(());
    }
    let to = target.join(&inside);
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io("making the folder", parent))?;
    }
    std::fs::copy(path, &to).map_err(Error::io("copying", path))?;
    others.copied.push(inside);
    Ok(())
}

fn holds_weights(file: &Path) -> bool {
    let ends = |ending: &str| {
        let found = file.extension().and_then(|found| found.to_str());
        found.is_some_and(|found| found.eq_ignore_ascii_case(ending))
    };
    let named = |name: &&str| file.file_name().is_some_and(|found| found == *name);
    WEIGHTS.iter().any(|ending| ends(ending)) || ABOUT_WEIGHTS.iter().any(named)
}
