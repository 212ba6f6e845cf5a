//! A `Linear` that rotates its input: the side to train with.

use std::borrow::Borrow;

use burn::module::{
    Content, Devices, LoraAdapter, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use crate::adapter::GoftAdapter;
use crate::checkpoint::{AdapterFile, IntoAdapterFile};
use crate::error::Error;
use crate::model::{Goft, GoftModule};
use crate::packed::packed_linear;

/// A drop-in for burn's [`Linear`] that applies a GOFT adapter to its input.
///
/// With the activations `x [.., d_input]` as rows,
///
#[cfg_attr(
    docsrs,
    doc = r#"$$y = (x R \mathrm{diag}(s_{in})) W \mathrm{diag}(s_{out}) + b$$"#
)]
#[cfg_attr(not(docsrs), doc = "`y = (x R diag(s_in)) W diag(s_out) + b`")]
///
/// which is the layer that the weight side gives, computed without an effective weight: `W` stays
/// as it was loaded, untracked and, if it is quantized, packed, in the backward pass too; no
/// `d_input x d_output` gradient is formed.
///
/// burn's LoRA on this layer is computed the same way, beside the frozen product:
/// `y = x W + b + s (x A) B`. In a `Linear` it forms `W + s A B` and a dense gradient of it.
///
/// It is the same to everything around it: parameter paths, records, PyTorch checkpoints and
/// display are those of `Linear`, and an adapter is attached, saved, loaded and merged by the calls
/// of [`GoftModule`], on this layer alone or on the model that holds it. A file trained on one side
/// loads on the other.
///
/// Source: Ma et al. 2024, [arXiv 2404.04316](https://arxiv.org/abs/2404.04316), Section 4; the
/// input side is Qiu et al. 2025, [arXiv 2506.19847](https://arxiv.org/abs/2506.19847), Section 4,
/// there for OFT.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::{Device, Distribution, Tensor}};
/// use burn_goft::{Goft, GoftLinear};
///
/// let device = Device::flex();
/// let linear = LinearConfig::new(6, 4).init(&device);
/// let layer = GoftLinear::from_linear(linear, Goft::quasi().with_init_std(0.1))?;
///
/// let x = Tensor::<2>::random([5, 6], Distribution::Normal(0.0, 1.0), &device);
/// let y = layer.forward(x.clone());
/// let merged = layer.merge()?; // a plain `Linear`
/// let error = (merged.forward(x) - y).abs().max().into_scalar::<f32>();
/// assert!(error < 1e-5);
/// # }
/// # Ok::<(), burn_goft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GoftLinear {
    inner: Linear,
}

impl From<Linear> for GoftLinear {
    /// Without an adapter until [`attach`](GoftLinear::attach) or
    /// [`apply_goft`](GoftModule::apply_goft) on the whole model.
    fn from(inner: Linear) -> Self {
        Self { inner }
    }
}

impl GoftLinear {
    /// Wraps a layer and attaches an adapter.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach).
    pub fn from_linear(linear: Linear, goft: impl Borrow<Goft>) -> Result<Self, Error> {
        Self::from(linear).attach(goft)
    }

    /// Attaches an adapter, replacing any GOFT adapter there is, and freezes weight and bias. The
    /// settings' target patterns are those of this layer: `weight`, or none.
    ///
    /// # Errors
    ///
    /// The errors of [`apply_goft`](GoftModule::apply_goft).
    pub fn attach(self, goft: impl Borrow<Goft>) -> Result<Self, Error> {
        self.detach().apply_goft(goft)
    }

    /// The layer without its adapter: the base bit for bit, frozen or trainable as it is now.
    #[must_use]
    pub fn detach(self) -> Self {
        if self.adapter().is_none() {
            return self;
        }
        self.detach_adapters()
    }

    /// The adapter, if one is attached.
    pub fn adapter(&self) -> Option<&GoftAdapter> {
        self.inner.weight.reparameterization()
    }

    /// The frozen weight `W [d_input, d_output]`, as loaded.
    pub fn weight(&self) -> Tensor<2> {
        self.inner.weight.base()
    }

    /// The bias `[d_output]`.
    pub fn bias(&self) -> Option<Tensor<1>> {
        self.inner.bias.as_ref().map(Param::val)
    }

    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// - `input`: `[.., d_input]`
    /// - returns: `[.., d_output]`
    ///
    /// # Numerical behavior
    ///
    /// The rotation computes at least in f32 and returns the dtype of `input`; the product is that
    /// of `Linear`, or [`packed_linear`] where the weight is packed. An adapter along the weight's other axis
    /// ([`Override::with_axis`](crate::Override::with_axis)) rotates the output instead of the
    /// input.
    ///
    /// # Panics
    ///
    /// If the last axis of `input` is not `d_input`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.forward_with(input, packed_linear)
    }

    /// Applies the layer with a product of the caller's own, which computes what
    /// [`packed_linear`] does, `x W + b`: one for few vectors, say.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::tensor::{Device, Tensor};
    /// use burn_goft::GoftLinearConfig;
    ///
    /// let device = Device::flex();
    /// let layer = GoftLinearConfig::new(3, 2).with_bias(false).init(&device);
    /// let x = Tensor::<2>::ones([1, 3], &device);
    /// let y = layer.forward_with(x.clone(), |x, weight, _bias| x.matmul(weight));
    /// assert_eq!(y.into_data(), layer.forward(x).into_data());
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the last axis of `input` is not `d_input`.
    pub fn forward_with<const D: usize>(
        &self,
        input: Tensor<D>,
        product: impl Fn(Tensor<D>, Tensor<2>, Option<Tensor<1>>) -> Tensor<D>,
    ) -> Tensor<D> {
        self.check_width(input.dims().as_ref());
        if let Some(adapter) = self.adapter().filter(|adapter| adapter.is_enabled()) {
            let weight = self.inner.weight.base();
            return adapter.multiply(input, weight, self.bias(), product);
        }
        if let Some(lora) = self.inner.weight.reparameterization::<LoraAdapter>() {
            return self.beside(lora, input, product);
        }
        // Not the base: an adapter of another method acts through the weight's value.
        product(input, self.inner.weight.val(), self.bias())
    }

    /// `x W + b + s (x A) B`.
    fn beside<const D: usize>(
        &self,
        lora: &LoraAdapter,
        input: Tensor<D>,
        product: impl Fn(Tensor<D>, Tensor<2>, Option<Tensor<1>>) -> Tensor<D>,
    ) -> Tensor<D> {
        // The factors may be kept in more digits than what they stand beside.
        let a = lora.a.val();
        let low = match a.dtype() == input.dtype() {
            true => input.clone(),
            false => input.clone().cast(a.dtype()),
        };
        let low = product(product(low, a, None), lora.b.val(), None);
        let low = low.mul_scalar(lora.scale).cast(input.dtype());
        product(input, self.inner.weight.base(), self.bias()) + low
    }

    fn check_width(&self, input: &[usize]) {
        let [d_input, d_output] = self.inner.weight.shape().dims();
        assert!(
            input.last() == Some(&d_input),
            "GoftLinear: asked to map input of shape {input:?}, and the layer takes [.., {d_input}] to [.., {d_output}]; the last \
             axis must be the layer's d_input"
        );
    }

    /// Folds the adapter into the weight: a plain `Linear` without overhead. (PEFT:
    /// `merge_and_unload`.)
    ///
    /// Without an adapter it is the layer that was wrapped. A packed weight becomes dense.
    ///
    /// # Errors
    ///
    /// If the merged weight would not be finite ([`is_not_finite`](Error::is_not_finite)), or the
    /// adapter is switched off ([`is_not_adapted`](Error::is_not_adapted)).
    pub fn merge(self) -> Result<Linear, Error> {
        match self.adapter() {
            Some(_) => Ok(self.merge_adapters()?.inner),
            None => Ok(self.inner),
        }
    }

    /// Takes an adapter out of a merged layer and attaches it again; the inverse of
    /// [`merge`](Self::merge). The file is a path, or an [`AdapterFile`], which
    /// [`AdapterFile::capture`] makes of the layer before the merge.
    ///
    /// # Errors
    ///
    /// The errors of [`unmerge_adapters`](GoftModule::unmerge_adapters).
    pub fn unmerge(merged: Linear, file: impl IntoAdapterFile) -> Result<Self, Error> {
        let file: AdapterFile = file.into_adapter_file()?;
        Self::from(merged).unmerge_adapters(file)
    }
}

/// Delegates to the wrapped `Linear`, so that burn's stores and adapters see a `Linear`.
impl Module for GoftLinear {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.inner.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.inner.fork(device).into()
    }

    fn to_device(self, device: &Device) -> Self {
        self.inner.to_device(device).into()
    }

    fn train(self) -> Self {
        self.inner.train().into()
    }

    fn valid(&self) -> Self {
        self.inner.valid().into()
    }

    fn materialize(self) -> Self {
        self.inner.materialize().into()
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.inner.visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.inner.map(mapper).into()
    }
}

impl ModuleDisplayDefault for GoftLinear {
    fn content(&self, content: Content) -> Option<Content> {
        ModuleDisplay::custom_content(&self.inner, content)
    }
}

impl ModuleDisplay for GoftLinear {}

impl std::fmt::Display for GoftLinear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}
