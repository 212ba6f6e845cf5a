//! What a model computes on a batch, layer by layer.

use burn::tensor::Tensor;

/// What a model computes on a batch: named representations, and logits if it has a head.
///
/// burn has no hooks, so a function of yours runs the model once and says what is worth looking at.
/// It is the same function for both models, on the same batch. A tensor `[.., d]` counts as rows of
/// length `d`, whatever its leading axes: tokens of a batch `[batch, tokens, d]` are
/// `batch * tokens` rows.
///
/// # Example
///
/// ```
/// use burn::{module::Module, nn::{Linear, LinearConfig}};
/// use burn::tensor::{Device, Tensor, activation::relu};
/// use burn_goft_drift::Trace;
///
/// #[derive(Module, Debug)]
/// struct Mlp {
///     hidden: Linear,
///     head: Linear,
/// }
///
/// fn trace(model: &Mlp, x: &Tensor<2>) -> Trace {
///     let hidden = relu(model.hidden.forward(x.clone()));
///     Trace::new()
///         .with_layer("hidden", hidden.clone())
///         .with_logits(model.head.forward(hidden))
/// }
/// # let device = Device::flex();
/// # let linear = |d, n| LinearConfig::new(d, n).init(&device);
/// # let model = Mlp { hidden: linear(2, 3), head: linear(3, 2) };
/// # trace(&model, &Tensor::ones([1, 2], &device));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Trace {
    pub(super) layers: Vec<(String, Tensor<2>)>,
    pub(super) logits: Option<Tensor<2>>,
}

impl Trace {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a representation `[.., d]` under a name.
    pub fn with_layer<const D: usize>(
        mut self,
        name: impl Into<String>,
        representation: Tensor<D>,
    ) -> Self {
        self.layers.push((name.into(), rows(representation)));
        self
    }

    /// Sets the logits `[.., classes]`.
    pub fn with_logits<const D: usize>(mut self, logits: Tensor<D>) -> Self {
        self.logits = Some(rows(logits));
        self
    }
}

fn rows<const D: usize>(tensor: Tensor<D>) -> Tensor<2> {
    let dims = tensor.dims();
    let rows = dims[..D - 1].iter().product::<usize>();
    tensor.without_autodiff().reshape([rows, dims[D - 1]])
}
