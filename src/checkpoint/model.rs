//! Between a model and an adapter file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::file::{AdapterFile, Summary};
use crate::adapter::GoftAdapter;
use crate::attach::{Given, replace};
use crate::error::Error;
use crate::oft::Oft;
use crate::targets::refuse_adapted;
use crate::walk::{self, Entry, Owner};

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
            names: Vec::new(),
            oft: None,
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

/// Whether a file fits a model.
struct Fit<'a> {
    file: &'a AdapterFile,
    entries: &'a [Entry],
    path: &'a Path,
}

impl Fit<'_> {
    fn mismatch(&self, reason: String) -> Error {
        Error::Mismatch {
            path: self.path.into(),
            reason,
        }
    }

    /// Every target and every kept parameter is there, of the recorded shape.
    fn check_base(&self) -> Result<(), Error> {
        let model: BTreeMap<&str, &[usize]> = self
            .entries
            .iter()
            .map(|e| (e.path.as_str(), e.shape.as_slice()))
            .collect();
        let expect = |path: &str, shape: &[usize]| {
            match model.get(path) {
            Some(found) if *found == shape => Ok(()),
            Some(found) => Err(self.mismatch(format!(
                "it was trained on `{path}` of shape {shape:?}, and the model has {found:?}; load it onto the model it was trained on"
            ))),
            None => Err(self.mismatch(format!(
                "it was trained on `{path}`, which the model does not have; load it onto the model it was trained on"
            ))),
        }
        };
        for (target, shape) in &self.file.targets {
            expect(target, shape)?;
        }
        for (name, data) in self
            .file
            .tensors
            .iter()
            .filter(|(name, _)| self.split(name).is_none())
        {
            expect(name, data.shape().as_slice())?;
        }
        Ok(())
    }

    /// The model's adapters are those of the file: same targets, fields and shapes.
    fn check_adapted(&self) -> Result<(), Error> {
        self.check_base()?;
        let describe = |name: &str, shape: &[usize]| format!("`{name}` {shape:?}");
        let in_file = self
            .file
            .tensors
            .iter()
            .filter(|(name, _)| self.split(name).is_some());
        let in_file: BTreeSet<_> = in_file
            .map(|(n, data)| describe(n, data.shape().as_slice()))
            .collect();
        let in_model = self.entries.iter().filter(|e| e.goft().is_some());
        let in_model: BTreeSet<_> = in_model.map(|e| describe(&e.path, &e.shape)).collect();
        if in_file == in_model {
            return Ok(());
        }
        let first = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
            a.difference(b)
                .next()
                .cloned()
                .unwrap_or_else(|| "nothing".into())
        };
        let Summary {
            kind,
            angle_form,
            norm_scale,
        } = &self.file.summary;
        Err(self.mismatch(format!(
            "it holds a {kind} adapter (angle form {angle_form}, norm scale {norm_scale}) and differs from the model's: only the file \
             has {}, only the model has {}; load it onto the model without an adapter, which takes the settings from the file",
            first(&in_file, &in_model),
            first(&in_model, &in_file),
        )))
    }

    /// What was trained beside the adapters is trainable if they are: else the next save would leave it out.
    fn check_kept(&self) -> Result<(), Error> {
        let trainable = |entry: &&Entry| entry.goft().is_some() && entry.trainable;
        if !self.entries.iter().any(|entry| trainable(&entry)) {
            return Ok(());
        }
        let frozen = self.entries.iter().find(|entry| {
            let kept = entry.owner == Owner::Model && self.file.tensors.contains_key(&entry.path);
            kept && !entry.trainable && !is_buffer(entry)
        });
        match frozen {
            None => Ok(()),
            Some(entry) => Err(self.mismatch(format!(
                "it holds `{0}`, trained beside the adapters, which the model has frozen, and saving would lose it; attach with \
                 `Goft::with_trainable([\"{0}\"])`, or load onto the model without an adapter",
                entry.path
            ))),
        }
    }

    /// The file's adapters by target, each on the device of its weight.
    fn adapters(&self) -> Result<BTreeMap<String, GoftAdapter>, Error> {
        let incomplete = |target: &str| {
            self.mismatch(format!(
                "it must hold exactly one of angles, tanh_angles, blocks and skew, and at most one scale, for `{target}`; save it again"
            ))
        };
        let mut adapters: BTreeMap<String, GoftAdapter> = BTreeMap::new();
        for (name, data) in &self.file.tensors {
            let Some((target, field)) = self.split(name) else {
                continue;
            };
            let [d_input, d_output] = self.file.targets[target];
            let pairs = d_input.saturating_sub(1);
            let expected = match field {
                "angles" | "tanh_angles" => vec![pairs],
                "blocks" => vec![pairs, 2, 2],
                "input_scale" => vec![d_input],
                "neuron_scale" => vec![d_output],
                field if let Some(form) = Oft::of_field(field) => {
                    vec![form.parameter_count(d_input)]
                }
                _ => {
                    return Err(self.mismatch(format!(
                        "it holds `{name}`, and this build knows no adapter parameter `{field}`; load it with the burn-goft that \
                         wrote it"
                    )));
                }
            };
            if data.shape().as_slice() != expected {
                return Err(self.mismatch(format!(
                    "`{name}` has shape {:?}, and a weight [{d_input}, {d_output}] needs {expected:?}; save it again",
                    data.shape().as_slice()
                )));
            }
            let adapter = adapters
                .entry(target.to_string())
                .or_insert_with(GoftAdapter::empty);
            // The names of two forms differ, and the second would replace the first.
            if adapter.oft().is_some() && Oft::of_field(field).is_some() {
                return Err(incomplete(target));
            }
            adapter.set(field, flat(data, &self.device(target)), &expected);
        }
        for target in self.file.targets.keys() {
            if !adapters.get(target).is_some_and(GoftAdapter::is_complete) {
                return Err(incomplete(target));
            }
        }
        Ok(adapters)
    }

    fn kept(&self) -> BTreeMap<String, Tensor<1>> {
        let kept = self
            .file
            .tensors
            .iter()
            .filter(|(name, _)| self.split(name).is_none());
        kept.map(|(name, data)| (name.clone(), flat(data, &self.device(name))))
            .collect()
    }

    /// Where a parameter of the model is, that [`check_base`](Self::check_base) has found.
    fn device(&self, path: &str) -> Device {
        let entry = self.entries.iter().find(|entry| entry.path == path);
        entry.expect("checked before").device.clone()
    }

    /// `target.goft.field` into target and field. A kept parameter may have `goft` in its path too, so the target must be one.
    fn split<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        // A lone parameter has an empty path.
        let lone = || Some(("", name.strip_prefix("goft.")?));
        let parts = name.rsplit_once(".goft.").or_else(lone);
        parts.filter(|(target, _)| self.file.targets.contains_key(*target))
    }
}

/// Sets the values of adapters and kept parameters in place, ids and training state unchanged.
struct Refill {
    names: Vec<String>,
    /// The form of the adapter whose parameters come next.
    oft: Option<Oft>,
    tensors: BTreeMap<String, TensorData>,
}

impl ModuleMapper for Refill {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.oft = Oft::read(&flag).or(self.oft);
        flag
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self
            .tensors
            .remove(&walk::named(self.names.join("."), self.oft))
        {
            Some(data) => {
                let device = param.device();
                replace(param, flat(&data, &device))
            }
            None => param,
        }
    }
}

/// The values in a row, in the data's dtype: without naming it, burn converts to the device's default.
fn flat(data: &TensorData, device: &Device) -> Tensor<1> {
    let length = data.num_elements();
    let dtype = data.dtype();
    let data = TensorData::from_bytes_vec(data.as_bytes().to_vec(), [length], dtype);
    Tensor::from_data(data, (device, dtype))
}

/// Running statistics are recorded by burn as parameters that never train.
fn is_buffer(entry: &Entry) -> bool {
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
