//! Weights, matched by path.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::super::angles::AngleChange;
use super::super::energy::EnergyChange;
use super::super::factors::Factors;
use super::super::host::Host;
use super::super::norms::NormChange;
use super::super::rotation::{Rotation, RotationDrift};
use super::super::spectrum::SpectrumChange;
use super::super::{angles, distance, energy, norms, spectrum, subspace};
use super::{Drift, Pair, in_parallel, keep};
use crate::error::Error;
use crate::targets::is_linear_weight;
use crate::walk::{self, Owner};

/// What one decomposition of each weight is for.
const DECOMPOSED: &str = "spectrum and subspace";

/// How far one weight moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightDrift {
    /// Path of the weight.
    pub path: String,
    /// `[d_input, d_output]`.
    pub shape: [usize; 2],
    /// Neurons whose angles, energy, spectrum and subspace were measured.
    pub sampled_neurons: usize,
    /// [`relative_change`](crate::relative_change) of the whole weight.
    pub relative_change: Option<f64>,
    /// [`norm_change`](crate::norm_change) of all neurons.
    pub norms: Option<NormChange>,
    /// [`angle_change`](crate::angle_change), radians.
    pub angles: Option<AngleChange>,
    /// [`energy_change`](crate::energy_change).
    pub energy: Option<EnergyChange>,
    /// [`spectrum_change`](crate::spectrum_change).
    pub spectrum: Option<SpectrumChange>,
    /// [`subspace_similarity`](crate::subspace_similarity).
    pub subspace: Option<f64>,
    /// [`rotation_drift`](crate::rotation_drift), where the model after carries an adapter of this crate that is switched on.
    pub rotation: Option<RotationDrift>,
}

pub(super) fn compare<B: Module, A: Module>(
    drift: &Drift,
    before: &B,
    after: &A,
    notes: &mut Vec<String>,
) -> Result<Vec<WeightDrift>, Error> {
    let (old, mut new) = (matrices(before), matrices(after));
    let rotations = match walk::any_switched_off(after) {
        true => BTreeMap::new(),
        false => walk::adapters(after),
    };
    let mut weights = Vec::new();
    for (path, before) in old {
        let after = new.iter().position(|(other, _)| *other == path);
        let after = after.map(|index| new.remove(index).1);
        if !before.wanted && !after.as_ref().is_some_and(|after| after.wanted) {
            continue;
        }
        let shape = before.values.dims();
        match after {
            Some(after) if after.values.dims() == shape => {
                weights.push((path, before.values, after.values));
            }
            after => return Err(differ(&path, Some(before), after)),
        }
    }
    if let Some((path, extra)) = new.into_iter().find(|(_, matrix)| matrix.wanted) {
        return Err(differ(&path, None, Some(extra)));
    }
    let read = |(path, before, after): (String, Tensor<2>, _)| {
        let read = |adapter| Rotation::read(adapter, before.dims()[0]);
        let rotation = rotations.get(&path).map(read);
        (path, Pair::read(before, after), rotation)
    };
    let measure = |(path, pair, rotation): (_, _, Option<_>), notes: &mut Vec<String>| {
        let mut weight = measure(drift, path, pair, notes);
        let rotation = rotation.map(|read: Result<Rotation, _>| read?.measure());
        weight.rotation = rotation.and_then(|rotation| keep(&weight.path, rotation, notes));
        weight
    };
    Ok(in_parallel(weights, notes, read, measure))
}

fn differ(path: &str, before: Option<Matrix>, after: Option<Matrix>) -> Error {
    let describe = |matrix: Option<Matrix>| match matrix {
        Some(matrix) => format!("{:?}", matrix.values.dims()),
        None => "missing".into(),
    };
    Error::Incomparable {
        what: format!("the weight `{path}`"),
        before: describe(before),
        after: describe(after),
    }
}

struct Matrix {
    /// With the adapter folded in.
    values: Tensor<2>,
    /// The weight of a `Linear`, or adapted.
    wanted: bool,
}

/// All matrices of a model by path, in the order of its fields.
fn matrices<M: Module>(model: &M) -> Vec<(String, Matrix)> {
    let entries = walk::entries(model, |_| false);
    let adapted: BTreeSet<String> = entries
        .into_iter()
        .filter_map(|entry| match entry.owner {
            Owner::Model => None,
            Owner::Goft { target, .. } | Owner::Other { target, .. } => Some(target),
        })
        .collect();
    // A visitor sees the base of an adapted parameter, never its value. The copy shares every other tensor with the model.
    let folded = model.clone().materialize();
    let matrices = walk::entries(&folded, |entry| entry.shape.len() == 2);
    let matrices = matrices.into_iter().filter_map(|entry| {
        let wanted = is_linear_weight(&entry) || adapted.contains(&entry.path);
        let [d_input, d_output] = entry.shape.as_slice().try_into().ok()?;
        let values = entry
            .values?
            .without_autodiff()
            .reshape([d_input, d_output]);
        Some((entry.path, Matrix { values, wanted }))
    });
    matrices.collect()
}

fn measure(drift: &Drift, path: String, pair: Pair, notes: &mut Vec<String>) -> WeightDrift {
    let [d_input, d_output] = pair.shape;
    let sample = drift.sample(d_output, drift.neurons);
    let mut moved = WeightDrift {
        path: path.clone(),
        shape: [d_input, d_output],
        sampled_neurons: sample.len(),
        relative_change: None,
        norms: None,
        angles: None,
        energy: None,
        spectrum: None,
        subspace: None,
        rotation: None,
    };
    let path = &path;
    let Some((before, after)) = keep(path, pair.values(), notes) else {
        return moved;
    };
    moved.relative_change = keep(path, distance::measure(&before, &after), notes);
    moved.norms = keep(path, norms::measure(&before, &after), notes);
    let (before, after) = (before.pick_columns(&sample), after.pick_columns(&sample));
    moved.angles = keep(path, angles::measure(&before, &after), notes);
    moved.energy = keep(path, energy::measure(&before, &after), notes);
    let factors = |neurons: &Host| keep(path, Factors::of(DECOMPOSED, neurons), notes);
    if let [Some(before), Some(after)] = [&before, &after].map(factors) {
        let k = drift.directions.min(d_input).min(sample.len());
        moved.subspace = keep(path, subspace::measure(&before, &after, k), notes);
        let spectrum = spectrum::measure(before.values, after.values);
        moved.spectrum = keep(path, spectrum, notes);
    }
    moved
}
