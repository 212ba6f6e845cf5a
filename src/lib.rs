#![cfg_attr(docsrs, feature(doc_cfg))]
//! GOFT and qGOFT for [burn](https://burn.dev): fine-tuning by rotations.
//!
//! A linear layer `h = W^T x`, its pretrained weight `W [d, n]` frozen, becomes
#![cfg_attr(
    doc,
    doc = r#"$$h = (R W)^\top x = W^\top (R^\top x), \qquad R = P_L \cdots P_2 P_1$$"#
)]
#![cfg_attr(
    not(doc),
    doc = "`h = (R W)^T x = W^T (R^T x)`, `R = P_L ... P_2 P_1` (level 1 acts first)"
)]
//!
//! `R` is what is learned: `d - 1` blocks of size 2x2 on pairs of axes, in `ceil(log2 d)` levels. In a strict adapter (GOFT) each
//! block is a rotation by one angle, `R` is orthogonal whatever the angles, and the norms and angles of the neurons, the columns
//! of `W`, stay what they were. In a quasi adapter (qGOFT) each block is free, four numbers, and a penalty in the loss holds `R`
//! near orthogonal. Both start at the identity. A rotation costs `O(d)` per vector; no `d x d` matrix is formed.
//!
//! Source: Ma et al., *Parameter Efficient Quasi-Orthogonal Fine-Tuning via Givens Rotation*, ICML 2024,
//! [arXiv 2404.04316](https://arxiv.org/abs/2404.04316).
//!
//! **Strict and quasi, never QGoft.** The q of qGOFT means quasi-orthogonal. In burn q means quantized, as in `QLora`; the two
//! have nothing in common, so this crate writes the word out: [`Goft::strict`], [`Goft::quasi`].
//!
//! # Example
//!
//! Attach, one training step, save, load, merge:
//!
//! ```
//! # #[cfg(all(feature = "flex", feature = "autodiff"))] {
//! use burn::{module::Module, nn::LinearConfig, optim::{AdamConfig, GradientsParams}};
//! use burn::tensor::{Device, Distribution, Tensor};
//! use burn_goft::{Goft, GoftModule, Penalty};
//!
//! let device = Device::flex().autodiff();
//! let pretrained = LinearConfig::new(24, 4).init(&device); // or any burn module
//! let [x, y] = [24, 4].map(|d| Tensor::<2>::random([8, d], Distribution::Default, &device));
//! # let folder = tempfile::tempdir().unwrap();
//! # let file = folder.path().join("adapter.safetensors");
//!
//! let mut model = pretrained.clone().apply_goft(Goft::quasi())?; // 4 * 23 numbers, all else frozen
//! let mut optimizer = AdamConfig::new().init();
//! let error = (model.forward(x.clone()) - y).square().mean();
//! let loss = error + model.orthogonality_penalty(Penalty::Paper).mul_scalar(0.01);
//! let gradients = GradientsParams::from_grads(loss.backward(), &model);
//! model = optimizer.step(1e-3, model, gradients);
//!
//! model.save_goft(&file)?; // the adapter alone
//! let merged = pretrained.load_goft(&file)?.valid().merge_goft()?; // plain weights
//! let x = x.without_autodiff();
//! let difference = (merged.forward(x.clone()) - model.valid().forward(x)).abs().max();
//! assert!(difference.into_scalar::<f32>() < 1e-5);
//! # }
//! # Ok::<(), burn_goft::Error>(())
//! ```
//!
//! # The main types
//!
//! - [`Goft`]: the settings. Which method, which weights, what is trained beside them.
//! - [`GoftModule`]: the calls, on every burn module.
//! - [`GoftLinear`]: a `Linear` that rotates its input.
//! - [`GoftAdapter`]: what sits on a weight, a burn [`Reparameterization`](burn::module::Reparameterization).
//! - [`GoftReport`]: what is adapted, and how many numbers are trained.
//! - [`Oft`]: block-diagonal rotations by the Cayley transform, the method that GOFT sets out to improve, to compare with.
//! - [`Penalty`]: what holds a quasi adapter near orthogonal. [`quasi_bounds`], [`strict_distance_bound`]: how far a rotation can
//!   be from orthogonal, or from the identity. [`orthogonality_error`]: how far it is.
//! - [`rotate`](fn@rotate), [`rotate_transpose`], [`Givens`], [`QuasiGivens`], [`RotationPlan`]: the rotation itself, on any axis
//!   of any tensor. [`rotate_transpose_each`]: several rotations of one tensor. [`rotate_portable`]: the same without a kernel, to
//!   compare with.
//! - [`GivensOps`]: the operation as each backend provides it.
#![cfg_attr(
    feature = "drift",
    doc = "- [`Drift`]: how far a model has moved from another one, as a [`DriftReport`]; [`Trace`]: what it compares.\n\
           - [`rotation_drift`]: how far an adapter's rotation is from the identity and from orthogonal. [`oft_bounds`]: how far OFT's can be."
)]
//! - [`Error`]: what was asked, what was found, what to do. A wrong shape panics and says the same.
//!
//! # The calls, beside PEFT's
//!
//! | here | PEFT | |
//! |---|---|---|
//! | [`Goft::with_targets`] | `target_modules` | globs on parameter paths; without any, the weight of every `Linear` |
//! | [`Goft::with_exclude`] | `exclude_modules` | left out of the targets |
//! | [`Goft::with_trainable`] | `modules_to_save` | trained as it is, saved with the adapter |
//! | [`apply_goft`](GoftModule::apply_goft) | `get_peft_model` | attaches, and freezes everything else |
//! | [`goft_report`](GoftModule::goft_report) | `print_trainable_parameters` | |
//! | [`enable_goft(false)`](GoftModule::enable_goft) | `disable_adapter` | the pretrained weights again; what was trained beside the adapters stays |
//! | [`save_goft`](GoftModule::save_goft), [`load_goft`](GoftModule::load_goft) | `save_pretrained`, `from_pretrained` | |
//! | [`merge_goft`](GoftModule::merge_goft) | `merge_and_unload(safe_merge=True)` | burn's `materialize` is the same without the check |
//! | [`unmerge_goft`](GoftModule::unmerge_goft) | `unmerge_adapter` | from a merged model and the adapter's file |
//! | [`Goft::with_init_std`] | `init_weights=False` | starts away from the identity, for tests |
//!
//! # Weight side and input side
//!
//! | | weight side | input side |
//! |---|---|---|
//! | how | [`apply_goft`](GoftModule::apply_goft) on any model | the field is a [`GoftLinear`], then [`apply_goft`](GoftModule::apply_goft) |
//! | each forward pass rotates | the weight, `R W` | the activations, `R^T x` |
//! | dense gradient of `W` | formed on the way to `R` | never formed |
//! | a quantized `W` | dequantized in each forward pass | stays packed |
//!
//! They are the same layer and differ in rounding only. Paths, records and adapter files are the same: an adapter trained on one
//! side loads on the other. Train with the input side where a field's type can change; use the weight side on models that cannot.
//!
//! # Variants
//!
//! | | settings | authors' code | norms of neurons | angles between neurons |
//! |---|---|---|---|---|
//! | GOFT | [`Goft::strict()`](Goft::strict) | `strict_oft=True`, `no_scaling=True` | kept | kept |
//! | GOFT\* | strict, [`NormScale::Neuron`] | none | learned | kept |
//! | | strict, [`NormScale::Input`] | `strict_oft=True` | change | change |
//! | qGOFT | [`Goft::quasi()`](Goft::quasi) | `strict_oft=False` | change | change |
//! | OFT | [`Goft::oft(Oft::exact(32))`](Goft::oft) | PEFT's `OFTConfig` | kept | kept |
//!
//! A neuron's factor that turns negative also turns the neuron round. How much a quasi adapter can change is what the penalty is
//! for: [`Penalty::Paper`] restrains the angle inside a block and leaves its lengths free, [`Penalty::Gram`] restrains both.
//!
//! A strict adapter stores angles in radians ([`AngleForm::Direct`]), or with [`AngleForm::Tanh`] the `p` of `pi tanh(p)`, as the
//! authors' code does. The published learning rates are rates for `p`: with direct angles and Adam, multiply them by pi.
//!
//! # Features
//!
//! No backend is on by default; name the same ones for burn and for this crate. On a backend that is not listed here, or was not
//! enabled, the portable implementation runs.
//!
//! - `autodiff` (default): when enabled, the rotation differentiates on autodiff devices.
//! - `drift`: when enabled, measures how far a model has moved: `Drift`, `DriftReport` and the metrics in them.
//! - `flex`: when enabled, runs on burn's CPU backend, the one to recommend for CPUs.
//! - `ndarray`: when enabled, runs on the CPU backend that burn deprecates.
//! - `wgpu`, `vulkan`, `metal`, `webgpu`: when enabled, run on wgpu; the last three choose the shader language: SPIR-V, MSL,
//!   WGSL.
//! - `cuda`, `rocm`, `cpu`: when enabled, run on NVIDIA GPUs, AMD GPUs, CubeCL's CPU runtime. Their build downloads LLVM.
//!
//! # Dtypes
//!
//! A rotation returns the dtype of its data. Its arithmetic is done in the wider dtype of data and blocks, and at least in f32:
//! f16 and bf16 data lose the final rounding only. Adapter parameters are f32, or f64 on an f64 weight, whatever the precision of
//! the model. Parameters at the identity give finite data back exactly.
//!
//! # Files
//!
//! An adapter file is safetensors: the adapter's parameters (`encoder.0.query.weight.goft.angles`), those trained beside it
//! (`head.weight`), and one metadata entry with format version, kind, angle form, norm scale, target shapes and a SHA-256 of it
//! all. Nothing of the pretrained model is in it. A damaged file, a file for other paths or shapes, and NaN are errors. The
//! pretrained values are *not* checked: another model of the same shapes takes the adapter without complaint. Files of PEFT and
//! of the authors' code are not read.
//!
//! The whole model with its adapters is an ordinary burn record.
//!
//! # What it does not do
//!
//! - Reach all rotations. `R` has `d - 1` parameters and `SO(d)` has `d(d-1)/2` dimensions. The paper's Theorem 4.1 is about
//!   moving one vector to another of its length; with the fixed pairs of [`RotationPlan`] even that holds only to or from axis 0.
//! - Change a norm, an angle between neurons or a singular value with a plain strict adapter.
//! - Hold a quasi adapter near orthogonal without a penalty. Watch [`quasi_bounds`].
//! - Adapt convolution kernels, or anything else that is not of rank 2. An embedding is adapted only if it is named, and then
//!   along its vocabulary.
//! - Combine adapters: one per weight, one method per model, one group of settings per call. No adapter dropout.
//! - Survive `unfreeze` of the whole model, which makes the pretrained weights trainable too; use burn's `unfreeze_group`.
//! - Remove its cost by itself: until it is merged, each forward pass rotates. Merging a quantized weight gives a dense one.
//! - Promise that a model forgets less. Kept angles are not a proof of kept knowledge; measure it.

#[macro_use]
mod constant;

mod adapter;
mod attach;
mod backends;
mod checkpoint;
mod constrain;
mod error;
mod givens;
mod goft;
mod inverse;
mod linear;
mod merge;
mod metrics;
mod module;
mod oft;
#[cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "the operation lists ndarray among its backends")
)]
#[cfg_attr(
    not(any(feature = "flex", feature = "ndarray", feature = "cubecl-backend")),
    expect(
        unused_variables,
        reason = "the dispatcher has no backend to pass them to"
    )
)]
mod ops;
mod plan;
mod portable;
mod regularizer;
mod report;
mod rotate;
mod several;
mod switch;
mod targets;
mod walk;

pub use adapter::{GoftAdapter, Unmerged};
pub use error::Error;
pub use givens::{AngleForm, Givens, Penalty, QuasiGivens};
pub use goft::{Goft, Kind, NormScale};
pub use linear::GoftLinear;
#[cfg(feature = "drift")]
pub use metrics::drift::{
    AngleChange, BehaviourDrift, Drift, DriftReport, EnergyChange, Forgetting, Histogram,
    IdentityDistance, LayerDrift, NormChange, OftBounds, RotationDrift, RowDrift, SpectrumChange,
    Spread, Svcca, Trace, WeightDrift, agreement, angle_change, anisotropy, energy_change,
    forgetting, hyperspherical_energy, identity_distance, kl_divergence, linear_cka, norm_change,
    oft_bounds, procrustes_distance, relative_change, rotation_drift, row_drift, spectrum_change,
    subspace_similarity, svcca,
};
pub use metrics::{
    OrthogonalityError, QuasiBounds, orthogonality_error, quasi_bounds, strict_distance_bound,
};
pub use module::GoftModule;
pub use oft::Oft;
pub use ops::GivensOps;
pub use plan::{Level, RotationPlan};
pub use report::{AdaptedLayer, GoftReport};
pub use rotate::{rotate, rotate_portable, rotate_transpose, rotate_transpose_each};

/// The programs of the README, compiled and run as tests.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
