//! A run's adapter, merged into a copy of the model's folder.

use std::path::Path;

use burn::tensor::Device;
use burn_goft::{AdapterFile, parameters};
use burn_goft_finetune::{ADAPTER, Error};
use hf_folder::{HfFolder, Place, Rewritten};

use crate::config::DecoderConfig;
use crate::folder::{error, is_linear};
use crate::model::CausalLm;

/// Writes the folder that every engine loads: the model's own, with the adapter of a run merged
/// into it.
///
/// # Errors
///
/// [`Error::Goft`] for a run without an adapter file; those of [`HfFolder::merge`].
pub fn merge(model: &Path, run: &Path, out: &Path, device: &Device) -> Result<Rewritten, Error> {
    let path = run.join(ADAPTER);
    let adapter = AdapterFile::read(&path).map_err(|error| match error.is_format() {
        true => Error::run(
            run,
            format!("what it has trained is no adapter that can be merged, which the methods goft, goft-star, qgoft, oft, hra and road leave: {error}"),
        ),
        false => error.into(),
    })?;
    let config = DecoderConfig::load(&model.join("config.json"))?;
    // Without values: what is linear is all that is asked.
    let infos = parameters(&CausalLm::new(&config, device));
    let linear: std::collections::BTreeSet<String> = infos
        .into_iter()
        .filter(|info| is_linear(&info.container) && info.shape.len() == 2)
        .map(|info| info.path)
        .collect();
    let place = |path: &str| Place {
        name: path.into(),
        transposed: linear.contains(path),
    };
    let folder = HfFolder::open(model).map_err(error)?;
    folder.merge(&adapter, place, device, out).map_err(error)
}
