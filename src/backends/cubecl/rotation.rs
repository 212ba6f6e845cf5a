//! The launch that rotates: a cube's part of the vectors, up or down its levels.

#![expect(
    clippy::collapsible_if,
    reason = "the outer condition is decided when a kernel is compiled, the inner one by a unit"
)]

use burn_cubecl::cubecl;
use cubecl::prelude::*;

use super::kernel::{climb, descend, trace};
use super::tile::Tile;
use super::unit::{
    Vectors, hands_on, load, load_blocks, next_place, part, place, steps, store, vector_of_step,
};

/// What a launch of [`rotate`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub(super) transpose: bool,
    /// Whether the result is written, for which there is a buffer then; else only what is left to
    /// the next stage is.
    pub(super) stored: bool,
    /// Whether there is a next stage, which gets an element of each chunk on the way up and hands
    /// it back on the way down. Its buffer is there then.
    pub(super) next: bool,
}

/// Rotates all vectors of `x` into the result's buffer, which may be that of `x`.
///
/// Climbing, a stage reads its own elements and writes the whole tensor's; descending, the other
/// way round.
#[cube(launch, address_type = "dynamic")]
pub(super) fn rotate<X: Float, Y: Float, G: Float, A: Float, N: Size>(
    x: &[Vector<X, N>],
    blocks: &[Vector<G, Const<4>>],
    result: &mut Sequence<Box<[Vector<Y, N>]>>,
    next: &mut Sequence<Box<[A]>>,
    vectors: Vectors,
    #[comptime] tile: Tile,
    #[comptime] way: Way,
    #[define(X, Y, G, A)] _dtypes: [ElemType; 4],
) {
    let part = part(&vectors, tile);
    let entries = load_blocks::<G, A>(blocks, &vectors, &part, tile);
    let mut shared = Shared::<[A]>::new_slice(comptime!(tile.lanes * tile.units()));
    let mut trace = trace::<A>(0usize);

    for step in 0..steps(&vectors, tile) {
        let vector = vector_of_step(&part, step, tile);
        let held = select(vector < vectors.count, part.held, 0u32);
        let own = place::<N>(&vectors, &vectors.own, &part, vector, tile);
        let whole = place::<N>(&vectors, &vectors.whole, &part, vector, tile);
        let (from, from_stride) = if comptime!(way.transpose) {
            (whole, vectors.whole.stride)
        } else {
            (own, vectors.own.stride)
        };
        let (to, to_stride) = if comptime!(way.transpose) {
            (own, vectors.own.stride)
        } else {
            (whole, vectors.whole.stride)
        };
        let mut values = load::<X, A, N>(x, from, from_stride, held, tile);
        let handed = next_place(&vectors, vector, tile);
        if comptime!(way.transpose) {
            if comptime!(way.next) {
                if hands_on(&part, held) {
                    let next = &next[0usize];
                    values[0] = next[handed];
                }
            }
            descend::<A>(
                &mut values,
                &entries,
                &mut trace,
                &mut shared,
                &part,
                true,
                tile,
            );
        } else {
            climb::<A>(&mut values, &entries, &mut trace, &mut shared, &part, tile);
            if comptime!(way.next) {
                if hands_on(&part, held) {
                    let next = &mut next[0usize];
                    next[handed] = values[0];
                }
            }
        }
        if comptime!(way.stored) {
            store::<Y, A, N>(&mut result[0usize], &values, to, to_stride, held, tile);
        }
    }
}
