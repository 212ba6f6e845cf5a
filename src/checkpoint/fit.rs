//! Whether a file fits a model, and what it holds for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::file::{AdapterFile, Summary};
use super::model::{flat, is_buffer};
use crate::adapter::GoftAdapter;
use crate::error::Error;
use crate::oft::Oft;
use crate::walk::{Entry, Owner};

/// Whether a file fits a model.
pub(super) struct Fit<'a> {
    pub(super) file: &'a AdapterFile,
    pub(super) entries: &'a [Entry],
    pub(super) path: &'a Path,
}

impl Fit<'_> {
    fn mismatch(&self, reason: String) -> Error {
        Error::Mismatch {
            path: self.path.into(),
            reason,
        }
    }

    /// Every target and every kept parameter is there, of the recorded shape.
    pub(super) fn check_base(&self) -> Result<(), Error> {
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
    pub(super) fn check_adapted(&self) -> Result<(), Error> {
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
    pub(super) fn check_kept(&self) -> Result<(), Error> {
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
    pub(super) fn adapters(&self) -> Result<BTreeMap<String, GoftAdapter>, Error> {
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

    pub(super) fn kept(&self) -> BTreeMap<String, Tensor<1>> {
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
