//! Pairs of coordinates, turned by the position.

use std::mem::MaybeUninit;

use burn::tensor::Shape;
use rayon::prelude::*;

use super::{PIECE, written};

/// `shape` is `[rows, tokens, heads, width]`, `tables` `[rows or 1, tokens, n]`.
pub(super) fn turn(
    [x, cos, sin]: [&[f32]; 3],
    shape: &Shape,
    tables: &Shape,
    back: bool,
) -> Vec<f32> {
    let (width, half) = (shape[3], tables[2]);
    let of_token = shape[2] * width;
    let sign = if back { -1.0 } else { 1.0 };
    // Tokens of all rows are counted on, and so are those of the tables unless all rows share one.
    let in_tables = tables[0] * tables[1];
    let tokens = (PIECE / of_token.max(1)).max(1);
    written(x.len(), |to| {
        let pieces = to
            .par_chunks_mut(tokens * of_token)
            .zip(x.par_chunks(tokens * of_token));
        pieces.enumerate().for_each(|(piece, (to, x))| {
            let each = to.chunks_exact_mut(of_token).zip(x.chunks_exact(of_token));
            for (token, (to, x)) in each.enumerate() {
                let place = (piece * tokens + token) % in_tables * half;
                let [cos, sin] = [cos, sin].map(|table| &table[place..place + half]);
                turn_token(to, x, cos, sin, width, sign);
            }
        });
    })
}

#[macerator::with_simd]
fn turn_token<S: macerator::Simd>(
    to: &mut [MaybeUninit<f32>],
    x: &[f32],
    cos: &[f32],
    sin: &[f32],
    width: usize,
    sign: f32,
) {
    let half = cos.len();
    for (to, x) in to.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let (pairs, rest) = x.split_at(2 * half);
        let (first, second) = pairs.split_at(half);
        let (to_pairs, to_rest) = to.split_at_mut(2 * half);
        let (to_first, to_second) = to_pairs.split_at_mut(half);
        for i in 0..half {
            let (cos, sin) = (cos[i], sign * sin[i]);
            to_first[i].write(first[i] * cos - second[i] * sin);
            to_second[i].write(second[i] * cos + first[i] * sin);
        }
        to_rest.write_copy_of_slice(rest);
    }
}
