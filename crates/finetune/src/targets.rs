//! Which parameters a method is applied to, and what training changes.

use burn::module::{Module, ParamGroup};
use burn_goft::{ParameterInfo, parameters, visit_parameters};
use globset::Glob;

use crate::error::Error;
use crate::task::Body;

/// The parameters of a body that a method can be applied to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Targets {
    None,
    /// Vectors that are added, in linear layers and in layer norms.
    Biases,
    All,
    /// Matrices of linear layers.
    LinearWeights,
}

impl Targets {
    /// What messages call one of them.
    fn what(self) -> &'static str {
        match self {
            Self::None => "parameter",
            Self::Biases => "bias",
            Self::All => "parameter",
            Self::LinearWeights => "linear weight",
        }
    }

    fn contain(self, parameter: &ParameterInfo) -> bool {
        let ends = |names: &[&str]| names.iter().any(|name| parameter.path.ends_with(name));
        match self {
            Self::None => false,
            Self::Biases => ends(&[".bias", ".beta"]),
            Self::All => true,
            Self::LinearWeights => parameter.container == "Struct:Linear" && ends(&[".weight"]),
        }
    }

    /// The paths that globs choose, in the model's order; without globs, all. A glob that matches
    /// none is refused.
    pub(crate) fn choose<M: Module>(
        self,
        model: &M,
        body: &Body,
        globs: &[String],
    ) -> Result<Vec<String>, Error> {
        let candidates = parameters(model).into_iter();
        let candidates =
            candidates.filter(|known| !body.is_head(&known.path) && self.contain(known));
        let candidates: Vec<String> = candidates.map(|known| known.path).collect();
        if globs.is_empty() {
            return Ok(candidates);
        }
        let mut chosen = vec![false; candidates.len()];
        for glob in globs {
            let matcher = Glob::new(glob).map_err(|error| {
                Error::Settings(format!("`{glob}` is not a valid glob: {}", error.kind()))
            })?;
            let matcher = matcher.compile_matcher();
            let mut any = false;
            for (chosen, path) in chosen.iter_mut().zip(&candidates) {
                let matches = matcher.is_match(path);
                *chosen |= matches;
                any |= matches;
            }
            if !any {
                let shown = candidates.iter().take(6).map(|path| format!("`{path}`"));
                let shown = shown.collect::<Vec<_>>().join(", ");
                return Err(Error::Settings(format!(
                    "the target `{glob}` matches no {} of the {}; there are {} of them, {shown} \
                     and so on; `*` stands for any part",
                    self.what(),
                    body.name,
                    candidates.len()
                )));
            }
        }
        let kept = candidates.into_iter().zip(chosen);
        Ok(kept
            .filter_map(|(path, chosen)| chosen.then_some(path))
            .collect())
    }
}

/// How many parameters training changes, and how many there are, adapters included.
pub fn count<M: Module>(model: &M) -> (usize, usize) {
    let (mut trained, mut all) = (0, 0);
    for parameter in parameters(model) {
        all += parameter.count();
        if parameter.trainable {
            trained += parameter.count();
        }
    }
    (trained, all)
}

/// The parameters that training changes.
pub(crate) fn trained<M: Module>(model: &M) -> ParamGroup {
    let trained = parameters(model)
        .into_iter()
        .filter(|known| known.trainable);
    ParamGroup::from_ids(trained.map(|known| known.id).collect())
}

/// The paths of those.
pub(crate) fn trained_paths<M: Module>(model: &M) -> Vec<String> {
    let trained = parameters(model)
        .into_iter()
        .filter(|known| known.trainable);
    trained.map(|known| known.path).collect()
}

/// The first parameter that holds NaN or infinity.
pub(crate) fn first_not_finite<M: Module>(model: &M) -> Option<String> {
    let mut first = None;
    visit_parameters(model, |parameter, values| {
        if first.is_none() && !values().is_finite().all().into_scalar::<bool>() {
            first = Some(parameter.path.clone());
        }
    });
    first
}
