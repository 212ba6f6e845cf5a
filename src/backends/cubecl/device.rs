//! What a device allows, and what it computes wrongly.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use burn_cubecl::cubecl::features::{Plane, TypeUsage};
use burn_cubecl::cubecl::prelude::*;

use super::tile::Limits;

/// Multiprocessors of a device that does not tell.
const PROCESSORS: u32 = 64;

pub(super) fn limits(client: &Client) -> Limits {
    let properties = client.properties();
    let hardware = &properties.hardware;
    // Which units share a plane must be known when the kernel is compiled.
    let known = hardware.plane_size_min == hardware.plane_size_max
        && hardware.plane_size_max.is_power_of_two();
    let exchange = properties
        .features
        .plane
        .is_superset(Plane::Ops | Plane::Sync);
    let plane = if known && exchange {
        hardware.plane_size_max as usize
    } else {
        1
    };
    let (x, y, _) = hardware.max_cube_dim;
    let (cubes_x, cubes_y, _) = hardware.max_cube_count;
    let processors = hardware.num_streaming_multiprocessors;
    Limits {
        units: hardware.max_units_per_cube as usize,
        cube_dim: (x as usize, y as usize),
        cubes: (cubes_x as usize, cubes_y as usize),
        shared_bytes: hardware.max_shared_memory_size,
        plane,
        bindings: hardware.max_bindings as usize,
        processors: processors.unwrap_or(PROCESSORS) as usize,
    }
}

/// Whether the device reads and writes the data and the blocks, and computes in the third dtype.
pub(super) fn supported(client: &Client, [data, parameters, compute]: [DType; 3]) -> bool {
    // Units of CubeCL's CPU runtime are threads, which would wait for each other at every level.
    let threads = client.properties().hardware.num_cpu_cores.is_some();
    let floats = [DType::F32, DType::F64, DType::F16, DType::BF16];
    let has = |dtype: DType, usage: TypeUsage| {
        floats.contains(&dtype)
            && client
                .properties()
                .type_usage(dtype_to_storage_type(dtype))
                .contains(usage)
    };
    [data, parameters]
        .into_iter()
        .all(|dtype| has(dtype, TypeUsage::Buffer) && has(dtype, TypeUsage::Conversion))
        && has(compute, TypeUsage::Arithmetic)
        && !threads
}
