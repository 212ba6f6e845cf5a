//! burn's CPU backend.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Bytes, Flex};
use burn::tensor::Shape;
#[cfg(feature = "drift")]
use burn::{
    backend::{BackendTensor, DispatchTensorKind},
    tensor::Tensor,
};

use super::host::{self, Host, Stored};
use crate::ops::GivensOps;

impl Host for Flex {
    fn contiguous(tensor: FlexTensor) -> FlexTensor {
        // The tensor itself where it is so already, and then alone again: the handle that this takes goes with it.
        tensor.to_contiguous()
    }

    fn values<D: Stored>(tensor: &FlexTensor) -> &[D] {
        tensor.storage()
    }

    fn values_mut<D: Stored>(tensor: &mut FlexTensor) -> Option<&mut [D]> {
        tensor.try_storage_mut()
    }

    fn from_values<D: Stored>(values: Vec<D>, shape: Shape) -> FlexTensor {
        FlexTensor::new(
            Bytes::from_elems(values),
            Layout::contiguous(shape),
            D::dtype(),
        )
    }
}

impl GivensOps for Flex {
    host::operations!();
}

/// The tensor as this backend has it, of f32 values row by row; nothing if it is another backend's or lies in memory otherwise.
#[cfg(feature = "drift")]
pub(crate) fn in_memory<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
    match tensor.clone().into_dispatch().kind {
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => {
            tensor.as_slice::<f32>().is_some().then_some(tensor)
        }
        _ => None,
    }
}
