//! From tensors to the launches of the derivative: where each reads, and where its ways end.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::buffers::{buffer, cube_count, cube_dim, empty, empty_like, same};
use super::device::limits;
use super::gradients::{Ends, differentiate, sum_parts};
use super::launch::Rotation;
use super::tile::{SUM_CUBE, SUMMED_ROWS, Stage, Task};
use crate::pairs::{Topology, Turn};

/// Where a launch writes the end of a way: nowhere, where it was read, or into a tensor.
enum End {
    Dropped,
    InPlace,
    Into(Box<CubeTensor>),
}

impl End {
    /// Over `read`, where nothing else needs it, or into a tensor like it.
    fn over(read: &CubeTensor, wanted: bool) -> Self {
        match wanted {
            false => Self::Dropped,
            true if read.can_mut() => Self::InPlace,
            true => Self::Into(Box::new(empty_like(read))),
        }
    }

    fn tensor(self, read: CubeTensor) -> Option<CubeTensor> {
        match self {
            Self::Dropped => None,
            Self::InPlace => Some(read),
            Self::Into(tensor) => Some(*tensor),
        }
    }
}

/// What a launch reads and writes, beside the blocks.
struct Products<'a> {
    stage: &'a Stage,
    a: &'a CubeTensor,
    b: &'a CubeTensor,
    up: &'a End,
    down: &'a End,
    /// What the next stage, if there is one, hands back of the way down.
    next: Option<&'a CubeTensor>,
}

impl Rotation {
    /// The derivative of a rotation; `None` as for [`new`](Self::new).
    pub(super) fn derivative(
        x: &CubeTensor,
        grad: &CubeTensor,
        blocks: &CubeTensor,
        turn: Turn,
    ) -> Option<Self> {
        if turn.topology != Topology::Tree || grad.dtype != x.dtype {
            return None;
        }
        Self::within(
            &limits(&x.client),
            x,
            blocks,
            turn.axis,
            Task::Differentiate,
        )
    }

    /// The derivative by the rotation's input, if `of_x`, and that by the blocks.
    pub(super) fn differentiate(
        &self,
        x: CubeTensor,
        grad: CubeTensor,
        blocks: CubeTensor,
        transpose: bool,
        of_x: bool,
    ) -> (Option<CubeTensor>, CubeTensor) {
        let (x, grad) = (into_contiguous(x), into_contiguous(grad));
        let blocks = into_contiguous(blocks);
        let (a, b) = if transpose { (grad, x) } else { (x, grad) };
        let (wants_up, wants_down) = (of_x && transpose, of_x && !transpose);
        let up = match &self.stages[..] {
            // Several stages read `a` once more after the end of its way is written.
            [_, _, ..] if wants_up => End::Into(Box::new(empty_like(&a))),
            _ => End::over(&a, wants_up),
        };
        let down = End::over(&b, wants_down);
        let mut by_stage = Vec::new();
        self.around(&self.stages, [&a, &b], &blocks, [&up, &down], &mut by_stage);
        let by_blocks = match by_stage.len() {
            1 => by_stage.remove(0),
            // The last stage came first.
            _ => CubeBackend::float_cat(by_stage.into_iter().rev().collect(), 0),
        };
        (up.tensor(a).or(down.tensor(b)), by_blocks)
    }

    /// Higher stages stand between a stage's way up and its way down: it climbs for them, and
    /// climbs again when they are done. Appends the derivatives by the blocks, the last stage's
    /// first.
    fn around(
        &self,
        stages: &[Stage],
        [a, b]: [&CubeTensor; 2],
        blocks: &CubeTensor,
        [up, down]: [&End; 2],
        by_stage: &mut Vec<CubeTensor>,
    ) {
        let (stage, higher) = stages.split_first().expect("a stage for each call");
        let products = Products {
            stage,
            a,
            b,
            up,
            down,
            next: None,
        };
        let Some(climbed) = self.next(stage, a) else {
            by_stage.push(self.sum_products(&products, blocks));
            return;
        };
        let whole = match up {
            End::Into(up) => Some(&**up),
            End::Dropped | End::InPlace => None,
        };
        self.lead(stage, a, blocks, whole, &climbed);
        let handed = empty_like(&climbed);
        let handing = End::Into(Box::new(handed.clone()));
        self.around(higher, [&climbed, b], blocks, [up, &handing], by_stage);
        let products = Products {
            up: &End::Dropped,
            next: Some(&handed),
            ..products
        };
        by_stage.push(self.sum_products(&products, blocks));
    }

    /// The derivative by the stage's blocks.
    fn sum_products(&self, products: &Products<'_>, blocks: &CubeTensor) -> CubeTensor {
        let Products {
            stage,
            a,
            b,
            up,
            down,
            next,
        } = products;
        let client = &a.client;
        let dtypes = self.dtypes(stage);
        let [_, _, parameters, compute] = dtypes;
        let size = self.vector_size(stage, client);
        let rows = stage.cubes * stage.tile.lanes;
        // An end in place by the position of what it is written over: `a` is 0, `b` is 1.
        let end = |end: &End, tensor: &CubeTensor, position| match end {
            End::Dropped => None,
            End::InPlace => Some(same(tensor, position)),
            End::Into(tensor) => Some(buffer(tensor)),
        };
        let parts = empty(a, Shape::new([rows, stage.block_count, 4]), compute);
        differentiate::launch(
            client,
            cube_count(stage),
            cube_dim(stage),
            self.address_type().max(parts.required_address_type()),
            size,
            buffer(a),
            buffer(b),
            buffer(blocks),
            end(up, a, 0).into_iter().collect(),
            end(down, b, 1).into_iter().collect(),
            next.map(buffer).into_iter().collect(),
            buffer(&parts),
            self.vectors(stage, client),
            stage.block_count as u32,
            stage.tile,
            Ends {
                up: !matches!(up, End::Dropped),
                down: !matches!(down, End::Dropped),
                next: next.is_some(),
            },
            dtypes.map(dtype_to_storage_type),
        );
        self.sum_rows(parts, rows, stage.block_count, parameters)
    }

    /// `parts [rows, blocks, 4]` added up to `[blocks, 2, 2]`, by a launch for every factor of
    /// [`SUMMED_ROWS`].
    fn sum_rows(
        &self,
        parts: CubeTensor,
        rows: usize,
        block_count: usize,
        result: DType,
    ) -> CubeTensor {
        let left = rows.div_ceil(SUMMED_ROWS);
        let (shape, dtype) = match left {
            1 => (Shape::new([block_count, 2, 2]), result),
            left => (Shape::new([left, block_count, 4]), parts.dtype),
        };
        let sums = empty(&parts, shape, dtype);
        let (across, down) = SUM_CUBE;
        sum_parts::launch(
            &parts.client,
            CubeCount::Static(block_count.div_ceil(across) as u32, left as u32, 1),
            CubeDim::new_2d(across as u32, down as u32),
            parts.required_address_type(),
            buffer(&parts),
            buffer(&sums),
            rows,
            SUMMED_ROWS,
            block_count,
            SUM_CUBE,
            [dtype, parts.dtype].map(dtype_to_storage_type),
        );
        match left {
            1 => sums,
            left => self.sum_rows(sums, left, block_count, result),
        }
    }
}
