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

use burn::tensor::Tensor;

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
