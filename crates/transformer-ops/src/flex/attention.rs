//! Attention by head, a block of queries at a time, over the keys that any of them sees.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::math::{exp, largest, sum, tanh};
use super::written;
use crate::ops::Attention;

/// Queries whose scores are computed together: scores stay in a core's cache, and products have rows
/// enough.
const BLOCK: usize = 64;

/// The sizes of an attention.
pub(super) struct Parts {
    rows: usize,
    queries: usize,
    heads: usize,
    width: usize,
    keys: usize,
    key_heads: usize,
    how: Attention,
}

/// A matrix inside a tensor: where it begins, and how far its rows lie apart.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    stride: usize,
}

/// The block of queries of one head, and the keys that it sees.
struct Block {
    from: usize,
    to: usize,
    first_key: usize,
    keys: usize,
}

impl Parts {
    pub(super) fn new(query: &FlexTensor, key: &FlexTensor, how: Attention) -> Self {
        let (queries, keys) = (query.shape(), key.shape());
        Self {
            rows: queries[0],
            queries: queries[1],
            heads: queries[2],
            width: queries[3],
            keys: keys[1],
            key_heads: keys[2],
            how,
        }
    }

    /// One head of a row of `[rows, count, heads, width]`.
    fn head<'a>(
        &self,
        x: &'a [f32],
        count: usize,
        heads: usize,
        row: usize,
        head: usize,
    ) -> Matrix<'a> {
        let stride = heads * self.width;
        Matrix {
            values: &x[row * count * stride + head * self.width..],
            stride,
        }
    }

    fn blocks<'a>(&self, starts: &'a [f32], ends: &'a [f32]) -> impl Iterator<Item = Block> + 'a {
        let (queries, all) = (self.queries, self.keys);
        (0..queries).step_by(BLOCK).filter_map(move |from| {
            let to = (from + BLOCK).min(queries);
            let seen = (from..to).map(|query| span(starts, ends, query, all));
            let seen = seen.filter(|(start, end)| start < end);
            let (first, last) = seen.fold((all, 0), |(first, last), (start, end)| {
                (first.min(start), last.max(end))
            });
            (first < last).then(|| Block {
                from,
                to,
                first_key: first,
                keys: last - first,
            })
        })
    }

    /// The weights of a block, `[block, keys]`, and under a cap the tanh of each score.
    fn weights(
        &self,
        block: &Block,
        query: Matrix<'_>,
        key: Matrix<'_>,
        [starts, ends]: [&[f32]; 2],
        room: &mut Vec<f32>,
        tanhs: &mut Vec<f32>,
    ) {
        let count = block.to - block.from;
        room.resize(count * block.keys, 0.0);
        product(
            room,
            [count, block.keys, self.width],
            (query.from(block.from), [query.stride, 1]),
            (key.from(block.first_key), [1, key.stride]),
            self.how.scale as f32,
            false,
        );
        if let Some(cap) = self.how.cap {
            tanhs.resize(room.len(), 0.0);
            capped(room, tanhs, cap as f32);
        }
        for (weights, query) in room.chunks_exact_mut(block.keys).zip(block.from..) {
            let (start, end) = span(starts, ends, query, self.keys);
            let (start, end) = match start < end {
                true => (start - block.first_key, end - block.first_key),
                false => (0, 0),
            };
            weights[..start].fill(0.0);
            weights[end..].fill(0.0);
            softmax(&mut weights[start..end]);
        }
    }

    pub(super) fn forward(&self, [query, key, value, starts, ends]: [&[f32]; 5]) -> Vec<f32> {
        let shared = self.heads / self.key_heads;
        let one = |task: usize| {
            let (row, head) = (task / self.heads, task % self.heads);
            let query = self.head(query, self.queries, self.heads, row, head);
            let [key, value] =
                [key, value].map(|x| self.head(x, self.keys, self.key_heads, row, head / shared));
            let spans = self.spans(starts, ends, row);
            let mut mixed = vec![0.0; self.queries * self.width];
            let (mut weights, mut tanhs) = (Vec::new(), Vec::new());
            for block in self.blocks(spans[0], spans[1]) {
                self.weights(&block, query, key, spans, &mut weights, &mut tanhs);
                product(
                    &mut mixed[block.from * self.width..block.to * self.width],
                    [block.to - block.from, self.width, block.keys],
                    (&weights, [block.keys, 1]),
                    (value.from(block.first_key), [value.stride, 1]),
                    1.0,
                    false,
                );
            }
            mixed
        };
        let tasks = self.rows * self.heads;
        let heads = each(tasks, self.work(), one);
        together(&heads, self.rows, self.queries, self.heads, self.width)
    }

    /// The derivatives by queries, keys and values.
    pub(super) fn backward(
        &self,
        [query, key, value, starts, ends]: [&[f32]; 5],
        grad: &[f32],
    ) -> [Vec<f32>; 3] {
        let shared = self.heads / self.key_heads;
        let width = self.width;
        let one = |task: usize| {
            let (row, key_head) = (task / self.key_heads, task % self.key_heads);
            let [key, value] =
                [key, value].map(|x| self.head(x, self.keys, self.key_heads, row, key_head));
            let spans = self.spans(starts, ends, row);
            let mut by_key = vec![0.0; self.keys * width];
            let mut by_value = vec![0.0; self.keys * width];
            let mut by_queries = Vec::new();
            let (mut weights, mut tanhs, mut slopes) = (Vec::new(), Vec::new(), Vec::new());
            for head in key_head * shared..(key_head + 1) * shared {
                let [query, grad] =
                    [query, grad].map(|x| self.head(x, self.queries, self.heads, row, head));
                let mut by_query = vec![0.0; self.queries * width];
                for block in self.blocks(spans[0], spans[1]) {
                    self.weights(&block, query, key, spans, &mut weights, &mut tanhs);
                    let count = block.to - block.from;
                    let keys = block.first_key * width..(block.first_key + block.keys) * width;
                    product(
                        &mut by_value[keys.clone()],
                        [block.keys, width, count],
                        (&weights, [1, block.keys]),
                        (grad.from(block.from), [grad.stride, 1]),
                        1.0,
                        true,
                    );
                    slopes.resize(weights.len(), 0.0);
                    product(
                        &mut slopes,
                        [count, block.keys, width],
                        (grad.from(block.from), [grad.stride, 1]),
                        (value.from(block.first_key), [1, value.stride]),
                        1.0,
                        false,
                    );
                    by_scores(&mut slopes, &weights, &tanhs, block.keys, self.how);
                    product(
                        &mut by_query[block.from * width..block.to * width],
                        [count, width, block.keys],
                        (&slopes, [block.keys, 1]),
                        (key.from(block.first_key), [key.stride, 1]),
                        1.0,
                        false,
                    );
                    product(
                        &mut by_key[keys],
                        [block.keys, width, count],
                        (&slopes, [1, block.keys]),
                        (query.from(block.from), [query.stride, 1]),
                        1.0,
                        true,
                    );
                }
                by_queries.push(by_query);
            }
            (by_queries, by_key, by_value)
        };
        let found = each(self.rows * self.key_heads, 3 * self.work(), one);
        let mut by = (Vec::new(), Vec::new(), Vec::new());
        for (queries, key, value) in found {
            by.0.extend(queries);
            by.1.push(key);
            by.2.push(value);
        }
        [
            together(&by.0, self.rows, self.queries, self.heads, width),
            together(&by.1, self.rows, self.keys, self.key_heads, width),
            together(&by.2, self.rows, self.keys, self.key_heads, width),
        ]
    }

    fn spans<'a>(&self, starts: &'a [f32], ends: &'a [f32], row: usize) -> [&'a [f32]; 2] {
        [starts, ends].map(|table| &table[row * self.queries..(row + 1) * self.queries])
    }

    /// Multiplications of all heads.
    fn work(&self) -> usize {
        2 * self.rows * self.heads * self.queries * self.keys * self.width
    }
}

impl<'a> Matrix<'a> {
    /// The values from a row on.
    fn from(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..]
    }
}

/// The keys that a query sees.
fn span(starts: &[f32], ends: &[f32], query: usize, keys: usize) -> (usize, usize) {
    (starts[query] as usize, (ends[query] as usize).min(keys))
}

/// By all threads, if there is enough to do.
fn each<R: Send>(tasks: usize, work: usize, one: impl Fn(usize) -> R + Send + Sync) -> Vec<R> {
    if work < 1 << 18 {
        return (0..tasks).map(one).collect();
    }
    (0..tasks).into_par_iter().map(one).collect()
}

/// Heads of `[count, width]` as `[rows, count, heads, width]`.
fn together(parts: &[Vec<f32>], rows: usize, count: usize, heads: usize, width: usize) -> Vec<f32> {
    let of_token = heads * width;
    assert!(
        parts.len() == rows * heads && parts.iter().all(|part| part.len() == count * width),
        "a part of [{count}, {width}] for each of {heads} heads of {rows} rows"
    );
    written(rows * count * of_token, |to| {
        // A tensor without numbers has tokens of no width.
        let tokens = to.par_chunks_exact_mut(of_token.max(1)).enumerate();
        tokens.with_min_len(64).for_each(|(token, to)| {
            let (row, token) = (token / count, token % count);
            for (to, part) in to.chunks_exact_mut(width).zip(&parts[row * heads..]) {
                to.write_copy_of_slice(&part[token * width..(token + 1) * width]);
            }
        });
    })
}

/// `to [m, n] = factor a [m, k] b [k, n]`, added to what is there where `add` is true. Matrices are
/// given with the distances of their rows and of their columns.
fn product(
    to: &mut [f32],
    [m, n, k]: [usize; 3],
    (a, a_strides): (&[f32], [usize; 2]),
    (b, b_strides): (&[f32], [usize; 2]),
    factor: f32,
    add: bool,
) {
    let last = |[rows, columns]: [usize; 2], strides: [usize; 2]| {
        (rows - 1) * strides[0] + (columns - 1) * strides[1]
    };
    assert!(
        m > 0
            && n > 0
            && k > 0
            && to.len() == m * n
            && last([m, k], a_strides) < a.len()
            && last([k, n], b_strides) < b.len(),
        "a product of matrices that are not whole"
    );
    #[expect(
        unsafe_code,
        reason = "the last number of each matrix lies inside its slice, as asserted"
    )]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            to.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_strides[1] as isize,
            a_strides[0] as isize,
            b.as_ptr(),
            b_strides[1] as isize,
            b_strides[0] as isize,
            1.0,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[macerator::with_simd]
fn capped<S: macerator::Simd>(scores: &mut [f32], tanhs: &mut [f32], cap: f32) {
    for (score, kept) in scores.iter_mut().zip(tanhs) {
        *kept = tanh(*score / cap);
        *score = cap * *kept;
    }
}

#[macerator::with_simd]
fn softmax<S: macerator::Simd>(scores: &mut [f32]) {
    let most = largest(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - most);
    }
    let factor = 1.0 / sum(scores.len(), |i| scores[i]);
    for score in scores.iter_mut() {
        *score *= factor;
    }
}

/// Derivatives by weights made those by products of queries and keys.
#[macerator::with_simd]
fn by_scores<S: macerator::Simd>(
    slopes: &mut [f32],
    weights: &[f32],
    tanhs: &[f32],
    keys: usize,
    how: Attention,
) {
    let scale = how.scale as f32;
    let rows = slopes
        .chunks_exact_mut(keys)
        .zip(weights.chunks_exact(keys));
    for (slopes, weights) in rows {
        let mean = sum(keys, |i| slopes[i] * weights[i]);
        for (slope, weight) in slopes.iter_mut().zip(weights) {
            *slope = scale * weight * (*slope - mean);
        }
    }
    if how.cap.is_some() {
        for (slope, tanh) in slopes.iter_mut().zip(tanhs) {
            *slope *= 1.0 - tanh * tanh;
        }
    }
}
