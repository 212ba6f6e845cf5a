//! The operations on burn's tensors.

use burn::backend::Dispatch;
use burn::tensor::{Device, Int, Tensor};

use crate::ops::{Activation, Attention, TransformerOps};
use crate::{Spans, portable};

/// Whether the crate was built for this device's backend. The generated operations panic on any other, on
/// which the definitions run, with burn's derivatives.
fn listed(device: &Device) -> bool {
    if cfg!(not(feature = "autodiff")) && device.is_autodiff() {
        return false;
    }
    match device.clone().without_autodiff().as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => true,
        #[cfg(feature = "cubecl-backend")]
        burn::backend::DispatchDevice::Cube(_) => true,
        #[allow(
            unreachable_patterns,
            reason = "builds that enable every backend leave nothing"
        )]
        _ => false,
    }
}

/// Attention of queries `[rows, queries, heads, width]` over keys and values
/// `[rows, keys, key heads, width]`, in the layout in which projections give them:
/// `softmax(scale Q K^T) V` by head, over the keys that each query sees. A query that sees none gives
/// zeros. Several heads of queries may share one of keys; they stand together.
///
/// Weights are computed in f32 at least; the result has the shape and dtype of the queries. In the
/// backward pass they are computed again.
///
/// Source: Vaswani et al. 2017, [arXiv 1706.03762](https://arxiv.org/abs/1706.03762); groups of heads
/// are Ainslie et al. 2023, [arXiv 2305.13245](https://arxiv.org/abs/2305.13245).
///
/// # Panics
///
/// If shapes do not fit.
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    spans: &Spans,
    how: Attention,
) -> Tensor<4> {
    let [rows, queries, heads, width] = query.dims();
    let [_, keys, key_heads, _] = key.dims();
    assert!(
        key.dims() == [rows, keys, key_heads, width]
            && value.dims() == key.dims()
            && key_heads > 0
            && heads % key_heads == 0
            && spans.starts.dims() == [rows, queries],
        "attention: queries {:?}, keys {:?}, values {:?} and spans of {:?}; queries are [rows, queries, heads, width], keys and \
         values [rows, keys, key heads, width], spans [rows, queries], and heads a multiple of key heads",
        query.dims(),
        key.dims(),
        value.dims(),
        spans.starts.dims(),
    );
    let spans = [&spans.starts, &spans.ends].map(|table| beside(table.clone(), &query));
    let [starts, ends] = spans.map(Tensor::into_dispatch);
    let listed = listed(&query.device());
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(match listed {
        true => Dispatch::fused_attention(query, key, value, starts, ends, how),
        false => portable::attention::forward::<Dispatch>([query, key, value], [starts, ends], how),
    })
}

/// A table with autodiff where `x` has it, and without elsewhere.
fn beside<const D: usize, const E: usize>(table: Tensor<D>, x: &Tensor<E>) -> Tensor<D> {
    match (x.device().is_autodiff(), table.device().is_autodiff()) {
        (true, false) => Tensor::from_inner(table),
        (false, true) => table.inner(),
        _ => table,
    }
}

/// A function of each number. Halves are computed in f32.
pub fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    let operation = match listed(&x.device()) {
        true => Dispatch::fused_activate,
        false => portable::activation::value::<Dispatch>,
    };
    Tensor::from_dispatch(operation(x.into_dispatch(), activation))
}

/// `activation(gate) * up`, number by number.
///
/// Source: Shazeer 2020, [arXiv 2002.05202](https://arxiv.org/abs/2002.05202).
///
/// # Panics
///
/// If the shapes differ.
pub fn gated<const D: usize>(gate: Tensor<D>, up: Tensor<D>, activation: Activation) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "gated: gate and up have one shape");
    let operation = match listed(&gate.device()) {
        true => Dispatch::fused_gated,
        false => portable::activation::gated::<Dispatch>,
    };
    let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
    Tensor::from_dispatch(operation(gate, up, activation))
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` along the last axis, the mean taken in f32 at least.
///
/// Source: Zhang and Sennrich 2019, [arXiv 1910.07467](https://arxiv.org/abs/1910.07467).
///
/// # Panics
///
/// If the weight is not as long as the last axis.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    assert_eq!(
        x.dims()[D - 1],
        weight.dims()[0],
        "rms_norm: the weight has the length of the last axis"
    );
    let operation = match listed(&x.device()) {
        true => Dispatch::fused_rms_norm,
        false => portable::norm::rms::<Dispatch>,
    };
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(operation(x, weight, epsilon))
}

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` along the last axis, the variance that of
/// all values, in f32 at least.
///
/// Source: Ba et al. 2016, [arXiv 1607.06450](https://arxiv.org/abs/1607.06450).
///
/// # Panics
///
/// If weight or bias are not as long as the last axis.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    assert!(
        x.dims()[D - 1] == weight.dims()[0] && weight.dims() == bias.dims(),
        "layer_norm: weight {:?} and bias {:?} have the length of the last axis of {:?}",
        weight.dims(),
        bias.dims(),
        x.dims()
    );
    let operation = match listed(&x.device()) {
        true => Dispatch::fused_layer_norm,
        false => portable::norm::layer::<Dispatch>,
    };
    Tensor::from_dispatch(operation(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    ))
}

/// Turns pairs of coordinates of `[rows, tokens, heads, width]`: with `n` cosines and sines a token,
/// `[rows or 1, tokens, n]`, coordinate `i < n` against `n + i`, as Hugging Face's models have them.
/// Coordinates from `2 n` on stay.
///
/// Source: Su et al. 2021, [arXiv 2104.09864](https://arxiv.org/abs/2104.09864).
///
/// # Panics
///
/// If shapes do not fit.
pub fn rotate_positions(x: Tensor<4>, cos: Tensor<3>, sin: Tensor<3>) -> Tensor<4> {
    let [rows, tokens, _, width] = x.dims();
    let [tables, places, half] = cos.dims();
    assert!(
        (tables == rows || tables == 1)
            && places == tokens
            && 2 * half <= width
            && sin.dims() == cos.dims(),
        "rotate_positions: x {:?}, cosines {:?}, sines {:?}; x is [rows, tokens, heads, width], the tables [rows or 1, tokens, at \
         most width / 2]",
        x.dims(),
        cos.dims(),
        sin.dims()
    );
    let tables = [cos, sin].map(|table| beside(table, &x));
    let [cos, sin] = tables.map(Tensor::into_dispatch);
    let operation = match listed(&x.device()) {
        true => Dispatch::fused_rotate_positions,
        false => portable::rotary::turn::<Dispatch>,
    };
    Tensor::from_dispatch(operation(x.into_dispatch(), cos, sin, false))
}

/// With autodiff if there is any.
fn lifted<const D: usize>(tensor: Tensor<D>, trained: bool) -> Tensor<D> {
    match trained && !tensor.device().is_autodiff() {
        true => Tensor::from_inner(tensor),
        false => tensor,
    }
}

/// Vectors up to which [`linear`] reads its matrix once, instead of as matrices are multiplied.
const FEW: usize = 8;

/// `x W + b` of vectors along the last axis and a weight `[d_input, d_output]`, as burn's `linear`.
///
/// On the CPU the product is written into memory that nothing was written to before, and a weight that is
/// not trained is all that is kept for the backward pass. For a few vectors without autodiff, as when a text
/// goes on by one token, the time is that of reading the weight once, by all threads.
///
/// # Panics
///
/// If shapes do not fit.
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let shape = x.dims();
    let rows: usize = shape[..D - 1].iter().product();
    let plain = weight.dtype() != x.dtype() || !weight.dtype().is_float();
    if rows == 0 || plain || !listed(&x.device()) {
        return burn::tensor::module::linear(x, weight, bias);
    }
    let [inputs, outputs] = weight.dims();
    assert_eq!(
        shape[D - 1],
        inputs,
        "linear: the last axis of {shape:?} has the length of the weight's first, {inputs}"
    );
    let x: Tensor<2> = x.reshape([rows, inputs]);
    if let Some(bias) = &bias {
        assert_eq!(
            bias.dims(),
            [outputs],
            "linear: the bias has a number for each of the weight's {outputs} outputs"
        );
    }
    // All are lifted to what may be trained, which is never lowered to the others.
    let trained = x.device().is_autodiff()
        || weight.device().is_autodiff()
        || bias
            .as_ref()
            .is_some_and(|bias| bias.device().is_autodiff());
    let (x, weight) = (lifted(x, trained), lifted(weight, trained));
    let bias = bias.map(|bias| lifted(bias, trained));
    let few = rows <= FEW && !trained;
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    let y: Tensor<2> = match (few, bias) {
        (true, None) => Tensor::from_dispatch(Dispatch::fused_few_rows(x, weight)),
        (true, Some(bias)) => {
            let y: Tensor<2> = Tensor::from_dispatch(Dispatch::fused_few_rows(x, weight));
            y + bias.unsqueeze()
        }
        (false, None) => Tensor::from_dispatch(Dispatch::fused_product(x, weight, false)),
        (false, Some(bias)) => {
            let bias = bias.into_dispatch();
            Tensor::from_dispatch(Dispatch::fused_affine(x, weight, bias))
        }
    };
    let mut shape = shape;
    shape[D - 1] = outputs;
    y.reshape(shape)
}

/// What [`cross_entropy`] finds.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// The loss of each row, `[n]`.
    pub losses: Tensor<1>,
    /// Its derivative by the products, `[n, classes]`.
    pub slopes: Tensor<2>,
    /// The first of the likeliest classes, `[n]`.
    pub likeliest: Tensor<1, Int>,
}

/// The cross entropy of each row of products `[n, classes]` whose right class is known, and its
/// derivative: logits are the products, or `c tanh(z / c)` of them with a cap `c`. For tensors without
/// autodiff; whoever calls it has the derivative.
///
/// # Panics
///
/// If there are not as many classes as rows, or with autodiff.
pub fn cross_entropy(
    products: Tensor<2>,
    classes: Tensor<1, Int>,
    cap: Option<f64>,
) -> Predictions {
    assert_eq!(
        products.dims()[0],
        classes.dims()[0],
        "cross_entropy: a class for each row"
    );
    assert!(
        !products.device().is_autodiff(),
        "cross_entropy: products with autodiff; give their `inner()`"
    );
    let operation = match listed(&products.device()) {
        true => Dispatch::fused_cross_entropy,
        false => portable::cross_entropy::<Dispatch>,
    };
    let (products, classes) = (products.into_dispatch(), classes.into_dispatch());
    let (losses, slopes, likeliest) = operation(products, classes, cap);
    Predictions {
        losses: Tensor::from_dispatch(losses),
        slopes: Tensor::from_dispatch(slopes),
        likeliest: Tensor::from_dispatch(likeliest),
    }
}
