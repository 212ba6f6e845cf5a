//! Every CubeCL runtime: CUDA, ROCm, Vulkan, Metal, WebGPU and the CPU.

use crate::ops::GivensOps;

impl GivensOps for burn_cubecl::CubeBackend {}
