//! What a run has trained, merged into a copy of the model's folder.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_goft::{AdapterFile, parameters, visit_parameters};
use burn_goft_finetune::{ADAPTER, Error};
use hf_folder::{HfFolder, Place, Rewritten};

use crate::config::DecoderConfig;
use crate::folder::{HEAD, Pretrained, TABLE, error, is_linear};
use crate::model::CausalLm;
use crate::run::{refuse_untrained, with_adapter};

pub use check::LogitDifference;

/// Writes the folder that every engine loads: the model's own, with what a run has trained merged into
/// it. Adapters of the library are merged tensor by tensor, whatever the model's size; factors of LoRA
/// and whole weights through the model in memory.
///
/// # Errors
///
/// Those of [`HfFolder::merge`], [`HfFolder::rewrite`] and [`with_adapter`], and [`Error::Run`] for a run
/// that has trained nothing.
pub fn merge(model: &Path, run: &Path, out: &Path, device: &Device) -> Result<Rewritten, Error> {
    refuse_untrained(run)?;
    match AdapterFile::read(run.join(ADAPTER)) {
        Ok(adapter) => merge_file(model, &adapter, out, device),
        Err(error) if error.is_format() => merge_in_memory(model, run, out, device),
        Err(error) => Err(error.into()),
    }
}

fn merge_file(
    model: &Path,
    adapter: &AdapterFile,
    out: &Path,
    device: &Device,
) -> Result<Rewritten, Error> {
    let config = DecoderConfig::load(&model.join("config.json"))?;
    // Without values: what is linear is all that is asked.
    let linear = linear(&CausalLm::new(&config, device));
    let place = |path: &str| Place {
        name: path.into(),
        transposed: linear.contains(path),
    };
    let folder = HfFolder::open(model).map_err(error)?;
    folder.merge(adapter, place, device, out).map_err(error)
}

fn merge_in_memory(
    model: &Path,
    run: &Path,
    out: &Path,
    device: &Device,
) -> Result<Rewritten, Error> {
    let pretrained = Pretrained::load(model, &device.clone().autodiff())?;
    let tied = pretrained.config.tied;
    let adapted = with_adapter(pretrained.model.clone(), model, run)?;
    let changed = changed(&pretrained.model.valid(), adapted.valid().materialize());
    let folder = HfFolder::open(model).map_err(error)?;
    let done = folder.rewrite(out, |tensor| {
        let name = match tensor.name() {
            // A tied model's folder may hold a copy of the table.
            HEAD if tied => TABLE,
            name => name,
        };
        let values = changed.get(name).map(|values| {
            let values = values.clone().into_data();
            values.iter::<f32>().collect()
        });
        Ok(values)
    });
    done.map_err(error)
}

/// The parameters in which two models differ, as files have them: weights of linear layers transposed.
fn changed(base: &CausalLm, tuned: CausalLm) -> BTreeMap<String, Tensor<1>> {
    let linear = linear(base);
    let mut before = BTreeMap::new();
    visit_parameters(base, |info, values| {
        before.insert(info.path.clone(), values());
    });
    let mut changed = BTreeMap::new();
    visit_parameters(&tuned, |info, values| {
        let (values, before) = (values(), before.get(&info.path));
        let same = before.is_some_and(|before| {
            let equal = values.clone().equal(before.clone()).all();
            equal.into_scalar::<bool>()
        });
        if same {
            return;
        }
        let stored = match linear.contains(&info.path) {
            true => {
                let shape = [info.shape[0], info.shape[1]];
                let weight = values.reshape(shape).transpose();
                weight.reshape([shape[0] * shape[1]])
            }
            false => values,
        };
        changed.insert(info.path.clone(), stored);
    });
    changed
}

/// The weights of linear layers, which files have the other way round.
fn linear(model: &CausalLm) -> BTreeSet<String> {
    parameters(model)
        .into_iter()
        .filter(|info| is_linear(&info.container) && info.shape.len() == 2)
        .map(|info| info.path)
        .collect()
}
