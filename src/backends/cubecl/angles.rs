//! Angles to blocks and back, a launch each, where burn's own operations are a dozen: a unit has one
//! pair.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::{calculate_cube_count_elemwise, prelude::*};

use super::buffers::{buffer, empty};
use super::device::supported;
use crate::numeric::compute_dtype;
use crate::pairs::{portable_angle_gradients, portable_blocks};

#[cube(launch, address_type = "dynamic")]
fn angles_to_blocks<G: Float, A: Float>(
    angles: &[G],
    blocks: &mut [Vector<G, Const<4>>],
    #[define(G, A)] _dtypes: [ElemType; 2],
) {
    let pair = ABSOLUTE_POS;
    if pair < blocks.len() {
        let angle = A::cast_from(angles[pair]);
        let (cos, sin) = (angle.cos(), angle.sin());
        let mut block = Vector::<A, Const<4>>::new(cos);
        block.insert(1usize, -sin);
        block.insert(2usize, sin);
        blocks[pair] = Vector::cast_from(block);
    }
}

#[cube(launch, address_type = "dynamic")]
fn blocks_to_angles<G: Float, A: Float>(
    blocks: &[Vector<G, Const<4>>],
    grad: &[Vector<G, Const<4>>],
    by_angles: &mut [G],
    #[define(G, A)] _dtypes: [ElemType; 2],
) {
    let pair = ABSOLUTE_POS;
    if pair < by_angles.len() {
        let block = Vector::<A, Const<4>>::cast_from(blocks[pair]);
        let grad = Vector::<A, Const<4>>::cast_from(grad[pair]);
        let by_angle = block.extract(0usize) * (grad.extract(2usize) - grad.extract(1usize))
            - block.extract(2usize) * (grad.extract(0usize) + grad.extract(3usize));
        by_angles[pair] = G::cast_from(by_angle);
    }
}

/// The dtypes of a pair's numbers and of the arithmetic, where the device has both.
fn dtypes(tensor: &CubeTensor) -> Option<[ElemType; 2]> {
    let dtype = tensor.dtype;
    let compute = compute_dtype(dtype, dtype);
    let known = supported(&tensor.client, [dtype, dtype, compute]);
    known.then(|| [dtype, compute].map(dtype_to_storage_type))
}

/// See [`GivensOps::givens_blocks`](crate::GivensOps::givens_blocks).
pub(super) fn blocks_of(angles: CubeTensor) -> CubeTensor {
    let Some(dtypes) = dtypes(&angles) else {
        return portable_blocks::<CubeBackend>(angles);
    };
    let angles = into_contiguous(angles);
    let pairs = angles.meta.num_elements();
    let blocks = empty(&angles, Shape::new([pairs, 2, 2]), angles.dtype);
    let cube_dim = CubeDim::new(&angles.client, pairs);
    angles_to_blocks::launch(
        &angles.client,
        calculate_cube_count_elemwise(&angles.client, pairs, cube_dim),
        cube_dim,
        blocks.required_address_type(),
        buffer(&angles),
        buffer(&blocks),
        dtypes,
    );
    blocks
}

/// See [`GivensOps::givens_angle_gradients`](crate::GivensOps::givens_angle_gradients).
pub(super) fn gradients(blocks: CubeTensor, grad: CubeTensor) -> CubeTensor {
    let same = blocks.dtype == grad.dtype;
    let Some(dtypes) = dtypes(&blocks).filter(|_| same) else {
        return portable_angle_gradients::<CubeBackend>(blocks, grad);
    };
    let [blocks, grad] = [blocks, grad].map(into_contiguous);
    let pairs = blocks.meta.shape()[0];
    let by_angles = empty(&blocks, Shape::new([pairs]), blocks.dtype);
    let cube_dim = CubeDim::new(&blocks.client, pairs);
    blocks_to_angles::launch(
        &blocks.client,
        calculate_cube_count_elemwise(&blocks.client, pairs, cube_dim),
        cube_dim,
        blocks.required_address_type(),
        buffer(&blocks),
        buffer(&grad),
        buffer(&by_angles),
        dtypes,
    );
    by_angles
}
