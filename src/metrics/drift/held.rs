//! Where the numbers of a matrix are until they are used.

#[cfg(feature = "flex")]
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};

pub(super) enum Held {
    /// Copied from a device.
    Read(TensorData),
    /// The model's own, in f32: what is copied once and used once costs as much as the use.
    #[cfg(feature = "flex")]
    Lent(FlexTensor),
}

impl Held {
    /// Of a tensor that is not empty: a device may have no buffer to read for one.
    pub(super) fn of(tensor: Tensor<2>) -> Self {
        #[cfg(feature = "flex")]
        if let Some(tensor) = crate::backends::in_memory(&tensor) {
            return Self::Lent(tensor);
        }
        Self::Read(tensor.into_data())
    }

    /// If they are f32.
    pub(super) fn single(&self) -> Option<&[f32]> {
        match self {
            Self::Read(data) => data.as_slice().ok(),
            #[cfg(feature = "flex")]
            Self::Lent(tensor) => tensor.as_slice(),
        }
    }

    /// Whatever they are.
    pub(super) fn wide(self) -> Vec<f64> {
        match self {
            Self::Read(data) => data.iter().collect(),
            #[cfg(feature = "flex")]
            Self::Lent(tensor) => tensor.into_data().iter().collect(),
        }
    }
}
