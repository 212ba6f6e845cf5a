//! The weights that come with the example.

use std::error::Error;

use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;

use crate::model::Vit;

/// Written by the `pretrain_digits` example.
const CHECKPOINT: &[u8] = include_bytes!("../../data/digits_vit.safetensors");

/// The pretrained model.
///
/// # Errors
///
/// If the checkpoint does not fit the model exactly.
pub fn pretrained(device: &Device) -> Result<Vit, Box<dyn Error>> {
    let mut model = Vit::new(device);
    let mut store = SafetensorsStore::from_bytes(Some(CHECKPOINT.to_vec()));
    let loaded = model.load_from(&mut store)?;
    match loaded.unused.is_empty() {
        true => Ok(model),
        false => Err(format!("no place in the model for {:?}", loaded.unused).into()),
    }
}
