//! The calls that a user makes on a model.

pub(crate) mod attach;
pub(crate) mod buffers;
mod fresh;
mod merge;
pub(crate) mod parameters;
mod patterns;
mod penalty;
mod plan;
mod project;
pub(crate) mod refusals;
mod report;
mod settings;
mod target;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ParamGroup};
#[cfg(feature = "autodiff")]
use burn::tensor::Gradients;
use burn::tensor::Tensor;

use crate::adapter::GoftAdapter;
use crate::checkpoint::{self, AdapterFile, IntoAdapterFile};
use crate::error::Error;
use crate::methods::Penalty;
pub use parameters::{Owner, ParameterInfo, parameters, visit_parameters};
pub use plan::Plan;
pub use report::{AdaptedLayer, AdapterReport, Uncovered};
pub use settings::{Goft, Override};
pub use target::Target;

/// Attaching, saving, loading and merging adapters, for every burn [`Module`].
///
/// # Example
///
/// ```
/// # #[cfg(all(feature = "flex", feature = "autodiff"))] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftModule};
///
/// let model = LinearConfig::new(768, 768).init(&Device::flex().autodiff());
/// let model = model.apply_goft(Goft::strict())?;
/// assert_eq!(model.adapter_report().trainable_parameters(), 767);
/// println!("{}", model.adapter_report());
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub trait GoftModule: Module {
    /// Attaches adapters to the settings' targets and freezes everything else but the settings'
    /// [`trainable`](Goft::trainable) parameters.
    ///
    /// The adapted layers compute with `R W` instead of `W`, `R` starting at the identity;
    /// [`GoftLinear`](crate::GoftLinear)s do the same on their input. Dropout stays as it is.
    /// Running statistics, as of a batch norm, are held still in layers in which nothing is
    /// trained; where something is, the adapted model gets statistics of its own, so that clones of
    /// the pretrained one do not move with them. [`adapter_report`](Self::adapter_report) says what
    /// was done, and [`Goft::plan`] what would be. Notices go to the log as warnings too.
    ///
    /// A later `unfreeze` of the whole model makes the pretrained weights trainable too; use burn's
    /// `unfreeze_group`. A later `apply_lora` freezes the adapters, and burn attaches no LoRA where
    /// they are. Packing (`quantize_weights`) or casting the model later leaves the adapters in
    /// f32.
    ///
    /// # Errors
    ///
    /// Before anything changes: for settings that make no sense
    /// ([`is_invalid_setting`](Error::is_invalid_setting)), patterns without a match
    /// ([`is_no_match`](Error::is_no_match)), if nothing is left to adapt or a named target cannot
    /// be ([`is_no_target`](Error::is_no_target)), and for a second application
    /// ([`is_already_adapted`](Error::is_already_adapted)). The model is consumed either way;
    /// [`Goft::plan`] and [`apply_plan`](Self::apply_plan) keep it.
    fn apply_goft(self, goft: impl Borrow<Goft>) -> Result<Self, Error> {
        let plan = goft.borrow().plan(&self)?;
        for notice in &plan.notices {
            log::warn!("{notice}");
        }
        Ok(self.apply_plan(&plan))
    }

    /// Attaches what [`Goft::plan`] has found for this model.
    ///
    /// # Panics
    ///
    /// If the plan was made from another model: one without these paths, with other shapes, or with
    /// adapters by now.
    #[must_use]
    fn apply_plan(self, plan: &Plan) -> Self {
        attach::attach(self, plan)
    }

    /// What is adapted and what is not, and the number and share of parameters that an optimizer
    /// would see. (PEFT: `print_trainable_parameters`.)
    fn adapter_report(&self) -> AdapterReport {
        AdapterReport::of(self)
    }

    /// The adapters by the path of the weight that carries them, as they are now: clones, which
    /// share parameter ids with the model.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft::{Goft, GoftModule};
    ///
    /// let linear = LinearConfig::new(8, 3).init(&Device::flex()).apply_goft(Goft::strict())?;
    /// let adapters = linear.adapters();
    /// assert_eq!(adapters["weight"].site().dim(), 8);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    fn adapters(&self) -> BTreeMap<String, GoftAdapter> {
        parameters::adapters(self)
    }

    /// The parameters of all adapters, for an optimizer or a learning rate of their own.
    fn adapter_group(&self) -> ParamGroup {
        let infos = parameters(self).into_iter();
        let ids = infos.filter(ParameterInfo::is_goft).map(|info| info.id);
        ParamGroup::from_ids(ids.collect())
    }

    /// Switches all adapters on.
    #[must_use]
    fn enable_adapters(self) -> Self {
        parameters::set_enabled(self, true)
    }

    /// Switches all adapters off: the adapted weights are the pretrained ones. Parameters trained
    /// beside the adapters keep their trained values. Clones have their own state, which no record
    /// or file holds. (PEFT: `disable_adapter`, which gives those back too.)
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// # use burn::{nn::LinearConfig, tensor::{Device, Distribution, Tensor}};
    /// # use burn_goft::{Goft, GoftModule};
    /// # let device = Device::flex();
    /// let base = LinearConfig::new(8, 8).init(&device);
    /// let model = base.clone().apply_goft(Goft::strict().with_init_std(1.0))?;
    /// let off = model.clone().disable_adapters();
    /// assert_eq!(off.weight.val().into_data(), base.weight.val().into_data());
    /// assert_ne!(model.weight.val().into_data(), base.weight.val().into_data());
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    #[must_use]
    fn disable_adapters(self) -> Self {
        parameters::set_enabled(self, false)
    }

    /// The penalty summed over all adapters that are switched on, `[1]`, in f32 or f64, to be
    /// scaled by a strength (the paper's lambda) and added to the loss. Zero for GOFT, for exact
    /// OFT as far as Newton's steps reach (179 degrees), and for HRA with [`Penalty::Gram`]; with
    /// [`Penalty::Paper`], HRA has its paper's term on the reflection vectors.
    ///
    /// A half-precision loss cannot be added to it; [`penalized`](Self::penalized) takes any.
    ///
    /// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 6;
    /// strengths there: 0.001 to 0.05.
    ///
    /// # Panics
    ///
    /// If the model carries no adapter.
    fn adapter_penalty(&self, penalty: Penalty) -> Tensor<1> {
        penalty::adapter_penalty(self, penalty)
    }

    /// `loss + strength * penalty`, `[1]`, in the wider dtype of the two and at least in f32.
    ///
    /// # Panics
    ///
    /// If the model carries no adapter.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(all(feature = "flex", feature = "autodiff"))] {
    /// use burn::{nn::LinearConfig, tensor::{Device, DType, Distribution, Tensor}};
    /// use burn_goft::{Goft, GoftModule, Penalty};
    ///
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(8, 3).init(&device).apply_goft(Goft::quasi().with_init_std(0.1))?;
    /// let x = Tensor::<2>::random([4, 8], Distribution::Default, &device);
    /// let loss = model.forward(x).square().mean().cast(DType::BF16);
    /// let loss = model.penalized(loss, Penalty::Gram, 0.01);
    /// assert_eq!(loss.dtype(), DType::F32);
    /// let gradients = loss.backward();
    /// assert!(model.adapters_without_gradient(&gradients).is_empty());
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    fn penalized(&self, loss: Tensor<1>, penalty: Penalty, strength: f64) -> Tensor<1> {
        penalty::penalized(self, loss, penalty, strength)
    }

    /// The weights whose adapters got no gradient from this backward pass. Such an adapter is
    /// switched off or frozen, its layer did not take part, or the layer's forward pass reads the
    /// stored weight (`param.base()`, or the parameter by dereference) instead of the parameter's
    /// value.
    #[cfg(feature = "autodiff")]
    fn adapters_without_gradient(&self, gradients: &Gradients) -> Vec<String> {
        let has_none = |adapter: &GoftAdapter| {
            let mut parameters = adapter.fields();
            parameters.any(|(_, param)| param.base().grad(gradients).is_none())
        };
        let adapters = self.adapters().into_iter();
        let without = adapters.filter(|(_, adapter)| has_none(adapter));
        without.map(|(path, _)| path).collect()
    }

    /// COFT: scales every block of every OFT adapter back to where `|| R - I ||_F <= radius` holds
    /// for it, to be called after each step of the optimizer. The bound is conservative: it clamps
    /// `2 || Q ||_F`, which is never smaller than `|| R - I ||_F`. With Neumann terms it holds to
    /// the error of the series. Adapters of other methods stay as they are.
    ///
    /// Source: Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.3.
    ///
    /// # Errors
    ///
    /// If the radius is not positive and finite, or no adapter of the model has a projection.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
    /// use burn_goft::{Goft, GoftModule, Oft};
    ///
    /// let device = Device::flex();
    /// let goft = Goft::oft(Oft::exact(8)).with_init_std(1.0);
    /// let linear = LinearConfig::new(8, 3).init(&device).apply_goft(goft)?.project_adapters(0.1)?;
    /// let identity = Tensor::<2>::eye(8, &device);
    /// let rotation = linear.adapters()["weight"].rotate(identity.clone(), 0);
    /// let distance = (rotation - identity).square().sum().sqrt();
    /// assert!(distance.into_scalar::<f32>() <= 0.1);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    fn project_adapters(self, radius: f64) -> Result<Self, Error> {
        project::project(self, radius)
    }

    /// Saves the adapters, the parameters trained beside them and running statistics that can move:
    /// nothing of the pretrained model. The same as [`AdapterFile::capture`] and
    /// [`AdapterFile::write`].
    ///
    /// The file is safetensors: 4 bytes per parameter, and some hundred bytes for every parameter
    /// of the model. It is written beside `path` and renamed: a failed save leaves an existing file
    /// as it was. Trained is what is trainable now: after `unfreeze` of the whole model that
    /// includes the pretrained weights.
    ///
    /// Parameter ids are in the file: an optimizer's record of this training goes on with the
    /// loaded model.
    ///
    /// # Errors
    ///
    /// If no adapter is there or one is frozen ([`is_not_adapted`](Error::is_not_adapted)), after a
    /// diverged training ([`is_not_finite`](Error::is_not_finite)), or if the file system refuses
    /// ([`is_io`](Error::is_io)).
    fn save_adapters(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        AdapterFile::capture(self)?.write(path)
    }

    /// Loads an adapter file onto the pretrained model it was trained on, or into adapters that are
    /// attached already. The file is a path, or an [`AdapterFile`] that was read before.
    ///
    /// Onto a model without adapters it attaches them first, as [`apply_goft`](Self::apply_goft)
    /// does, by what the file says. The loaded adapters are switched on. Every pretrained value is
    /// compared with a fingerprint in the file, so that another base, or one into which the adapter
    /// was merged, is refused; [`AdapterFile::for_any_base`] takes it all the same.
    ///
    /// # Errors
    ///
    /// If the file cannot be read ([`is_io`](Error::is_io)) or is damaged or of another version
    /// ([`is_format`](Error::is_format)), holds values that are not finite
    /// ([`is_not_finite`](Error::is_not_finite)), is for another model or for other adapters than
    /// the model carries ([`is_mismatch`](Error::is_mismatch)), or if the model carries an adapter
    /// of another crate, such as burn's LoRA ([`is_already_adapted`](Error::is_already_adapted)).
    /// The model is consumed either way; [`AdapterFile::check`] asks before.
    fn load_adapters(self, file: impl IntoAdapterFile) -> Result<Self, Error> {
        checkpoint::load(self, file.into_adapter_file()?)
    }

    /// Folds the adapters into the weights, after checking that every merged weight is finite.
    /// (PEFT: `merge_and_unload` with `safe_merge`.)
    ///
    /// The folding is burn's [`materialize`](Module::materialize), which does the same without the
    /// check and folds everything that is attached, such as LoRA on other weights. Call it on
    /// `model.valid()` to leave autodiff behind. Weights stay frozen as they were.
    ///
    /// # Errors
    ///
    /// If there is no adapter or one is switched off ([`is_not_adapted`](Error::is_not_adapted)),
    /// or a merged weight is not finite ([`is_not_finite`](Error::is_not_finite)).
    fn merge_adapters(self) -> Result<Self, Error> {
        merge::merge(self)
    }

    /// Takes the adapters of a file out of a merged model and attaches them again: the inverse of
    /// [`merge_adapters`](Self::merge_adapters), exact to rounding. The file is a path, or an
    /// [`AdapterFile`] in memory; [`AdapterFile::capture`] makes one before the merge.
    ///
    /// Parameters that are trained beside the adapters get the file's values, whatever has happened
    /// to them since.
    ///
    /// Each cycle rounds the weights twice. Over 100 cycles a base in f32 moves by 6e-5 of its
    /// size, one in bf16 by 8e-2: keep a copy of a half-precision base instead, or train beside it
    /// without merging.
    ///
    /// # Errors
    ///
    /// The errors of [`load_adapters`](Self::load_adapters), and for an adapter that cannot be
    /// undone ([`is_singular`](Error::is_singular)). What is left after taking the adapter out is
    /// compared with the fingerprint of the base, so that a model into which it was not merged is
    /// refused.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft::{AdapterFile, Goft, GoftModule};
    ///
    /// let linear = LinearConfig::new(8, 3).init(&Device::flex());
    /// let model = linear.apply_goft(Goft::strict().with_init_std(0.5))?;
    /// let file = AdapterFile::capture(&model)?;
    /// let back = model.clone().merge_adapters()?.unmerge_adapters(file)?;
    /// let moved = (back.weight.base() - model.weight.base()).abs().max();
    /// assert!(moved.into_scalar::<f32>() < 1e-6);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    fn unmerge_adapters(self, file: impl IntoAdapterFile) -> Result<Self, Error> {
        checkpoint::unmerge(self, file.into_adapter_file()?)
    }

    /// Takes all adapters off: the adapted weights are the pretrained ones again, bit for bit.
    /// (PEFT: `unload`.)
    ///
    /// Parameters trained beside the adapters keep their trained values, and everything stays
    /// frozen or trainable as it is; burn's `unfreeze` makes a model that trains as a whole.
    /// Reparameterizations of other kinds are folded in.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::Device};
    /// use burn_goft::{Goft, GoftModule};
    ///
    /// let linear = LinearConfig::new(8, 3).init(&Device::flex());
    /// let adapted = linear.clone().apply_goft(Goft::strict().with_init_std(0.5))?;
    /// let off = adapted.detach_adapters();
    /// assert_eq!(off.weight.val().into_data(), linear.weight.val().into_data());
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    #[must_use]
    fn detach_adapters(self) -> Self {
        merge::detach(self)
    }
}

impl<M: Module> GoftModule for M {}
