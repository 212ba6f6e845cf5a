//! What a unit holds of a vector: consecutive elements, and the blocks of their pairs.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::tile::Tile;

/// The vectors of a stage, in up to three buffers.
///
/// Its elements are some of the whole tensor's, at a stride; beyond the first stage a buffer of its
/// own has them side by side, and so has the next stage's the elements that are left to that one,
/// the first of every chunk.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Vectors {
    pub(super) count: usize,
    /// Elements of a vector.
    pub(super) dim: u32,
    pub(super) inner: usize,
    pub(super) whole: Layout,
    pub(super) own: Layout,
    pub(super) next: Layout,
    /// Number of the block of the first pair of level 1.
    pub(super) first_block: u32,
}

/// Element `i` of vector `v` is at `(v / inner) * outer + v % inner + i * stride`, in vectors of
/// the buffer's vector size.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Layout {
    pub(super) outer: usize,
    pub(super) stride: usize,
}

/// The part of a unit in its cube.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Part {
    /// Which of the vectors that the cube works on at a time.
    pub(super) lane: u32,
    /// Which of the units that share the vector.
    pub(super) unit: u32,
    /// The unit's first element in the vector.
    first: u32,
    /// How many of its elements the vector has.
    pub(super) held: u32,
    /// The unit's value in shared memory.
    pub(super) slot: usize,
}

#[cube]
pub(super) fn part(vectors: &Vectors, #[comptime] tile: Tile) -> Part {
    let lane = if comptime!(tile.columns) {
        UNIT_POS_X
    } else {
        UNIT_POS_Y
    };
    let unit = if comptime!(tile.columns) {
        UNIT_POS_Y
    } else {
        UNIT_POS_X
    };
    let slot = if comptime!(tile.columns) {
        unit * comptime!(tile.lanes as u32) + lane
    } else {
        lane * comptime!(tile.units() as u32) + unit
    };
    let elements = comptime!(tile.elements as u32);
    let first = (CUBE_POS_Y * comptime!(tile.units() as u32) + unit) * elements;
    let mut held = 0u32;
    if first < vectors.dim {
        held = min(vectors.dim - first, elements);
    }
    Part {
        lane,
        unit,
        first,
        held,
        slot: slot as usize,
    }
}

/// How many times each cube takes up its number of vectors. The same for all cubes: every unit
/// meets every barrier.
#[cube]
pub(super) fn steps(vectors: &Vectors, #[comptime] tile: Tile) -> usize {
    vectors.count.div_ceil(CUBE_COUNT_X as usize * tile.lanes)
}

#[cube]
pub(super) fn vector_of_step(part: &Part, step: usize, #[comptime] tile: Tile) -> usize {
    (step * CUBE_COUNT_X as usize + CUBE_POS_X as usize) * tile.lanes + part.lane as usize
}

/// Where the unit's elements of a vector begin.
#[cube]
pub(super) fn place<N: Size>(
    vectors: &Vectors,
    layout: &Layout,
    part: &Part,
    vector: usize,
    #[comptime] tile: Tile,
) -> usize {
    start(vectors, layout, vector, tile) + part.first as usize / N::value() * layout.stride
}

#[cube]
fn start(vectors: &Vectors, layout: &Layout, vector: usize, #[comptime] tile: Tile) -> usize {
    if comptime!(tile.columns) {
        (vector / vectors.inner) * layout.outer + vector % vectors.inner
    } else {
        vector * layout.outer
    }
}

/// Where the next stage's buffer has the one element that the cube's chunk leaves to it.
#[cube]
pub(super) fn next_place(vectors: &Vectors, vector: usize, #[comptime] tile: Tile) -> usize {
    start(vectors, &vectors.next, vector, tile) + CUBE_POS_Y as usize * vectors.next.stride
}

/// Whether the unit, if it holds anything, holds that element.
#[cube]
pub(super) fn hands_on(part: &Part, held: u32) -> bool {
    part.unit == 0 && held != 0
}

/// The unit's elements; zero where the vector has none.
#[cube]
pub(super) fn load<X: Float, A: Float, N: Size>(
    x: &[Vector<X, N>],
    place: usize,
    stride: usize,
    held: u32,
    #[comptime] tile: Tile,
) -> Array<A> {
    let mut values = Array::<A>::new(tile.elements);
    load_into::<X, A, N>(&mut values, x, place, stride, held, tile);
    values
}

/// The same into registers that are there.
#[cube]
pub(super) fn load_into<X: Float, A: Float, N: Size>(
    values: &mut Array<A>,
    x: &[Vector<X, N>],
    place: usize,
    stride: usize,
    held: u32,
    #[comptime] tile: Tile,
) {
    let size = N::value().comptime();
    #[unroll]
    for k in 0..comptime!(tile.elements / size) {
        let mut read = Vector::<A, N>::new(A::from_int(0));
        if comptime!((k * size) as u32) < held {
            read = Vector::cast_from(x[place + k * stride]);
        }
        #[unroll]
        for n in 0..size {
            values[comptime!(k * size + n)] = read.extract(n);
        }
    }
}

#[cube]
pub(super) fn store<X: Float, A: Float, N: Size>(
    y: &mut [Vector<X, N>],
    values: &Array<A>,
    place: usize,
    stride: usize,
    held: u32,
    #[comptime] tile: Tile,
) {
    let size = N::value().comptime();
    #[unroll]
    for k in 0..comptime!(tile.elements / size) {
        if comptime!((k * size) as u32) < held {
            let mut written = Vector::<A, N>::empty();
            #[unroll]
            for n in 0..size {
                written.insert(n, values[comptime!(k * size + n)]);
            }
            y[place + k * stride] = Vector::cast_from(written);
        }
    }
}

/// Number, among all pairs of the vectors, of pair `k` of the unit at a level in registers, counted
/// from 0.
#[cube]
pub(super) fn block_number(
    vectors: &Vectors,
    part: &Part,
    #[comptime] level: usize,
    #[comptime] k: usize,
) -> u32 {
    // All pairs of the levels below left one coordinate each behind.
    let reached = (vectors.dim + comptime!((1u32 << level) - 1)) >> comptime!(level as u32);
    vectors.dim - reached + (part.first >> comptime!(level as u32 + 1)) + comptime!(k as u32)
}

/// Number, among all pairs of the vectors, of the unit's pair beyond its registers.
#[cube]
pub(super) fn outer_block_number(vectors: &Vectors, part: &Part, #[comptime] tile: Tile) -> u32 {
    // The lowest bit of the unit's number is its distance to the pair's first coordinate, in units.
    let distance = part.unit & (!part.unit + 1);
    let stride = distance * comptime!(tile.elements as u32);
    let reached = vectors.dim.div_ceil(stride);
    vectors.dim - reached + part.first / (2 * stride)
}

/// Whether the unit has one.
#[cube]
pub(super) fn has_outer_pair(part: &Part) -> bool {
    part.unit != 0 && part.held != 0
}

/// The unit's blocks, 4 entries each, in the order of [`Tile::pair`]; the identity where there is
/// no pair.
#[cube]
pub(super) fn load_blocks<G: Float, A: Float>(
    blocks: &[Vector<G, Const<4>>],
    vectors: &Vectors,
    part: &Part,
    #[comptime] tile: Tile,
) -> Array<A> {
    let mut entries = Array::<A>::new(comptime!(4 * tile.elements));
    #[unroll]
    for level in 0..comptime!(tile.register_levels()) {
        #[unroll]
        for k in 0..comptime!(tile.elements >> (level + 1)) {
            let mut block = identity::<A>();
            if comptime!(((2 * k + 1) << level) as u32) < part.held {
                let number = vectors.first_block + block_number(vectors, part, level, k);
                block = Vector::cast_from(blocks[number as usize]);
            }
            keep_block::<A>(&mut entries, block, comptime!(tile.pair(level, k)));
        }
    }
    let mut block = identity::<A>();
    if has_outer_pair(part) {
        let number = vectors.first_block + outer_block_number(vectors, part, tile);
        block = Vector::cast_from(blocks[number as usize]);
    }
    keep_block::<A>(&mut entries, block, tile.outer_pair());
    entries
}

#[cube]
fn identity<A: Float>() -> Vector<A, Const<4>> {
    let mut block = Vector::<A, Const<4>>::new(A::from_int(0));
    block.insert(0usize, A::from_int(1));
    block.insert(3usize, A::from_int(1));
    block
}

#[cube]
fn keep_block<A: Float>(
    entries: &mut Array<A>,
    block: Vector<A, Const<4>>,
    #[comptime] pair: usize,
) {
    #[unroll]
    for entry in 0..4 {
        entries[comptime!(4 * pair + entry)] = block.extract(entry);
    }
}
