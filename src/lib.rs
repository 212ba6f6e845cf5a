#![cfg_attr(docsrs, feature(doc_cfg))]
//! Orthogonal fine-tuning for [burn](https://burn.dev): GOFT (*Givens orthogonal fine-tuning*),
//! qGOFT, OFT, HRA and RoAd.
//!
//! A linear layer `h = W^T x`, its pretrained weight `W [d_input, d_output]` frozen, becomes
//!
#![cfg_attr(
    docsrs,
    doc = r#"$$h = (R W)^\top x = W^\top (R^\top x), \qquad R = P_L \cdots P_2 P_1$$"#
)]
#![cfg_attr(
    not(docsrs),
    doc = "`h = (R W)^T x = W^T (R^T x)`, `R = P_L ... P_2 P_1` (level 1 acts first)"
)]
//!
//! and the rotation `R` is what is learned. GOFT makes it of `d - 1` plane rotations with one angle
//! each, in `ceil(log2 d)` levels: 767 parameters for 768 inputs. `R` is orthogonal whatever the
//! angles, so the norms of the neurons, the columns of `W`, and the angles between them stay what
//! they were. In qGOFT each 2x2 block is free (four parameters), and a penalty in the loss pulls
//! the blocks towards rotations. Training starts at the pretrained model. A rotation costs `O(d)`
//! per vector; no `d x d` matrix is formed.
//!
//! Source: Ma et al., *Parameter Efficient Quasi-Orthogonal Fine-Tuning via Givens Rotation*, ICML
//! 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316). The
//! [book](https://github.com/burn-goft/burn-goft/tree/main/book/src) says which method to take,
//! which learning rate, and what to do when it does not work.
//!
//! **Strict and quasi, never QGoft.** The q of qGOFT means quasi-orthogonal. In burn q means
//! quantized, as in `QLora`; the two have nothing in common, so this crate writes the word out:
//! [`Goft::strict`], [`Goft::quasi`].
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
//! let mut model = pretrained.clone().apply_goft(Goft::quasi())?; // 4 * 23 parameters, all else frozen
//! println!("{}", model.adapter_report());
//! let mut optimizer = AdamConfig::new().init();
//! let error = (model.forward(x.clone()) - y).square().mean();
//! let loss = model.penalized(error, Penalty::Gram, 0.01);
//! let gradients = GradientsParams::from_grads(loss.backward(), &model);
//! model = optimizer.step(3e-3, model, gradients);
//!
//! model.save_adapters(&file)?; // the adapter alone
//! let merged = pretrained.load_adapters(&file)?.valid().merge_adapters()?; // plain weights
//! let x = x.without_autodiff();
//! let difference = (merged.forward(x.clone()) - model.valid().forward(x)).abs().max();
//! assert!(difference.into_scalar::<f32>() < 1e-5);
//! # }
//! # Ok::<(), burn_goft::Error>(())
//! ```
//!
//! # The main types
//!
//! - [`Goft`]: the settings. Which [`Method`], which weights, what is trained beside them;
//!   [`Override`] for some of the weights. [`Plan`]: what the settings would do to a model.
//! - [`GoftModule`]: the calls, on every burn module.
//! - [`GoftLinear`]: a `Linear` that rotates its input; [`nn`]: burn's attention and transformers
//!   made of it.
//! - [`GoftAdapter`]: what sits on a weight, a burn
//!   [`Reparameterization`](burn::module::Reparameterization). [`Site`]: which axis of the weight
//!   holds its vectors.
//! - [`AdapterReport`]: what is adapted, what is not, and how many parameters an optimizer sees.
//! - [`AdapterFile`]: an adapter in memory, as bytes or as a file.
//! - [`Strict`], [`Quasi`], [`Oft`], [`Hra`], [`Road`]: the methods' settings. [`Penalty`]: what
//!   holds a rotation near orthogonal.
//! - [`quasi_bounds`], [`oft_bounds`], [`strict_distance_bound`]: how far a rotation can be from
//!   orthogonal, or from the identity. [`orthogonality_error`]: how far it is.
//! - [`rotate`](fn@rotate), [`rotate_transpose`], [`Givens`], [`QuasiGivens`], [`RotationPlan`]:
//!   the rotation itself, on any axis of any tensor. [`GivensOps`]: the operation as each backend
//!   provides it.
//! - [`Error`]: what was asked, what was found, what to do. A wrong shape panics and says the same.
//!
//! How far a fine-tuned model has moved is measured by the crate `burn-goft-drift`.
//!
//! # The calls, beside PEFT's
//!
//! | here | PEFT | |
//! |---|---|---|
//! | [`Goft::with_targets`] | `target_modules` | globs on parameter paths; without any, the weight of every `Linear` |
//! | [`Goft::with_exclude`] | `exclude_modules` | left out of the targets |
//! | [`Goft::with_trainable`] | `modules_to_save` | trained as it is, saved with the adapter |
//! | [`Goft::with_override`] | `rank_pattern` | other settings for some of the targets |
//! | [`Goft::plan`] | `inspect_matched_modules` | a dry run that prints as a table |
//! | [`apply_goft`](GoftModule::apply_goft) | `get_peft_model` | attaches, and freezes everything else |
//! | [`adapter_report`](GoftModule::adapter_report) | `print_trainable_parameters` | |
//! | [`disable_adapters`](GoftModule::disable_adapters) | `disable_adapter` | the pretrained weights again; what was trained beside the adapters stays |
//! | [`detach_adapters`](GoftModule::detach_adapters) | `unload` | takes the adapters off |
//! | [`save_adapters`](GoftModule::save_adapters), [`load_adapters`](GoftModule::load_adapters) | `save_pretrained`, `from_pretrained` | |
//! | [`merge_adapters`](GoftModule::merge_adapters) | `merge_and_unload(safe_merge=True)` | burn's `materialize`, after `valid`, is the same without the check |
//! | [`unmerge_adapters`](GoftModule::unmerge_adapters) | `unmerge_adapter` | from a merged model and the adapter, on disk or in memory |
//! | [`adapter_group`](GoftModule::adapter_group) | | the adapters' parameters, for an optimizer of their own |
//! | [`Goft::with_init_std`] | `init_weights=False` | starts away from the identity, for tests |
//!
//! # Weight side and input side
//!
//! | | weight side | input side |
//! |---|---|---|
//! | how | [`apply_goft`](GoftModule::apply_goft) on any model | the field is a [`GoftLinear`] or of [`nn`], then [`apply_goft`](GoftModule::apply_goft) |
//! | each forward pass rotates | the weight, `R W` | the activations, `R^T x` |
//! | dense gradient of `W` | formed on the way to `R` | never formed |
//! | a quantized `W` | dequantized in each forward pass | stays packed |
//!
//! They are the same layer and differ in rounding only. Paths, records and adapter files are the
//! same: an adapter trained on one side loads on the other. Train with the input side where a
//! field's type can change; use the weight side on models that cannot. Embeddings, convolutions and
//! stacked expert weights are adapted on the weight side, by name; see [`Site`].
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
//! | HRA | [`Goft::hra(Hra::new(8))`](Goft::hra) | PEFT's `HRAConfig` | kept | kept |
//! | RoAd | [`Goft::road(Road::default())`](Goft::road) | PEFT's `RoadConfig`, which rotates outputs, as [`Override::with_axis`] of 1 does | change | change |
//!
//! Angles are kept for positive factors: a negative one reverses its neuron's direction. For a
//! quasi adapter the penalty decides how far it goes: [`Penalty::Paper`] keeps the two columns of a
//! block perpendicular but lets their lengths drift, [`Penalty::Gram`] keeps both. All parameters
//! but HRA's are zero at the identity, so weight decay leads back to the pretrained model.
//!
//! A strict adapter stores angles in radians ([`AngleForm::Direct`]), or with [`AngleForm::Tanh`]
//! the `p` of `pi tanh(p)`, as the authors' code does. The published learning rates are rates for
//! `p`: with direct angles and Adam, multiply them by pi.
//!
//! # Features
//!
//! No backend is on by default; name the same ones for burn and for this crate. On a backend that
//! is not listed here, or was not enabled, the portable implementation runs. On a CPU it costs 18
//! copies of the tensor instead of 1.1 to 1.5.
//!
//! - `autodiff` (default): when enabled, the rotation differentiates on autodiff devices.
//! - `train`: when enabled, burn's `Learner` trains an [`AdapterOnly`], whose checkpoints hold what
//!   is trained.
//! - `flex`: when enabled, runs on burn's CPU backend, the one to recommend for CPUs, with burn's
//!   `rayon` and `simd`, without which its products take twice the time.
//! - `ndarray`: when enabled, runs on the CPU backend that burn deprecates.
//! - `wgpu`, `vulkan`, `metal`, `webgpu`: when enabled, run on wgpu; the last three choose the
//!   shader language: SPIR-V, MSL, WGSL.
//! - `cuda`, `rocm`, `cpu`: when enabled, run on NVIDIA GPUs, AMD GPUs, CubeCL's CPU runtime. Their
//!   build downloads LLVM.
//! - `remote`: when enabled, sends a rotation to a server of burn's as one operation, which the
//!   server answers with its own backend's kernel after `register_ops`.
//!
//! # Dtypes
//!
//! A rotation returns the dtype of its data. Its arithmetic is done in the wider dtype of data and
//! blocks, and at least in f32: f16 and bf16 data lose the final rounding only. Adapter parameters
//! are f32, or f64 on an f64 weight, whatever the precision of the model, also when the model is
//! cast or packed after attaching. Parameters at the identity give finite data back exactly; HRA's
//! reflections cancel to rounding.
//!
//! # Files
//!
//! An adapter file is safetensors: the adapter's parameters (`encoder.0.query.weight.goft.angles`),
//! those trained beside it (`head.weight`), running statistics that training updates, and one
//! metadata entry with format version, the axis and shape of every target, parameter ids,
//! fingerprints of the base and a SHA-256 of it all. Nothing of the pretrained model is in it. A
//! damaged file, a file for other paths, shapes or pretrained values, and NaN are errors. Files of
//! PEFT and of the authors' code are not read.
//!
//! The whole model with its adapters is an ordinary burn record; [`AdapterOnly`] makes records of
//! what is trained alone.
//!
//! # What it does not do
//!
//! - Reach all rotations. `R` has `d - 1` parameters and `SO(d)` has `d(d-1)/2` dimensions. The
//!   paper's Theorem 4.1 is about moving one vector to another of its length; with the fixed pairs
//!   of [`RotationPlan`] even that holds only to or from axis 0.
//! - Change a norm, an angle between neurons or a singular value with a plain strict adapter.
//! - Hold a quasi adapter near orthogonal without a penalty. Watch [`quasi_bounds`].
//! - Combine several adapters on one weight, or drop adapters out during training.
//! - Survive `unfreeze` of the whole model, which makes the pretrained weights trainable too; use
//!   burn's `unfreeze_group`.
//! - Remove its cost by itself: until it is merged, each forward pass rotates. Merging a quantized
//!   weight gives a dense one. An LSTM or GRU reads its weights once per gate and time step, and
//!   rotates them as often.
//! - Tell your own `Linear` from burn's if it has the same name and fields, and either no bias or a
//!   square weight, stored `[out, in]`; say [`Override::with_axis`].
//! - Promise that a model forgets less. Kept angles are not a proof of kept knowledge; measure it.

mod adapter;
#[cfg(feature = "autodiff")]
mod adapter_only;
mod backends;
mod checkpoint;
mod error;
mod linear;
mod methods;
mod model;
pub mod nn;
mod numeric;
#[cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "the operation lists ndarray among its backends")
)]
#[cfg_attr(
    not(any(
        feature = "flex",
        feature = "ndarray",
        feature = "cubecl-backend",
        feature = "remote"
    )),
    expect(
        unused_variables,
        reason = "the dispatcher has no backend to pass them to"
    )
)]
mod packed;
#[cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "the operation lists ndarray among its backends")
)]
#[cfg_attr(
    not(any(
        feature = "flex",
        feature = "ndarray",
        feature = "cubecl-backend",
        feature = "remote"
    )),
    expect(
        unused_variables,
        reason = "the dispatcher has no backend to pass them to"
    )
)]
mod pairs;
mod product;
#[cfg(feature = "train")]
mod train;

pub use adapter::{GoftAdapter, NormScale, Site, Unmerged};
#[cfg(feature = "autodiff")]
pub use adapter_only::AdapterOnly;
#[cfg(feature = "remote")]
pub use backends::register_ops;
pub use checkpoint::{AdapterFile, IntoAdapterFile};
pub use error::Error;
pub use linear::GoftLinear;
pub use methods::{
    AngleForm, Givens, Hra, Method, Oft, OftBounds, Penalty, Quasi, QuasiGivens, Road, RoadScales,
    Strict, oft_bounds,
};
pub use model::{
    AdaptedLayer, AdapterReport, Goft, GoftModule, Override, Owner, ParameterInfo, Plan, Target,
    Uncovered, parameters, visit_parameters,
};
pub use nn::GoftLinearConfig;
pub use packed::{PackedOps, packed_linear};
pub use pairs::{
    GivensOps, Level, OrthogonalityError, QuasiBounds, RotationPlan, Topology, Turn,
    orthogonality_error, quasi_bounds, rotate, rotate_portable, rotate_transpose,
    strict_distance_bound,
};

/// The programs of the README, compiled and run as tests.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
