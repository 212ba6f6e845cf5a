//! The settings: what is adapted, how, and what stays trainable beside it.

use burn::config::Config;
use burn::module::{Param, Reparameterizer};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::adapter::GoftAdapter;
use crate::givens::AngleForm;
use crate::oft::Oft;
use crate::targets::{Patterns, Role};

/// Which method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// GOFT: one angle a pair, strictly orthogonal, `d-1` parameters a weight.
    Strict,
    /// qGOFT: one free 2x2 block a pair, `4(d-1)` parameters a weight, near-orthogonal through a
    /// [`Penalty`](crate::Penalty). Not to be confused with quantization, for which burn uses the letter q.
    Quasi,
    /// OFT: orthogonal blocks of neighbouring axes by the Cayley transform, `b (b - 1) / 2` parameters a block. The method that
    /// GOFT sets out to improve, to compare with and to come from; see [`Oft`].
    Oft,
}

/// Which norms an adapter may scale beside its rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormScale {
    /// None: a strict adapter keeps every norm.
    #[default]
    None,
    /// `R diag(s) W` with `s [d_input]`: the "scaler" that the authors' code has by default. It does not keep the angles
    /// between neurons.
    Input,
    /// `R W diag(s)` with `s [d_output]`: scales the norm of each neuron and keeps every angle between neurons. The paper's
    /// ablation calls it GOFT*.
    Neuron,
}

/// Settings of a GOFT, qGOFT or OFT fine-tuning, and burn's [`Reparameterizer`] that attaches it.
///
/// Patterns are globs on parameter paths, such as `encoder.layers.0.mha.query.weight`: `*` stands for any characters, dots
/// included, `?` for one, `[ab]` and `{query,value}` for alternatives. PEFT calls [`targets`](Self::targets) `target_modules`,
/// [`exclude`](Self::exclude) `exclude_modules` and [`trainable`](Self::trainable) `modules_to_save`.
///
/// # Example
///
/// ```
/// use burn::config::Config;
/// use burn_goft::{Goft, NormScale};
///
/// let goft = Goft::strict()
///     .with_targets(["*.query.weight", "*.value.weight"])
///     .with_norm_scale(NormScale::Neuron)
///     .with_trainable(["head.*"]);
/// let json = burn::config::config_to_json(&goft);
/// assert_eq!(Goft::load_binary(json.as_bytes()).unwrap(), goft);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goft {
    /// Strict or quasi.
    pub kind: Kind,
    /// What the stored parameter of a strict adapter means. Ignored by quasi adapters.
    #[serde(default)]
    pub angle_form: AngleForm,
    /// Block size and inverse of an OFT adapter; none for exact blocks of 32. Ignored by the other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oft: Option<Oft>,
    /// Norm scaling beside the rotation.
    #[serde(default)]
    pub norm_scale: NormScale,
    /// Parameters to adapt, all of rank 2. Empty: the weight of every `Linear`.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Parameters left out of the targets.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Parameters trained as they are, such as a fresh classifier head; never adapted, saved with the adapter.
    #[serde(default)]
    pub trainable: Vec<String>,
    /// Standard deviation of the initial parameters around the identity, in their own units (radians for direct angles).
    /// 0, the default, starts at the pretrained model; anything else is for tests and experiments.
    #[serde(default)]
    pub init_std: f64,
}

impl Config for Goft {}

impl Goft {
    /// Strict GOFT on every `Linear` weight, angles in radians, no norm scale, starting at the identity.
    pub fn strict() -> Self {
        Self::new(Kind::Strict)
    }

    /// qGOFT on every `Linear` weight, starting at the identity.
    pub fn quasi() -> Self {
        Self::new(Kind::Quasi)
    }

    /// OFT on every `Linear` weight, starting at the identity.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft::{Goft, GoftModule, Oft};
    /// let linear = LinearConfig::new(64, 10).init(&Device::flex());
    /// let linear = linear.apply_goft(Goft::oft(Oft::exact(32)))?;
    /// assert_eq!(linear.goft_report().trainable_parameters(), 2 * (32 * 31 / 2));
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    pub fn oft(oft: Oft) -> Self {
        Self {
            oft: Some(oft),
            ..Self::new(Kind::Oft)
        }
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            angle_form: AngleForm::default(),
            oft: None,
            norm_scale: NormScale::default(),
            targets: Vec::new(),
            exclude: Vec::new(),
            trainable: Vec::new(),
            init_std: 0.0,
        }
    }

    /// Sets [`angle_form`](Self::angle_form).
    pub fn with_angle_form(mut self, form: AngleForm) -> Self {
        self.angle_form = form;
        self
    }

    /// Sets [`norm_scale`](Self::norm_scale).
    pub fn with_norm_scale(mut self, scale: NormScale) -> Self {
        self.norm_scale = scale;
        self
    }

    /// Sets [`targets`](Self::targets).
    pub fn with_targets<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.targets = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`exclude`](Self::exclude).
    pub fn with_exclude<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.exclude = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`trainable`](Self::trainable).
    pub fn with_trainable<S: Into<String>>(
        mut self,
        patterns: impl IntoIterator<Item = S>,
    ) -> Self {
        self.trainable = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// The form of an OFT adapter.
    pub(crate) fn oft_form(&self) -> Oft {
        self.oft.unwrap_or(Oft::exact(32))
    }

    /// The adapter of a rank-2 parameter.
    pub(crate) fn adapter_for<const D: usize>(&self, base: &Tensor<D>) -> GoftAdapter {
        let dims = base.dims();
        GoftAdapter::new(self, [dims[0], dims[1]], base.dtype(), &base.device())
    }

    /// Sets [`init_std`](Self::init_std).
    pub fn with_init_std(mut self, std: f64) -> Self {
        self.init_std = std;
        self
    }
}

/// The bare traversal of burn, for a lone [`Param`] or for code that is generic over reparameterizers.
///
/// It sees paths, not layers: without [`targets`](Goft::targets) it adapts every rank-2 parameter, embeddings included, and it
/// cannot refuse a second application. Prefer [`apply_goft`](crate::GoftModule::apply_goft).
///
/// # Panics
///
/// If a pattern is not a valid glob.
impl Reparameterizer for Goft {
    type Reparam = GoftAdapter;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<GoftAdapter>) {
        let patterns = Patterns::new(self).unwrap_or_else(|error| panic!("{error}"));
        let role = patterns.role(path, D == 2);
        role.prepare(param, |base| self.adapter_for(base))
    }
}

impl Role {
    /// Freezes or keeps a parameter, and makes the adapter of a target from its base as a matrix.
    pub(crate) fn prepare<const D: usize>(
        self,
        param: Param<Tensor<D>>,
        make: impl FnOnce(&Tensor<D>) -> GoftAdapter,
    ) -> (Param<Tensor<D>>, Option<GoftAdapter>) {
        match self {
            Role::Trainable => (param.set_require_grad(true), None),
            Role::Frozen => (param.set_require_grad(false), None),
            Role::Target => {
                let param = param.set_require_grad(false);
                let adapter = make(&param.base());
                (param, Some(adapter))
            }
        }
    }
}
