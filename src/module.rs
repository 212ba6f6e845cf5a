//! The calls that a user makes on a model.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::attach::BySettings;
use crate::error::Error;
use crate::givens::Penalty;
use crate::goft::Goft;
use crate::report::GoftReport;
use crate::switch::Flip;
use crate::{checkpoint, constrain, merge, regularizer, targets};

/// Attaching, saving, loading and merging GOFT adapters, for every burn [`Module`].
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
/// assert_eq!(model.goft_report().trainable_parameters(), 767);
/// println!("{}", model.goft_report());
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
pub trait GoftModule: Module {
    /// Attaches adapters to the settings' targets and freezes everything else but the settings'
    /// [`trainable`](Goft::trainable) parameters.
    ///
    /// The adapted layers compute with `R W` instead of `W`, `R` starting at the identity; [`GoftLinear`](crate::GoftLinear)s do
    /// the same on their input. Flags (dropout, batch statistics) stay as they are.
    /// [`goft_report`](Self::goft_report) says what was done. A later `unfreeze` of the whole model makes the pretrained weights
    /// trainable too; use burn's `unfreeze_group`.
    ///
    /// # Errors
    ///
    /// Before anything changes: [`Error::Pattern`] and [`Error::NoMatch`] for patterns, [`Error::NoTarget`] if nothing is left,
    /// [`Error::NotAMatrix`] for a target that is not of rank 2, [`Error::AlreadyAdapted`] for a second application.
    /// The model is consumed either way; clone it before if it must survive an error (clones share tensors).
    fn apply_goft(self, goft: Goft) -> Result<Self, Error> {
        let roles = targets::select(&self, &goft)?;
        Ok(self.apply_reparameterization(BySettings { goft: &goft, roles }))
    }

    /// What is adapted, and the number and share of trainable parameters. (PEFT: `print_trainable_parameters`.)
    fn goft_report(&self) -> GoftReport {
        GoftReport::of(self)
    }

    /// Switches all adapters on or off; off, the adapted weights are the pretrained ones. Parameters trained beside the adapters
    /// keep their trained values. Clones have their own state, which no record or file holds. (PEFT: `disable_adapter`, which
    /// gives those back too.)
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// # use burn::{nn::LinearConfig, tensor::{Device, Distribution, Tensor}};
    /// # use burn_goft::{Goft, GoftModule};
    /// # let device = Device::flex();
    /// let base = LinearConfig::new(8, 8).init(&device);
    /// let model = base.clone().apply_goft(Goft::strict().with_init_std(1.0))?;
    /// let off = model.clone().enable_goft(false);
    /// assert_eq!(off.weight.val().into_data(), base.weight.val().into_data());
    /// assert_ne!(model.weight.val().into_data(), base.weight.val().into_data());
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    fn enable_goft(self, enabled: bool) -> Self {
        self.map(&mut Flip(enabled))
    }

    /// The orthogonality penalty summed over all adapters, `[1]`, to be scaled by a strength (the paper's lambda) and added to
    /// the loss. Zero for strict adapters. See [`Penalty`].
    ///
    /// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Eq. 6; strengths there: 0.001 to 0.05.
    ///
    /// # Panics
    ///
    /// If the model carries no GOFT adapter.
    fn orthogonality_penalty(&self, penalty: Penalty) -> Tensor<1> {
        regularizer::orthogonality_penalty(self, penalty)
    }

    /// COFT: scales every block of every OFT adapter back to where `|| R - I ||_F <= radius` holds for it, to be called after each
    /// step of the optimizer. Sufficient, not necessary: it holds `2 || Q ||_F` within the radius. With Neumann terms it holds to the
    /// error of the series. Nothing happens to adapters of other kinds.
    ///
    /// Source: Qiu et al. 2023, [arXiv 2306.07280](https://arxiv.org/abs/2306.07280), Section 3.3.
    ///
    /// # Panics
    ///
    /// If the radius is not positive.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
    /// use burn_goft::{Goft, GoftAdapter, GoftModule, Oft};
    /// let linear = LinearConfig::new(8, 3).init(&Device::flex());
    /// let linear = linear.apply_goft(Goft::oft(Oft::exact(8)).with_init_std(1.0))?.constrain_oft(0.1);
    /// let adapter = linear.weight.reparameterization::<GoftAdapter>().unwrap();
    /// let rotation = adapter.oft().unwrap().blocks(adapter.skew_parameter().unwrap().val(), 8);
    /// let distance = (rotation - Tensor::<2>::eye(8, &Device::flex()).unsqueeze()).square().sum().sqrt();
    /// assert!(distance.into_scalar::<f32>() <= 0.1);
    /// # }
    /// # Ok::<(), burn_goft::Error>(())
    /// ```
    fn constrain_oft(self, radius: f64) -> Self {
        constrain::constrain(self, radius)
    }

    /// Saves the adapters and the parameters trained beside them, nothing of the pretrained model.
    ///
    /// The file is safetensors: 4 bytes a parameter, less than 4 KiB in all and 200 bytes a tensor beside. Its
    /// metadata has format version, kind, angle form, norm scale, target paths, shapes and a checksum. It is written beside
    /// `path` and renamed: a failed save leaves an existing file as it was. Batch statistics go with a
    /// batch norm that is trained. Trained is what is trainable now: after `unfreeze` of the whole model that includes the
    /// pretrained weights.
    ///
    /// # Errors
    ///
    /// [`Error::NotAdapted`], [`Error::Frozen`], [`Error::NonFinite`] after a diverged training, [`Error::Io`].
    fn save_goft(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        checkpoint::save(self, path.as_ref())
    }

    /// Loads an adapter file onto the pretrained model it was trained on, or into adapters that are attached already.
    ///
    /// Onto a model without adapters it attaches them first, as [`apply_goft`](Self::apply_goft) does, by what the file says. The
    /// values of the pretrained weights are not in the file and are not checked: loaded onto a model into which the adapter was
    /// merged, it acts twice.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Format`] for a damaged file or another version; [`Error::NonFinite`];
    /// [`Error::Mismatch`] for other targets, shapes, kinds or angle forms; [`Error::AlreadyAdapted`] if the model carries an
    /// adapter of another method. The model is consumed either way.
    fn load_goft(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        checkpoint::load(self, path.as_ref())
    }

    /// Folds the adapters into the weights, after checking that every merged weight is finite. (PEFT: `merge_and_unload` with
    /// `safe_merge`.)
    ///
    /// The folding is burn's [`materialize`](Module::materialize), which does the same without the check. Call it on
    /// `model.valid()` to leave autodiff behind.
    ///
    /// # Errors
    ///
    /// [`Error::NotAdapted`], [`Error::NonFinite`], [`Error::Disabled`] while adapters are switched off.
    fn merge_goft(self) -> Result<Self, Error> {
        merge::merge(self)
    }

    /// Takes the adapters of a file out of a merged model and attaches them again: the inverse of
    /// [`merge_goft`](Self::merge_goft), exact to rounding. Whether the adapter was merged into the model is not known to it.
    ///
    /// # Errors
    ///
    /// Those of [`load_goft`](Self::load_goft), and [`Error::Singular`] for an adapter that cannot be undone.
    fn unmerge_goft(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        checkpoint::unmerge(self, path.as_ref())
    }
}

impl<M: Module> GoftModule for M {}
