//! From tensors to the launches of the derivative: where each reads, and where its ways end.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::gradients::{Ends, differentiate, sum_parts};
use super::launch::{Rotation, buffer, cube_count, cube_dim, empty_like, owned, same};
use super::tile::{SUM_CUBE, Stage};

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
    /// The derivative of a rotation; `None` as for [`new`](Self::new), and for vectors that take more than two launches.
    pub(super) fn derivative(
        x: &CubeTensor,
        grad: &CubeTensor,
        blocks: &CubeTensor,
        axis: usize,
    ) -> Option<Self> {
        let derivative = Self::plan(x, blocks, axis, true)?;
        (grad.dtype == x.dtype && derivative.stages.len() <= 2).then_some(derivative)
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
            [low, high] => self.in_two(low, high, a, b, &blocks, wanted),
            _ => unreachable!("Rotation::derivative takes two stages at most"),
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

    /// The high levels stand between the low levels' way up and their way down.
    fn in_two(
        &self,
        low: &Stage,
        high: &Stage,
        a: CubeTensor,
        b: CubeTensor,
        blocks: &CubeTensor,
        wanted: Ends,
    ) -> (Option<CubeTensor>, CubeTensor) {
        let climbed = empty_like(&a);
        self.turn(low, &a, blocks, Some(&climbed), false);
        let b = owned(b);
        let up = End::in_place(wanted.up);
        let by_high = self.sum_products(high, &climbed, &b, blocks, &up, &End::InPlace);
        let down = End::in_place(wanted.down);
        let by_low = self.sum_products(low, &a, &b, blocks, &End::Dropped, &down);
        let by_blocks = CubeBackend::float_cat(vec![by_low, by_high], 0);
        (up.tensor(climbed).or(down.tensor(b)), by_blocks)
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
        let sums = empty(Shape::new([stage.block_count, 2, 2]), parameters);
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
        let (across, down) = SUM_CUBE;
        sum_parts::launch(
            client,
            CubeCount::Static(stage.block_count.div_ceil(across) as u32, 1, 1),
            CubeDim::new_2d(across as u32, down as u32),
            parts.required_address_type(),
            buffer(&parts),
            buffer(&sums),
            rows,
            stage.block_count,
            SUM_CUBE,
            [parameters, compute].map(dtype_to_storage_type),
        );
        sums
    }
}
