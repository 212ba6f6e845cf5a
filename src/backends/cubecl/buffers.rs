//! Tensors and cubes as launches take them.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::tile::Stage;

pub(super) fn cube_count(stage: &Stage) -> CubeCount {
    CubeCount::Static(stage.cubes as u32, stage.chunks as u32, 1)
}

pub(super) fn cube_dim(stage: &Stage) -> CubeDim {
    let (units, lanes) = (stage.tile.units() as u32, stage.tile.lanes as u32);
    if stage.tile.columns {
        CubeDim::new_2d(lanes, units)
    } else {
        CubeDim::new_2d(units, lanes)
    }
}

pub(super) fn buffer(tensor: &CubeTensor) -> BufferArg {
    tensor.clone().binding().into_buffer_arg()
}

/// The tensor once more, which the launch has at `position`.
pub(super) fn same(tensor: &CubeTensor, position: usize) -> BufferArg {
    BufferArg::alias(position, tensor.meta.num_elements())
}

pub(super) fn empty_like(tensor: &CubeTensor) -> CubeTensor {
    empty(tensor, tensor.meta.shape().clone(), tensor.dtype)
}

/// An empty tensor on the device of another.
pub(super) fn empty(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(tensor.client.clone(), tensor.device.clone(), shape, dtype)
}
