//! Where the cosine of an angle is wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Panics if the angles are f64 and the device computes `cos(1)` wrongly in f64.
pub(crate) fn assert_cosine(angles: &Tensor<1>) {
    if angles.dtype() != DType::F64 {
        return;
    }
    let device = angles.device().without_autodiff();
    match device.as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => return,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => return,
        // A remote device may have any backend.
        _ => {}
    }
    let cosine = cosine_of_one(&device);
    assert!(
        (cosine - 1f64.cos()).abs() < 1e-12,
        "asked for the blocks of f64 angles on {device:?}, which computes cos(1) = {cosine} in f64; use \
         f32 there, another device for f64, or quasi blocks, which need no cosine",
    );
}

/// `cos(1)` as the device computes it in f64. The shading language of wgpu has no trigonometry in
/// f64, and drivers compute something else without a word.
fn cosine_of_one(device: &Device) -> f64 {
    static COSINES: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());
    let mut cosines = COSINES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    *cosines.entry(format!("{device:?}")).or_insert_with(|| {
        // From a buffer: of a constant, the shader's compiler may take the cosine itself.
        let one = TensorData::from([1.0f64]);
        let one = Tensor::<1>::from_data(one, (device, DType::F64));
        one.cos().into_data().iter().next().unwrap_or(f64::NAN)
    })
}
