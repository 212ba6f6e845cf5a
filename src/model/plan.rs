//! What settings would do to a model, and how it prints.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::Module;

use super::fresh;
use super::parameters::{ParameterInfo, buffers, parameters};
use super::patterns::{Choice, DEFAULT_CONTAINER, Patterns};
use super::refusals::{refuse_adapted, refuse_shared_paths};
use super::report::{Coverage, Uncovered};
use super::settings::Goft;
use super::target::Target;
use crate::adapter::check_std;
use crate::error::{Error, Problem};

/// What [`Goft::plan`] found that the settings would do to a model. Prints as a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The weights to adapt, in the order of the model's fields.
    pub targets: Vec<Target>,
    /// Paths of the parameters to be trained as they are.
    pub trainable: Vec<String>,
    /// Weights that would neither be adapted nor trained, and why, in the order of the model's
    /// fields.
    pub uncovered: Vec<Uncovered>,
    /// What deserves a look: targets that seem never to have been trained, such as a fresh head,
    /// and exclusions that leave out nothing.
    pub notices: Vec<String>,
    pub(crate) init_std: f64,
    pub(crate) coverage: Coverage,
}

impl Goft {
    /// What these settings would do to a model: a dry run that leaves the model as it is and prints
    /// as a table. An error here is one that [`apply_goft`](crate::GoftModule::apply_goft) would
    /// end in.
    ///
    /// # Errors
    ///
    /// The errors of [`apply_goft`](crate::GoftModule::apply_goft).
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft::{Goft, GoftModule};
    ///
    /// let linear = LinearConfig::new(8, 3).init(&Device::flex());
    /// let plan = Goft::strict().plan(&linear)?;
    /// println!("{plan}");
    /// let linear = linear.apply_plan(&plan); // cannot fail
    /// assert_eq!(linear.adapters().len(), 1);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    pub fn plan<M: Module>(&self, model: &M) -> Result<Plan, Error> {
        Plan::new(self, model)
    }
}

impl Plan {
    fn new<M: Module>(goft: &Goft, model: &M) -> Result<Self, Error> {
        check_std(goft.init_std)?;
        goft.method.check()?;
        for method in goft.overrides.iter().filter_map(|other| other.method) {
            method.check()?;
        }
        let infos = parameters(model);
        refuse_adapted(&infos)?;
        refuse_shared_paths(&infos)?;
        let patterns = Patterns::new(goft, &infos, buffers(model))?;
        let mut plan = Self {
            targets: Vec::new(),
            trainable: Vec::new(),
            uncovered: Vec::new(),
            notices: Vec::new(),
            init_std: goft.init_std,
            coverage: Coverage::default(),
        };
        let mut axis_used = false;
        for info in &infos {
            match patterns.choose(info)? {
                Choice::Trainable => plan.trainable.push(info.path.clone()),
                Choice::Target { target, by_axis } => {
                    axis_used |= by_axis;
                    plan.targets.push(target);
                }
                Choice::Left(reason) => plan.uncovered.extend(Uncovered::weight(info, reason)),
            }
        }
        if plan.targets.is_empty() {
            return Err(no_target(goft, &infos));
        }
        patterns.refuse_idle(&plan.targets)?;
        if let (Some(axis), false) = (goft.axis, axis_used) {
            return Err(Problem::Setting {
                asked: format!("the axis {axis} for targets whose container does not tell theirs"),
                reason: "every target's container does, so it changes nothing; leave it out, or give it to some \
                         targets by `Override::with_axis`"
                    .into(),
            }
            .into());
        }
        plan.notices = fresh::notices(model, plan.targets.iter().map(|target| &target.path));
        plan.notices.extend(patterns.idle_exclusions());
        plan.coverage = Coverage::of(&infos, &plan.uncovered);
        Ok(plan)
    }

    /// Number of parameters that would be trained in adapters.
    pub fn adapter_parameters(&self) -> usize {
        self.targets.iter().map(Target::parameters).sum()
    }

    pub(crate) fn by_path(&self) -> BTreeMap<&str, &Target> {
        let targets = self.targets.iter();
        targets
            .map(|target| (target.path.as_str(), target))
            .collect()
    }
}

fn no_target(goft: &Goft, infos: &[ParameterInfo]) -> Error {
    let weights: Vec<_> = infos.iter().filter(|info| info.shape.len() > 1).collect();
    let linear = weights
        .iter()
        .any(|info| info.container == DEFAULT_CONTAINER);
    let (reason, remedy) = match (&goft.targets, linear) {
        (Some(targets), _) if targets.is_empty() => (
            "the list of targets is empty",
            "leave `Goft::with_targets` out for the weight of every `Linear`",
        ),
        (None, true) => (
            "no `Linear` weight is left after exclusion and `trainable`",
            "name the weights with `Goft::with_targets([..])`",
        ),
        (None, false) => (
            "the model has no `Linear`, whose weights are the default targets",
            "name other weights, such as those of convolutions, with `Goft::with_targets([..])`",
        ),
        (Some(_), _) => (
            "every target is excluded or `trainable`",
            "name others with `Goft::with_targets([..])`",
        ),
    };
    Problem::NoTarget {
        reason,
        remedy,
        available: weights.into_iter().map(|info| info.path.clone()).collect(),
    }
    .into()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.targets.iter().map(|target| target.path.len());
        let width = paths.max().unwrap_or(0).max("weight".len());
        writeln!(
            f,
            "{:width$}  method  axis   dim  neurons  parameters",
            "weight"
        )?;
        for target in &self.targets {
            writeln!(
                f,
                "{:width$}  {:6}  {:4}  {:4}  {:7}  {:10}",
                target.path,
                target.method.name(),
                target.site.axis,
                target.site.dim(),
                target.site.neurons(),
                target.parameters()
            )?;
        }
        if !self.trainable.is_empty() {
            let trainable = crate::error::listing(&self.trainable);
            writeln!(f, "trained as they are: {trainable}")?;
        }
        self.coverage.fmt(f, &self.uncovered)?;
        for notice in &self.notices {
            writeln!(f, "notice: {notice}")?;
        }
        write!(f, "{} parameters in adapters", self.adapter_parameters())
    }
}
