//! Whether a file fits a model, and what it holds for it.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::Device;

use super::file::AdapterFile;
use super::values::row;
use crate::adapter::{GoftAdapter, Values};
use crate::error::Error;
use crate::model::attach::Given;
use crate::model::buffers::moving;
use crate::model::parameters::ParameterInfo;
use crate::numeric::parameter_dtype;

/// A set of paths, for messages and comparisons.
pub(super) type Paths = BTreeSet<String>;

/// A file beside the parameters of a model.
pub(super) struct Fit<'a> {
    file: &'a AdapterFile,
    by_path: BTreeMap<&'a str, &'a ParameterInfo>,
}

impl<'a> Fit<'a> {
    pub(super) fn new(file: &'a AdapterFile, infos: &'a [ParameterInfo]) -> Self {
        let by_path = infos.iter().map(|info| (info.path.as_str(), info));
        Self {
            file,
            by_path: by_path.collect(),
        }
    }

    /// There is a target, and every target and every kept parameter is there, of the recorded
    /// shape.
    pub(super) fn check_base(&self) -> Result<(), Error> {
        if self.file.targets.is_empty() {
            return Err(self.file.mismatch(
                "it holds no adapter: no path of the file lies inside the prefix that was asked for".into(),
            ));
        }
        for (target, site) in &self.file.targets {
            self.expect(
                target,
                &site.shape,
                "load it onto the model it was trained on",
            )?;
        }
        for (name, entry) in self.file.kept() {
            let shape = entry.data.shape().to_vec();
            let remedy = format!("give the model a `{name}` of shape {shape:?} before loading");
            self.expect(name, &shape, &remedy)?;
        }
        Ok(())
    }

    fn expect(&self, path: &str, shape: &[usize], remedy: &str) -> Result<(), Error> {
        match self.by_path.get(path) {
            Some(info) if info.shape == shape => Ok(()),
            Some(info) => Err(self.file.mismatch(format!(
                "it was trained with `{path}` of shape {shape:?}, and the model has {:?}; {remedy}",
                info.shape
            ))),
            None => Err(self.file.mismatch(format!(
                "it was trained with `{path}`, which the model does not have; {}",
                self.prefix()
                    .unwrap_or_else(|| { "load it onto the model it was trained on".into() })
            ))),
        }
    }

    /// What to do if the model holds the trained one in a field, or is a field of it.
    fn prefix(&self) -> Option<String> {
        let first = self.file.targets.keys().next()?;
        let all = |path: &dyn Fn(&str) -> Option<String>| {
            let mut targets = self.file.targets.keys();
            targets.all(|target| {
                path(target).is_some_and(|path| self.by_path.contains_key(path.as_str()))
            })
        };
        let outer = self.by_path.keys().find_map(|path| {
            let prefix = path.strip_suffix(first.as_str())?.strip_suffix('.')?;
            all(&|target| Some(format!("{prefix}.{target}"))).then(|| prefix.to_string())
        });
        if let Some(prefix) = outer {
            return Some(format!(
                "the model has it under `{prefix}`; load it with `AdapterFile::read(..)?.under(\"{prefix}\")`"
            ));
        }
        let dots = first.match_indices('.').map(|(dot, _)| &first[..dot]);
        let inner = dots.into_iter().find(|prefix| {
            all(&|target| {
                let rest = target.strip_prefix(*prefix)?.strip_prefix('.')?;
                Some(rest.to_string())
            })
        })?;
        Some(format!(
            "the model is what the trained one has under `{inner}`; load it with \
             `AdapterFile::read(..)?.inside(\"{inner}\")`"
        ))
    }

    /// The model's adapters are those of the file: same targets, sites and parameters.
    pub(super) fn check_adapted(
        &self,
        adapters: &BTreeMap<String, GoftAdapter>,
    ) -> Result<(), Error> {
        self.check_base()?;
        let describe = |adapters: &BTreeMap<String, GoftAdapter>| -> Paths {
            let one = |(path, adapter): (&String, &GoftAdapter)| {
                let names: Vec<_> = adapter.parameter_names().collect();
                let site = adapter.site();
                format!(
                    "`{path}` along axis {} by {}",
                    site.axis,
                    names.join(" and ")
                )
            };
            adapters.iter().map(one).collect()
        };
        let (in_file, in_model) = (describe(&self.adapters()?), describe(adapters));
        if in_file == in_model {
            return Ok(());
        }
        let only = |what: &str, a: &Paths, b: &Paths| {
            let first = a.difference(b).next()?;
            Some(format!("only the {what} adapts {first}"))
        };
        let differences = [
            only("file", &in_file, &in_model),
            only("model", &in_model, &in_file),
        ];
        let differences: Vec<_> = differences.into_iter().flatten().collect();
        Err(self.file.mismatch(format!(
            "its adapters differ from the model's: {}; take those off first with `detach_adapters`, and the file's \
             are attached as they are",
            differences.join(", ")
        )))
    }

    /// What was trained beside the adapters is trainable if they are, or the next save would leave
    /// it out; and what the model trains beside them is in the file, or an earlier adapter's values
    /// would stay.
    pub(super) fn check_kept<M: Module>(&self, model: &M) -> Result<(), Error> {
        let mut ours = self.by_path.values().filter(|info| info.is_goft());
        let training = ours.any(|info| info.trainable);
        let frozen = self.file.kept().find(|(name, _)| {
            let trained = self
                .by_path
                .get(name.as_str())
                .is_some_and(|info| info.trainable);
            !trained && !self.file.buffers.contains(*name)
        });
        if let (true, Some((name, _))) = (training, frozen) {
            return Err(self.file.mismatch(format!(
                "it holds `{name}`, trained beside the adapters, which the model has frozen, and saving would lose it; \
                 take the adapters off first with `detach_adapters`, or attach with \
                 `Goft::with_trainable([\"{name}\"])`"
            )));
        }
        let moving = moving(model);
        let stays = self.by_path.values().find(|info| {
            let moves = info.trainable || moving.contains(&info.path);
            info.is_model() && moves && !self.file.tensors.contains_key(&info.path)
        });
        match stays {
            None => Ok(()),
            Some(info) => Err(self.file.mismatch(format!(
                "the model trains `{0}` beside its adapters, and the file has no `{0}`, so that the values of an earlier \
                 adapter would stay; load it onto the pretrained model instead",
                info.path
            ))),
        }
    }

    /// The file's adapters by target, each on the device of its weight.
    pub(super) fn adapters(&self) -> Result<BTreeMap<String, GoftAdapter>, Error> {
        let mut values: BTreeMap<&str, Values> = BTreeMap::new();
        for (name, entry) in &self.file.tensors {
            if let Some((target, field)) = self.file.split(name) {
                let row = row(&entry.data, &self.device(target));
                let row = match self.by_path.get(target) {
                    Some(info) => row.cast(parameter_dtype(info.dtype)),
                    None => row,
                };
                let fields = values.entry(target).or_default();
                fields.insert(field.to_string(), (row, entry.id));
            }
        }
        let mut adapters = BTreeMap::new();
        for (target, site) in &self.file.targets {
            let values = values.remove(target.as_str()).unwrap_or_default();
            let adapter = GoftAdapter::from_values(site.clone(), values).map_err(|reason| {
                self.file.mismatch(format!(
                    "for `{target}` {reason}; load it with the burn-goft that wrote it, or save it again"
                ))
            })?;
            self.check_shapes(target, &adapter)?;
            adapters.insert(target.clone(), adapter);
        }
        Ok(adapters)
    }

    fn check_shapes(&self, target: &str, adapter: &GoftAdapter) -> Result<(), Error> {
        for (field, _) in adapter.fields() {
            let name = match target {
                "" => format!("goft.{}", field.name),
                target => format!("{target}.goft.{}", field.name),
            };
            let found = self.file.tensors.get(&name);
            let found = found.map(|entry| entry.data.shape().to_vec());
            if found.as_ref() != Some(&field.shape) {
                return Err(self.file.mismatch(format!(
                    "`{name}` has shape {:?}, and a weight {:?} needs {:?}; save it again",
                    found.unwrap_or_default(),
                    adapter.site().shape,
                    field.shape
                )));
            }
        }
        Ok(())
    }

    /// Values and ids of what is kept beside the adapters.
    pub(super) fn kept(&self) -> BTreeMap<String, Given> {
        let given = |(name, entry): (&String, &super::file::Entry)| {
            let values = row(&entry.data, &self.device(name));
            let id = entry.id;
            (name.clone(), Given { values, id })
        };
        self.file.kept().map(given).collect()
    }

    /// Paths of the parameters that were trained beside the adapters.
    pub(super) fn trainable(&self) -> Paths {
        let kept = self.file.kept().map(|(name, _)| name);
        let trained = kept.filter(|name| !self.file.buffers.contains(*name));
        trained.cloned().collect()
    }

    /// Where a parameter of the model is.
    fn device(&self, path: &str) -> Device {
        let info = self.by_path.get(path).expect("its path is checked before");
        info.device.clone()
    }
}
