//! The derivative by the blocks: the rotation's kernel up and down again, for sums over vectors.
//!
//! With `a` climbing by `R` and `b` descending by `R^T`, every pair's block gets `sum b a^T` of the
//! values before the pair on either way. One of `a` and `b` is the rotation's input, the other the
//! derivative by its result, and the former or the latter ends as the derivative by the input.
//!
//! ```text
//! for each vector of the cube      a: from registers to shared memory   values before each pair are kept
//!                                  b: from shared memory to registers   products with them are summed, in registers
//! for each cube and lane           its sums                             parts [cubes x lanes, blocks, 4]
//! in further launches              parts, summed in order
//! ```

#![expect(
    clippy::collapsible_if,
    reason = "the outer condition is decided when a kernel is compiled, the inner one by a unit"
)]

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::kernel::{Trace, climb, descend, trace};
use super::tile::Tile;
use super::unit::{
    Part, Vectors, block_number, hands_on, has_outer_pair, load_blocks, load_into, next_place,
    outer_block_number, part, place, steps, store, vector_of_step,
};

/// Which ends of the ways are written, and whether a next stage hands back elements of the way
/// down. For what is not, there is no buffer: WebGPU lets a kernel have eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) up: bool,
    pub(super) down: bool,
    pub(super) next: bool,
}

/// Sums the products of all vectors of `a` and `b` into `parts`.
///
/// `a` and `down` have the stage's own elements, `b` and `up` the whole tensor's. At the first
/// stage, where these are the same, `up` may be `a` and `down` may be `b`.
#[cube(launch, address_type = "dynamic")]
pub(super) fn differentiate<O: Float, W: Float, G: Float, A: Float, N: Size>(
    a: &[Vector<O, N>],
    b: &[Vector<W, N>],
    blocks: &[Vector<G, Const<4>>],
    up: &mut Sequence<Box<[Vector<W, N>]>>,
    down: &mut Sequence<Box<[Vector<O, N>]>>,
    next: &Sequence<Box<[A]>>,
    parts: &mut [Vector<A, Const<4>>],
    vectors: Vectors,
    block_count: u32,
    #[comptime] tile: Tile,
    #[comptime] ends: Ends,
    #[define(O, W, G, A)] _dtypes: [ElemType; 4],
) {
    let part = part(&vectors, tile);
    let entries = load_blocks::<G, A>(blocks, &vectors, &part, tile);
    let mut shared = Shared::<[A]>::new_slice(comptime!(tile.lanes * tile.units()));
    let mut trace = trace::<A>(tile.elements);
    let mut climber = Array::<A>::new(tile.elements);
    let mut diver = Array::<A>::new(tile.elements);
    let mut next_climber = Array::<A>::new(tile.elements);
    let mut next_diver = Array::<A>::new(tile.elements);
    read_both::<O, W, A, N>(
        &mut next_climber,
        &mut next_diver,
        a,
        b,
        &vectors,
        &part,
        vector_of_step(&part, 0, tile),
        tile,
    );

    for step in 0..steps(&vectors, tile) {
        let vector = vector_of_step(&part, step, tile);
        let present = vector < vectors.count;
        let held = select(present, part.held, 0u32);
        let own = place::<N>(&vectors, &vectors.own, &part, vector, tile);
        let whole = place::<N>(&vectors, &vectors.whole, &part, vector, tile);
        #[unroll]
        for k in 0..tile.elements {
            climber[k] = next_climber[k];
            diver[k] = next_diver[k];
        }
        // The vectors of the next step are on their way while these climb and descend. Where `up`
        // is `a`, no other cube or step writes what is read here.
        read_both::<O, W, A, N>(
            &mut next_climber,
            &mut next_diver,
            a,
            b,
            &vectors,
            &part,
            vector_of_step(&part, step + 1, tile),
            tile,
        );
        if comptime!(ends.next) {
            if hands_on(&part, held) {
                let next = &next[0usize];
                diver[0] = next[next_place(&vectors, vector, tile)];
            }
        }

        climb::<A>(&mut climber, &entries, &mut trace, &mut shared, &part, tile);
        if comptime!(ends.up) {
            store::<W, A, N>(
                &mut up[0usize],
                &climber,
                whole,
                vectors.whole.stride,
                held,
                tile,
            );
        }
        descend::<A>(
            &mut diver,
            &entries,
            &mut trace,
            &mut shared,
            &part,
            present,
            tile,
        );
        if comptime!(ends.down) {
            store::<O, A, N>(
                &mut down[0usize],
                &diver,
                own,
                vectors.own.stride,
                held,
                tile,
            );
        }
    }

    let row = CUBE_POS_X as usize * tile.lanes + part.lane as usize;
    store_sums::<A>(
        parts,
        row * block_count as usize,
        &trace,
        &vectors,
        &part,
        tile,
    );
}

/// The unit's elements of a vector of both; zero beyond the last vector.
#[cube]
fn read_both<O: Float, W: Float, A: Float, N: Size>(
    climber: &mut Array<A>,
    diver: &mut Array<A>,
    a: &[Vector<O, N>],
    b: &[Vector<W, N>],
    vectors: &Vectors,
    part: &Part,
    vector: usize,
    #[comptime] tile: Tile,
) {
    let held = select(vector < vectors.count, part.held, 0u32);
    let own = place::<N>(vectors, &vectors.own, part, vector, tile);
    let whole = place::<N>(vectors, &vectors.whole, part, vector, tile);
    load_into::<O, A, N>(climber, a, own, vectors.own.stride, held, tile);
    load_into::<W, A, N>(diver, b, whole, vectors.whole.stride, held, tile);
}

#[cube]
fn store_sums<A: Float>(
    parts: &mut [Vector<A, Const<4>>],
    start: usize,
    trace: &Trace<A>,
    vectors: &Vectors,
    part: &Part,
    #[comptime] tile: Tile,
) {
    #[unroll]
    for level in 0..comptime!(tile.register_levels()) {
        #[unroll]
        for k in 0..comptime!(tile.elements >> (level + 1)) {
            if comptime!(((2 * k + 1) << level) as u32) < part.held {
                let number = block_number(vectors, part, level, k);
                parts[start + number as usize] = sum::<A>(trace, comptime!(tile.pair(level, k)));
            }
        }
    }
    if has_outer_pair(part) {
        let number = outer_block_number(vectors, part, tile);
        parts[start + number as usize] = sum::<A>(trace, tile.outer_pair());
    }
}

#[cube]
fn sum<A: Float>(trace: &Trace<A>, #[comptime] pair: usize) -> Vector<A, Const<4>> {
    let mut block = Vector::<A, Const<4>>::empty();
    #[unroll]
    for entry in 0..4usize {
        block.insert(entry, trace.sums[comptime!(4 * pair + entry)]);
    }
    block
}

/// Sums every `rows_each` of the rows of `parts [rows, blocks, 4]` to one, always in the same
/// order.
#[cube(launch, address_type = "dynamic")]
pub(super) fn sum_parts<G: Float, A: Float>(
    parts: &[Vector<A, Const<4>>],
    sums: &mut [Vector<G, Const<4>>],
    rows: usize,
    rows_each: usize,
    block_count: usize,
    #[comptime] cube: (usize, usize),
    #[define(G, A)] _dtypes: [ElemType; 2],
) {
    let column = UNIT_POS_X as usize;
    let share = UNIT_POS_Y as usize;
    let block = CUBE_POS_X as usize * cube.0 + column;
    let first = CUBE_POS_Y as usize * rows_each;

    let mut sum = Vector::<A, Const<4>>::new(A::from_int(0));
    if block < block_count {
        for row in range_stepped(first + share, min(first + rows_each, rows), cube.1) {
            sum += parts[row * block_count + block];
        }
    }
    let mut shared = Shared::<[Vector<A, Const<4>>]>::new_slice(comptime!(cube.0 * cube.1));
    shared[share * cube.0 + column] = sum;
    sync_cube();
    if share == 0 && block < block_count {
        #[unroll]
        for other in 1..cube.1 {
            sum += shared[comptime!(other * cube.0) + column];
        }
        sums[CUBE_POS_Y as usize * block_count + block] = Vector::cast_from(sum);
    }
}
