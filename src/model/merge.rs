//! Folding adapters into weights, and taking them off.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::parameters::{Place, adapters, set_enabled, visit_parameters};
use crate::adapter::GoftAdapter;
use crate::error::{Error, Problem};
use crate::numeric::count_non_finite;
use crate::product::exactly;

/// See [`merge_adapters`](crate::GoftModule::merge_adapters).
pub(crate) fn merge<M: Module>(model: M) -> Result<M, Error> {
    let adapters = adapters(&model);
    if adapters.is_empty() {
        return Err(Problem::NotAdapted { asked: "merge" }.into());
    }
    if !adapters.values().all(GoftAdapter::is_enabled) {
        return Err(Problem::Disabled { asked: "merge" }.into());
    }
    let mut refusal = None;
    // One weight at a time: a model's weights need not fit in memory twice.
    visit_parameters(&model, |info, values| {
        let (Some(adapter), None) = (adapters.get(&info.path), &refusal) else {
            return;
        };
        let base = values().without_autodiff();
        let of_base = count_non_finite(&base.to_data());
        let merged = exactly(|| adapter.clone().valid().adapt_row(base));
        let count = count_non_finite(&merged.into_data());
        if count > 0 {
            let (what, remedy) = if of_base > 0 {
                (
                    "the pretrained weight",
                    "nothing was merged; load the pretrained model again",
                )
            } else {
                (
                    "the merged weight",
                    "nothing was merged; load an adapter from before the training diverged",
                )
            };
            refusal = Some(Problem::NonFinite {
                path: info.path.clone(),
                what: what.into(),
                count: if of_base > 0 { of_base } else { count },
                remedy,
            });
        }
    });
    match refusal {
        Some(problem) => Err(problem.into()),
        None => Ok(exactly(|| model.materialize())),
    }
}

/// See [`detach_adapters`](crate::GoftModule::detach_adapters).
pub(crate) fn detach<M: Module>(model: M) -> M {
    // What is folded while an adapter is off is the base itself. burn would unpack a packed one, so
    // that those wait outside.
    let mut packed = Packed {
        place: Place::default(),
        adapted: adapters(&model).into_keys().collect(),
        bases: BTreeMap::new(),
    };
    let model = set_enabled(model, false).map(&mut packed);
    model.materialize().map(&mut packed)
}

/// Takes packed bases of adapted parameters out of a model, and puts them back the next time.
struct Packed {
    place: Place,
    adapted: BTreeSet<String>,
    bases: BTreeMap<String, Box<dyn Any>>,
}

impl ModuleMapper for Packed {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.place.path();
        let value = if let Some(base) = self.bases.remove(&path) {
            *base.downcast().expect("a path has one rank")
        } else if self.adapted.remove(&path) && !param.base().dtype().is_float() {
            let base = param.base();
            let instead = Tensor::zeros([1; D], &base.device());
            self.bases.insert(path, Box::new(base));
            instead
        } else {
            return param;
        };
        let (id, _, mapper) = param.consume();
        Param::from_mapped_value(id, value, mapper)
    }
}
