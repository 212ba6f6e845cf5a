//! The traversals that put adapters on a model, whether planned by settings or read from a file.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, Param, ParamId, Reparameterizer};
use burn::tensor::Tensor;

use super::buffers::{separate, settle};
use super::parameters::parameters;
use super::plan::Plan;
use super::refusals::refuse_adapted;
use super::target::Target;
use crate::adapter::{GoftAdapter, with_id};
use crate::numeric::parameter_dtype;

/// See [`apply_plan`](crate::GoftModule::apply_plan).
pub(crate) fn attach<M: Module>(model: M, plan: &Plan) -> M {
    assert_made_for(plan, &model);
    let by_plan = ByPlan {
        targets: plan.by_path(),
        trainable: plan.trainable.iter().map(String::as_str).collect(),
        init_std: plan.init_std,
    };
    settle(separate(model).apply_reparameterization(by_plan))
}

/// A target that the model lacks would be passed over without a word.
fn assert_made_for<M: Module>(plan: &Plan, model: &M) {
    let infos = parameters(model);
    if let Err(error) = refuse_adapted(&infos) {
        panic!("apply_plan: {error}");
    }
    let shapes = infos.iter().map(|info| (info.path.as_str(), &info.shape));
    let shapes: BTreeMap<&str, &Vec<usize>> = shapes.collect();
    let advice = "make the plan from the model that it is attached to";
    for Target { path, site, .. } in &plan.targets {
        let found = shapes.get(path.as_str());
        assert!(
            found.is_some_and(|found| **found == site.shape),
            "apply_plan: the plan is for a weight `{path}` of shape {:?}, and the model has {}; {advice}",
            site.shape,
            found.map_or("none of that path".into(), |found| format!("{found:?}"))
        );
    }
    for path in &plan.trainable {
        assert!(
            shapes.contains_key(path.as_str()),
            "apply_plan: the plan trains `{path}`, and the model has no parameter of that path; {advice}"
        );
    }
}

/// Attaches what a plan says.
struct ByPlan<'a> {
    targets: BTreeMap<&'a str, &'a Target>,
    trainable: BTreeSet<&'a str>,
    init_std: f64,
}

impl Reparameterizer for ByPlan<'_> {
    type Reparam = GoftAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<GoftAdapter>) {
        let param = param.set_require_grad(self.trainable.contains(path));
        let Some(target) = self.targets.get(path) else {
            return (param, None);
        };
        let base = param.base();
        let adapter = GoftAdapter::new(
            target.method,
            target.norm_scale,
            target.site.clone(),
            self.init_std,
            parameter_dtype(base.dtype()),
            &base.device(),
        );
        let adapter = adapter.expect("settings are checked when they are planned");
        (param, Some(adapter))
    }
}

/// A value to put in place of a model's, as a row, and the id to give its parameter.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) values: Tensor<1>,
    pub(crate) id: Option<ParamId>,
}

/// Attaches adapters that exist already, and puts other values under them or in the parameters
/// beside them.
pub(crate) struct ByFile {
    pub(crate) adapters: BTreeMap<String, GoftAdapter>,
    /// New values by path: of a weight that is adapted, of a parameter trained beside the adapters,
    /// or of running statistics.
    pub(crate) values: BTreeMap<String, Given>,
    /// The paths among them that are to be trained.
    pub(crate) trainable: BTreeSet<String>,
}

impl ByFile {
    pub(crate) fn attach<M: Module>(self, model: M) -> M {
        settle(separate(model).apply_reparameterization(self))
    }
}

impl Reparameterizer for ByFile {
    type Reparam = GoftAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<GoftAdapter>) {
        let param = match self.values.remove(path) {
            Some(given) => replace(param, given),
            None => param,
        };
        let param = param.set_require_grad(self.trainable.contains(path));
        (param, self.adapters.remove(path))
    }
}

/// The parameter with other values and, if given, another id: same shape, dtype, device and
/// training state.
pub(crate) fn replace<const D: usize>(param: Param<Tensor<D>>, given: Given) -> Param<Tensor<D>> {
    let param = match given.id {
        Some(id) => with_id(param, id),
        None => param,
    };
    param.map(|old| {
        let (shape, dtype, tracked) = (old.shape(), old.dtype(), old.is_require_grad());
        let value = given.values.to_device(&old.device()).reshape(shape);
        let value = if dtype.is_float() {
            value.cast(dtype)
        } else {
            value
        };
        let value = value.detach();
        if tracked { value.require_grad() } else { value }
    })
}
