//! What `--device` takes.

pub(super) const DEVICES: &str = "flex, or with the feature of that name: ndarray, wgpu, wgpu-cpu (software adapters), vulkan, \
                                  metal, webgpu, cuda, rocm, cpu (compiled by CubeCL)";
