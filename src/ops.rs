//! The one operation of the crate, its contract for every backend, and the portable body.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, backend_extension};
use burn::tensor::{DType, FloatDType, Shape, Slice};

use crate::plan::{Level, RotationPlan};

/// The rotation, as every backend of burn provides it.
///
/// The default body is the definition: other bodies may be faster and must agree with it. It is built from the backend's
/// own tensor operations, so it differentiates under autodiff, fuses under fusion, and costs `O(d)` per vector.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cubecl-backend"),
    Fusion: cfg(feature = "cubecl-backend"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait GivensOps: Backend {
    /// Multiplies every vector of `x` along `axis` by `R = P_L ... P_1`, or by its transpose.
    ///
    /// # Arguments
    ///
    /// * `x` - `[.., d, ..]`, `d` at `axis`; any float dtype.
    /// * `blocks` - `[d-1, 2, 2]`, rows `(i, j)` of each pair's block, ordered as in [`RotationPlan`](crate::RotationPlan).
    /// * `axis` - the rotated axis of `x`.
    /// * `transpose` - `false`: `R v`, level 1 first. `true`: `R^T v`, level `L` first with transposed blocks.
    ///
    /// # Returns
    ///
    /// A tensor of the shape and dtype of `x`. Computed in the wider of the two dtypes and at least in f32.
    ///
    /// # Safety of arguments
    ///
    /// Shapes are checked by [`rotate`](fn@crate::rotate) and [`rotate_transpose`](crate::rotate_transpose), which are the way to call this.
    #[fusion(default)]
    fn givens_rotate(
        x: FloatTensor<Self>,
        blocks: FloatTensor<Self>,
        axis: usize,
        transpose: bool,
    ) -> FloatTensor<Self> {
        cascade::<Self>(x, blocks, axis, transpose)
    }
}

/// The portable body, for any backend, `Dispatch` included.
///
/// Splitting a level's pairs into their first and second coordinates leaves a vector of half the length that holds exactly
/// the coordinates of the next level, in order. Each level therefore works on half of what the level before did:
///
/// ```text
/// level 1   v0 v1 v2 v3 v4 v5 v6 v7      pairs are neighbours
///            \__   \__   \__   \__
/// level 2   v0    v2    v4    v6          neighbours again; v1 v3 v5 v7 are final
/// level 3   v0          v4
/// ```
pub(crate) fn cascade<B: Backend>(
    x: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> FloatTensor<B> {
    let shape = x.shape();
    let dim = shape[axis];
    if dim < 2 || shape.num_elements() == 0 {
        return x;
    }
    let before = shape[..axis].iter().product();
    let after = shape[axis + 1..].iter().product();
    let (x_dtype, blocks_dtype) = (x.dtype(), blocks.dtype());
    let compute = compute_dtype(x_dtype, blocks_dtype);

    let x = cast::<B>(x, x_dtype, compute);
    let blocks = Blocks::<B>::new(cast::<B>(blocks, blocks_dtype, compute), transpose);
    let levels: Vec<Level> = RotationPlan::new(dim).levels().collect();
    let rows = B::float_reshape(x, Shape::new([before, dim, after]));
    let rotated = pyramid(rows, &levels, &blocks, transpose);
    cast::<B>(B::float_reshape(rotated, shape), compute, x_dtype)
}

/// Rotates `[before, n, after]` along its middle axis by `levels`, of which the first pairs neighbours.
fn pyramid<B: Backend>(
    rows: FloatTensor<B>,
    levels: &[Level],
    blocks: &Blocks<B>,
    transpose: bool,
) -> FloatTensor<B> {
    let Some((level, rest)) = levels.split_first() else {
        return rows;
    };
    let shape = rows.shape();
    let (before, n, after) = (shape[0], shape[1], shape[2]);
    let paired = 2 * level.count;

    let pairs = B::float_reshape(
        middle::<B>(rows.clone(), 0, paired),
        Shape::new([before * level.count, 2, after]),
    );
    let half = Shape::new([before, level.count, after]);
    let first = B::float_reshape(middle::<B>(pairs.clone(), 0, 1), half.clone());
    let second = B::float_reshape(middle::<B>(pairs, 1, 2), half);
    let unpaired = (n > paired).then(|| middle::<B>(rows, paired, n));

    let (first, second, unpaired) = if transpose {
        let (first, unpaired) = next_levels::<B>(first, unpaired, rest, blocks, transpose);
        let (first, second) = blocks.apply(level, first, second);
        (first, second, unpaired)
    } else {
        let (first, second) = blocks.apply(level, first, second);
        let (first, unpaired) = next_levels::<B>(first, unpaired, rest, blocks, transpose);
        (first, second, unpaired)
    };

    let column = Shape::new([before * level.count, 1, after]);
    let interleaved = B::float_cat(
        vec![
            B::float_reshape(first, column.clone()),
            B::float_reshape(second, column),
        ],
        1,
    );
    join::<B>(
        B::float_reshape(interleaved, Shape::new([before, paired, after])),
        unpaired,
    )
}

/// The remaining levels act on the first coordinates of all pairs and on the coordinate that found no partner.
fn next_levels<B: Backend>(
    first: FloatTensor<B>,
    unpaired: Option<FloatTensor<B>>,
    rest: &[Level],
    blocks: &Blocks<B>,
    transpose: bool,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let count = first.shape()[1];
    let alone = unpaired.is_none();
    let rotated = pyramid(join::<B>(first, unpaired), rest, blocks, transpose);
    if alone {
        return (rotated, None);
    }
    let first = middle::<B>(rotated.clone(), 0, count);
    let unpaired = middle::<B>(rotated, count, count + 1);
    (first, Some(unpaired))
}

/// The entries of all blocks, each `[1, d-1, 1]`, in the order in which a row of the pair's block reads them.
struct Blocks<B: Backend> {
    entries: [FloatTensor<B>; 4],
}

impl<B: Backend> Blocks<B> {
    /// Splits `[d-1, 2, 2]`; transposing every block is swapping the two off-diagonal entries.
    fn new(blocks: FloatTensor<B>, transpose: bool) -> Self {
        let pairs = blocks.shape()[0];
        let flat = B::float_reshape(blocks, Shape::new([pairs, 4]));
        let entry = |index: usize| {
            let column = B::float_slice(flat.clone(), &[span(0, pairs), span(index, index + 1)]);
            B::float_reshape(column, Shape::new([1, pairs, 1]))
        };
        let order = if transpose {
            [0, 2, 1, 3]
        } else {
            [0, 1, 2, 3]
        };
        Self {
            entries: order.map(entry),
        }
    }

    fn apply(
        &self,
        level: &Level,
        first: FloatTensor<B>,
        second: FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let [ii, ij, ji, jj] = &self.entries;
        let times = |entry: &FloatTensor<B>, value: &FloatTensor<B>| {
            let entry = middle::<B>(entry.clone(), level.first, level.first + level.count);
            B::float_mul(value.clone(), entry)
        };
        let rotated_first = B::float_add(times(ii, &first), times(ij, &second));
        let rotated_second = B::float_add(times(ji, &first), times(jj, &second));
        (rotated_first, rotated_second)
    }
}

fn span(start: usize, end: usize) -> Slice {
    Slice::from(start..end)
}

/// `[.., start..end, ..]` of the middle axis of a rank-3 tensor.
fn middle<B: Backend>(tensor: FloatTensor<B>, start: usize, end: usize) -> FloatTensor<B> {
    let shape = tensor.shape();
    if (start, end) == (0, shape[1]) {
        return tensor;
    }
    B::float_slice(
        tensor,
        &[span(0, shape[0]), span(start, end), span(0, shape[2])],
    )
}

fn join<B: Backend>(head: FloatTensor<B>, tail: Option<FloatTensor<B>>) -> FloatTensor<B> {
    match tail {
        Some(tail) => B::float_cat(vec![head, tail], 1),
        None => head,
    }
}

fn compute_dtype(x: DType, blocks: DType) -> DType {
    if x == DType::F64 || blocks == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}

fn cast<B: Backend>(tensor: FloatTensor<B>, from: DType, to: DType) -> FloatTensor<B> {
    if from == to {
        return tensor;
    }
    B::float_cast(tensor, FloatDType::from(to))
}
