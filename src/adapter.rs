//! What is attached to a weight: the learned parameters and how they act on it.

use burn::module::{Module, Param, Reparameterization};
use burn::tensor::{DType, Device, Distribution, Shape, Tensor, TensorData};

use crate::error::Error;
use crate::givens::{AngleForm, Givens, QuasiGivens};
use crate::goft::{Goft, Kind, NormScale};
use crate::oft::{Oft, turn_blocks};
use crate::portable::compute_dtype;
use crate::rotate::{rotate, rotate_transpose};
use crate::switch::Switch;

/// GOFT, qGOFT or OFT parameters attached to a frozen weight `W [d_input, d_output]`.
///
/// As burn's [`Reparameterization`] of a rank-2 parameter it is the weight side of the method: the parameter's value becomes
#[cfg_attr(
    doc,
    doc = r#"$$W^* = R \mathrm{diag}(s_{in}) W \mathrm{diag}(s_{out})$$"#
)]
#[cfg_attr(not(doc), doc = "`W* = R diag(s_in) W diag(s_out)`")]
/// with at most one of the scales. Its input side, [`rotate_input`](Self::rotate_input), gives the same layer without touching the
/// weight; [`GoftLinear`](crate::GoftLinear) uses that.
///
/// The fields that are present say what the adapter is, so that a record or file of one form cannot load as another:
///
/// | path in a record | shape | present for |
/// |---|---|---|
/// | `goft.angles` | `[d-1]` | strict, angles in radians |
/// | `goft.tanh_angles` | `[d-1]` | strict, `theta = pi tanh(p)` |
/// | `goft.blocks` | `[d-1, 2, 2]` | quasi |
/// | `goft.skew` | one row, [`Oft::parameter_count`] | OFT; a file's name for it has the form too, as in `goft.skew_b32` |
/// | `goft.input_scale` | `[d_input]` | [`NormScale::Input`] |
/// | `goft.neuron_scale` | `[d_output]` | [`NormScale::Neuron`] |
///
/// Parameters are f32, or f64 under an f64 weight; see [`rotate`](fn@crate::rotate) for half precision.
///
/// Made by [`apply_goft`](crate::GoftModule::apply_goft); read it back with `param.reparameterization::<GoftAdapter>()`.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Section 4.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftAdapter, GoftModule, Kind};
///
/// let linear = LinearConfig::new(8, 3).init(&Device::flex());
/// let linear = linear.apply_goft(Goft::quasi())?;
/// let adapter = linear.weight.reparameterization::<GoftAdapter>().unwrap();
/// assert_eq!(adapter.kind(), Kind::Quasi);
/// assert_eq!(adapter.blocks().dims(), [7, 2, 2]);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct GoftAdapter {
    angles: Option<Param<Tensor<1>>>,
    tanh_angles: Option<Param<Tensor<1>>>,
    blocks: Option<Param<Tensor<3>>>,
    // Before its parameters, so that a visitor knows the form when it comes to them.
    oft: Option<Oft>,
    skew: Option<Param<Tensor<1>>>,
    input_scale: Option<Param<Tensor<1>>>,
    neuron_scale: Option<Param<Tensor<1>>>,
    switch: Switch,
}

/// A weight restored by [`GoftAdapter::unmerge`].
#[derive(Debug, Clone)]
pub struct Unmerged {
    /// The weight before the merge, `[d_input, d_output]`.
    pub weight: Tensor<2>,
    /// Bound on the condition number of what was undone: the relative error of `weight` is about this times the rounding of
    /// its dtype. 1 for strict adapters, and for those of OFT by an exact inverse up to its reach, without a norm scale.
    pub condition: f64,
}

impl GoftAdapter {
    /// An adapter for a weight `[d_input, d_output]` of the given dtype, by the settings' kind, angle form, norm scale and
    /// initial values.
    pub fn new(
        goft: &Goft,
        [d_input, d_output]: [usize; 2],
        dtype: DType,
        device: &Device,
    ) -> Self {
        let dtype = if dtype == DType::F64 {
            DType::F64
        } else {
            DType::F32
        };
        let pairs = d_input.saturating_sub(1);
        let noise = |shape: Shape| {
            let spread = Distribution::Normal(0.0, goft.init_std);
            match goft.init_std {
                _ if shape.num_elements() == 0 => no_numbers([0], dtype, device),
                0.0 => Tensor::<1>::zeros([shape.num_elements()], (device, dtype)),
                _ => Tensor::<1>::random([shape.num_elements()], spread, (device, dtype)),
            }
        };
        let strict = || Some(Param::from_tensor(noise(Shape::new([pairs]))));
        let scale = |length| {
            Some(Param::from_tensor(Tensor::<1>::ones(
                [length],
                (device, dtype),
            )))
        };
        // A parameter lives as long as its module, and burn's memory pools want to know that when it is allocated.
        device.memory_persistent_allocations((), |_| {
            let mut adapter = Self::empty();
            match (goft.kind, goft.angle_form) {
                (Kind::Strict, AngleForm::Direct) => adapter.angles = strict(),
                (Kind::Strict, AngleForm::Tanh) => adapter.tanh_angles = strict(),
                (Kind::Quasi, _) => {
                    let blocks = match pairs {
                        0 => no_numbers([0, 2, 2], dtype, device),
                        _ => {
                            let identity = Tensor::<2>::eye(2, device).cast(dtype);
                            let noise = noise(Shape::new([pairs, 2, 2])).reshape([pairs, 2, 2]);
                            noise + identity.reshape([1, 2, 2])
                        }
                    };
                    adapter.blocks = Some(Param::from_tensor(blocks));
                }
                (Kind::Oft, _) => {
                    let form = goft.oft_form();
                    let count = form.parameter_count(d_input);
                    adapter.oft = Some(form);
                    adapter.skew = Some(Param::from_tensor(noise(Shape::new([count]))));
                }
            }
            match goft.norm_scale {
                NormScale::None => {}
                NormScale::Input => adapter.input_scale = scale(d_input),
                NormScale::Neuron => adapter.neuron_scale = scale(d_output),
            }
            adapter
        })
    }

    pub(crate) fn empty() -> Self {
        Self {
            angles: None,
            tanh_angles: None,
            blocks: None,
            oft: None,
            skew: None,
            input_scale: None,
            neuron_scale: None,
            switch: Switch::new(true),
        }
    }

    /// Sets the parameter of the given name from a tensor of the parameter's rank.
    pub(crate) fn set(&mut self, name: &str, value: Tensor<1>, shape: &[usize]) -> bool {
        let flat = |value| Some(Param::from_tensor(value));
        match (name, shape) {
            ("angles", [_]) => self.angles = flat(value),
            ("tanh_angles", [_]) => self.tanh_angles = flat(value),
            ("blocks", &[pairs, 2, 2]) => {
                self.blocks = Some(Param::from_tensor(value.reshape([pairs, 2, 2])));
            }
            ("input_scale", [_]) => self.input_scale = flat(value),
            ("neuron_scale", [_]) => self.neuron_scale = flat(value),
            (field, [_]) => match Oft::of_field(field) {
                Some(form) => {
                    self.oft = Some(form);
                    self.skew = flat(value);
                }
                None => return false,
            },
            _ => return false,
        }
        true
    }

    /// One rotation and at most one scale.
    pub(crate) fn is_complete(&self) -> bool {
        let rotations = [
            self.angles.is_some(),
            self.tanh_angles.is_some(),
            self.blocks.is_some(),
            self.skew.is_some(),
        ];
        let scales = [self.input_scale.is_some(), self.neuron_scale.is_some()];
        let count = |present: &[bool]| present.iter().filter(|present| **present).count();
        count(&rotations) == 1 && count(&scales) <= 1
    }

    /// Strict (GOFT), quasi (qGOFT) or OFT.
    pub fn kind(&self) -> Kind {
        if self.blocks.is_some() {
            Kind::Quasi
        } else if self.skew.is_some() {
            Kind::Oft
        } else {
            Kind::Strict
        }
    }

    /// The angle form of a strict adapter; [`AngleForm::Direct`] for the others, which have no angles.
    pub fn angle_form(&self) -> AngleForm {
        if self.tanh_angles.is_some() {
            AngleForm::Tanh
        } else {
            AngleForm::Direct
        }
    }

    /// Which norms the adapter may scale.
    pub fn norm_scale(&self) -> NormScale {
        match (&self.input_scale, &self.neuron_scale) {
            (Some(_), _) => NormScale::Input,
            (_, Some(_)) => NormScale::Neuron,
            (None, None) => NormScale::None,
        }
    }

    /// Whether the adapter acts; see [`enable_goft`](crate::GoftModule::enable_goft).
    pub fn is_enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// The stored parameter of a strict adapter, `[d-1]`: the angles, or what `tanh` makes angles of.
    pub fn angle_parameter(&self) -> Option<&Param<Tensor<1>>> {
        self.angles.as_ref().or(self.tanh_angles.as_ref())
    }

    /// The stored blocks of a quasi adapter, `[d-1, 2, 2]`.
    pub fn block_parameter(&self) -> Option<&Param<Tensor<3>>> {
        self.blocks.as_ref()
    }

    /// The stored skew parameters of an OFT adapter, in a row; see [`Oft::blocks`].
    pub fn skew_parameter(&self) -> Option<&Param<Tensor<1>>> {
        self.skew.as_ref()
    }

    /// The form of an OFT adapter.
    pub fn oft(&self) -> Option<Oft> {
        self.oft
    }

    /// The learned scale: `[d_input]` or `[d_output]` by [`norm_scale`](Self::norm_scale).
    pub fn scale_parameter(&self) -> Option<&Param<Tensor<1>>> {
        self.input_scale.as_ref().or(self.neuron_scale.as_ref())
    }

    /// The blocks of the rotation, differentiable in the adapter's parameters: `[d-1, 2, 2]` in the order of
    /// [`RotationPlan`](crate::RotationPlan), for [`rotate`](fn@crate::rotate).
    ///
    /// # Panics
    ///
    /// For an OFT adapter, whose blocks are made by [`Oft::blocks`] from its [`skew_parameter`](Self::skew_parameter).
    pub fn blocks(&self) -> Tensor<3> {
        match (&self.blocks, self.angle_parameter()) {
            (Some(blocks), _) => QuasiGivens::from_blocks(blocks.val()).blocks(),
            (None, Some(parameter)) => {
                Givens::from_parameter(parameter.val(), self.angle_form()).blocks()
            }
            (None, None) => panic!(
                "GoftAdapter::blocks: asked an OFT adapter for Givens blocks; its own are `oft().blocks(skew_parameter(), d_input)`"
            ),
        }
    }

    /// The input side: `x R diag(s_in)` for activations `[.., d_input]`, to be multiplied by the untouched weight.
    ///
    /// Together with [`scale_output`](Self::scale_output) this is the same layer as the weight side:
    /// `h = diag(s_out) W^T (diag(s_in) R^T x)`.
    ///
    /// # Panics
    ///
    /// If the last axis of `x` is not `d_input`.
    pub fn rotate_input<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.scale_input(self.turn(x, D - 1, true))
    }

    /// `diag(s_in) v` for rotated activations `[.., d_input]`; `v` itself without an input scale.
    pub(crate) fn scale_input<const D: usize>(&self, rotated: Tensor<D>) -> Tensor<D> {
        match &self.input_scale {
            Some(scale) => scale_axis(rotated, scale.val(), D - 1),
            None => rotated,
        }
    }

    /// `diag(s_out) h` for the layer's output `[.., d_output]` before its bias; `h` itself without a neuron scale.
    pub fn scale_output<const D: usize>(&self, h: Tensor<D>) -> Tensor<D> {
        match &self.neuron_scale {
            Some(scale) => scale_axis(h, scale.val(), D - 1),
            None => h,
        }
    }

    /// Undoes a merge: `W` from `W* = R diag(s_in) W diag(s_out)`.
    ///
    /// Strict rotations are undone by their transpose, quasi ones by the inverse of every block, levels in opposite order.
    /// Exact to rounding: the error grows with [`Unmerged::condition`].
    ///
    /// # Errors
    ///
    /// [`Error::Singular`] if a block has no inverse or a scale is zero, with the block's number and condition;
    /// [`Error::NonFinite`] if a parameter is not finite.
    ///
    /// # Panics
    ///
    /// If `merged` is not `[d_input, d_output]`.
    pub fn unmerge(&self, merged: Tensor<2>) -> Result<Unmerged, Error> {
        crate::merge::unmerge(self, merged)
    }

    pub(crate) fn rotate_weight(&self, base: Tensor<2>) -> Tensor<2> {
        let base = match &self.input_scale {
            Some(scale) => scale_axis(base, scale.val(), 0),
            None => base,
        };
        self.scale_output(self.turn(base, 0, false))
    }

    /// `R` along an axis of `x`, or `R^T`.
    pub(crate) fn turn<const D: usize>(
        &self,
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        match (&self.oft, &self.skew) {
            (Some(form), Some(skew)) => {
                let blocks = form.blocks(skew.val(), x.dims()[axis]);
                turn_blocks(x, blocks, axis, transpose)
            }
            _ if transpose => rotate_transpose(x, self.blocks(), axis),
            _ => rotate(x, self.blocks(), axis),
        }
    }
}

impl Reparameterization for GoftAdapter {
    const NAME: &'static str = "goft";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        if !self.is_enabled() {
            return base;
        }
        // A packed base has no float dtype to rotate in.
        let base = if base.dtype().is_float() {
            base
        } else {
            base.dequantize()
        };
        let shape = base.shape();
        let weight = base.reshape([shape[0], shape[1]]);
        self.rotate_weight(weight).reshape(shape)
    }
}

/// An empty tensor that no operation makes: burn fuses operations over no numbers with others, which then write nothing either.
pub(crate) fn no_numbers<const D: usize>(
    shape: [usize; D],
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let none = TensorData::new(Vec::<f32>::new(), shape).convert_dtype(dtype);
    Tensor::from_data(none, (device, dtype))
}

/// Multiplies `x` along `axis` by `scale`, computing at least in f32 and returning the dtype of `x`.
pub(crate) fn scale_axis<const D: usize>(x: Tensor<D>, scale: Tensor<1>, axis: usize) -> Tensor<D> {
    let mut shape = [1; D];
    shape[axis] = scale.dims()[0];
    let dtype = x.dtype();
    let compute = compute_dtype(dtype, scale.dtype());
    let scaled = x.cast(compute) * scale.cast(compute).reshape(shape);
    scaled.cast(dtype)
}
