//! The ndarray CPU backend.
#![expect(
    deprecated,
    reason = "burn deprecates ndarray; it stays first-class here until burn removes it"
)]

use burn::backend::NdArray;
use burn::backend::ndarray::{NdArrayTensor, SharedArray};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use bytemuck::allocation::cast_vec;
use bytemuck::{cast_slice, cast_slice_mut};
use ndarray::{ArrayD, IxDyn};

use super::host::{self, Host, Stored};
use crate::pairs::{GivensOps, Turn};

/// What a tensor of numbers is made of; anything else is no float tensor.
macro_rules! of_float {
    ($tensor:expr, $storage:ident => $body:expr) => {
        match $tensor {
            NdArrayTensor::F32($storage) => $body,
            NdArrayTensor::F64($storage) => $body,
            other => unreachable!("a float tensor of ndarray is f32 or f64, not {other:?}"),
        }
    };
}

impl Host for NdArray {
    fn contiguous(tensor: NdArrayTensor) -> NdArrayTensor {
        of_float!(tensor, storage => {
            if storage.view().is_standard_layout() {
                storage.into()
            } else {
                storage.view().as_standard_layout().into_owned().into_shared().into()
            }
        })
    }

    fn values<D: Stored>(tensor: &NdArrayTensor) -> &[D] {
        of_float!(tensor, storage => {
            let values = storage.view().to_slice();
            cast_slice(values.expect("made contiguous before"))
        })
    }

    fn values_mut<D: Stored>(tensor: &mut NdArrayTensor) -> Option<&mut [D]> {
        of_float!(tensor, storage => {
            if !storage.is_unique() {
                return None;
            }
            storage.ensure_owned().as_slice_mut().map(cast_slice_mut)
        })
    }

    fn from_values<D: Stored>(values: Vec<D>, shape: Shape) -> NdArrayTensor {
        fn shared<E: Clone>(values: Vec<E>, shape: Shape) -> SharedArray<E> {
            let array = ArrayD::from_shape_vec(IxDyn(shape.as_slice()), values);
            array
                .expect("as many values as the shape has")
                .into_shared()
        }
        match D::dtype() {
            DType::F64 => shared(cast_vec::<D, f64>(values), shape).into(),
            _ => shared(cast_vec::<D, f32>(values), shape).into(),
        }
    }
}

impl GivensOps for NdArray {
    host::operations!();
}
