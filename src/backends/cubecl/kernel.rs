//! The rotation of vectors that fit a cube, level by level down the memory hierarchy.
//!
//! ```text
//! unit            0           1           2           3           4          a unit holds consecutive elements,
//! element      0 1 2 3     4 5 6 7     8 9 a b     c d e f     g h i         here 4, in registers
//!
//! level 1      0-1 2-3     4-5 6-7     8-9 a-b     c-d e-f     g-h i         registers of one unit
//! level 2      0---2       4---6       8---a       c---e       g---i
//!
//! level 3      0 --------- 4           8 --------- c           g             units of a plane, here 2, exchange their values
//!
//! level 4      0 --------------------- 8                       g             shared memory, one value a unit;
//! level 5      0 --------------------------------------------- g             the cube waits after each level
//! ```
//!
//! Without planes, level 3 is in shared memory too.
//!
//! Above the levels in registers every unit but the first is second coordinate of exactly one pair,
//! after which its value is final: that pair is its own to compute. Its blocks therefore are those
//! of the pairs in its registers, then that one: as many as it holds elements, read once and kept
//! in registers for all vectors that the cube visits.
//!
//! `R` climbs from level 1, `R^T` descends to it.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::tile::Tile;
use super::unit::Part;

/// The two coordinates of a pair.
#[derive(CubeType, Clone, Copy)]
struct Pair<A: Float> {
    first: A,
    second: A,
}

#[cube]
fn turn<A: Float>(
    entries: &Array<A>,
    pair: Pair<A>,
    #[comptime] number: usize,
    #[comptime] transpose: bool,
) -> Pair<A> {
    let entry = comptime!(4 * number);
    let ij = if comptime!(transpose) {
        entries[comptime!(entry + 2)]
    } else {
        entries[comptime!(entry + 1)]
    };
    let ji = if comptime!(transpose) {
        entries[comptime!(entry + 1)]
    } else {
        entries[comptime!(entry + 2)]
    };
    Pair::<A> {
        first: entries[entry] * pair.first + ij * pair.second,
        second: ji * pair.first + entries[comptime!(entry + 3)] * pair.second,
    }
}

/// What a derivative needs of the way: the coordinates of each pair of the unit before `R` turned
/// it, and the sums, over the vectors that came by, of their products with those before `R^T`
/// turned it. Empty for a rotation alone.
#[derive(CubeType)]
pub(super) struct Trace<A: Float> {
    before: Array<A>,
    pub(super) sums: Array<A>,
    #[cube(comptime)]
    kept: bool,
}

#[cube]
pub(super) fn trace<A: Float>(#[comptime] pairs: usize) -> Trace<A> {
    let kept = pairs > 0;
    let mut sums = Array::<A>::new(comptime!(4 * Ord::max(pairs, 1)));
    #[unroll]
    for entry in 0..comptime!(4 * pairs) {
        sums[entry] = A::from_int(0);
    }
    let mut before = Array::<A>::new(comptime!(2 * Ord::max(pairs, 1)));
    #[unroll]
    for coordinate in 0..comptime!(2 * pairs) {
        before[coordinate] = A::from_int(0);
    }
    Trace::<A> { before, sums, kept }
}

/// Turns a pair on the way up, and keeps it if `counts`.
#[cube]
fn turn_up<A: Float>(
    entries: &Array<A>,
    trace: &mut Trace<A>,
    pair: Pair<A>,
    counts: bool,
    #[comptime] number: usize,
) -> Pair<A> {
    if comptime!(trace.kept) {
        let (i, j) = comptime!((2 * number, 2 * number + 1));
        trace.before[i] = select(counts, pair.first, trace.before[i]);
        trace.before[j] = select(counts, pair.second, trace.before[j]);
    }
    turn::<A>(entries, pair, number, false)
}

/// Turns a pair on the way down, and sums its products if `counts`.
#[cube]
fn turn_down<A: Float>(
    entries: &Array<A>,
    trace: &mut Trace<A>,
    pair: Pair<A>,
    counts: bool,
    #[comptime] number: usize,
) -> Pair<A> {
    if comptime!(trace.kept) {
        let first = trace.before[comptime!(2 * number)];
        let second = trace.before[comptime!(2 * number + 1)];
        let none = A::from_int(0);
        trace.sums[comptime!(4 * number)] += select(counts, pair.first * first, none);
        trace.sums[comptime!(4 * number + 1)] += select(counts, pair.first * second, none);
        trace.sums[comptime!(4 * number + 2)] += select(counts, pair.second * first, none);
        trace.sums[comptime!(4 * number + 3)] += select(counts, pair.second * second, none);
    }
    turn::<A>(entries, pair, number, true)
}

/// A level whose pairs are within planes. The second unit of a pair has its block: it borrows the
/// first's value and gives it back turned. All units of the plane do the same, pair or not: a
/// branch could leave some of them behind at the next exchange.
#[cube]
fn turn_in_plane<A: Float>(
    value: A,
    entries: &Array<A>,
    trace: &mut Trace<A>,
    part: &Part,
    present: bool,
    #[comptime] level: usize,
    #[comptime] tile: Tile,
    #[comptime] up: bool,
) -> A {
    let distance = comptime!(1u32 << level);
    let second = is_second(part, level);
    let pair = Pair::<A> {
        first: plane_shuffle_xor(value, distance),
        second: value,
    };
    let turned = if comptime!(up) {
        turn_up::<A>(entries, trace, pair, second, tile.outer_pair())
    } else {
        turn_down::<A>(entries, trace, pair, second && present, tile.outer_pair())
    };
    let returned = plane_shuffle_xor(select(second, turned.first, value), distance);
    let kept = select(second, turned.second, value);
    select(is_first(part, level), returned, kept)
}

/// `R`, on the unit's part of one vector.
#[cube]
pub(super) fn climb<A: Float>(
    values: &mut Array<A>,
    entries: &Array<A>,
    trace: &mut Trace<A>,
    shared: &mut Shared<[A]>,
    part: &Part,
    #[comptime] tile: Tile,
) {
    #[unroll]
    for level in 0..comptime!(tile.register_levels()) {
        #[unroll]
        for k in 0..comptime!(tile.elements >> (level + 1)) {
            let i = comptime!((2 * k) << level);
            let j = comptime!((2 * k + 1) << level);
            let pair = Pair::<A> {
                first: values[i],
                second: values[j],
            };
            let turned = turn_up::<A>(entries, trace, pair, true, comptime!(tile.pair(level, k)));
            values[i] = turned.first;
            values[j] = turned.second;
        }
    }
    if comptime!(tile.plane_levels > 0) {
        sync_plane();
        #[unroll]
        for level in 0..comptime!(tile.plane_levels) {
            values[0] =
                turn_in_plane::<A>(values[0], entries, trace, part, true, level, tile, true);
        }
    }
    if comptime!(tile.levels > tile.plane_levels) {
        shared[part.slot] = values[0];
        sync_cube();
        #[unroll]
        for level in comptime!(tile.plane_levels)..comptime!(tile.levels) {
            if is_second(part, level) {
                let other = part.slot - comptime!(tile.distance(level));
                let pair = Pair::<A> {
                    first: shared[other],
                    second: shared[part.slot],
                };
                let turned = turn_up::<A>(entries, trace, pair, true, tile.outer_pair());
                shared[other] = turned.first;
                values[0] = turned.second;
            }
            sync_cube();
        }
        // No other unit came for its value.
        if part.unit == 0 {
            values[0] = shared[part.slot];
        }
    }
}

/// `R^T`, on the unit's part of one vector, if there is one `present`.
#[cube]
pub(super) fn descend<A: Float>(
    values: &mut Array<A>,
    entries: &Array<A>,
    trace: &mut Trace<A>,
    shared: &mut Shared<[A]>,
    part: &Part,
    present: bool,
    #[comptime] tile: Tile,
) {
    if comptime!(tile.levels > tile.plane_levels) {
        if part.unit == 0 {
            shared[part.slot] = values[0];
        }
        sync_cube();
        #[unroll]
        for step in 0..comptime!(tile.levels - tile.plane_levels) {
            let level = comptime!(tile.levels - 1 - step);
            if is_second(part, level) {
                let other = part.slot - comptime!(tile.distance(level));
                let pair = Pair::<A> {
                    first: shared[other],
                    second: values[0],
                };
                let turned = turn_down::<A>(entries, trace, pair, present, tile.outer_pair());
                shared[other] = turned.first;
                shared[part.slot] = turned.second;
            }
            sync_cube();
        }
        if part
            .unit
            .is_multiple_of(comptime!(1u32 << tile.plane_levels))
        {
            values[0] = shared[part.slot];
        }
    }
    if comptime!(tile.plane_levels > 0) {
        sync_plane();
        #[unroll]
        for step in 0..comptime!(tile.plane_levels) {
            let level = comptime!(tile.plane_levels - 1 - step);
            values[0] =
                turn_in_plane::<A>(values[0], entries, trace, part, present, level, tile, false);
        }
    }
    #[unroll]
    for step in 0..comptime!(tile.register_levels()) {
        let level = comptime!(tile.register_levels() - 1 - step);
        #[unroll]
        for k in 0..comptime!(tile.elements >> (level + 1)) {
            let i = comptime!((2 * k) << level);
            let j = comptime!((2 * k + 1) << level);
            let pair = Pair::<A> {
                first: values[i],
                second: values[j],
            };
            let turned = turn_down::<A>(
                entries,
                trace,
                pair,
                present,
                comptime!(tile.pair(level, k)),
            );
            values[i] = turned.first;
            values[j] = turned.second;
        }
    }
}

/// Whether the unit's value is first coordinate at this level, counted above those in registers.
#[cube]
fn is_first(part: &Part, #[comptime] level: usize) -> bool {
    (part.unit & comptime!((2u32 << level) - 1)) == 0
}

/// Whether this is the level, counted above those in registers, at which the unit's value is second
/// coordinate.
#[cube]
fn is_second(part: &Part, #[comptime] level: usize) -> bool {
    (part.unit & comptime!((2u32 << level) - 1)) == comptime!(1u32 << level)
}
