//! Models that no adapter is attached to.

use std::collections::BTreeSet;

use super::parameters::{Owner, ParameterInfo};
use crate::error::{Error, Problem};

/// Two parameters of one path, as a module written by hand may show them: everything here knows
/// parameters by their paths.
pub(crate) fn refuse_shared_paths(infos: &[ParameterInfo]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    match infos.iter().find(|info| !seen.insert(&info.path)) {
        None => Ok(()),
        Some(info) => Err(Problem::Setting {
            asked: "a model whose parameters are told apart by their paths".into(),
            reason: format!(
                "two of them are shown as `{}`; give the fields names of their own in `Module::visit` and `Module::map`",
                info.path
            ),
        }
        .into()),
    }
}

/// A model that carries something already.
pub(crate) fn refuse_adapted(infos: &[ParameterInfo]) -> Result<(), Error> {
    for info in infos {
        let (path, name) = match &info.owner {
            Owner::Model => continue,
            Owner::Goft { target, .. } => (target.clone(), "goft".into()),
            Owner::Other { target, name } => (target.clone(), name.clone()),
        };
        return Err(Problem::AlreadyAdapted { path, name }.into());
    }
    Ok(())
}
