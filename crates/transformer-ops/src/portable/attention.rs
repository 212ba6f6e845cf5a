//! Attention, a block of queries at a time.

use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, Shape, TensorData};

use super::{cast, one_less_square, part, wide};
use crate::ops::Attention;

/// Scores that are in memory at a time.
const SCORES: usize = 1 << 24;

/// What a score that is not seen loses: more than any score has, and its exponential is 0.
const UNSEEN: f64 = 1e30;

/// Keys and values by head, and what blocks of queries have in common.
struct Heads<B: Backend> {
    /// `[rows, key heads, keys, width]`.
    keys: FloatTensor<B>,
    values: FloatTensor<B>,
    /// `[rows, 1, queries, 1]`.
    starts: FloatTensor<B>,
    ends: FloatTensor<B>,
    /// `[1, 1, 1, keys]`.
    places: FloatTensor<B>,
    size: Size,
    how: Attention,
    dtype: DType,
}

#[derive(Clone, Copy)]
struct Size {
    rows: usize,
    queries: usize,
    heads: usize,
    width: usize,
    keys: usize,
    key_heads: usize,
}

impl Size {
    /// Queries of a block.
    fn block(&self) -> usize {
        let of_one = self.rows * self.heads * self.keys;
        (SCORES / of_one.max(1)).clamp(1, self.queries.max(1))
    }

    /// Scores of `count` queries by their own heads.
    fn by_head(&self, count: usize, last: usize) -> Shape {
        Shape::new([self.rows, self.heads, count, last])
    }

    /// The same by heads of keys: queries that share one are the rows of one product.
    fn by_key_head(&self, count: usize, last: usize) -> Shape {
        let shared = self.heads / self.key_heads;
        Shape::new([self.rows, self.key_heads, shared * count, last])
    }
}

/// The weights of a block of queries.
struct Weights<B: Backend> {
    /// `[rows, heads, block, keys]`, in the dtype that they are computed in.
    weights: FloatTensor<B>,
    /// `z / c` under a cap, as a tanh.
    tanh: Option<FloatTensor<B>>,
}

impl<B: Backend> Heads<B> {
    fn new(
        [query, key, value]: [&FloatTensor<B>; 3],
        spans: [FloatTensor<B>; 2],
        how: Attention,
    ) -> Self {
        let (queries, keys, dtype) = (query.shape(), key.shape(), query.dtype());
        let size = Size {
            rows: queries[0],
            queries: queries[1],
            heads: queries[2],
            width: queries[3],
            keys: keys[1],
            key_heads: keys[2],
        };
        let compute = wide(dtype);
        let [starts, ends] = spans.map(|table| {
            let shape = Shape::new([size.rows, 1, size.queries, 1]);
            B::float_reshape(cast::<B>(table, compute), shape)
        });
        Self {
            keys: by_head::<B>(key.clone()),
            values: by_head::<B>(value.clone()),
            starts,
            ends,
            places: places::<B>(size.keys, compute, &query.device()),
            size,
            how,
            dtype,
        }
    }

    /// 1 where a query sees a key, 0 elsewhere, `[rows, 1, block, keys]`.
    fn seen(&self, from: usize, to: usize) -> FloatTensor<B> {
        let (starts, ends) = (
            part::<B>(self.starts.clone(), 2, from, to),
            part::<B>(self.ends.clone(), 2, from, to),
        );
        // Whole numbers: both factors are 0 or 1.
        let behind_start = B::float_sub(self.places.clone(), starts);
        let behind_start = B::float_clamp(
            B::float_add_scalar(behind_start, 1.0.into()),
            0.0.into(),
            1.0.into(),
        );
        let before_end = B::float_sub(ends, self.places.clone());
        let before_end = B::float_clamp(before_end, 0.0.into(), 1.0.into());
        B::float_mul(behind_start, before_end)
    }

    /// `queries` is `[rows, key heads, shared * block, width]`.
    fn weights(&self, queries: FloatTensor<B>, from: usize, to: usize) -> Weights<B> {
        let (size, how) = (self.size, self.how);
        let queries = B::float_mul_scalar(queries, how.scale.into());
        let scores = B::float_matmul(queries, B::float_swap_dims(self.keys.clone(), 2, 3));
        let scores = B::float_reshape(scores, size.by_head(to - from, size.keys));
        // In f32 at least, as models are trained.
        let scores = cast::<B>(scores, wide(self.dtype));
        let tanh = how
            .cap
            .map(|cap| B::float_tanh(B::float_div_scalar(scores.clone(), cap.into())));
        let scores = match (&tanh, how.cap) {
            (Some(tanh), Some(cap)) => B::float_mul_scalar(tanh.clone(), cap.into()),
            _ => scores,
        };
        let seen = self.seen(from, to);
        let less = B::float_mul_scalar(
            B::float_add_scalar(seen.clone(), (-1.0).into()),
            UNSEEN.into(),
        );
        let scores = B::float_add(scores, less);
        let largest = B::float_max_dim(scores.clone(), 3);
        let exponentials = B::float_exp(B::float_sub(scores, largest));
        // Once more, for queries that see nothing.
        let exponentials = B::float_mul(exponentials, seen);
        let sums = B::float_sum_dim(exponentials.clone(), 3);
        let sums = B::float_clamp_min(sums, f64::from(f32::MIN_POSITIVE).into());
        Weights {
            weights: B::float_div(exponentials, sums),
            tanh,
        }
    }

    /// A block of `[rows, queries, heads, width]`, by heads of keys.
    fn block(&self, x: &FloatTensor<B>, from: usize, to: usize) -> FloatTensor<B> {
        let x = by_head::<B>(part::<B>(x.clone(), 1, from, to));
        B::float_reshape(x, self.size.by_key_head(to - from, self.size.width))
    }

    /// Back: `[rows, block, heads, width]`.
    fn joined(&self, x: FloatTensor<B>, count: usize) -> FloatTensor<B> {
        let x = B::float_reshape(x, self.size.by_head(count, self.size.width));
        by_head::<B>(x)
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (queries, block) = (self.size.queries, self.size.block());
        let starts = (0..queries).step_by(block);
        starts.map(move |from| (from, (from + block).min(queries)))
    }
}

/// Tokens and heads changed about.
fn by_head<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_swap_dims(x, 1, 2)
}

fn places<B: Backend>(keys: usize, dtype: DType, device: &Device<B>) -> FloatTensor<B> {
    let places: Vec<f32> = (0..keys).map(|place| place as f32).collect();
    let data = TensorData::new(places, [1, 1, 1, keys]);
    B::float_from_data(data.convert_dtype(dtype), device)
}

pub(crate) fn forward<B: Backend>(
    [query, key, value]: [FloatTensor<B>; 3],
    spans: [FloatTensor<B>; 2],
    how: Attention,
) -> FloatTensor<B> {
    if query.shape().num_elements() == 0 || key.shape().num_elements() == 0 {
        return B::float_mul_scalar(query, 0.0.into());
    }
    let heads = Heads::<B>::new([&query, &key, &value], spans, how);
    let size = heads.size;
    let blocks = heads.blocks().map(|(from, to)| {
        let Weights { weights, .. } = heads.weights(heads.block(&query, from, to), from, to);
        let weights = B::float_reshape(
            cast::<B>(weights, heads.dtype),
            size.by_key_head(to - from, size.keys),
        );
        heads.joined(B::float_matmul(weights, heads.values.clone()), to - from)
    });
    cat::<B>(blocks.collect())
}

pub(crate) fn backward<B: Backend>(
    [query, key, value]: [FloatTensor<B>; 3],
    spans: [FloatTensor<B>; 2],
    grad: FloatTensor<B>,
    how: Attention,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    if query.shape().num_elements() == 0 || key.shape().num_elements() == 0 {
        let zeros = |x: FloatTensor<B>| B::float_mul_scalar(x, 0.0.into());
        return (zeros(query), zeros(key), zeros(value));
    }
    let heads = Heads::<B>::new([&query, &key, &value], spans, how);
    let (size, dtype) = (heads.size, heads.dtype);
    let mut by_query = Vec::new();
    let mut sums: Option<[FloatTensor<B>; 2]> = None;
    for (from, to) in heads.blocks() {
        let count = to - from;
        let queries = heads.block(&query, from, to);
        let grad = heads.block(&grad, from, to);
        let Weights { weights, tanh } = heads.weights(queries.clone(), from, to);
        let by_weight =
            B::float_matmul(grad.clone(), B::float_swap_dims(heads.values.clone(), 2, 3));
        let by_weight = cast::<B>(
            B::float_reshape(by_weight, size.by_head(count, size.keys)),
            wide(dtype),
        );
        let mean = B::float_sum_dim(B::float_mul(by_weight.clone(), weights.clone()), 3);
        let by_score = B::float_mul(weights.clone(), B::float_sub(by_weight, mean));
        let by_score = match tanh {
            Some(tanh) => B::float_mul(by_score, one_less_square::<B>(tanh)),
            None => by_score,
        };
        let by_score = B::float_mul_scalar(by_score, how.scale.into());
        let [weights, by_score] = [weights, by_score].map(|scores| {
            let shape = size.by_key_head(count, size.keys);
            B::float_reshape(cast::<B>(scores, dtype), shape)
        });
        let of_block = B::float_matmul(by_score.clone(), heads.keys.clone());
        by_query.push(heads.joined(of_block, count));
        let terms = [
            B::float_matmul(B::float_swap_dims(by_score, 2, 3), queries),
            B::float_matmul(B::float_swap_dims(weights, 2, 3), grad),
        ];
        sums = Some(match sums {
            None => terms,
            Some([key, value]) => {
                let [by_key, by_value] = terms;
                [B::float_add(key, by_key), B::float_add(value, by_value)]
            }
        });
    }
    let [by_key, by_value] = sums.expect("there is a query");
    (
        cat::<B>(by_query),
        by_head::<B>(by_key),
        by_head::<B>(by_value),
    )
}

/// Blocks of queries one behind another.
fn cat<B: Backend>(mut blocks: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    match blocks.len() {
        1 => blocks.remove(0),
        _ => B::float_cat(blocks, 1),
    }
}
