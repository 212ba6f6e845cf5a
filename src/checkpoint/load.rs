//! The contents of a file to a model.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

use super::file::AdapterFile;
use super::fingerprint::{Fingerprint, Nearer};
use super::fit::Fit;
use crate::adapter::GoftAdapter;
use crate::error::{Error, Problem, listing};
use crate::model::attach::{ByFile, Given, replace};
use crate::model::buffers::separate;
use crate::model::parameters::{
    ParameterInfo, Place, adapters, map_adapters, parameters, visit_parameters,
};
use crate::model::refusals::refuse_adapted;

impl AdapterFile {
    /// Whether [`load_adapters`](crate::GoftModule::load_adapters) would load it onto this model,
    /// without loading.
    ///
    /// # Errors
    ///
    /// The errors of [`load_adapters`](crate::GoftModule::load_adapters).
    pub fn check<M: Module>(&self, model: &M) -> Result<(), Error> {
        check(model, self)
    }

    /// Whether the values of a parameter, in a row, are those of the training, as far as
    /// [`bases`](Self::bases) tells: for weights that are in no model. `dtype` is what they are
    /// stored in; rounding to it is no other base.
    ///
    /// # Errors
    ///
    /// If they are others ([`is_other_base`](Error::is_other_base)).
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::{DType, Device}};
    /// use burn_goft::{AdapterFile, Goft, GoftModule};
    ///
    /// let layer = LinearConfig::new(8, 3).init(&Device::flex());
    /// let file = AdapterFile::capture(&layer.clone().apply_goft(Goft::strict())?)?;
    /// assert_eq!(file.bases().collect::<Vec<_>>(), ["bias", "weight"]);
    /// let weight = layer.weight.val().flatten(0, 1);
    /// file.check_base("weight", weight.clone(), DType::F32)?;
    /// let other = weight.mul_scalar(1.5);
    /// assert!(file.check_base("weight", other, DType::F32).unwrap_err().is_other_base());
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    pub fn check_base(&self, path: &str, values: Tensor<1>, dtype: DType) -> Result<(), Error> {
        let found = Fingerprint::new(values.without_autodiff(), dtype);
        near_base(self, path, &found, UNDER).map(drop)
    }
}

fn check<M: Module>(model: &M, file: &AdapterFile) -> Result<(), Error> {
    let infos = parameters(model);
    let fit = Fit::new(file, &infos);
    if infos.iter().any(ParameterInfo::is_goft) {
        fit.check_adapted(&adapters(model))?;
        fit.check_kept(model)?;
    } else {
        refuse_adapted(&infos)?;
        fit.check_base()?;
    }
    check_fingerprints(model, file, &fit.adapters()?)
}

/// See [`load_adapters`](crate::GoftModule::load_adapters).
pub(crate) fn load<M: Module>(model: M, file: AdapterFile) -> Result<M, Error> {
    check(&model, &file)?;
    let infos = parameters(&model);
    warn_of_others(&infos, &file);
    let fit = Fit::new(&file, &infos);
    let (mut adapters, values) = (fit.adapters()?, fit.kept());
    if !infos.iter().any(ParameterInfo::is_goft) {
        let trainable = fit.trainable();
        let by_file = ByFile {
            adapters,
            values,
            trainable,
        };
        return Ok(by_file.attach(model));
    }
    let model = separate(model).map(&mut Refill {
        place: Place::default(),
        values,
    });
    Ok(map_adapters(model, |path| {
        let adapter = adapters.remove(path)?;
        Some(Box::new(move |old: GoftAdapter| old.refilled(adapter)))
    }))
}

/// A model may have more than was trained, such as a head that comes later.
fn warn_of_others(infos: &[ParameterInfo], file: &AdapterFile) {
    let known = |path: &String| file.bases.contains_key(path) || file.tensors.contains_key(path);
    let others = infos
        .iter()
        .filter(|info| info.is_model() && info.shape.len() > 1 && !known(&info.path));
    let others: Vec<String> = others.map(|info| info.path.clone()).collect();
    if !others.is_empty() {
        log::warn!(
            "{} knows nothing of {}, which the model has beside what was trained",
            file.origin,
            listing(&others)
        );
    }
}

/// See [`unmerge_adapters`](crate::GoftModule::unmerge_adapters).
pub(crate) fn unmerge<M: Module>(merged: M, file: AdapterFile) -> Result<M, Error> {
    let infos = parameters(&merged);
    refuse_adapted(&infos)?;
    let fit = Fit::new(&file, &infos);
    fit.check_base()?;
    let (adapters, mut values) = (fit.adapters()?, fit.kept());
    let mut weights = BTreeMap::new();
    let mut nearer = Nearer::default();
    check_parameters(&merged, &file, |info, row| {
        let Some(adapter) = adapters.get(&info.path) else {
            return base_of(&file, info, row, BESIDE).map(drop);
        };
        let (weight, _) = adapter.unmerge_row(row().without_autodiff())?;
        let taken_out = base_of(&file, info, &|| weight.clone(), NOT_MERGED)?;
        nearer.add(distance(&file, info, row), taken_out);
        weights.insert(info.path.clone(), weight);
        Ok(())
    })?;
    if nearer.never_merged() && !file.any_base {
        return Err(merge_error(&file, "is not merged into it", NOT_MERGED));
    }
    let weight = |(path, values)| (path, Given { values, id: None });
    values.extend(weights.into_iter().map(weight));
    let trainable = fit.trainable();
    let by_file = ByFile {
        adapters,
        values,
        trainable,
    };
    Ok(by_file.attach(merged))
}

/// Every value that the file was trained on and does not hold is what it was, and the adapter is
/// not in the weights already.
fn check_fingerprints<M: Module>(
    model: &M,
    file: &AdapterFile,
    adapters: &BTreeMap<String, GoftAdapter>,
) -> Result<(), Error> {
    let mut nearer = Nearer::default();
    // Running statistics keep the last batch aside until they are next read.
    check_parameters(&model.valid(), file, |info, row| {
        let Some(adapter) = adapters.get(&info.path) else {
            return base_of(file, info, row, BESIDE).map(drop);
        };
        let as_it_is = base_of(file, info, row, UNDER)?;
        if as_it_is > 0.0
            && let Ok((weight, _)) = adapter.unmerge_row(row().without_autodiff())
        {
            nearer.add(as_it_is, distance(file, info, &|| weight.clone()));
        }
        Ok(())
    })?;
    if nearer.merged() {
        return Err(merge_error(file, "is merged into it already", UNDER));
    }
    Ok(())
}

type Row<'a> = &'a dyn Fn() -> Tensor<1>;

/// Calls `check` for the model's own parameters, until one is refused.
fn check_parameters<M: Module>(
    model: &M,
    file: &AdapterFile,
    mut check: impl FnMut(&ParameterInfo, Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut result = Ok(());
    let mut missing = match file.any_base {
        true => BTreeSet::new(),
        false => file.bases.keys().cloned().collect::<BTreeSet<_>>(),
    };
    visit_parameters(model, |info, row| {
        if result.is_ok() && info.is_model() {
            missing.remove(&info.path);
            result = check(info, row);
        }
    });
    result?;
    match missing.first() {
        None => Ok(()),
        Some(path) => Err(file.mismatch(format!(
            "it was trained with `{path}`, which the model does not have; build the model as it was, or say that this \
             one is meant with `AdapterFile::for_any_base()`"
        ))),
    }
}

/// What to do about an adapted weight that is another one.
const UNDER: &str = "load it onto the model it was trained on (not one into which it was merged), or say that this one is \
                     meant with `AdapterFile::for_any_base()`";
/// What to do about a parameter that is neither adapted nor in the file.
const BESIDE: &str = "it is neither adapted nor in the file, as a fresh head that nobody trained, or one that was trained \
                      with another adapter; start from the pretrained model (`detach_adapters` takes adapters off), or \
                      say that this one is meant with `AdapterFile::for_any_base()`";
/// What to do about a weight that unmerging does not lead back to the base.
const NOT_MERGED: &str = "the adapter was not merged into this model, or another one was merged after it; unmerge in the \
                          opposite order, or with `AdapterFile::for_any_base()`";

/// How far a parameter is from the file's base; refused if rounding does not explain it.
fn base_of(
    file: &AdapterFile,
    info: &ParameterInfo,
    row: Row<'_>,
    remedy: &'static str,
) -> Result<f64, Error> {
    if file.any_base || !file.bases.contains_key(&info.path) {
        return Ok(0.0);
    }
    near_base(
        file,
        &info.path,
        &Fingerprint::new(row(), info.dtype),
        remedy,
    )
}

fn near_base(
    file: &AdapterFile,
    path: &str,
    found: &Fingerprint,
    remedy: &'static str,
) -> Result<f64, Error> {
    let Some(base) = file.bases.get(path).filter(|_| !file.any_base) else {
        return Ok(0.0);
    };
    base.near(found).map_err(|far| {
        Problem::OtherBase {
            origin: file.origin.clone(),
            path: path.into(),
            difference: far.difference,
            allowed: far.allowed,
            remedy,
        }
        .into()
    })
}

/// How far a parameter is from the file's base.
fn distance(file: &AdapterFile, info: &ParameterInfo, row: Row<'_>) -> f64 {
    let base = file.bases.get(&info.path);
    base.map_or(0.0, |base| {
        match base.near(&Fingerprint::new(row(), info.dtype)) {
            Ok(difference) => difference,
            Err(far) => far.difference,
        }
    })
}

fn merge_error(file: &AdapterFile, found: &'static str, remedy: &'static str) -> Error {
    Problem::Merged {
        origin: file.origin.clone(),
        found,
        remedy,
    }
    .into()
}

/// Sets the values and ids of parameters that the model itself has.
struct Refill {
    place: Place,
    values: BTreeMap<String, Given>,
}

impl ModuleMapper for Refill {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.values.remove(&self.place.path()) {
            Some(given) => replace(param, given),
            None => param,
        }
    }
}
