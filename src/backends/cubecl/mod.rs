//! Every CubeCL runtime: CUDA, ROCm, Vulkan, Metal, WebGPU and the CPU.
//!
//! One kernel reads a vector, rotates it at all levels and writes it, where the portable body has a
//! handful of kernels a level. The portable body remains for what a device's limits do not allow: a
//! launch beyond them fails where nobody is told.

mod angles;
mod buffers;
mod device;
mod gradients;
mod kernel;
mod launch;
mod launch_gradients;
mod rotation;
#[cfg(all(test, feature = "wgpu"))]
mod tests;
mod tile;
mod unit;

use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;

use crate::pairs::{GivensOps, Turn, portable_gradients, portable_rotate};
use launch::Rotation;

impl GivensOps for CubeBackend {
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        match Rotation::new(&x, &blocks, turn) {
            Some(rotation) => rotation.rotate(x, blocks, turn.transpose),
            None => portable_rotate::<Self>(x, blocks, turn),
        }
    }

    fn givens_block_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        turn: Turn,
    ) -> FloatTensor<Self> {
        match Rotation::derivative(&x, &grad, &blocks, turn) {
            Some(rotation) => {
                rotation
                    .differentiate(x, grad, blocks, turn.transpose, false)
                    .1
            }
            None => portable_gradients::<Self>(x, grad, blocks, turn).1,
        }
    }

    fn givens_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        turn: Turn,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match Rotation::derivative(&x, &grad, &blocks, turn) {
            Some(rotation) => {
                let (by_x, by_blocks) =
                    rotation.differentiate(x, grad, blocks, turn.transpose, true);
                (by_x.expect("the derivative by x was asked for"), by_blocks)
            }
            None => portable_gradients::<Self>(x, grad, blocks, turn),
        }
    }

    fn givens_blocks(angles: FloatTensor<Self>) -> FloatTensor<Self> {
        angles::blocks_of(angles)
    }

    fn givens_angle_gradients(
        blocks: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        angles::gradients(blocks, grad)
    }
}
