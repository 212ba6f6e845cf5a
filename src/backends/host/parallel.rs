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

/// New buffers with a copy of all vectors each, on which `work` was done `count` vectors at a time, and its results in order:
/// piece by piece, and for each piece buffer by buffer, so that a piece is read from memory once.
///
/// `work` gets the number of the piece and of the buffer.
pub(super) fn copied<C: Real, R: Send>(
    values: &[C],
    dim: usize,
    count: usize,
    buffers: usize,
    work: impl Fn(usize, usize, &mut Copies<'_, C>) -> R + Sync,
) -> (Vec<Vec<C>>, Vec<R>) {
    let piece = dim * count;
    let mut copies: Vec<Vec<C>> = (0..buffers)
        .map(|_| Vec::with_capacity(values.len()))
        .collect();
    let mut rooms = Vec::with_capacity(buffers * values.len().div_ceil(piece));
    for (buffer, copy) in copies.iter_mut().enumerate() {
        let room = &mut copy.spare_capacity_mut()[..values.len()];
        let pieces = values.chunks(piece).zip(room.chunks_mut(piece));
        rooms.extend(
            pieces
                .enumerate()
                .map(|(index, (values, room))| (index, buffer, values, room)),
        );
    }
    rooms.sort_by_key(|(index, buffer, ..)| (*index, *buffer));
    let work = |(index, buffer, values, room): (_, _, &[C], &mut [MaybeUninit<C>])| {
        let mut copies = Copies {
            vectors: values.chunks_exact(dim),
            rooms: room.chunks_exact_mut(dim),
        };
        let result = work(index, buffer, &mut copies);
        copies.for_each(drop);
        result
    };
    let results = match rooms.len() {
        1 => rooms.into_iter().map(work).collect(),
        _ => rooms.into_par_iter().map(work).collect(),
    };
    for copy in &mut copies {
        #[expect(
            unsafe_code,
            reason = "every piece of the room was copied into to its end, whatever `work` left over"
        )]
        unsafe {
            copy.set_len(values.len());
        }
    }
    (copies, results)
}
