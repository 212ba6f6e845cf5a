//! Pretrained weights: Hugging Face's safetensors into a [`Bert`].

use std::path::Path;

use burn::store::{
    ApplyError, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use burn::tensor::{DType, Device};
use burn_goft_finetune::Error;

use super::bert::Bert;
use super::config::BertConfig;
use super::kind::Kind;

/// Reads the weights of an encoder, f32, f16 or bf16, with or without its kind (`bert.`) before the
/// names. The model computes in f32.
///
/// Linear weights are transposed from PyTorch's `[out, in]`. Position numbers, the pooler and any
/// head in the file are left out.
///
/// # Errors
///
/// [`Error::Model`] for a file that is no safetensors; [`Error::Tensor`] for a tensor that is
/// missing, has another shape than the settings ask for, or has no place in the model.
pub fn load_bert(path: &Path, config: &BertConfig, device: &Device) -> Result<Bert, Error> {
    let kind = config.kind;
    let mut bert = Bert::new(config, device);
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
    let mut store = SafetensorsStore::from_file(path)
        .with_key_remapping(format!(r"^{}\.", kind.prefix), "")
        .with_from_adapter(adapter)
        .validate(false)
        .allow_partial(true);
    for (file, model) in kind.names {
        store = store.with_key_remapping(file.replace('.', r"\."), *model);
    }
    let loaded = bert
        .load_from(&mut store)
        .map_err(|error| Error::model(path, format!("cannot read the weights: {error}; if the file was not downloaded whole, or is a pointer of git-lfs, get it again")))?;

    let tensor = |name: &str, reason: String| Error::Tensor {
        path: path.into(),
        tensor: name_in_file(name, kind),
        reason,
    };
    if let Some(error) = loaded.errors.first() {
        let (name, reason) = describe(error);
        return Err(tensor(&name, reason));
    }
    if let Some((name, _)) = loaded.missing.first() {
        let others = loaded.missing.len() - 1;
        return Err(tensor(
            name,
            format!("is missing, and {others} others; the file is not this model's"),
        ));
    }
    let homeless = |name: &&String| {
        let encoder = ["encoder.", "embeddings.", "distances.", "relative."]
            .iter()
            .any(|part| name.starts_with(part));
        // Numbers in the order of counting and zeros, which models of some versions carry along.
        let counted = ["embeddings.position_ids", "embeddings.token_type_ids"];
        // Left over from a pretraining that looked at them in another way.
        let unread = name.ends_with("._weight")
            || !kind.positions && name.starts_with("embeddings.position_embeddings.");
        encoder && !unread && !counted.contains(&name.as_str())
    };
    if let Some(name) = loaded.unused.iter().find(homeless) {
        let layers = config.layers;
        return Err(tensor(
            name,
            format!(
                "has no place in the model of config.json, which has {layers} layers; the two files do not belong together"
            ),
        ));
    }
    Ok(bert)
}

fn describe(error: &ApplyError) -> (String, String) {
    match error {
        ApplyError::ShapeMismatch {
            path,
            expected,
            found,
        } => {
            // A linear weight is compared after its transposition.
            let linear = path.starts_with("encoder.") || path.starts_with("embeddings.project.");
            let transposed = path.ends_with(".weight") && linear;
            let shape = |shape: &[usize]| {
                let mut shape = shape.to_vec();
                if transposed && shape.len() == 2 {
                    shape.reverse();
                }
                format!("{shape:?}")
            };
            let reason = format!(
                "has shape {}, and config.json asks for {}",
                shape(found),
                shape(expected)
            );
            (path.clone(), reason)
        }
        ApplyError::DTypeMismatch { path, found, .. } => (
            path.clone(),
            format!("holds {found:?}, and weights are floats"),
        ),
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            (path.clone(), format!("cannot be read: {message}"))
        }
    }
}

/// A model's path as the file spells it, without its kind.
fn name_in_file(path: &str, kind: &Kind) -> String {
    // The layers' name stands beside another one.
    let (layers, parts) = kind.names.split_first().expect("every kind has names");
    let rename = |path: String, (file, model): &(&str, &str)| path.replacen(model, file, 1);
    let renamed = parts.iter().find(|(_, model)| path.contains(model));
    let name = match renamed {
        Some(names) => rename(path.into(), names),
        None => path.into(),
    };
    let name = match path.starts_with(layers.1) {
        true => rename(name, layers),
        false => name,
    };
    name.replace(".gamma", ".weight").replace(".beta", ".bias")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::KINDS;

    #[test]
    fn messages_name_tensors_as_the_file_does() {
        for (model, file) in [
            (
                "encoder.3.attention.query.weight",
                "encoder.layer.3.attention.self.query.weight",
            ),
            (
                "encoder.0.attention.norm.gamma",
                "encoder.layer.0.attention.output.LayerNorm.weight",
            ),
            ("encoder.0.output.bias", "encoder.layer.0.output.dense.bias"),
            (
                "encoder.0.norm.beta",
                "encoder.layer.0.output.LayerNorm.bias",
            ),
            ("embeddings.norm.gamma", "embeddings.LayerNorm.weight"),
            (
                "embeddings.word_embeddings.weight",
                "embeddings.word_embeddings.weight",
            ),
        ] {
            assert_eq!(name_in_file(model, &KINDS[0]), file);
        }
    }
}
