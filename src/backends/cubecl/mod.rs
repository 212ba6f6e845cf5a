//! Every CubeCL runtime: CUDA, ROCm, Vulkan, Metal, WebGPU and the CPU.
//!
//! One kernel reads a vector, rotates it at all levels and writes it, where the portable body has a handful of kernels a level.
//! The portable body remains for what a device's limits do not allow: a launch beyond them fails where nobody is told.

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

use crate::ops::GivensOps;
use crate::{portable, several};
use launch::Rotation;

impl GivensOps for CubeBackend {
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> FloatTensor<Self> {
        match Rotation::new(&x, &blocks, axis) {
            Some(rotation) => rotation.rotate(x, blocks, transpose),
            None => portable::rotate::<Self>(x, blocks, axis, transpose),
        }
    }

    fn givens_rotate_two(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [one, two] = match Rotation::several(&x, &blocks, axis, 2) {
            Some(rotation) => rotation.rotate_each(x, blocks, transpose),
            None => several::rotate_one_by_one::<Self, 2>(x, blocks, axis, transpose),
        };
        (one, two)
    }

    fn givens_rotate_three(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if let Some(rotation) = Rotation::several(&x, &blocks, axis, 3) {
            let [one, two, three] = rotation.rotate_each(x, blocks, transpose);
            return (one, two, three);
        }
        let (pair, last) = (0..2, 2..3);
        let pair = several::some::<Self>(blocks.clone(), pair);
        let last = several::some::<Self>(blocks, last);
        let (one, two) = Self::givens_rotate_two(x.clone(), pair, axis, transpose);
        let [three] = several::rotate_one_by_one::<Self, 1>(x, last, axis, transpose);
        (one, two, three)
    }

    fn givens_block_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> FloatTensor<Self> {
        match Rotation::derivative(&x, &grad, &blocks, axis) {
            Some(rotation) => rotation.differentiate(x, grad, blocks, transpose, false).1,
            None => portable::gradients::<Self>(x, grad, blocks, axis, transpose).1,
        }
    }

    fn givens_gradients(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match Rotation::derivative(&x, &grad, &blocks, axis) {
            Some(rotation) => {
                let (by_x, by_blocks) = rotation.differentiate(x, grad, blocks, transpose, true);
                (by_x.expect("the derivative by x was asked for"), by_blocks)
            }
            None => portable::gradients::<Self>(x, grad, blocks, axis, transpose),
        }
    }
}
