//! Vectors across memory, side by side: what a pair combines are two whole rows of numbers.
//!
//! The lower levels of a group of neighboring rows are independent of all other groups, so each
//! group takes them while it is in cache. What is left are the groups' first rows, which are
//! grouped again:
//!
//! ```text
//!   rows      0 1 2 3   4 5 6 7   8 9 10 11   12 13 14 15
//!   group     (levels 1 and 2 of four rows) ...
//!   rows      0         4         8           12
//!   group     (levels 3 and 4)
//! ```
#![expect(
    clippy::extra_unused_type_parameters,
    reason = "`S` is the instruction set that `with_simd` compiles a body for; the compiler vectorizes plain loops with it"
)]

use rayon::prelude::*;

use super::blocks::Blocks;
use super::real::Real;
use crate::pairs::tree::TreeLevel as Level;

/// Bytes of a group: a part of the second-level cache.
const GROUP: usize = 1 << 18;

/// Rotates `values [before, d, after]` along the middle axis.
pub(super) fn rotate_in_place<C: Real>(
    values: &mut [C],
    after: usize,
    blocks: &Blocks<C>,
    transpose: bool,
) {
    let levels: Vec<Level> = blocks.tiers.iter().map(|tier| tier.level).collect();
    let slabs = values.par_chunks_exact_mut(blocks.dim() * after);
    slabs.for_each(|slab| {
        let rows: Vec<&mut [C]> = slab.chunks_exact_mut(after).collect();
        groups(rows, &levels, blocks, transpose);
    });
}

/// Rotates rows of which those at a distance of one are paired by the first of `levels`.
fn groups<C: Real>(mut rows: Vec<&mut [C]>, levels: &[Level], blocks: &Blocks<C>, transpose: bool) {
    if levels.is_empty() {
        return;
    }
    let bytes = size_of_val(&*rows[0]);
    let depth = (GROUP / bytes).max(2).ilog2() as usize;
    let (lower, upper) = levels.split_at(depth.min(levels.len()));
    let size = 1 << lower.len();
    let work = |(index, group): (usize, &mut [&mut [C]])| {
        within(group, index * size, lower, blocks, transpose);
    };
    if transpose {
        groups(firsts(&mut rows, size), upper, blocks, transpose);
    }
    rows.par_chunks_mut(size).enumerate().for_each(work);
    if !transpose {
        groups(firsts(&mut rows, size), upper, blocks, transpose);
    }
}

/// The first row of each group.
fn firsts<'a, C>(rows: &'a mut [&mut [C]], size: usize) -> Vec<&'a mut [C]> {
    rows.chunks_mut(size).map(|group| &mut *group[0]).collect()
}

/// All of `levels` within one group, whose first row is number `first`.
fn within<C: Real>(
    rows: &mut [&mut [C]],
    first: usize,
    levels: &[Level],
    blocks: &Blocks<C>,
    transpose: bool,
) {
    let mut level_of_group = |index: usize| {
        let stride = 1 << index;
        let pair = levels[index].first + first / (2 * stride);
        for (k, rows) in rows.chunks_mut(2 * stride).enumerate() {
            if rows.len() > stride {
                let (one, other) = rows.split_at_mut(stride);
                combine(one[0], other[0], blocks.block(pair + k, transpose));
            }
        }
    };
    if transpose {
        (0..levels.len()).rev().for_each(&mut level_of_group)
    } else {
        (0..levels.len()).for_each(level_of_group)
    }
}

#[macerator::with_simd]
fn combine<S: macerator::Simd, C: Real>(one: &mut [C], other: &mut [C], block: [C; 4]) {
    let [ii, ij, ji, jj] = block;
    for (one, other) in one.iter_mut().zip(other) {
        let (i, j) = (*one, *other);
        *one = ii * i + ij * j;
        *other = ji * i + jj * j;
    }
}
