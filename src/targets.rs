//! Which parameters are adapted, which are trained as they are, and which are frozen.

use std::collections::BTreeMap;

use burn::module::Module;
use globset::{Glob, GlobMatcher};

use crate::error::Error;
use crate::goft::{Goft, Kind};
use crate::walk::{self, Entry, Owner};

/// What becomes of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Frozen, with an adapter.
    Target,
    /// Trained as it is.
    Trainable,
    Frozen,
}

/// The patterns of the settings, compiled.
pub(crate) struct Patterns {
    targets: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
    trainable: Vec<GlobMatcher>,
}

impl Patterns {
    pub(crate) fn new(goft: &Goft) -> Result<Self, Error> {
        Ok(Self {
            targets: compile(&goft.targets)?,
            exclude: compile(&goft.exclude)?,
            trainable: compile(&goft.trainable)?,
        })
    }

    /// The role of the parameter at `path`; `by_default` says whether it is a target where none is named.
    pub(crate) fn role(&self, path: &str, by_default: bool) -> Role {
        let any = |patterns: &[GlobMatcher]| patterns.iter().any(|p| p.is_match(path));
        let targeted = match self.targets.is_empty() {
            true => by_default,
            false => any(&self.targets),
        };
        if any(&self.trainable) {
            Role::Trainable
        } else if targeted && !any(&self.exclude) {
            Role::Target
        } else {
            Role::Frozen
        }
    }
}

fn compile(patterns: &[String]) -> Result<Vec<GlobMatcher>, Error> {
    let compile = |pattern: &String| match Glob::new(pattern) {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(Error::Pattern {
            pattern: pattern.clone(),
            reason: error.kind().to_string(),
        }),
    };
    patterns.iter().map(compile).collect()
}

/// The role of every parameter of a model, by path; refuses settings that do not fit the model.
pub(crate) fn select<M: Module>(model: &M, goft: &Goft) -> Result<BTreeMap<String, Role>, Error> {
    if goft.kind == Kind::Oft {
        let refuse = |reason| Error::Oft {
            asked: goft.oft_form(),
            reason,
        };
        goft.oft_form().check().map_err(refuse)?;
    }
    let patterns = Patterns::new(goft)?;
    let entries = walk::entries(model, |_| false);
    refuse_adapted(&entries)?;
    for (list, globs, compiled) in [
        ("targets", &goft.targets, &patterns.targets),
        ("exclude", &goft.exclude, &patterns.exclude),
        ("trainable", &goft.trainable, &patterns.trainable),
    ] {
        for (pattern, glob) in globs.iter().zip(compiled) {
            if !entries.iter().any(|entry| glob.is_match(&entry.path)) {
                return Err(Error::NoMatch {
                    pattern: pattern.clone(),
                    list,
                    available: entries.into_iter().map(|entry| entry.path).collect(),
                });
            }
        }
    }
    let mut roles = BTreeMap::new();
    for entry in &entries {
        let role = patterns.role(&entry.path, is_linear_weight(entry));
        if role == Role::Target && entry.shape.len() != 2 {
            return Err(Error::NotAMatrix {
                path: entry.path.clone(),
                shape: entry.shape.clone(),
            });
        }
        roles.insert(entry.path.clone(), role);
    }
    if !roles.values().any(|role| *role == Role::Target) {
        let reason = match goft.targets.is_empty() {
            true => "no `Linear` weight is left after exclusion and `trainable`",
            false => "every target is excluded or `trainable`",
        };
        return Err(Error::NoTarget {
            reason,
            available: matrices(entries),
        });
    }
    Ok(roles)
}

pub(crate) fn refuse_adapted(entries: &[Entry]) -> Result<(), Error> {
    for entry in entries {
        let (path, name) = match &entry.owner {
            Owner::Model => continue,
            Owner::Goft { target, .. } => (target.clone(), "goft".into()),
            Owner::Other { target, name } => (target.clone(), name.clone()),
        };
        return Err(Error::AlreadyAdapted { path, name });
    }
    Ok(())
}

pub(crate) fn is_linear_weight(entry: &Entry) -> bool {
    let name = entry.path.rsplit('.').next().unwrap_or_default();
    entry.container == "Struct:Linear" && name == "weight" && entry.shape.len() == 2
}

fn matrices(entries: Vec<Entry>) -> Vec<String> {
    let matrices = entries.into_iter().filter(|entry| entry.shape.len() == 2);
    matrices.map(|entry| entry.path).collect()
}
