//! burn's CPU backend.

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Bytes, Flex};
use burn::tensor::Shape;

use super::host::{self, Host, Real};
use crate::ops::GivensOps;

impl Host for Flex {
    fn contiguous(tensor: FlexTensor) -> FlexTensor {
        // The tensor itself where it is so already, and then alone again: the handle that this takes goes with it.
        tensor.to_contiguous()
    }

    fn values<C: Real>(tensor: &FlexTensor) -> &[C] {
        tensor.storage()
    }

    fn values_mut<C: Real>(tensor: &mut FlexTensor) -> Option<&mut [C]> {
        tensor.try_storage_mut()
    }

    fn from_values<C: Real>(values: Vec<C>, shape: Shape) -> FlexTensor {
        FlexTensor::new(
            Bytes::from_elems(values),
            Layout::contiguous(shape),
            C::dtype(),
        )
    }
}

impl GivensOps for Flex {
    host::operations!();
}
