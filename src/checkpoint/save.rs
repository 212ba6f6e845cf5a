//! A model to the contents of a file.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;

use super::file::{AdapterFile, Entry};
use super::fingerprint::Fingerprint;
use super::values::data;
use crate::error::{Error, Origin, Problem};
use crate::model::buffers::moving;
use crate::model::parameters::{Owner, adapters, parameters, visit_parameters};
use crate::model::refusals::refuse_shared_paths;

impl AdapterFile {
    /// What [`save_adapters`](crate::GoftModule::save_adapters) would write of a model, in memory.
    ///
    /// # Errors
    ///
    /// If no adapter is there or one is frozen ([`is_not_adapted`](Error::is_not_adapted)), if
    /// another reparameterization trains too ([`is_unsaved`](Error::is_unsaved)), or if a value is
    /// not finite ([`is_not_finite`](Error::is_not_finite)).
    pub fn capture<M: Module>(model: &M) -> Result<Self, Error> {
        capture(model)
    }
}

fn capture<M: Module>(model: &M) -> Result<AdapterFile, Error> {
    // Running statistics keep the last batch aside until they are next read, and a visitor cannot
    // read them so.
    let model = model.valid();
    let adapters = adapters(&model);
    if adapters.is_empty() {
        return Err(Problem::NotAdapted {
            asked: "save the adapter",
        }
        .into());
    }
    refuse_shared_paths(&parameters(&model))?;
    let moving = moving(&model);
    let mut file = AdapterFile {
        origin: Origin::Model,
        targets: BTreeMap::new(),
        tensors: BTreeMap::new(),
        buffers: BTreeSet::new(),
        bases: BTreeMap::new(),
        any_base: false,
    };
    for (path, adapter) in &adapters {
        file.targets.insert(path.clone(), adapter.site().clone());
    }
    let mut refusal = None;
    visit_parameters(&model, |info, values| {
        if refusal.is_some() {
            return;
        }
        let (shape, moves) = match &info.owner {
            Owner::Goft { target, .. } if !info.trainable => {
                refusal = Some(
                    Problem::Frozen {
                        path: target.clone(),
                    }
                    .into(),
                );
                return;
            }
            Owner::Goft { target, field } => {
                let mut fields = adapters[target].fields();
                let named = fields.find(|(known, _)| known.name == *field);
                let shape = named.map(|(known, _)| known.shape.clone());
                (shape.unwrap_or_else(|| info.shape.clone()), false)
            }
            Owner::Other { name, .. } => {
                if info.trainable {
                    let (path, name) = (info.path.clone(), name.clone());
                    refusal = Some(Problem::Unsaved { path, name }.into());
                }
                return;
            }
            Owner::Model => (info.shape.clone(), moving.contains(&info.path)),
        };
        let trained = info.is_goft() || info.trainable;
        if !trained && !moves {
            let base = Fingerprint::new(values(), info.dtype);
            if base.is_finite() {
                file.bases.insert(info.path.clone(), base);
            } else if adapters.contains_key(&info.path) {
                refusal = Some(not_finite_base(&info.path));
            }
            return;
        }
        match data(&info.path, values(), shape) {
            Ok(data) => {
                let id = Some(info.id);
                file.tensors.insert(info.path.clone(), Entry { data, id });
            }
            Err(error) => refusal = Some(error),
        }
        if moves {
            file.buffers.insert(info.path.clone());
        }
    });
    match refusal {
        Some(error) => Err(error),
        None => Ok(file),
    }
}

fn not_finite_base(path: &str) -> Error {
    Problem::NonFinite {
        path: path.into(),
        what: "the pretrained weight".into(),
        count: 1,
        remedy: "nothing was written; load the pretrained model again",
    }
    .into()
}
