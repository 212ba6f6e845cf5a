//! From tensors to launches: which rotations the device can take, and where each launch reads and writes.

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
use crate::portable::compute_dtype;

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
    /// Of the arithmetic, and of what a stage leaves to the next: values are rounded once, not after every launch.
    compute: DType,
}

/// What a launch reads and writes, beside the blocks.
struct Turn<'a> {
    stage: &'a Stage,
    from: &'a CubeTensor,
    to: Results<'a>,
    /// The buffer of the next stage, if there is one.
    next: Option<&'a CubeTensor>,
}

enum Results<'a> {
    Dropped,
    /// Where they were read.
    InPlace,
    Into(&'a [CubeTensor]),
}

impl Rotation {
    /// `None` where the portable body has to do: nothing to rotate, or limits of the device.
    pub(super) fn new(x: &CubeTensor, blocks: &CubeTensor, axis: usize) -> Option<Self> {
        Self::within(&limits(&x.client), x, blocks, axis, Task::Rotate(1))
    }

    /// So many rotations of the same vectors; `None` if one launch does not reach over them as well.
    pub(super) fn several(
        x: &CubeTensor,
        blocks: &CubeTensor,
        axis: usize,
        rotations: usize,
    ) -> Option<Self> {
        let limits = limits(&x.client);
        let rotation = Self::within(&limits, x, blocks, axis, Task::Rotate(rotations))?;
        (rotation.stages.len() == 1).then_some(rotation)
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
        let y = [if in_place { x.clone() } else { empty_like(&x) }];
        let first = || match in_place {
            true => Results::InPlace,
            false => Results::Into(&y),
        };
        match transpose {
            false => self.climb(&x, &blocks, first(), &y),
            true => self.descend(&x, &blocks, first()),
        }
        let [y] = y;
        y
    }

    /// `R`: each stage reads what the one before left to it and writes to its places in `y`; the first as `to` says.
    fn climb(&self, x: &CubeTensor, blocks: &CubeTensor, to: Results<'_>, y: &[CubeTensor; 1]) {
        let (mut own, mut to) = (x.clone(), to);
        for stage in &self.stages {
            let next = self.next(stage, x);
            let turn = Turn {
                stage,
                from: &own,
                to,
                next: next.as_ref(),
            };
            self.turn(turn, blocks, false);
            let Some(next) = next else { return };
            (own, to) = (next, Results::Into(y));
        }
    }

    /// `R^T`: each stage reads its places in `x`, what the one above handed back, and writes for the one below; the first stage,
    /// which comes last, as `to` says.
    fn descend(&self, x: &CubeTensor, blocks: &CubeTensor, to: Results<'_>) {
        let (first, higher) = self.stages.split_first().expect("there are levels");
        let mut handed: Option<CubeTensor> = None;
        for (below, stage) in self.stages.iter().zip(higher).rev() {
            let own = [self.next(below, x).expect("there is a stage above it")];
            let turn = Turn {
                stage,
                from: x,
                to: Results::Into(&own),
                next: handed.as_ref(),
            };
            self.turn(turn, blocks, true);
            let [own] = own;
            handed = Some(own);
        }
        let turn = Turn {
            stage: first,
            from: x,
            to,
            next: handed.as_ref(),
        };
        self.turn(turn, blocks, true);
    }

    /// `x` rotated by each of the rotations in `blocks [K, d-1, 2, 2]`, in one launch.
    pub(super) fn rotate_each<const K: usize>(
        &self,
        x: CubeTensor,
        blocks: CubeTensor,
        transpose: bool,
    ) -> [CubeTensor; K] {
        let (x, blocks) = (into_contiguous(x), into_contiguous(blocks));
        let results = [(); K].map(|()| empty_like(&x));
        let turn = Turn {
            stage: &self.stages[0],
            from: &x,
            to: Results::Into(&results),
            next: None,
        };
        self.turn(turn, &blocks, transpose);
        results
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
            Some(up) => Results::Into(std::slice::from_ref(up)),
            None => Results::Dropped,
        };
        let turn = Turn {
            stage,
            from: a,
            to,
            next: Some(next),
        };
        self.turn(turn, blocks, false);
    }

    fn turn(&self, turn: Turn<'_>, blocks: &CubeTensor, transpose: bool) {
        let Turn {
            stage,
            from,
            to,
            next,
        } = turn;
        let rotations = match self.work.task {
            Task::Rotate(rotations) => rotations,
            Task::Differentiate => 1,
        };
        let way = Way {
            transpose,
            rotations,
            stored: !matches!(to, Results::Dropped),
            next: next.is_some(),
        };
        let [own, whole, blocks_dtype, compute] = self.dtypes(stage);
        let results = match to {
            Results::Dropped => SequenceArg::new(),
            Results::InPlace => [same(from, 0)].into_iter().collect(),
            Results::Into(results) => results.iter().map(buffer).collect(),
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
            results,
            next.into_iter().map(buffer).collect(),
            self.vectors(stage, &from.client),
            stage.tile,
            way,
            [read, written, blocks_dtype, compute].map(dtype_to_storage_type),
        );
    }

    /// Of places in the whole tensor, which is the largest buffer that a rotation reads or writes.
    pub(super) fn address_type(&self) -> AddressType {
        AddressType::from_len(self.work.count * self.work.dim)
    }

    /// Of a stage's own elements, of the whole tensor's, of the blocks, and of the arithmetic.
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
