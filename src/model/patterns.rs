//! The settings' patterns, matched against the parameters of a model.

use std::collections::BTreeSet;

use globset::{Glob, GlobMatcher};

use super::parameters::{ParameterInfo, holder};
use super::settings::{Goft, Override};
use super::target::Target;
use crate::adapter::{NormScale, Site};
use crate::error::{Error, Problem};
use crate::methods::Method;

/// What makes the default targets.
pub(super) const DEFAULT_CONTAINER: &str = "Struct:Linear";

/// The settings' patterns beside the parameters that they are about.
pub(super) struct Patterns<'a> {
    goft: &'a Goft,
    infos: &'a [ParameterInfo],
    /// Paths of running statistics, which never train.
    buffers: BTreeSet<String>,
    targets: Vec<Pattern>,
    exclude: Vec<Pattern>,
    trainable: Vec<Pattern>,
    overrides: Vec<Pattern>,
}

/// What becomes of a parameter.
pub(super) enum Choice {
    /// It is trained as it is.
    Trainable,
    /// It is adapted.
    Target {
        target: Target,
        /// Whether the settings' general axis decided.
        by_axis: bool,
    },
    /// It is frozen, and why.
    Left(String),
}

impl<'a> Patterns<'a> {
    /// Compiles the patterns; one that matches no parameter is an error.
    pub(super) fn new(
        goft: &'a Goft,
        infos: &'a [ParameterInfo],
        buffers: BTreeSet<String>,
    ) -> Result<Self, Error> {
        let patterns = Self {
            goft,
            infos,
            buffers,
            targets: Pattern::all(goft.targets.iter().flatten())?,
            exclude: Pattern::all(&goft.exclude)?,
            trainable: Pattern::all(&goft.trainable)?,
            overrides: Pattern::all(goft.overrides.iter().map(|other| &other.pattern))?,
        };
        patterns.refuse_unmatched()?;
        Ok(patterns)
    }

    pub(super) fn choose(&self, info: &ParameterInfo) -> Result<Choice, Error> {
        if self.buffers.contains(&info.path) {
            return Ok(Choice::Left("running statistics".into()));
        }
        if any(&self.trainable, &info.path) {
            return self.trainable(info);
        }
        if any(&self.exclude, &info.path) {
            return Ok(Choice::Left("excluded".into()));
        }
        self.candidate(info)
    }

    fn trainable(&self, info: &ParameterInfo) -> Result<Choice, Error> {
        if info.dtype.is_float() {
            return Ok(Choice::Trainable);
        }
        Err(Problem::Setting {
            asked: format!("`{}` to be trained as it is", info.path),
            reason: format!(
                "it is packed ({:?}), and no optimizer updates packed values; leave it out when quantizing",
                info.dtype
            ),
        }
        .into())
    }

    /// What becomes of a parameter that is neither trained as it is nor excluded.
    fn candidate(&self, info: &ParameterInfo) -> Result<Choice, Error> {
        let named = any(&self.targets, &info.path);
        if !named && self.goft.targets.is_some() {
            return Ok(Choice::Left("no target".into()));
        }
        let asked = self.asked(info);
        let (site, by_axis) = asked.site(self.goft.axis, info, self.infos);
        let by_default = info.container == DEFAULT_CONTAINER;
        let reason = match site {
            Ok(_) if !named && !by_default => {
                "no default target; name it with `Goft::with_targets([..])`".into()
            }
            Ok(site) if site.shape.contains(&0) => "it has no values".into(),
            Ok(site) if site.dim() < 2 => {
                "its vectors have one coordinate, which no rotation moves".into()
            }
            Ok(site) => {
                let target = Target {
                    path: info.path.clone(),
                    method: asked.method,
                    norm_scale: asked.norm_scale,
                    site,
                };
                return Ok(Choice::Target { target, by_axis });
            }
            Err(reason) => reason,
        };
        if !named {
            return Ok(Choice::Left(reason));
        }
        Err(Problem::Site {
            path: info.path.clone(),
            shape: info.shape.clone(),
            container: info.container.trim_start_matches("Struct:").into(),
            reason,
        }
        .into())
    }

    /// The settings, changed by the overrides that match; of several the last decides.
    fn asked(&self, info: &ParameterInfo) -> Asked {
        let mut asked = Asked {
            method: self.goft.method,
            norm_scale: self.goft.norm_scale,
            axis: None,
        };
        for (other, pattern) in self.goft.overrides.iter().zip(&self.overrides) {
            if pattern.matches(&info.path) {
                asked.method = other.method.unwrap_or(asked.method);
                asked.norm_scale = other.norm_scale.unwrap_or(asked.norm_scale);
                asked.axis = other.axis.or(asked.axis);
            }
        }
        asked
    }

    fn refuse_unmatched(&self) -> Result<(), Error> {
        for (list, patterns) in [
            ("targets", &self.targets),
            ("exclude", &self.exclude),
            ("trainable", &self.trainable),
            ("overrides", &self.overrides),
        ] {
            let infos = || {
                let infos = self.infos.iter();
                infos.filter(|info| !self.buffers.contains(&info.path))
            };
            let unmatched = |pattern: &&Pattern| !infos().any(|info| pattern.matches(&info.path));
            let Some(pattern) = patterns.iter().find(unmatched) else {
                continue;
            };
            let weights_only = list == "targets" || list == "overrides";
            let shown = infos().filter(|info| !weights_only || info.shape.len() > 1);
            return Err(Problem::NoMatch {
                pattern: pattern.text.clone(),
                list,
                what: "parameter",
                available: shown.map(|info| info.path.clone()).collect(),
            }
            .into());
        }
        Ok(())
    }

    /// A setting that changes nothing is not what was meant.
    pub(super) fn refuse_idle(&self, targets: &[Target]) -> Result<(), Error> {
        let refuse = |asked: String, reason: &str| {
            let reason = reason.into();
            Err(Problem::Setting { asked, reason }.into())
        };
        let idle = |pattern: &&Pattern| !targets.iter().any(|target| pattern.matches(&target.path));
        if let Some(pattern) = self.targets.iter().find(idle) {
            return refuse(
                format!("`{}` of `targets`", pattern.text),
                "all that it matches is excluded or trained as it is; leave it out of one of the lists",
            );
        }
        if let Some(pattern) = self.overrides.iter().find(idle) {
            return Err(Problem::NoMatch {
                pattern: pattern.text.clone(),
                list: "overrides",
                what: "target",
                available: targets.iter().map(|target| target.path.clone()).collect(),
            }
            .into());
        }
        for (index, other) in self.goft.overrides.iter().enumerate() {
            let asked = || format!("an override of `{}`", other.pattern);
            if other.is_empty() {
                return refuse(
                    asked(),
                    "it sets nothing; give it a method, a norm scale or an axis",
                );
            }
            if !targets.iter().any(|target| self.counts(index, target)) {
                return refuse(
                    asked(),
                    "later ones replace all that it sets; leave it out, or put it behind them",
                );
            }
        }
        Ok(())
    }

    /// Whether something that an override sets is not replaced by a later one.
    fn counts(&self, index: usize, target: &Target) -> bool {
        let matching = |(other, pattern): (&'a Override, &Pattern)| {
            pattern.matches(&target.path).then_some(other)
        };
        let mut overrides = self.goft.overrides.iter().zip(&self.overrides).skip(index);
        let Some(one) = overrides.next().and_then(matching) else {
            return false;
        };
        let later: Vec<_> = overrides.filter_map(matching).collect();
        one.method.is_some() && later.iter().all(|other| other.method.is_none())
            || one.norm_scale.is_some() && later.iter().all(|other| other.norm_scale.is_none())
            || one.axis.is_some() && later.iter().all(|other| other.axis.is_none())
    }

    /// A word on each pattern that leaves out nothing that would be a target.
    pub(super) fn idle_exclusions(&self) -> Vec<String> {
        let excludes = |pattern: &Pattern, info: &ParameterInfo| {
            pattern.matches(&info.path)
                && !any(&self.trainable, &info.path)
                // A parameter that could not be a target would be an error, but for the pattern.
                && matches!(self.candidate(info), Ok(Choice::Target { .. }) | Err(_))
        };
        let idle = |pattern: &&Pattern| !self.infos.iter().any(|info| excludes(pattern, info));
        let notice = |pattern: &Pattern| {
            format!(
                "`{}` of `exclude` leaves out nothing that would be a target",
                pattern.text
            )
        };
        self.exclude.iter().filter(idle).map(notice).collect()
    }
}

/// A pattern of the settings, compiled.
struct Pattern {
    text: String,
    glob: GlobMatcher,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, Error> {
        let glob = Glob::new(text).map_err(|error| Problem::Pattern {
            pattern: text.into(),
            reason: error.kind().to_string(),
        })?;
        Ok(Self {
            text: text.into(),
            glob: glob.compile_matcher(),
        })
    }

    fn all<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Vec<Self>, Error> {
        let texts = texts.into_iter();
        texts.map(|text| Self::new(text.as_ref())).collect()
    }

    fn matches(&self, path: &str) -> bool {
        self.glob.is_match(path)
    }
}

fn any(patterns: &[Pattern], path: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(path))
}

/// What the settings ask for one target.
struct Asked {
    method: Method,
    norm_scale: NormScale,
    axis: Option<usize>,
}

impl Asked {
    /// The site, and whether the general axis decided it.
    fn site(
        &self,
        fallback: Option<usize>,
        info: &ParameterInfo,
        all: &[ParameterInfo],
    ) -> (Result<Site, String>, bool) {
        let rank = info.shape.len();
        if rank < 2 {
            let reason = "it is a single vector (a bias or a norm), and a rotation needs a set of them; target the \
                          weights alone, or train it as it is with `Goft::with_trainable([..])`";
            return (Err(reason.into()), false);
        }
        let holder = holder(info, all);
        let known = Site::known(&holder, &info.shape);
        let (axis, by_axis) = match (&known, self.axis, fallback) {
            (_, Some(axis), _) => (axis, false),
            (Err(_), None, Some(axis)) => (axis, true),
            _ => return (known, false),
        };
        let site = if axis < rank {
            Ok(Site::along(axis, &holder, &info.shape))
        } else {
            Err(format!(
                "the settings ask for axis {axis}, and it has {rank} axes, which count from 0"
            ))
        };
        (site, by_axis)
    }
}
