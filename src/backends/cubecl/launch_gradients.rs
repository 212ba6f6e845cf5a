//! From tensors to the launches of the derivative: where each reads, and where its ways end.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::gradients::{Ends, differentiate, sum_parts};
use super::launch::{Rotation, buffer, cube_count, cube_dim, empty_like, limits, owned, same};
use super::tile::{SUM_CUBE, SUMMED_ROWS, Stage};

/// Where values go at the end of a way.
enum End {
    Dropped,
    /// Where they were read.
    InPlace,
    Into(Box<CubeTensor>),
}

impl End {
    fn in_place(wanted: bool) -> Self {
        if wanted { Self::InPlace } else { Self::Dropped }
    }

    fn tensor(self, read: CubeTensor) -> Option<CubeTensor> {
        match self {
            Self::Dropped => None,
            Self::InPlace => Some(read),
            Self::Into(tensor) => Some(*tensor),
        }
    }
}

impl Rotation {
    /// The derivative of a rotation; `None` as for [`new`](Self::new).
    pub(super) fn derivative(
        x: &CubeTensor,
        grad: &CubeTensor,
        blocks: &CubeTensor,
        axis: usize,
    ) -> Option<Self> {
        let derivative = Self::within(&limits(&x.client), x, blocks, axis, true)?;
        (grad.dtype == x.dtype).then_some(derivative)
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
        let (x, grad) = (self.data(x), self.data(grad));
        let blocks = into_contiguous(blocks);
        let (a, b) = if transpose { (grad, x) } else { (x, grad) };
        let wanted = Ends {
            up: of_x && transpose,
            down: of_x && !transpose,
        };
        let (by_x, by_blocks) = match &self.stages[..] {
            [all] => self.at_once(all, a, b, &blocks, wanted),
            stages => {
                let (b, mut by_stage) = (owned(b), Vec::new());
                let up = self.around(stages, &a, &b, &blocks, wanted, &mut by_stage);
                // The last stage came first.
                by_stage.reverse();
                let by_x = of_x.then_some(if transpose { up } else { b });
                (by_x, CubeBackend::float_cat(by_stage, 0))
            }
        };
        (by_x.map(|by_x| self.result(by_x)), by_blocks)
    }

    fn at_once(
        &self,
        stage: &Stage,
        a: CubeTensor,
        b: CubeTensor,
        blocks: &CubeTensor,
        wanted: Ends,
    ) -> (Option<CubeTensor>, CubeTensor) {
        let end = |tensor: &CubeTensor, wanted: bool| match wanted {
            true if !tensor.can_mut() => End::Into(Box::new(empty_like(tensor))),
            wanted => End::in_place(wanted),
        };
        let (up, down) = (end(&a, wanted.up), end(&b, wanted.down));
        let by_blocks = self.sum_products(stage, &a, &b, blocks, &up, &down);
        (up.tensor(a).or(down.tensor(b)), by_blocks)
    }

    /// Higher stages stand between a stage's way up and its way down. Leaves `b` turned down, if that is wanted, appends the
    /// derivatives by the blocks, the last stage's first, and returns `a` at the upper end, turned up if that is wanted.
    fn around(
        &self,
        stages: &[Stage],
        a: &CubeTensor,
        b: &CubeTensor,
        blocks: &CubeTensor,
        wanted: Ends,
        by_stage: &mut Vec<CubeTensor>,
    ) -> CubeTensor {
        let (up, down) = (End::in_place(wanted.up), End::in_place(wanted.down));
        let (stage, higher) = stages.split_first().expect("a stage for each call");
        if higher.is_empty() {
            by_stage.push(self.sum_products(stage, a, b, blocks, &up, &down));
            return a.clone();
        }
        let climbed = if stage.stride > 1 {
            // A launch writes the elements that it reads; the others are copied.
            let climbed = a.copy();
            self.turn(stage, &climbed, blocks, None, false);
            climbed
        } else {
            let climbed = empty_like(a);
            self.turn(stage, a, blocks, Some(&climbed), false);
            climbed
        };
        let through = Ends {
            down: true,
            ..wanted
        };
        let top = self.around(higher, &climbed, b, blocks, through, by_stage);
        by_stage.push(self.sum_products(stage, a, b, blocks, &End::Dropped, &down));
        top
    }

    /// The derivative by the stage's blocks.
    fn sum_products(
        &self,
        stage: &Stage,
        a: &CubeTensor,
        b: &CubeTensor,
        blocks: &CubeTensor,
        up: &End,
        down: &End,
    ) -> CubeTensor {
        let client = &a.client;
        let [data, parameters, compute] = self.dtypes;
        let size = self.vector_size(stage, client);
        let rows = stage.cubes * stage.tile.lanes;
        let empty = |shape: Shape, dtype| {
            empty_device_contiguous_dtype(client.clone(), a.device.clone(), shape, dtype)
        };
        let end = |end: &End, tensor, position| match end {
            End::Dropped => buffer(&empty(Shape::new([size]), data)),
            End::InPlace => same(tensor, position),
            End::Into(tensor) => buffer(tensor),
        };
        let parts = empty(Shape::new([rows, stage.block_count, 4]), compute);
        // The ends by their positions among the kernel's buffers: `a` is 0, `b` is 1.
        differentiate::launch(
            client,
            cube_count(stage),
            cube_dim(stage),
            a.required_address_type().max(parts.required_address_type()),
            size,
            buffer(a),
            buffer(b),
            buffer(blocks),
            end(up, a, 0),
            end(down, b, 1),
            buffer(&parts),
            self.vectors(stage, client),
            stage.block_count as u32,
            stage.tile,
            Ends {
                up: !matches!(up, End::Dropped),
                down: !matches!(down, End::Dropped),
            },
            self.dtypes.map(dtype_to_storage_type),
        );
        self.sum_rows(parts, rows, stage.block_count, parameters)
    }

    /// `parts [rows, blocks, 4]` added up to `[blocks, 2, 2]`, by a launch for every factor of [`SUMMED_ROWS`].
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
        let sums =
            empty_device_contiguous_dtype(parts.client.clone(), parts.device.clone(), shape, dtype);
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
