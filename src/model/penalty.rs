//! Penalties of a whole model.

use burn::module::Module;
use burn::tensor::{DType, Tensor};

use super::parameters::{adapters, parameters};
use crate::adapter::GoftAdapter;
use crate::methods::Penalty;
use crate::numeric::{compute_dtype, parameter_dtype};

/// See [`adapter_penalty`](crate::GoftModule::adapter_penalty).
pub(crate) fn adapter_penalty<M: Module>(model: &M, penalty: Penalty) -> Tensor<1> {
    let adapters = adapters(model);
    let infos = parameters(model);
    let Some(first) = infos.iter().find(|info| info.is_goft()) else {
        panic!("adapter_penalty: the model carries no adapter; call `apply_goft` first");
    };
    let zero = || {
        Tensor::zeros(
            [1],
            (&first.device.clone().inner(), parameter_dtype(first.dtype)),
        )
    };
    let enabled = adapters.values().filter(|adapter| adapter.is_enabled());
    let terms = enabled.filter_map(|adapter: &GoftAdapter| adapter.penalty(penalty));
    terms.reduce(add).unwrap_or_else(zero)
}

/// See [`penalized`](crate::GoftModule::penalized).
pub(crate) fn penalized<M: Module>(
    model: &M,
    loss: Tensor<1>,
    penalty: Penalty,
    strength: f64,
) -> Tensor<1> {
    assert!(
        strength.is_finite() && strength >= 0.0,
        "penalized: asked for a penalty of strength {strength}; it must be finite and not negative, such as 0.01"
    );
    add(loss, adapter_penalty(model, penalty).mul_scalar(strength))
}

/// The sum in the wider dtype, at least f32, on the device of the first.
fn add(one: Tensor<1>, other: Tensor<1>) -> Tensor<1> {
    let dtype: DType = compute_dtype(one.dtype(), other.dtype());
    let device = one.device();
    one.cast(dtype) + other.to_device(&device).cast(dtype)
}
