//! Vectors in one piece each, all levels of one vector at a time while it is in cache.
//!
//! ```text
//!                v0 v1 v2 v3 v4 v5 v6 v7        memory is read here
//!   tier 1       (v0 v1)(v2 v3)(v4 v5)(v6 v7)
//!                 |  \__ seconds: v1 v3 v5 v7
//!   tier 2       (v0 v2)(v4 v6)                  firsts of tier 1
//!                 |  \__ seconds: v2 v6
//!   tier 3       (v0 v4)                         firsts of tier 2
//!                v0 v1 v2 v3 v4 v5 v6 v7        and written here
//! ```
//!
//! Going up, blocks act while the firsts and seconds are dealt, and the way back only puts them in
//! their places. Going down (`R^T`) they are dealt first and the blocks act on the way back. Either
//! way every loop runs over neighbors.
#![expect(
    clippy::extra_unused_type_parameters,
    reason = "`S` is the instruction set that `with_simd` compiles a body for; the compiler vectorizes plain loops with it"
)]

use std::slice::ChunksExact;

use super::blocks::{Blocks, Tier};
use super::parallel;
use super::real::{Real, Stored};

/// Room for one vector's pyramid.
struct Pyramid<C> {
    /// The coordinates left after each tier, one tier behind the other.
    firsts: Vec<C>,
    /// The coordinates that a tier is the last to touch, in the order of the plan's pairs.
    seconds: Vec<C>,
}

impl<C: Real> Pyramid<C> {
    fn new(blocks: &Blocks<C>) -> Self {
        let firsts = blocks.tiers.iter().map(Tier::half).sum();
        Self {
            firsts: vec![C::default(); firsts],
            seconds: vec![C::default(); blocks.count()],
        }
    }

    /// A tier's coordinates, its firsts and its seconds.
    #[inline(always)]
    fn tier<'a>(
        &'a mut self,
        vector: &'a mut [C],
        tier: &Tier,
    ) -> (&'a mut [C], &'a mut [C], &'a mut [C]) {
        let (lower, upper) = self.firsts.split_at_mut(tier.start);
        let coordinates = match tier.start {
            0 => vector,
            start => &mut lower[start - tier.length..],
        };
        let level = tier.level;
        let seconds = &mut self.seconds[level.first..level.first + level.count];
        (coordinates, &mut upper[..tier.half()], seconds)
    }

    /// `R vector`.
    #[inline(always)]
    fn up(&mut self, vector: &mut [C], blocks: &Blocks<C>) {
        for tier in &blocks.tiers {
            let (coordinates, firsts, seconds) = self.tier(vector, tier);
            deal_rotated(coordinates, firsts, seconds, blocks.of(&tier.level));
        }
        for tier in blocks.tiers.iter().rev() {
            let (coordinates, firsts, seconds) = self.tier(vector, tier);
            collect(firsts, seconds, coordinates);
        }
    }

    /// `R^T vector`.
    #[inline(always)]
    fn down(&mut self, vector: &mut [C], blocks: &Blocks<C>) {
        for tier in &blocks.tiers {
            let (coordinates, firsts, seconds) = self.tier(vector, tier);
            deal(coordinates, firsts, seconds);
        }
        for tier in blocks.tiers.iter().rev() {
            let (coordinates, firsts, seconds) = self.tier(vector, tier);
            let blocks = blocks.of_transposed(&tier.level);
            collect_rotated(firsts, seconds, coordinates, blocks);
        }
    }
}

/// `a` on its way up and `b` on its way down, and what the pairs make of both.
struct Both<C> {
    up: Pyramid<C>,
    down: Pyramid<C>,
    /// `b a^T` of the values before every pair, entry by entry.
    sums: [Vec<C>; 4],
}

impl<C: Real> Both<C> {
    fn new(blocks: &Blocks<C>) -> Self {
        Self {
            up: Pyramid::new(blocks),
            down: Pyramid::new(blocks),
            sums: [0, 1, 2, 3].map(|_| vec![C::default(); blocks.count()]),
        }
    }

    /// Makes `R a` of `a` and `R^T b` of `b`, and adds to the sums.
    #[inline(always)]
    fn add(&mut self, a: &mut [C], b: &mut [C], blocks: &Blocks<C>) {
        for tier in &blocks.tiers {
            let (coordinates, firsts, seconds) = self.up.tier(a, tier);
            deal_rotated(coordinates, firsts, seconds, blocks.of(&tier.level));
            let (coordinates, firsts, seconds) = self.down.tier(b, tier);
            deal(coordinates, firsts, seconds);
        }
        for tier in blocks.tiers.iter().rev() {
            let level = tier.level;
            let span = level.first..level.first + level.count;
            let (a, a_firsts, a_seconds) = self.up.tier(a, tier);
            let (b, b_firsts, b_seconds) = self.down.tier(b, tier);
            // The coordinates of `a` are still those before the pair; the firsts of `b` come from
            // the tier above.
            let sums = self.sums.each_mut().map(|sums| &mut sums[span.clone()]);
            add_products(b_firsts, b_seconds, a, sums);
            collect(a_firsts, a_seconds, a);
            collect_rotated(b_firsts, b_seconds, b, blocks.of_transposed(&level));
        }
    }
}

#[inline(always)]
fn deal<C: Real>(coordinates: &[C], firsts: &mut [C], seconds: &mut [C]) {
    let (count, last) = (seconds.len(), coordinates.len() - 1);
    // For an odd number the one without a partner; for an even number overwritten below. So in all
    // four of these.
    firsts[firsts.len() - 1] = coordinates[last];
    let (coordinates, firsts) = (&coordinates[..2 * count], &mut firsts[..count]);
    for k in 0..count {
        firsts[k] = coordinates[2 * k];
        seconds[k] = coordinates[2 * k + 1];
    }
}

#[inline(always)]
fn deal_rotated<C: Real>(
    coordinates: &[C],
    firsts: &mut [C],
    seconds: &mut [C],
    blocks: [&[C]; 4],
) {
    let (count, last) = (seconds.len(), coordinates.len() - 1);
    firsts[firsts.len() - 1] = coordinates[last];
    let (coordinates, firsts) = (&coordinates[..2 * count], &mut firsts[..count]);
    let [ii, ij, ji, jj] = blocks.map(|entries| &entries[..count]);
    for k in 0..count {
        let (i, j) = (coordinates[2 * k], coordinates[2 * k + 1]);
        firsts[k] = ii[k] * i + ij[k] * j;
        seconds[k] = ji[k] * i + jj[k] * j;
    }
}

#[inline(always)]
fn collect<C: Real>(firsts: &[C], seconds: &[C], coordinates: &mut [C]) {
    let (count, last) = (seconds.len(), coordinates.len() - 1);
    coordinates[last] = firsts[firsts.len() - 1];
    let (coordinates, firsts) = (&mut coordinates[..2 * count], &firsts[..count]);
    for k in 0..count {
        coordinates[2 * k] = firsts[k];
        coordinates[2 * k + 1] = seconds[k];
    }
}

#[inline(always)]
fn collect_rotated<C: Real>(firsts: &[C], seconds: &[C], coordinates: &mut [C], blocks: [&[C]; 4]) {
    let (count, last) = (seconds.len(), coordinates.len() - 1);
    coordinates[last] = firsts[firsts.len() - 1];
    let (coordinates, firsts) = (&mut coordinates[..2 * count], &firsts[..count]);
    let [ii, ij, ji, jj] = blocks.map(|entries| &entries[..count]);
    for k in 0..count {
        let (i, j) = (firsts[k], seconds[k]);
        coordinates[2 * k] = ii[k] * i + ij[k] * j;
        coordinates[2 * k + 1] = ji[k] * i + jj[k] * j;
    }
}

#[inline(always)]
fn add_products<C: Real>(b_firsts: &[C], b_seconds: &[C], a: &[C], sums: [&mut [C]; 4]) {
    let count = b_seconds.len();
    let (b_firsts, a) = (&b_firsts[..count], &a[..2 * count]);
    let [ii, ij, ji, jj] = sums.map(|entries| &mut entries[..count]);
    for k in 0..count {
        let (a_i, a_j) = (a[2 * k], a[2 * k + 1]);
        ii[k] += b_firsts[k] * a_i;
        ij[k] += b_firsts[k] * a_j;
        ji[k] += b_seconds[k] * a_i;
        jj[k] += b_seconds[k] * a_j;
    }
}

#[macerator::with_simd]
fn rotate_each<'a, S: macerator::Simd, D: Stored, I: Iterator<Item = &'a mut [D]>>(
    vectors: I,
    blocks: &Blocks<D::Compute>,
    transpose: bool,
) {
    let mut pyramid = Pyramid::new(blocks);
    let mut room = vec![D::Compute::default(); blocks.dim()];
    for vector in vectors {
        D::work_on(vector, &mut room, |vector| {
            if transpose {
                pyramid.down(vector, blocks)
            } else {
                pyramid.up(vector, blocks)
            }
        });
    }
}

/// Rotates all vectors where they are.
pub(super) fn rotate_in_place<D: Stored>(
    values: &mut [D],
    blocks: &Blocks<D::Compute>,
    transpose: bool,
) {
    let dim = blocks.dim();
    parallel::in_place(values, dim, |vectors| {
        rotate_each(vectors.chunks_exact_mut(dim), blocks, transpose);
    });
}

/// Rotates all vectors into a new buffer.
pub(super) fn rotate<D: Stored>(
    values: &[D],
    blocks: &Blocks<D::Compute>,
    transpose: bool,
) -> Vec<D> {
    let dim = blocks.dim();
    let count = parallel::vectors_in_piece(dim);
    let work = |_, vectors: &mut parallel::Copies<'_, D>| {
        rotate_each(vectors, blocks, transpose);
    };
    parallel::copied(values, dim, count, work).0
}

/// What of the two ways is wanted beside the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// `R a`
    Up,
    /// `R^T b`
    Down,
    Neither,
}

/// At most this many vectors are summed in the working precision; what is beyond is summed in f64.
const SUMMED: usize = 256;

/// The way that is kept, and the sums `b a^T` of the values before every pair, block by block.
pub(super) fn gradients<D: Stored>(
    a: &[D],
    b: &[D],
    blocks: &Blocks<D::Compute>,
    kept: Kept,
) -> (Option<Vec<D>>, Vec<D::Compute>) {
    let dim = blocks.dim();
    // Few enough that a small batch is shared among threads too, many enough to be worth it; by the
    // shape alone, so that two runs add in one order.
    let few = parallel::vectors_in_piece(dim) / 8;
    let count = (a.len() / dim).div_ceil(16).max(few).clamp(1, SUMMED);
    let copied = |kept, other, down| {
        let (copy, sums) = parallel::copied(kept, dim, count, |index, kept| {
            let mut both = Both::new(blocks);
            let other = part(other, dim, count, index);
            add_each(&mut both, kept, other, blocks, down);
            both.sums
        });
        (Some(copy), sums)
    };
    let (kept, sums) = match kept {
        Kept::Up => copied(a, b, false),
        Kept::Down => copied(b, a, true),
        Kept::Neither => {
            let sums = parallel::map(a.len().div_ceil(count * dim), |index| {
                let mut both = Both::new(blocks);
                let [a, b] = [a, b].map(|values| part(values, dim, count, index));
                sum_each(&mut both, a, b, blocks);
                both.sums
            });
            (None, sums)
        }
    };
    let total = |entry: usize, pair: usize| {
        let parts = sums.iter().map(|sums| sums[entry][pair].to_f64());
        D::Compute::from_f64(parts.sum())
    };
    let of_pair = |pair| [0, 1, 2, 3].map(|entry| total(entry, pair));
    (kept, (0..blocks.count()).flat_map(of_pair).collect())
}

/// The vectors of a piece of `count`.
fn part<D>(values: &[D], dim: usize, count: usize, index: usize) -> ChunksExact<'_, D> {
    let start = index * count * dim;
    values[start..values.len().min(start + count * dim)].chunks_exact(dim)
}

/// Adds pairs of vectors, of which one is overwritten by its way: `a`, or `b` if it is `down`.
#[macerator::with_simd]
fn add_each<
    'a,
    'b,
    S: macerator::Simd,
    D: Stored,
    I: Iterator<Item = &'a mut [D]>,
    J: Iterator<Item = &'b [D]>,
>(
    both: &mut Both<D::Compute>,
    kept: I,
    others: J,
    blocks: &Blocks<D::Compute>,
    down: bool,
) {
    let [mut room, mut other_room] = [0, 1].map(|_| vec![D::Compute::default(); blocks.dim()]);
    for (kept, other) in kept.zip(others) {
        D::widen(other, &mut other_room);
        D::work_on(kept, &mut room, |kept| {
            if down {
                both.add(&mut other_room, kept, blocks)
            } else {
                both.add(kept, &mut other_room, blocks)
            }
        });
    }
}

/// The same with both left as they are.
#[macerator::with_simd]
fn sum_each<'a, S: macerator::Simd, D: Stored>(
    both: &mut Both<D::Compute>,
    a: ChunksExact<'a, D>,
    b: ChunksExact<'a, D>,
    blocks: &Blocks<D::Compute>,
) {
    let [mut up, mut down] = [0, 1].map(|_| vec![D::Compute::default(); blocks.dim()]);
    for (a, b) in a.zip(b) {
        D::widen(a, &mut up);
        D::widen(b, &mut down);
        both.add(&mut up, &mut down, blocks);
    }
}
