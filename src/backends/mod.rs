//! One file a backend family, only adaptation: each says what its backend does better than the
//! portable body.

#[cfg(feature = "autodiff")]
mod autodiff;
#[cfg(feature = "cubecl-backend")]
mod cubecl;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "host-kernels")]
mod host;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "remote")]
mod router;

use burn::tensor::{Device, Tensor};

#[cfg(feature = "remote")]
pub use router::register_ops;

/// Panics where the cosine of these angles would be wrong: in f64 on devices that have none.
pub(crate) fn assert_cosine(angles: &Tensor<1>) {
    #[cfg(feature = "cubecl-backend")]
    if angles.dtype() == burn::tensor::DType::F64 {
        use burn::backend::DispatchDevice;

        let device = angles.device().inner();
        if !matches!(device.as_dispatch(), DispatchDevice::Cube(_)) {
            return;
        }
        let cosine = cubecl::cosine_of_one(&device);
        assert!(
            (cosine - 1f64.cos()).abs() < 1e-12,
            "Givens: asked for the blocks of f64 angles on {device:?}, which computes cos(1) = {cosine} in f64; use \
             f32 there, another device for f64, or quasi blocks, which need no cosine",
        );
    }
    let _ = angles;
}

/// Whether the operations' traits list this device's backend. The generated implementations panic on any
/// other (tch, capture, and what was not enabled), for which portable bodies run on the dispatcher itself.
pub(crate) fn listed(device: &Device) -> bool {
    if cfg!(not(feature = "autodiff")) && device.is_autodiff() {
        return false;
    }
    let inner = device.clone().without_autodiff();
    match inner.as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => true,
        #[cfg(feature = "cubecl-backend")]
        burn::backend::DispatchDevice::Cube(_) => true,
        #[cfg(feature = "remote")]
        burn::backend::DispatchDevice::Remote(_) => true,
        #[allow(
            unreachable_patterns,
            reason = "builds that enable every backend leave nothing"
        )]
        _ => false,
    }
}
