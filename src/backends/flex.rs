//! burn's CPU backend.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Bytes, Flex};
use burn::tensor::Shape;

use super::host::{self, Host, Stored};
use crate::pairs::{GivensOps, Turn};

impl Host for Flex {
    fn contiguous(tensor: FlexTensor) -> FlexTensor {
        // The tensor itself where it is so already, and then alone again: the handle that this
        // takes goes with it.
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
