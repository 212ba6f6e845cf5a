//! Work on many vectors, shared among threads in pieces whose size depends on the shape alone.

use std::mem::MaybeUninit;
use std::slice::{ChunksExact, ChunksExactMut};

use rayon::prelude::*;

use super::Real;

/// Enough values to be worth a thread's while.
const PIECE: usize = 1 << 15;

/// The number of vectors of length `dim` in a piece.
pub(super) fn vectors_in_piece(dim: usize) -> usize {
    (PIECE / dim).max(1)
}

/// Calls `work` on pieces of whole vectors.
pub(super) fn in_place<C: Real>(values: &mut [C], dim: usize, work: impl Fn(&mut [C]) + Sync) {
    let piece = dim * vectors_in_piece(dim);
    // Waking another thread for one piece would cost more than it gains.
    match values.len() <= piece {
        true => work(values),
        false => values.par_chunks_mut(piece).for_each(&work),
    }
}

/// `work` on each of these numbers, the results in their order.
pub(super) fn map<R: Send>(count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    match count {
        0 | 1 => (0..count).map(work).collect(),
        _ => (0..count).into_par_iter().map(&work).collect(),
    }
}

/// The vectors of a piece, each copied into the new buffer when it is reached, so that it is worked on in cache.
pub(super) struct Copies<'a, C> {
    vectors: ChunksExact<'a, C>,
    rooms: ChunksExactMut<'a, MaybeUninit<C>>,
}

impl<'a, C: Real> Iterator for Copies<'a, C> {
    type Item = &'a mut [C];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a mut [C]> {
        let (vector, room) = (self.vectors.next()?, self.rooms.next()?);
        Some(room.write_copy_of_slice(vector))
    }
}

/// A new buffer with a copy of all vectors, on which `work` was done `count` vectors at a time, and its results in order.
pub(super) fn copied<C: Real, R: Send>(
    values: &[C],
    dim: usize,
    count: usize,
    work: impl Fn(usize, &mut Copies<'_, C>) -> R + Sync,
) -> (Vec<C>, Vec<R>) {
    let piece = dim * count;
    let mut copy = Vec::with_capacity(values.len());
    let room = &mut copy.spare_capacity_mut()[..values.len()];
    let work = |(index, (values, room)): (usize, (&[C], &mut [MaybeUninit<C>]))| {
        let mut copies = Copies {
            vectors: values.chunks_exact(dim),
            rooms: room.chunks_exact_mut(dim),
        };
        let result = work(index, &mut copies);
        copies.for_each(drop);
        result
    };
    let results = match values.len() <= piece {
        true => vec![work((0, (values, room)))],
        false => {
            let pieces = values.par_chunks(piece).zip(room.par_chunks_mut(piece));
            pieces.enumerate().map(&work).collect()
        }
    };
    #[expect(
        unsafe_code,
        reason = "every piece of the room was copied into to its end, whatever `work` left over"
    )]
    unsafe {
        copy.set_len(values.len());
    }
    (copy, results)
}
