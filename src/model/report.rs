//! What is adapted, what trains, and what is left alone.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::Module;

use super::fresh;
use super::parameters::{Owner, ParameterInfo, adapters, parameters};
use crate::adapter::{NormScale, Site};
use crate::error::listing;
use crate::methods::Method;

/// What [`apply_goft`](crate::GoftModule::apply_goft) did to a model, or what a loaded model
/// carries. Prints as a table. Every count is of parameters as an optimizer would see them.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftModule};
///
/// let linear = LinearConfig::new(8, 3).init(&Device::flex()).apply_goft(Goft::strict())?;
/// let report = linear.adapter_report();
/// assert_eq!((report.trainable_parameters(), report.total_parameters), (7, 7 + 8 * 3 + 3));
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AdapterReport {
    /// Adapted weights in the order of the model's fields.
    pub layers: Vec<AdaptedLayer>,
    /// Trainable parameters of the model itself, beside the adapters: those kept trainable, and
    /// adapted weights that somebody unfroze.
    pub kept_parameters: usize,
    /// Trainable parameters of other reparameterizations, such as burn's LoRA.
    pub other_parameters: usize,
    /// All float parameters of the model, adapters included.
    pub total_parameters: usize,
    /// Weights that are neither adapted nor trained, in the order of the model's fields.
    pub uncovered: Vec<Uncovered>,
    /// What deserves a look.
    pub notices: Vec<String>,
    coverage: Coverage,
}

/// One row of an [`AdapterReport`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AdaptedLayer {
    /// Path of the weight.
    pub path: String,
    /// The method, with its settings.
    pub method: Method,
    /// The norm scale.
    pub norm_scale: NormScale,
    /// Which axis of which shape is rotated.
    pub site: Site,
    /// Parameters of the adapter, its norm scale included.
    pub parameters: usize,
    /// How many of them are trainable.
    pub trainable: usize,
    /// Whether the adapter acts.
    pub enabled: bool,
}

/// A weight without an adapter that is not trained either.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uncovered {
    /// Path of the weight.
    pub path: String,
    /// The kind of layer that holds it, such as `Conv2d`.
    pub container: String,
    /// Number of its parameters.
    pub parameters: usize,
    /// Why it is left alone; empty where only a model's state is known.
    pub reason: String,
}

impl Uncovered {
    /// Matrices, kernels and other sets of vectors count; biases and norms are no candidates.
    pub(crate) fn weight(info: &ParameterInfo, reason: String) -> Option<Self> {
        (info.shape.len() > 1).then(|| Self {
            path: info.path.clone(),
            container: info.container.trim_start_matches("Struct:").into(),
            parameters: info.count(),
            reason,
        })
    }
}

/// How many of a model's weights are left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Coverage {
    weights: usize,
    weight_parameters: usize,
    uncovered_parameters: usize,
}

impl Coverage {
    pub(crate) fn of(infos: &[ParameterInfo], uncovered: &[Uncovered]) -> Self {
        let weights = infos
            .iter()
            .filter(|info| info.is_model() && info.shape.len() > 1);
        let counts: Vec<_> = weights.map(ParameterInfo::count).collect();
        Self {
            weights: counts.len(),
            weight_parameters: counts.iter().sum(),
            uncovered_parameters: uncovered.iter().map(|one| one.parameters).sum(),
        }
    }

    /// The line that says what is left alone, by name and share; none if all is covered.
    pub(crate) fn fmt(self, f: &mut fmt::Formatter<'_>, uncovered: &[Uncovered]) -> fmt::Result {
        if uncovered.is_empty() {
            return Ok(());
        }
        let share = self.uncovered_parameters as f64 / self.weight_parameters.max(1) as f64;
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for one in uncovered {
            *kinds.entry(&one.container).or_default() += 1;
        }
        let kinds: Vec<_> = kinds
            .iter()
            .map(|(kind, n)| format!("{n} {kind}"))
            .collect();
        let paths: Vec<_> = uncovered.iter().map(|one| one.path.clone()).collect();
        writeln!(
            f,
            "not adapted: {} of {} weights, {:.1} % of their parameters ({}): {}",
            uncovered.len(),
            self.weights,
            100.0 * share,
            kinds.join(", "),
            listing(&paths)
        )
    }
}

impl AdapterReport {
    pub(crate) fn of<M: Module>(model: &M) -> Self {
        let infos = parameters(model);
        let adapters = adapters(model);
        let mut report = Self {
            layers: Vec::new(),
            kept_parameters: 0,
            other_parameters: 0,
            total_parameters: 0,
            uncovered: Vec::new(),
            notices: Vec::new(),
            coverage: Coverage::default(),
        };
        let carries_other = |path: &str| {
            infos
                .iter()
                .any(|info| matches!(&info.owner, Owner::Other { target, .. } if target == path))
        };
        for info in &infos {
            let count = info.count();
            let trainable = if info.trainable { count } else { 0 };
            report.total_parameters += count;
            match &info.owner {
                Owner::Goft { .. } => {
                    // Follows its base, whose row is the last.
                    if let Some(layer) = report.layers.last_mut() {
                        layer.parameters += count;
                        layer.trainable += trainable;
                    }
                }
                Owner::Other { .. } => report.other_parameters += trainable,
                Owner::Model => {
                    report.kept_parameters += trainable;
                    if let Some(adapter) = adapters.get(&info.path) {
                        report.layers.push(AdaptedLayer {
                            path: info.path.clone(),
                            method: adapter.method(),
                            norm_scale: adapter.norm_scale(),
                            site: adapter.site().clone(),
                            parameters: 0,
                            trainable: 0,
                            enabled: adapter.is_enabled(),
                        });
                    } else if !info.trainable && !carries_other(&info.path) {
                        report
                            .uncovered
                            .extend(Uncovered::weight(info, String::new()));
                    }
                }
            }
        }
        report.coverage = Coverage::of(&infos, &report.uncovered);
        report.notices = fresh::notices(model, report.layers.iter().map(|layer| &layer.path));
        report.notices.extend(Self::shared_ids(&infos));
        report
    }

    /// Two trained parameters of one id: an optimizer would take them for one.
    fn shared_ids(infos: &[ParameterInfo]) -> Option<String> {
        let mut seen = BTreeMap::new();
        let mut trained = infos.iter().filter(|info| info.is_goft() || info.trainable);
        let twice = trained.find_map(|info| {
            let first = seen.insert(info.id.val(), &info.path)?;
            Some((first, &info.path))
        });
        let (first, second) = twice?;
        Some(format!(
            "`{first}` and `{second}` have one id, as after loading one file onto two layers or cloning a layer, and an \
             optimizer would update one of them by the other's gradient; load with `AdapterFile::with_new_ids()`, or \
             attach to each clone by itself"
        ))
    }

    /// Trainable parameters: in adapters, kept beside them, and of other reparameterizations.
    pub fn trainable_parameters(&self) -> usize {
        let adapters: usize = self.layers.iter().map(|layer| layer.trainable).sum();
        adapters + self.kept_parameters + self.other_parameters
    }

    /// Trainable share of all parameters, 0 to 1.
    pub fn trainable_share(&self) -> f64 {
        self.trainable_parameters() as f64 / self.total_parameters.max(1) as f64
    }

    /// Whether every adapter acts.
    pub fn is_enabled(&self) -> bool {
        self.layers.iter().all(|layer| layer.enabled)
    }
}

impl fmt::Display for AdapterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            writeln!(f, "no weight carries an adapter of burn-goft")?;
            return self.totals(f);
        }
        let width = self.layers.iter().map(|layer| layer.path.len()).max();
        let width = width.unwrap_or(0).max("weight".len());
        writeln!(
            f,
            "{:width$}  method  axis   dim  neurons  parameters",
            "weight"
        )?;
        for layer in &self.layers {
            let state = match (layer.enabled, layer.trainable == layer.parameters) {
                (false, _) => "  (off)",
                (true, false) => "  (frozen)",
                (true, true) => "",
            };
            writeln!(
                f,
                "{:width$}  {:6}  {:4}  {:4}  {:7}  {:10}{state}",
                layer.path,
                layer.method.name(),
                layer.site.axis,
                layer.site.dim(),
                layer.site.neurons(),
                layer.parameters
            )?;
        }
        self.coverage.fmt(f, &self.uncovered)?;
        for notice in &self.notices {
            writeln!(f, "notice: {notice}")?;
        }
        self.totals(f)
    }
}

impl AdapterReport {
    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kept_parameters > 0 && !self.layers.is_empty() {
            writeln!(
                f,
                "trained beside the adapters: {} parameters",
                self.kept_parameters
            )?;
        }
        if self.other_parameters > 0 {
            writeln!(
                f,
                "trained in other reparameterizations: {} parameters",
                self.other_parameters
            )?;
        }
        write!(
            f,
            "trainable {} of {} parameters ({:.3} %)",
            self.trainable_parameters(),
            self.total_parameters,
            100.0 * self.trainable_share()
        )
    }
}
