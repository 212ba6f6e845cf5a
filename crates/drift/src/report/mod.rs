//! Two models on one batch: the answer to "how far did meaning move".

mod compare;
#[cfg(feature = "figure")]
mod figure;
mod models;
mod parallel;
mod settings;
mod table;
mod trace;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
pub use settings::Drift;
pub use trace::Trace;

use crate::error::Error;
use crate::histogram::Histogram;

/// How far a model has moved from another one: its representations, its weights and its answers.
/// Made by [`Drift::compare`].
///
/// Prints as a table, is serialized by serde and, with the feature `figure`, draws itself (`svg`).
/// What has no value is left out and is explained in [`notes`](Self::notes); no value is NaN or
/// infinite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// Sizes of the samples and their seed.
    pub settings: Drift,
    /// Representations, in the order of the trace.
    pub layers: Vec<Measured>,
    /// Weights, in the order of the model's fields: those of `Linear`s and adapted ones. Their
    /// vectors, the neurons of the metrics, lie along the axis that the adapter turns: the inputs
    /// of a `Linear`, the rows of an `Embedding`, the input channels at each place of a kernel.
    pub weights: Vec<Measured>,
    /// The rotations of the adapters of `burn-goft` that act on the model after, by path.
    pub rotations: Vec<Measured>,
    /// Answers, if the traces have logits.
    pub answers: Option<Measured>,
    /// Metrics on data of the old task, added by [`with_forgetting`](Self::with_forgetting).
    pub forgetting: Vec<Forgetting>,
    /// Why a value is missing, and what to be careful with.
    pub notes: Vec<String>,
}

/// What was measured of one representation, weight or rotation, or of the answers.
///
/// A value has the name of the function that computes it, with `_min` and `_max` for its extremes:
///
/// | of | names |
/// |---|---|
/// | a representation | [`row_cosine`](crate::row_cosine) `_min`, [`row_norm_ratio`](crate::row_norm_ratio) `_min` `_max`, [`linear_cka`](crate::linear_cka), [`svcca`](fn@crate::svcca) `_forced`, [`procrustes_distance`](crate::procrustes_distance), [`anisotropy`](crate::anisotropy) `_before` and `_after` |
/// | a weight | [`relative_change`](crate::relative_change), [`angle_change`](crate::angle_change) `_max`, [`norm_change`](crate::norm_change) `_max`, [`energy_change`](crate::energy_change), `energy_before` and `_after`, [`spectrum_change`](crate::spectrum_change), [`subspace_similarity`](crate::subspace_similarity) |
/// | a rotation | `distance_spectral`, `distance_frobenius`, `orthogonality_error`, `orthogonality_bound`, see [`RotationDrift`](crate::RotationDrift) |
/// | the answers | [`kl_divergence`](crate::kl_divergence) `_max`, [`agreement`](crate::agreement) |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The representation's name in the trace, or the path of the weight.
    pub name: String,
    /// Rows and columns of what was measured; a weight's vectors are columns.
    pub shape: [usize; 2],
    /// Rows of a representation, or neurons of a weight, that the metrics with a sample saw.
    pub sampled: usize,
    /// The values by name.
    pub values: BTreeMap<String, f64>,
    /// Distributions, by the name of the value that is their mean.
    pub histograms: BTreeMap<String, Histogram>,
}

/// A metric on data of the old task.
///
/// **Blind to** what was learned anew: measure that on data of the new task.
///
/// Source: Chaudhry et al. 2018, [arXiv 1801.10112](https://arxiv.org/abs/1801.10112), for one
/// change of task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forgetting {
    /// What was measured, and in which unit.
    pub metric: String,
    /// Its value before.
    pub before: f64,
    /// Its value after.
    pub after: f64,
    /// Before minus after, in the metric's unit; above 0, the model got worse.
    pub forgotten: f64,
}

impl Measured {
    fn new(name: String, shape: [usize; 2], sampled: usize) -> Self {
        Self {
            name,
            shape,
            sampled,
            values: BTreeMap::new(),
            histograms: BTreeMap::new(),
        }
    }

    /// The value of this name, if there is one.
    ///
    /// ```
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft_drift::{Drift, Trace};
    ///
    /// let model = LinearConfig::new(4, 3).init(&Device::flex());
    /// let report = Drift::new().compare(&model, Trace::new(), &model, Trace::new())?;
    /// assert_eq!(report.weights[0].get("relative_change"), Some(0.0));
    /// assert_eq!(report.weights[0].get("linear_cka"), None); // that is of representations
    /// # Ok::<(), burn_goft_drift::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }
}

impl DriftReport {
    /// Adds a metric that is better when larger, measured on data of the old task before and after.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`] if one of the values is.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft_drift::{Drift, Trace};
    ///
    /// let model = LinearConfig::new(4, 3).init(&Device::flex());
    /// let report = Drift::new().compare(&model, Trace::new(), &model, Trace::new())?;
    /// let report = report.with_forgetting("old accuracy, %", 96.5, 58.0)?;
    /// assert_eq!(report.forgetting[0].forgotten, 38.5);
    /// # Ok::<(), burn_goft_drift::Error>(())
    /// ```
    pub fn with_forgetting(
        mut self,
        metric: impl Into<String>,
        before: f64,
        after: f64,
    ) -> Result<Self, Error> {
        let metric = metric.into();
        let broken = [before, after].iter().filter(|v| !v.is_finite()).count();
        Error::unless_finite(&format!("`{metric}`"), broken)?;
        self.forgetting.push(Forgetting {
            metric,
            before,
            after,
            forgotten: before - after,
        });
        Ok(self)
    }

    /// The report as a figure: a cell for each layer or weight and each metric, the darker the
    /// farther it moved.
    ///
    /// Every cell is a distance, 0 where nothing moved: a cosine or a similarity `s` is shown as
    /// `1 - s`, the Procrustes distance is halved. Shades are the same in every figure, so that two
    /// of them can be compared.
    ///
    /// # Example
    ///
    /// ```
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft_drift::{Drift, Trace};
    ///
    /// let model = LinearConfig::new(4, 3).init(&Device::flex());
    /// let report = Drift::new().compare(&model, Trace::new(), &model, Trace::new())?;
    /// assert!(report.svg().starts_with("<svg"));
    /// # Ok::<(), burn_goft_drift::Error>(())
    /// ```
    #[cfg(feature = "figure")]
    #[cfg_attr(docsrs, doc(cfg(feature = "figure")))]
    pub fn svg(&self) -> String {
        figure::draw(self)
    }
}
