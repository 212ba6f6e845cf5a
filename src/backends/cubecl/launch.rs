//! From tensors to launches: which rotations the device can take, and where each launch reads and writes.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::features::{Plane, TypeUsage};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::kernel;
use super::tile::{Limits, Stage, Work, stages};
use super::unit::VectorsLaunch;
use crate::portable::compute_dtype;

/// Multiprocessors of a device that does not tell.
const PROCESSORS: u32 = 64;

/// A rotation that the device can take.
pub(super) struct Rotation {
    work: Work,
    pub(super) stages: Vec<Stage>,
    result: DType,
    /// Of what the launches read and write, of the blocks, and of the arithmetic.
    pub(super) dtypes: [DType; 3],
}

impl Rotation {
    /// `None` where the portable body has to do: nothing to rotate, or limits of the device.
    pub(super) fn new(x: &CubeTensor, blocks: &CubeTensor, axis: usize) -> Option<Self> {
        Self::within(&limits(&x.client), x, blocks, axis, false)
    }

    pub(super) fn within(
        limits: &Limits,
        x: &CubeTensor,
        blocks: &CubeTensor,
        axis: usize,
        differentiate: bool,
    ) -> Option<Self> {
        let shape = x.meta.shape();
        let dim = shape[axis];
        let numbers = shape.num_elements();
        let compute = compute_dtype(x.dtype, blocks.dtype);
        if dim < 2 || numbers == 0 || !supported(&x.client, [x.dtype, blocks.dtype, compute]) {
            return None;
        }
        let work = Work {
            dim,
            inner: shape[axis + 1..].iter().product(),
            count: numbers / dim,
            bytes: compute.size(),
            differentiate,
        };
        let stages = stages(&work, limits)?;
        // Values are rounded once, not after every launch.
        let held = if stages.len() > 1 { compute } else { x.dtype };
        Some(Self {
            work,
            stages,
            result: x.dtype,
            dtypes: [held, blocks.dtype, compute],
        })
    }

    /// The tensor as the launches take it.
    pub(super) fn data(&self, tensor: CubeTensor) -> CubeTensor {
        into_contiguous(cast(tensor, self.dtypes[0]))
    }

    /// What they leave, as the caller expects it.
    pub(super) fn result(&self, tensor: CubeTensor) -> CubeTensor {
        cast(tensor, self.result)
    }

    pub(super) fn rotate(&self, x: CubeTensor, blocks: CubeTensor, transpose: bool) -> CubeTensor {
        let (x, blocks) = (self.data(x), into_contiguous(blocks));
        let mut stages: Vec<&Stage> = self.stages.iter().collect();
        if transpose {
            stages.reverse();
        }
        // A first launch that does not reach all elements needs the others in place.
        let x = if stages[0].stride > 1 { owned(x) } else { x };
        let in_place = stages[0].stride > 1 || x.can_mut();
        let y = if in_place { x.clone() } else { empty_like(&x) };
        for (number, stage) in stages.into_iter().enumerate() {
            if number == 0 && !in_place {
                self.turn(stage, &x, &blocks, Some(&y), transpose);
            } else {
                self.turn(stage, &y, &blocks, None, transpose);
            }
        }
        self.result(y)
    }

    /// One launch, from `x` into `y` or in place.
    pub(super) fn turn(
        &self,
        stage: &Stage,
        x: &CubeTensor,
        blocks: &CubeTensor,
        y: Option<&CubeTensor>,
        transpose: bool,
    ) {
        kernel::rotate::launch(
            &x.client,
            cube_count(stage),
            cube_dim(stage),
            x.required_address_type(),
            self.vector_size(stage, &x.client),
            buffer(x),
            buffer(blocks),
            y.map_or(same(x, 0), buffer),
            self.vectors(stage, &x.client),
            stage.tile,
            transpose,
            self.dtypes.map(dtype_to_storage_type),
        );
    }

    pub(super) fn vectors(&self, stage: &Stage, client: &Client) -> VectorsLaunch {
        let Work {
            dim, inner, count, ..
        } = self.work;
        VectorsLaunch::new(
            count,
            stage.dim as u32,
            inner,
            dim * inner / self.vector_size(stage, client),
            stage.stride * inner,
            stage.first_block as u32,
        )
    }

    /// Elements that a unit reads at a time.
    pub(super) fn vector_size(&self, stage: &Stage, client: &Client) -> usize {
        if stage.tile.columns || stage.stride > 1 {
            return 1;
        }
        let mut sizes = client.io_optimized_vector_sizes(self.dtypes[0].size());
        let fits = |size: &usize| {
            self.work.dim.is_multiple_of(*size) && stage.tile.elements.is_multiple_of(*size)
        };
        sizes.find(fits).unwrap_or(1)
    }
}

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
    let plane = match known && exchange {
        true => hardware.plane_size_max as usize,
        false => 1,
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
fn supported(client: &Client, [data, parameters, compute]: [DType; 3]) -> bool {
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
    empty_device_contiguous_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        tensor.meta.shape().clone(),
        tensor.dtype,
    )
}

fn cast(tensor: CubeTensor, dtype: DType) -> CubeTensor {
    if tensor.dtype == dtype {
        return tensor;
    }
    CubeBackend::float_cast(tensor, dtype.into())
}

/// The tensor or a copy of it, to be written to.
pub(super) fn owned(tensor: CubeTensor) -> CubeTensor {
    if tensor.can_mut() {
        return tensor;
    }
    into_contiguous(tensor.copy())
}
