//! From tensors to launches: which rotations the device can take, and where each launch reads and
//! writes.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::buffers::{buffer, cube_count, cube_dim, empty, empty_like, same};
use super::device::{limits, supported};
use super::rotation::{self, Way};
use super::tile::{Limits, Stage, Task, Work, stages};
use super::unit::{LayoutLaunch, VectorsLaunch};
use crate::numeric::compute_dtype;
use crate::pairs::{Topology, Turn};

/// A rotation that the device can take.
pub(super) struct Rotation {
    work: Work,
    pub(super) stages: Vec<Stage>,
    dtypes: Dtypes,
}

#[derive(Clone, Copy)]
struct Dtypes {
    data: DType,
    blocks: DType,
    /// The dtype of the arithmetic, and of what a stage leaves to the next: values are rounded
    /// once, not after every launch.
    compute: DType,
}

/// What a launch reads and writes, beside the blocks.
struct Launch<'a> {
    stage: &'a Stage,
    from: &'a CubeTensor,
    to: Written<'a>,
    /// The buffer of the next stage, if there is one.
    next: Option<&'a CubeTensor>,
}

enum Written<'a> {
    Nowhere,
    /// Where it was read.
    InPlace,
    Into(&'a CubeTensor),
}

impl Rotation {
    /// `None` where the portable body has to do: nothing to rotate, limits of the device, or other
    /// pairs than the tree's.
    pub(super) fn new(x: &CubeTensor, blocks: &CubeTensor, turn: Turn) -> Option<Self> {
        if turn.topology != Topology::Tree {
            return None;
        }
        Self::within(&limits(&x.client), x, blocks, turn.axis, Task::Rotate)
    }

    pub(super) fn within(
        limits: &Limits,
        x: &CubeTensor,
        blocks: &CubeTensor,
        axis: usize,
        task: Task,
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
            task,
        };
        Some(Self {
            work,
            stages: stages(&work, limits)?,
            dtypes: Dtypes {
                data: x.dtype,
                blocks: blocks.dtype,
                compute,
            },
        })
    }

    pub(super) fn rotate(&self, x: CubeTensor, blocks: CubeTensor, transpose: bool) -> CubeTensor {
        let (x, blocks) = (into_contiguous(x), into_contiguous(blocks));
        let in_place = x.can_mut();
        let y = if in_place { x.clone() } else { empty_like(&x) };
        let first = if in_place {
            Written::InPlace
        } else {
            Written::Into(&y)
        };
        if transpose {
            self.descend(&x, &blocks, first);
        } else {
            self.climb(&x, &blocks, first, &y);
        }
        y
    }

    /// `R`: each stage reads what the one before left to it and writes to its places in `y`; the
    /// first as `to` says.
    fn climb(&self, x: &CubeTensor, blocks: &CubeTensor, to: Written<'_>, y: &CubeTensor) {
        let (mut own, mut to) = (x.clone(), to);
        for stage in &self.stages {
            let next = self.next(stage, x);
            let launch = Launch {
                stage,
                from: &own,
                to,
                next: next.as_ref(),
            };
            self.launch(launch, blocks, false);
            let Some(next) = next else { return };
            (own, to) = (next, Written::Into(y));
        }
    }

    /// `R^T`: each stage reads its places in `x`, what the one above handed back, and writes for
    /// the one below; the first stage, which comes last, as `to` says.
    fn descend(&self, x: &CubeTensor, blocks: &CubeTensor, to: Written<'_>) {
        let (first, higher) = self.stages.split_first().expect("there are levels");
        let mut handed: Option<CubeTensor> = None;
        for (below, stage) in self.stages.iter().zip(higher).rev() {
            let own = self.next(below, x).expect("there is a stage above it");
            let launch = Launch {
                stage,
                from: x,
                to: Written::Into(&own),
                next: handed.as_ref(),
            };
            self.launch(launch, blocks, true);
            handed = Some(own);
        }
        let launch = Launch {
            stage: first,
            from: x,
            to,
            next: handed.as_ref(),
        };
        self.launch(launch, blocks, true);
    }

    /// Room for the elements that a stage leaves to the next, if there is one.
    pub(super) fn next(&self, stage: &Stage, x: &CubeTensor) -> Option<CubeTensor> {
        (stage.chunks > 1).then(|| {
            let vectors = self.work.count / self.work.inner;
            let shape = Shape::new([vectors, stage.chunks, self.work.inner]);
            empty(x, shape, self.dtypes.compute)
        })
    }

    /// `R` up to where the next stage takes over, into `up` if that is wanted.
    pub(super) fn lead(
        &self,
        stage: &Stage,
        a: &CubeTensor,
        blocks: &CubeTensor,
        up: Option<&CubeTensor>,
        next: &CubeTensor,
    ) {
        let to = match up {
            Some(up) => Written::Into(up),
            None => Written::Nowhere,
        };
        let launch = Launch {
            stage,
            from: a,
            to,
            next: Some(next),
        };
        self.launch(launch, blocks, false);
    }

    fn launch(&self, launch: Launch<'_>, blocks: &CubeTensor, transpose: bool) {
        let Launch {
            stage,
            from,
            to,
            next,
        } = launch;
        let way = Way {
            transpose,
            stored: !matches!(to, Written::Nowhere),
            next: next.is_some(),
        };
        let [own, whole, blocks_dtype, compute] = self.dtypes(stage);
        let result = match to {
            Written::Nowhere => None,
            Written::InPlace => Some(same(from, 0)),
            Written::Into(result) => Some(buffer(result)),
        };
        let [read, written] = if transpose {
            [whole, own]
        } else {
            [own, whole]
        };
        rotation::rotate::launch(
            &from.client,
            cube_count(stage),
            cube_dim(stage),
            self.address_type(),
            self.vector_size(stage, &from.client),
            buffer(from),
            buffer(blocks),
            result.into_iter().collect(),
            next.into_iter().map(buffer).collect(),
            self.vectors(stage, &from.client),
            stage.tile,
            way,
            [read, written, blocks_dtype, compute].map(dtype_to_storage_type),
        );
    }

    /// The type of addresses in the whole tensor, which is the largest buffer that a rotation reads
    /// or writes.
    pub(super) fn address_type(&self) -> AddressType {
        AddressType::from_len(self.work.count * self.work.dim)
    }

    /// The dtypes of a stage's own elements, of the whole tensor, of the blocks, and of the
    /// arithmetic.
    pub(super) fn dtypes(&self, stage: &Stage) -> [DType; 4] {
        let Dtypes {
            data,
            blocks,
            compute,
        } = self.dtypes;
        let own = if stage.stride > 1 { compute } else { data };
        [own, data, blocks, compute]
    }

    pub(super) fn vectors(&self, stage: &Stage, client: &Client) -> VectorsLaunch {
        let Work {
            dim, inner, count, ..
        } = self.work;
        let size = self.vector_size(stage, client);
        let layout =
            |dim: usize, stride: usize| LayoutLaunch::new(dim * inner / size, stride * inner);
        VectorsLaunch::new(
            count,
            stage.dim as u32,
            inner,
            layout(dim, stage.stride),
            layout(stage.dim, 1),
            LayoutLaunch::new(stage.chunks * inner, inner),
            stage.first_block as u32,
        )
    }

    /// Elements that a unit reads at a time.
    pub(super) fn vector_size(&self, stage: &Stage, client: &Client) -> usize {
        if stage.tile.columns || stage.stride > 1 {
            return 1;
        }
        let mut sizes = client.io_optimized_vector_sizes(self.dtypes.data.size());
        let fits = |size: &usize| {
            self.work.dim.is_multiple_of(*size) && stage.tile.elements.is_multiple_of(*size)
        };
        sizes.find(fits).unwrap_or(1)
    }
}
