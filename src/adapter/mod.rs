//! What is attached to a weight: the learned parameters and how they act on it.

mod create;
pub(crate) mod letterbox;
mod module;
mod names;
mod parameter;
mod scale;
mod site;
mod unmerge;

use burn::module::Param;
use burn::tensor::Tensor;

use crate::methods::{Field, Method};
use crate::numeric::scale_axis;
use crate::product::exactly;
pub(crate) use create::{Values, check_std};
use parameter::Parameter;
pub(crate) use parameter::{is_trainable, with_id};
pub use scale::NormScale;
pub(crate) use site::Holder;
pub use site::Site;
pub use unmerge::Unmerged;

fn is_scale(parameter: &Parameter) -> bool {
    NormScale::read(names::without_axis(&parameter.field.name)).is_some()
}

/// The parameters of a learned rotation, attached to a frozen weight.
///
/// As burn's [`Reparameterization`](burn::module::Reparameterization) of a parameter it is the
/// weight side of a method: for the weight `W [d_input, d_output]` of a `Linear` the parameter's
/// value becomes
///
#[cfg_attr(
    docsrs,
    doc = r#"$$W^* = R \mathrm{diag}(s_{in}) W \mathrm{diag}(s_{out})$$"#
)]
#[cfg_attr(not(docsrs), doc = "`W* = R diag(s_in) W diag(s_out)`")]
///
/// with at most one of the scales; other parameters are rotated along the axis of their [`Site`].
/// The input side, [`rotate_input`](Self::rotate_input), gives the same layer without touching the
/// weight; [`GoftLinear`](crate::GoftLinear) uses that.
///
/// The names of the parameters say what the adapter is, so that a record or file of one form cannot
/// load as another. Every parameter is a row, and for all methods but HRA the identity is where all
/// parameters are zero:
///
/// | path in a record | shape in a file | present for |
/// |---|---|---|
/// | `goft.angles` | `[d-1]` | GOFT, angles in radians |
/// | `goft.tanh_angles` | `[d-1]` | GOFT, `theta = pi tanh(p)` |
/// | `goft.block_offsets` | `[d-1, 2, 2]` | qGOFT, blocks less the identity |
/// | `goft.skew_b32`, `goft.skew_b32_k5` | [`Oft::parameter_count`](crate::Oft::parameter_count) | OFT, exact or by 5 terms |
/// | `goft.reflections_r8` | `[8, d]` | HRA |
/// | `goft.road1_angles`, `goft.road1_scale_offsets` | `[floor(d/2)]` | RoAd_1 |
/// | `goft.road2_*`, `goft.road4_*` | `[floor(d/2), 2]`, `[floor(d/2), 2, 2]` | RoAd_2 and RoAd_4 |
/// | `goft.input_scale_offsets` | `[d_input]` | [`NormScale::Input`], the scale less one |
/// | `goft.neuron_scale_offsets` | `[d_output]` | [`NormScale::Neuron`], the scale less one |
///
/// With [`Topology::Neighbors`](crate::Topology::Neighbors) the first three end in `_neighbors` and
/// have `floor(d/2)` pairs. Where the rotated axis is not the first, or the scaled neurons are not
/// on the second, the name ends in it: `goft.angles_axis1`.
///
/// Parameters are f32, or f64 under an f64 weight, and stay so when the model around them is packed
/// or cast to half precision; see [`rotate`](fn@crate::rotate) for the dtype of results.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Section 4.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use burn_goft::{Goft, GoftAdapter, GoftModule};
///
/// let linear = LinearConfig::new(8, 3).init(&Device::flex());
/// let linear = linear.apply_goft(Goft::quasi())?;
/// let adapter = linear.weight.reparameterization::<GoftAdapter>().unwrap();
/// assert_eq!(adapter.method().name(), "qgoft");
/// assert_eq!(adapter.blocks().unwrap().dims(), [7, 2, 2]);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GoftAdapter {
    method: Method,
    norm_scale: NormScale,
    site: Site,
    /// The method's, in the order of its fields, and that of the scale.
    parameters: Vec<Parameter>,
    enabled: bool,
}

impl GoftAdapter {
    /// The method, with its settings.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Which norms the adapter may scale.
    pub fn norm_scale(&self) -> NormScale {
        self.norm_scale
    }

    /// Which axis of which shape is rotated.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The rotated axis of the weight.
    pub fn axis(&self) -> usize {
        self.site.axis
    }

    /// Length of the rotated vectors, the `d` of the formulas.
    pub fn dim(&self) -> usize {
        self.site.dim()
    }

    /// Whether the adapter acts; see [`disable_adapters`](crate::GoftModule::disable_adapters).
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn enabled(self, enabled: bool) -> Self {
        Self { enabled, ..self }
    }

    /// The stored parameter of this name, a row; see the table above.
    pub fn parameter(&self, name: &str) -> Option<&Param<Tensor<1>>> {
        let named = self.parameters.iter().find(|p| p.field.name == name);
        named.map(|parameter| &parameter.param)
    }

    /// The names of all stored parameters.
    pub fn parameter_names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|p| p.field.name.as_str())
    }

    /// Name and shape in files of every parameter, and the parameter.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&Field, &Param<Tensor<1>>)> {
        self.parameters.iter().map(|p| (&p.field, &p.param))
    }

    fn rotation_values(&self) -> impl Iterator<Item = Tensor<1>> {
        let rotation = self.parameters.iter();
        let rotation = rotation.filter(|p| !is_scale(p));
        rotation.map(|parameter| parameter.param.val())
    }

    fn rotation_parameters(&self) -> Vec<Tensor<1>> {
        self.rotation_values().collect()
    }

    fn scale_offsets(&self) -> Option<Tensor<1>> {
        let scale = self.parameters.iter().find(|p| is_scale(p))?;
        Some(scale.param.val())
    }

    /// The learned norm scale, `[d_input]` or `[d_output]` by [`norm_scale`](Self::norm_scale);
    /// none without one.
    pub fn scale(&self) -> Option<Tensor<1>> {
        self.scale_offsets().map(|offsets| offsets.add_scalar(1.0))
    }

    /// The blocks of a rotation made of pairs (GOFT, qGOFT, RoAd), differentiable in the adapter's
    /// parameters: `[pairs, 2, 2]` in the order of [`RotationPlan`](crate::RotationPlan), `d - 1`
    /// pairs for GOFT and qGOFT. None for methods that are made of other parts.
    pub fn blocks(&self) -> Option<Tensor<3>> {
        self.method
            .blocks(&self.rotation_parameters(), self.site.dim())
    }

    /// `R` along an axis of `x`, whatever the method, differentiable in `x` and in the parameters.
    /// The result has the dtype of `x`; the arithmetic is done in the wider dtype of `x` and the
    /// parameters, in all its digits even where the device's own product keeps fewer.
    ///
    /// # Panics
    ///
    /// If the axis does not have the length of the adapter's vectors, or if angles are f64 on a
    /// device that has no f64 cosine, such as wgpu's.
    pub fn rotate<const D: usize>(&self, x: Tensor<D>, axis: usize) -> Tensor<D> {
        exactly(|| self.turn("rotate", x, axis, false))
    }

    /// `R^T` along an axis of `x`, as [`rotate`](Self::rotate). The inverse of `R` for orthogonal
    /// rotations only.
    ///
    /// # Panics
    ///
    /// If the axis does not have the length of the adapter's vectors.
    pub fn rotate_transpose<const D: usize>(&self, x: Tensor<D>, axis: usize) -> Tensor<D> {
        exactly(|| self.turn("rotate_transpose", x, axis, true))
    }

    fn turn<const D: usize>(
        &self,
        name: &str,
        x: Tensor<D>,
        axis: usize,
        transpose: bool,
    ) -> Tensor<D> {
        let (shape, dim) = (x.dims(), self.site.dim());
        assert!(
            axis < D && shape.as_ref()[axis] == dim,
            "GoftAdapter::{name}: asked to rotate axis {axis} of shape {shape:?}, and the adapter rotates vectors of \
             length {dim}; pass the axis that has this length"
        );
        self.method
            .turn(&self.rotation_parameters(), x, axis, transpose)
    }

    /// A bound on `|| R^T R - I ||_2` from the parameters alone, beyond rounding: 0 for GOFT and
    /// HRA, for OFT that of [`oft_bounds`](crate::oft_bounds), for qGOFT and RoAd that of
    /// [`quasi_bounds`](crate::quasi_bounds). Infinite for OFT with parameters that are not finite.
    pub fn gram_bound(&self) -> f64 {
        let parameters: Vec<_> = self.rotation_values().map(Tensor::detach).collect();
        self.method.gram_bound(&parameters, self.site.dim())
    }

    /// The adapter's term of [`adapter_penalty`](crate::GoftModule::adapter_penalty), `[1]`; none
    /// if it is zero whatever the parameters.
    pub fn penalty(&self, penalty: crate::Penalty) -> Option<Tensor<1>> {
        self.method
            .penalty(&self.rotation_parameters(), self.site.dim(), penalty)
    }

    /// The adapter within `radius` of the identity; none if its method defines no such projection.
    pub(crate) fn projected(&self, radius: f64) -> Option<Self> {
        let parameters: Vec<_> = self.rotation_values().map(Tensor::detach).collect();
        let mut values = self.method.project(&parameters, radius)?.into_iter();
        let replace = |parameter: &Parameter| match is_scale(parameter) {
            true => parameter.clone(),
            false => parameter.clone().change(|param| {
                param.map(|old| {
                    let new = values.next().expect("one for each parameter").detach();
                    if old.is_require_grad() {
                        new.require_grad()
                    } else {
                        new
                    }
                })
            }),
        };
        Some(Self {
            parameters: self.parameters.iter().map(replace).collect(),
            ..self.clone()
        })
    }

    /// The input side: `x R diag(s_in)` for activations `[.., d_input]`, to be multiplied by the
    /// untouched weight.
    ///
    /// Together with [`scale_output`](Self::scale_output) this is the same layer as the weight
    /// side: `h = diag(s_out) W^T (diag(s_in) R^T x)`. Methods that are not made of pairs (OFT, HRA)
    /// turn by the device's own product here, as the layer multiplies: on CUDA in TF32.
    ///
    /// # Panics
    ///
    /// If the last axis of `x` is not `d_input`.
    pub fn rotate_input<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let rotated = self.turn("rotate_input", x, D - 1, true);
        self.scaled(rotated, NormScale::Input, D - 1)
    }

    /// The layer `x W*` of a weight `W [d_input, d_output]` and a bias, by whichever side of `W`
    /// the adapter's vectors lie along, with this product. `W` itself is not touched.
    pub(crate) fn multiply<const D: usize>(
        &self,
        x: Tensor<D>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        product: impl Fn(Tensor<D>, Tensor<2>, Option<Tensor<1>>) -> Tensor<D>,
    ) -> Tensor<D> {
        let on_outputs = self.site.axis == 1;
        let output = if on_outputs {
            // `W* = W diag(s) R^T`, and its neurons are counted by the inputs.
            let input = self.scaled(x, NormScale::Neuron, D - 1);
            let output = self.scaled(product(input, weight, None), NormScale::Input, D - 1);
            self.turn("multiply", output, D - 1, false)
        } else if self.norm_scale == NormScale::Neuron {
            // The neuron scale comes before the bias.
            self.scale_output(product(self.rotate_input(x), weight, None))
        } else {
            return product(self.rotate_input(x), weight, bias);
        };
        match bias {
            Some(bias) => output + bias.unsqueeze(),
            None => output,
        }
    }

    /// `diag(s_out) h` for the layer's output `[.., d_output]` before its bias; `h` itself without
    /// a neuron scale.
    ///
    /// # Panics
    ///
    /// If there is a neuron scale and the last axis of `h` does not have its length.
    pub fn scale_output<const D: usize>(&self, h: Tensor<D>) -> Tensor<D> {
        self.scaled(h, NormScale::Neuron, D - 1)
    }

    fn scaled<const D: usize>(&self, x: Tensor<D>, asked: NormScale, axis: usize) -> Tensor<D> {
        match self.scale() {
            Some(scale) if self.norm_scale == asked => scale_axis(x, scale, axis),
            _ => x,
        }
    }

    /// The value of the adapted parameter, from its base.
    pub(crate) fn adapt<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let shape = base.shape();
        self.adapt_row(base.reshape([shape.num_elements()]))
            .reshape(shape)
    }

    /// The value of the adapted parameter in a row, from the values of its base in a row.
    pub(crate) fn adapt_row(&self, base: Tensor<1>) -> Tensor<1> {
        let site = &self.site;
        let scale = |row: Tensor<1>, asked: NormScale| match self.scale() {
            Some(scale) if self.norm_scale == asked => {
                site.scale(row, scale, self.norm_scale.axis(site))
            }
            _ => row,
        };
        let base = site.vectors(scale(base, NormScale::Input), site.axis);
        let rotated = self
            .method
            .turn(&self.rotation_parameters(), base, 1, false);
        scale(rotated.flatten(0, 2), NormScale::Neuron)
    }

    /// With other values, ids and settings, but the training state of these parameters.
    pub(crate) fn refilled(&self, other: Self) -> Self {
        let trainable = self.parameters.iter().any(|p| is_trainable(&p.param));
        let parameters = other.parameters.into_iter();
        let set =
            |parameter: Parameter| parameter.change(|param| param.set_require_grad(trainable));
        Self {
            parameters: parameters.map(set).collect(),
            ..other
        }
    }
}
