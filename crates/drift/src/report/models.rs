//! The weights of a model as sets of vectors, matched by path with those of another one.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::Tensor;
use burn_goft::{GoftModule, Owner, ParameterInfo, parameters, visit_parameters};

use crate::error::Error;

/// A weight of both models, its vectors as columns.
pub(super) struct Weight {
    pub(super) path: String,
    pub(super) before: Tensor<2>,
    pub(super) after: Tensor<2>,
}

/// Every `Linear`'s weight and every adapted one, with its adapter folded in, in the order of the
/// fields of the model before.
pub(super) fn weights<B: Module, A: Module>(before: &B, after: &A) -> Result<Vec<Weight>, Error> {
    let wanted = &wanted(before) | &wanted(after);
    let mut axes = axes(before);
    axes.extend(self::axes(after));
    let (old, mut new) = (values(before, &wanted), values(after, &wanted));
    let mut weights = Vec::new();
    for before in old {
        let after = new.iter().position(|other| other.path == before.path);
        match after.map(|index| new.remove(index)) {
            Some(after) if after.shape == before.shape => {
                let axis = axes.get(&before.path).copied();
                let axis = axis.unwrap_or(before.axis);
                weights.push(Weight {
                    before: before.vectors(axis),
                    after: after.vectors(axis),
                    path: before.path,
                });
            }
            after => return Err(differ(Some(&before), after.as_ref())),
        }
    }
    match new.first() {
        Some(extra) => Err(differ(None, Some(extra))),
        None => Ok(weights),
    }
}

fn differ(before: Option<&Values>, after: Option<&Values>) -> Error {
    let describe = |weight: Option<&Values>| match weight {
        Some(weight) => format!("{:?}", weight.shape),
        None => "missing".into(),
    };
    let path = before.or(after).map_or("", |weight| &weight.path);
    Error::Incomparable {
        what: format!("the weight `{path}`"),
        before: describe(before),
        after: describe(after),
    }
}

/// The paths of the weights of `Linear`s and of adapted ones.
fn wanted<M: Module>(model: &M) -> BTreeSet<String> {
    let wanted = |parameter: ParameterInfo| match parameter.owner {
        Owner::Goft { target, .. } | Owner::Other { target, .. } => Some(target),
        _ => is_linear_weight(&parameter).then_some(parameter.path),
    };
    parameters(model).into_iter().filter_map(wanted).collect()
}

fn is_linear_weight(parameter: &ParameterInfo) -> bool {
    let name = parameter.path.rsplit('.').next().unwrap_or_default();
    parameter.container == "Struct:Linear" && name == "weight" && parameter.shape.len() == 2
}

/// The axes along which adapters of `burn_goft` turn, by path.
fn axes<M: Module>(model: &M) -> BTreeMap<String, usize> {
    let adapters = model.adapters().into_iter();
    adapters
        .map(|(path, adapter)| (path, adapter.axis()))
        .collect()
}

/// The values of a weight in a row.
struct Values {
    path: String,
    shape: Vec<usize>,
    row: Tensor<1>,
    /// The axis along which its vectors lie, if no adapter says another.
    axis: usize,
}

impl Values {
    /// The vectors along an axis as columns: the inputs of neurons, the rows of an embedding, the
    /// channels at one place of a kernel.
    fn vectors(&self, axis: usize) -> Tensor<2> {
        let length = self.shape[axis];
        let before: usize = self.shape[..axis].iter().product();
        let after: usize = self.shape[axis + 1..].iter().product();
        let parts = self.row.clone().reshape([before, length, after]);
        parts.swap_dims(0, 1).reshape([length, before * after])
    }
}

fn values<M: Module>(model: &M, wanted: &BTreeSet<String>) -> Vec<Values> {
    // A visitor sees the base of an adapted parameter, never its value. The copy shares every other
    // tensor with the model.
    let folded = model.valid().materialize();
    let mut found = Vec::new();
    visit_parameters(&folded, |parameter, values| {
        if wanted.contains(&parameter.path) {
            found.push(Values {
                path: parameter.path.clone(),
                shape: parameter.shape.clone(),
                row: values().without_autodiff(),
                axis: usize::from(parameter.container == "Struct:Embedding"),
            });
        }
    });
    found
}
