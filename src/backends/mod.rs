//! One file a backend family, only adaptation: each says what its backend does better than the
//! portable body.

#[cfg(feature = "autodiff")]
mod autodiff;
mod cosine;
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

use burn::tensor::Device;

pub(crate) use cosine::assert_cosine;
#[cfg(feature = "remote")]
pub use router::register_ops;

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
