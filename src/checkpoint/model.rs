//! Between a model and an adapter file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::file::{AdapterFile, Summary};
use super::fit::Fit;
use crate::adapter::GoftAdapter;
use crate::attach::{Given, replace};
use crate::error::Error;
use crate::targets::refuse_adapted;
use crate::walk::{self, Entry, Owner, Place};

/// See [`save_goft`](crate::GoftModule::save_goft).
pub(crate) fn save<M: Module>(model: &M, path: &Path) -> Result<(), Error> {
    // Running statistics keep the last batch aside until they are next read, and a visitor cannot read them so.
    let model = model.valid();
    let entries = walk::entries(&model, |entry| match entry.owner {
        Owner::Goft { .. } => true,
        Owner::Model => entry.trainable || is_buffer(entry),
        Owner::Other { .. } => false,
    });
    let adapted: BTreeSet<&str> = entries.iter().filter_map(|e| Some(e.goft()?.0)).collect();
    if adapted.is_empty() {
        return Err(Error::NotAdapted {
            asked: "save the adapter",
        });
    }
    if let Some(frozen) = entries.iter().find(|e| e.goft().is_some() && !e.trainable) {
        let (target, _) = frozen.goft().expect("just filtered");
        return Err(Error::Frozen {
            path: target.into(),
        });
    }
    let shape = |entry: &Entry| <[usize; 2]>::try_from(entry.shape.as_slice());
    let targets = entries
        .iter()
        .filter(|entry| adapted.contains(entry.path.as_str()));
    let targets = targets.map(|entry| {
        (
            entry.path.clone(),
            shape(entry).expect("targets are matrices"),
        )
    });
    let targets = targets.collect();

    let mut tensors = BTreeMap::new();
    for entry in &entries {
        let Some(values) = &entry.values else {
            continue;
        };
        if is_buffer(entry) && !has_trainable_sibling(entry, &entries) {
            continue;
        }
        let data = values.to_data();
        refuse_non_finite(&entry.path, &data)?;
        let data =
            TensorData::from_bytes_vec(data.as_bytes().to_vec(), entry.shape.clone(), data.dtype());
        tensors.insert(entry.path.clone(), data);
    }
    let summary = summary(&walk::adapters(&model));
    AdapterFile {
        targets,
        tensors,
        summary,
    }
    .write(path)
}

/// See [`load_goft`](crate::GoftModule::load_goft).
pub(crate) fn load<M: Module>(model: M, path: &Path) -> Result<M, Error> {
    let file = AdapterFile::read(path)?;
    let entries = walk::entries(&model, |_| false);
    let fit = Fit {
        file: &file,
        entries: &entries,
        path,
    };
    if entries.iter().any(|entry| entry.goft().is_some()) {
        fit.check_adapted()?;
        fit.check_kept()?;
        return Ok(model.map(&mut Refill {
            place: Place::default(),
            tensors: file.tensors,
        }));
    }
    refuse_adapted(&entries)?;
    fit.check_base()?;
    let given = Given {
        adapters: fit.adapters()?,
        values: fit.kept(),
    };
    Ok(model.apply_reparameterization(given))
}

/// See [`unmerge_goft`](crate::GoftModule::unmerge_goft).
pub(crate) fn unmerge<M: Module>(merged: M, path: &Path) -> Result<M, Error> {
    let file = AdapterFile::read(path)?;
    let entries = walk::entries(&merged, |entry| file.targets.contains_key(&entry.path));
    refuse_adapted(&entries)?;
    let fit = Fit {
        file: &file,
        entries: &entries,
        path,
    };
    fit.check_base()?;
    let adapters = fit.adapters()?;
    let mut values = BTreeMap::new();
    for entry in &entries {
        let (Some(adapter), Some(weight)) = (adapters.get(&entry.path), &entry.values) else {
            continue;
        };
        let shape = file.targets[&entry.path];
        let weight = adapter
            .unmerge(weight.clone().detach().reshape(shape))?
            .weight;
        values.insert(entry.path.clone(), weight.reshape([shape[0] * shape[1]]));
    }
    values.extend(fit.kept());
    Ok(merged.apply_reparameterization(Given { adapters, values }))
}

/// Sets the values of adapters and kept parameters in place, ids and training state unchanged.
struct Refill {
    place: Place,
    tensors: BTreeMap<String, TensorData>,
}

impl ModuleMapper for Refill {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.place.exit(container_type);
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.place.meet(&flag);
        flag
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.tensors.remove(&self.place.path()) {
            Some(data) => {
                let device = param.device();
                replace(param, flat(&data, &device))
            }
            None => param,
        }
    }
}

/// The values in a row, in the data's dtype: without naming it, burn converts to the device's default.
pub(super) fn flat(data: &TensorData, device: &Device) -> Tensor<1> {
    let length = data.num_elements();
    let dtype = data.dtype();
    let data = TensorData::from_bytes_vec(data.as_bytes().to_vec(), [length], dtype);
    Tensor::from_data(data, (device, dtype))
}

/// Running statistics are recorded by burn as parameters that never train.
pub(super) fn is_buffer(entry: &Entry) -> bool {
    entry.container == "Struct:BatchNorm" && !entry.trainable && entry.owner == Owner::Model
}

fn has_trainable_sibling(buffer: &Entry, entries: &[Entry]) -> bool {
    let parent = |path: &str| path.rsplit_once('.').map(|(parent, _)| parent.to_string());
    let of_buffer = parent(&buffer.path);
    entries
        .iter()
        .any(|e| e.trainable && e.owner == Owner::Model && parent(&e.path) == of_buffer)
}

fn refuse_non_finite(name: &str, data: &TensorData) -> Result<(), Error> {
    let count = data
        .iter::<f64>()
        .filter(|value| !value.is_finite())
        .count();
    match count {
        0 => Ok(()),
        _ => Err(Error::NonFinite {
            path: name.into(),
            what: "the value".into(),
            count,
            remedy: "the training has diverged, and nothing was written; lower the learning rate, or go back to the last saved file",
        }),
    }
}

fn summary(adapters: &BTreeMap<String, GoftAdapter>) -> Summary {
    let all = |describe: fn(&GoftAdapter) -> String| {
        let values: BTreeSet<_> = adapters.values().map(describe).collect();
        values.into_iter().collect::<Vec<_>>().join("+")
    };
    Summary {
        kind: all(|adapter| name(&adapter.kind())),
        angle_form: all(|adapter| match (adapter.angle_parameter(), adapter.oft()) {
            (Some(_), _) => name(&adapter.angle_form()),
            (None, Some(form)) => form.field(),
            (None, None) => "none".into(),
        }),
        norm_scale: all(|adapter| name(&adapter.norm_scale())),
    }
}

/// A setting as its JSON spells it.
fn name<T: serde::Serialize>(setting: &T) -> String {
    match serde_json::to_value(setting) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("settings serialise to strings, not {other:?}"),
    }
}
