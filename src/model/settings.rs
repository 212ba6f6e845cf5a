//! The settings: what is adapted, how, and what stays trainable beside it.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::adapter::NormScale;
use crate::methods::{Hra, Method, Oft, Quasi, Road, Strict};

/// Settings of a fine-tuning: which method, which weights, and what is trained beside them.
///
/// Patterns are globs on parameter paths, such as `encoder.layers.0.mha.query.weight`: `*` stands
/// for any characters, dots included, `?` for one, `[ab]` and `{query,value}` for alternatives.
/// PEFT calls [`targets`](Self::targets) `target_modules`, [`exclude`](Self::exclude)
/// `exclude_modules`, [`trainable`](Self::trainable) `modules_to_save` and
/// [`overrides`](Self::overrides) `rank_pattern`.
///
/// # Example
///
/// ```
/// use burn::config::Config;
/// use burn_goft::{Goft, NormScale, Oft, Override};
///
/// let goft = Goft::strict()
///     .with_targets(["*.query.weight", "*.value.weight", "*pwff*weight"])
///     .with_norm_scale(NormScale::Neuron)
///     .with_override(Override::new("*pwff*").with_method(Oft::exact(32)))
///     .with_trainable(["head.*"]);
/// let json = burn::config::config_to_json(&goft);
/// assert_eq!(Goft::load_binary(json.as_bytes()).unwrap(), goft);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Goft {
    /// The method, with its settings.
    pub method: Method,
    /// Norm scaling beside the rotation.
    #[serde(default)]
    pub norm_scale: NormScale,
    /// Parameters to adapt. `None`: the weight of every `Linear` of burn's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
    /// Parameters left out of the targets.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Parameters trained as they are, such as a fresh classifier head; never adapted, saved with
    /// the adapter.
    #[serde(default)]
    pub trainable: Vec<String>,
    /// The axis that holds the vectors of targets whose container does not tell; see
    /// [`Site`](crate::Site).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<usize>,
    /// Other settings for some of the targets; the last that matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// Standard deviation of the initial parameters around the identity, in their own units
    /// (radians for direct angles). 0, the default, starts at the pretrained model; anything else
    /// is for tests and experiments. Norm scales always start at 1, and HRA's vectors are random
    /// and equal in pairs whatever this is.
    #[serde(default)]
    pub init_std: f64,
}

/// Settings for the targets that a pattern matches, in place of the general ones.
///
/// # Example
///
/// ```
/// use burn_goft::{Goft, Override, Strict};
///
/// // One method for attention, another for the first layer; experts are stacked `[expert, d_input, d_output]`.
/// let goft = Goft::quasi()
///     .with_override(Override::new("*.mha.*").with_method(Strict::direct()))
///     .with_override(Override::new("*.experts").with_axis(1));
/// assert_eq!(goft.overrides.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Override {
    /// Glob on the paths of targets.
    pub pattern: String,
    /// The method, if another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// The norm scale, if another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_scale: Option<NormScale>,
    /// The axis that holds the vectors, whatever the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<usize>,
}

impl Override {
    /// Nothing else yet for the targets that `pattern` matches.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self {
            pattern: pattern.into(),
            method: None,
            norm_scale: None,
            axis: None,
        }
    }

    /// Whether it sets nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.method.is_none() && self.norm_scale.is_none() && self.axis.is_none()
    }

    /// Sets [`method`](Self::method).
    #[must_use]
    pub fn with_method(mut self, method: impl Into<Method>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Sets [`norm_scale`](Self::norm_scale).
    #[must_use]
    pub fn with_norm_scale(mut self, scale: NormScale) -> Self {
        self.norm_scale = Some(scale);
        self
    }

    /// Sets [`axis`](Self::axis).
    #[must_use]
    pub fn with_axis(mut self, axis: usize) -> Self {
        self.axis = Some(axis);
        self
    }
}

impl Config for Goft {}

impl Default for Goft {
    /// [`Goft::strict`].
    fn default() -> Self {
        Self::strict()
    }
}

impl Goft {
    /// GOFT on the weight of every `Linear`, angles in radians, no norm scale, starting at the
    /// identity.
    #[must_use]
    pub fn strict() -> Self {
        Self::new(Strict::direct())
    }

    /// qGOFT on the weight of every `Linear`, starting at the identity.
    #[must_use]
    pub fn quasi() -> Self {
        Self::new(Quasi::default())
    }

    /// OFT on the weight of every `Linear`, starting at the identity.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft::{Goft, GoftModule, Oft};
    /// let linear = LinearConfig::new(64, 10).init(&Device::flex());
    /// let linear = linear.apply_goft(Goft::oft(Oft::exact(32)))?;
    /// assert_eq!(linear.adapter_report().trainable_parameters(), 2 * (32 * 31 / 2));
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    #[must_use]
    pub fn oft(oft: Oft) -> Self {
        Self::new(oft)
    }

    /// HRA on the weight of every `Linear`, starting at the identity.
    #[must_use]
    pub fn hra(hra: Hra) -> Self {
        Self::new(hra)
    }

    /// RoAd on the weight of every `Linear`, starting at the identity.
    #[must_use]
    pub fn road(road: Road) -> Self {
        Self::new(road)
    }

    /// Any method on the weight of every `Linear`, no norm scale, starting at the identity.
    #[must_use]
    pub fn new(method: impl Into<Method>) -> Self {
        Self {
            method: method.into(),
            norm_scale: NormScale::default(),
            targets: None,
            exclude: Vec::new(),
            trainable: Vec::new(),
            axis: None,
            overrides: Vec::new(),
            init_std: 0.0,
        }
    }

    /// Sets [`method`](Self::method).
    #[must_use]
    pub fn with_method(mut self, method: impl Into<Method>) -> Self {
        self.method = method.into();
        self
    }

    /// Sets [`norm_scale`](Self::norm_scale).
    #[must_use]
    pub fn with_norm_scale(mut self, scale: NormScale) -> Self {
        self.norm_scale = scale;
        self
    }

    /// Sets [`targets`](Self::targets). An empty list is refused when it is used.
    #[must_use]
    pub fn with_targets<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.targets = Some(patterns.into_iter().map(Into::into).collect());
        self
    }

    /// Sets [`exclude`](Self::exclude).
    #[must_use]
    pub fn with_exclude<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.exclude = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`trainable`](Self::trainable).
    #[must_use]
    pub fn with_trainable<S: Into<String>>(
        mut self,
        patterns: impl IntoIterator<Item = S>,
    ) -> Self {
        self.trainable = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`axis`](Self::axis): for a lone `Param`, or for structs of your own.
    #[must_use]
    pub fn with_axis(mut self, axis: usize) -> Self {
        self.axis = Some(axis);
        self
    }

    /// Adds to [`overrides`](Self::overrides).
    #[must_use]
    pub fn with_override(mut self, other: Override) -> Self {
        self.overrides.push(other);
        self
    }

    /// Sets [`init_std`](Self::init_std).
    #[must_use]
    pub fn with_init_std(mut self, std: f64) -> Self {
        self.init_std = std;
        self
    }
}
