//! The tree's portable body: what [`portable`](super::portable) defines, in half the work at every
//! level.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, Slice};

use super::tree::{self, TreeLevel as Level};
use crate::numeric::{cast, compute_dtype, vectors};

/// The rotation of `x` by the tree's blocks.
///
/// Splitting a level's pairs into their first and second coordinates leaves a vector of half the
/// length that holds exactly the coordinates of the next level, in order. Each level therefore
/// works on half of what the level before did:
///
/// ```text
/// level 1   v0 v1 v2 v3 v4 v5 v6 v7      pairs are neighbors
///            \__   \__   \__   \__
/// level 2   v0    v2    v4    v6          neighbors again; v1 v3 v5 v7 are final
/// level 3   v0          v4
/// ```
pub(crate) fn rotate<B: Backend>(
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
    let (x_dtype, blocks_dtype) = (x.dtype(), blocks.dtype());
    let compute = compute_dtype(x_dtype, blocks_dtype);

    let blocks = Blocks::<B>::new(cast::<B>(blocks, blocks_dtype, compute), transpose);
    let levels: Vec<Level> = tree::levels(dim).collect();
    let rows = vectors::<B>(cast::<B>(x, x_dtype, compute), axis);
    let rotated = pyramid(rows, &levels, &blocks, transpose);
    cast::<B>(B::float_reshape(rotated, shape), compute, x_dtype)
}

/// The derivatives by `x` and by the tree's blocks.
///
/// One way through the levels serves both directions, `a` going up and `b` going down as
/// [`portable`](super::portable) says.
pub(crate) fn gradients<B: Backend>(
    x: FloatTensor<B>,
    grad: FloatTensor<B>,
    blocks: FloatTensor<B>,
    axis: usize,
    transpose: bool,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let shape = x.shape();
    let dim = shape[axis];
    let blocks_shape = blocks.shape();
    let (x_dtype, blocks_dtype) = (x.dtype(), blocks.dtype());
    if shape.num_elements() == 0 {
        let zeros = B::float_zeros(blocks_shape, &blocks.device(), blocks_dtype.into());
        return (grad, zeros);
    }
    let compute = compute_dtype(x_dtype, blocks_dtype);

    let blocks = cast::<B>(blocks, blocks_dtype, compute);
    let (up, down) = (
        Blocks::<B>::new(blocks.clone(), false),
        Blocks::<B>::new(blocks, true),
    );
    let levels: Vec<Level> = tree::levels(dim).collect();
    let x = vectors::<B>(cast::<B>(x, x_dtype, compute), axis);
    let grad = vectors::<B>(cast::<B>(grad, x_dtype, compute), axis);
    let (a, b) = if transpose { (grad, x) } else { (x, grad) };
    let mut by_level = Vec::with_capacity(levels.len());
    let (a, b) = both_ways(a, b, &levels, &up, &down, &mut by_level);
    // The last level returned first.
    by_level.reverse();

    let of_x = B::float_reshape(if transpose { a } else { b }, shape);
    let of_blocks = B::float_reshape(B::float_cat(by_level, 0), blocks_shape);
    (
        cast::<B>(of_x, compute, x_dtype),
        cast::<B>(of_blocks, compute, blocks_dtype),
    )
}

/// Takes `a [before, n, after]` up and `b` down through `levels`, of which the first pairs
/// neighbors, and appends the block derivatives `[count, 4]` of every level, the last level first.
fn both_ways<B: Backend>(
    a: FloatTensor<B>,
    b: FloatTensor<B>,
    levels: &[Level],
    up: &Blocks<B>,
    down: &Blocks<B>,
    by_level: &mut Vec<FloatTensor<B>>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let Some((level, rest)) = levels.split_first() else {
        return (a, b);
    };
    let (a, b) = (Split::<B>::new(a, level), Split::<B>::new(b, level));
    let (first, second) = up.apply(level, a.first.clone(), a.second.clone());
    let (higher_a, higher_b) = both_ways::<B>(
        join::<B>(first, a.unpaired),
        join::<B>(b.first, b.unpaired),
        rest,
        up,
        down,
        by_level,
    );
    let (final_a, unpaired_a) = part::<B>(higher_a, level.count);
    let (before_b, unpaired_b) = part::<B>(higher_b, level.count);

    let product = |row: &FloatTensor<B>, column: &FloatTensor<B>| {
        let products = B::float_mul(row.clone(), column.clone());
        let of_vectors = B::float_sum_dim(B::float_sum_dim(products, 2), 0);
        B::float_reshape(of_vectors, Shape::new([level.count, 1]))
    };
    by_level.push(B::float_cat(
        vec![
            product(&before_b, &a.first),
            product(&before_b, &a.second),
            product(&b.second, &a.first),
            product(&b.second, &a.second),
        ],
        1,
    ));

    let (first, last) = down.apply(level, before_b, b.second);
    (
        interleave::<B>(final_a, second, unpaired_a),
        interleave::<B>(first, last, unpaired_b),
    )
}

/// Rotates `[before, n, after]` along its middle axis by `levels`, of which the first pairs
/// neighbors.
fn pyramid<B: Backend>(
    rows: FloatTensor<B>,
    levels: &[Level],
    blocks: &Blocks<B>,
    transpose: bool,
) -> FloatTensor<B> {
    let Some((level, rest)) = levels.split_first() else {
        return rows;
    };
    let Split::<B> {
        first,
        second,
        unpaired,
    } = Split::new(rows, level);
    let higher = |first, unpaired| {
        let rotated = pyramid(join::<B>(first, unpaired), rest, blocks, transpose);
        part::<B>(rotated, level.count)
    };
    let (first, second, unpaired) = if transpose {
        let (first, unpaired) = higher(first, unpaired);
        let (first, second) = blocks.apply(level, first, second);
        (first, second, unpaired)
    } else {
        let (first, second) = blocks.apply(level, first, second);
        let (first, unpaired) = higher(first, unpaired);
        (first, second, unpaired)
    };
    interleave::<B>(first, second, unpaired)
}

/// The coordinates of `[before, n, after]` by their place in a pair of neighbors.
struct Split<B: Backend> {
    /// `[before, count, after]`; together with `unpaired` the coordinates of the next level.
    first: FloatTensor<B>,
    /// `[before, count, after]`
    second: FloatTensor<B>,
    /// `[before, 1, after]`, the last coordinate of an odd number.
    unpaired: Option<FloatTensor<B>>,
}

impl<B: Backend> Split<B> {
    fn new(rows: FloatTensor<B>, level: &Level) -> Self {
        let shape = rows.shape();
        let (before, n, after) = (shape[0], shape[1], shape[2]);
        let paired = 2 * level.count;
        let pairs = B::float_reshape(
            middle::<B>(rows.clone(), 0, paired),
            Shape::new([before * level.count, 2, after]),
        );
        let half = Shape::new([before, level.count, after]);
        Self {
            first: B::float_reshape(middle::<B>(pairs.clone(), 0, 1), half.clone()),
            second: B::float_reshape(middle::<B>(pairs, 1, 2), half),
            unpaired: (n > paired).then(|| middle::<B>(rows, paired, n)),
        }
    }
}

/// The inverse of [`Split::new`].
fn interleave<B: Backend>(
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    unpaired: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    let shape = first.shape();
    let (before, count, after) = (shape[0], shape[1], shape[2]);
    let column = Shape::new([before * count, 1, after]);
    let columns = vec![
        B::float_reshape(first, column.clone()),
        B::float_reshape(second, column),
    ];
    let pairs = B::float_reshape(
        B::float_cat(columns, 1),
        Shape::new([before, 2 * count, after]),
    );
    join::<B>(pairs, unpaired)
}

/// The inverse of [`join`]: the first `count` coordinates, and one more if there is one.
fn part<B: Backend>(
    coordinates: FloatTensor<B>,
    count: usize,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let n = coordinates.shape()[1];
    let rest = (n > count).then(|| middle::<B>(coordinates.clone(), count, n));
    (middle::<B>(coordinates, 0, count), rest)
}

/// The entries of all blocks, each `[1, d-1, 1]`, in the order in which a row of the pair's block
/// reads them.
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
