//! Work on many vectors, shared among threads in pieces whose size depends on the shape alone.

use std::mem::MaybeUninit;
use std::slice::{ChunksExact, ChunksExactMut};

use rayon::prelude::*;

use super::real::{Real, Stored};

/// Enough values to be worth a thread's while.
const PIECE: usize = 1 << 15;

/// The number of vectors of length `dim` in a piece.
pub(super) fn vectors_in_piece(dim: usize) -> usize {
    (PIECE / dim).max(1)
}

/// Calls `work` on pieces of whole vectors.
pub(super) fn in_place<S: Stored>(
    values: &mut [S],
    dim: usize,
    work: impl Fn(&mut [S]) + Send + Sync,
) {
    let piece = dim * vectors_in_piece(dim);
    values.par_chunks_mut(piece).for_each(work);
}

/// A copy, made by all threads.
pub(super) fn copy<C: Real>(values: &[C]) -> Vec<C> {
    // Zeros that the system hands out when they are first touched.
    let mut copy = vec![C::default(); values.len()];
    let pieces = copy.par_chunks_mut(PIECE).zip(values.par_chunks(PIECE));
    pieces.for_each(|(copy, values)| copy.copy_from_slice(values));
    copy
}

/// `work` on each of these numbers, the results in their order.
pub(super) fn map<R: Send>(count: usize, work: impl Fn(usize) -> R + Send + Sync) -> Vec<R> {
    (0..count).into_par_iter().map(work).collect()
}

/// The vectors of a piece, each copied into the new buffer when it is reached, so that it is worked
/// on in cache.
pub(super) struct Copies<'a, S> {
    vectors: ChunksExact<'a, S>,
    rooms: ChunksExactMut<'a, MaybeUninit<S>>,
}

impl<'a, S: Stored> Iterator for Copies<'a, S> {
    type Item = &'a mut [S];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a mut [S]> {
        let (vector, room) = (self.vectors.next()?, self.rooms.next()?);
        Some(room.write_copy_of_slice(vector))
    }
}

/// A new buffer with a copy of all vectors, on which `work` was done `count` vectors at a time, and
/// its results in order, so that a piece is read from memory once.
///
/// `work` gets the number of the piece.
pub(super) fn copied<S: Stored, R: Send>(
    values: &[S],
    dim: usize,
    count: usize,
    work: impl Fn(usize, &mut Copies<'_, S>) -> R + Sync,
) -> (Vec<S>, Vec<R>) {
    // What is behind the last whole vector would stay as it was allocated.
    assert!(
        values.len().is_multiple_of(dim),
        "{} numbers are no vectors of {dim}",
        values.len()
    );
    let piece = dim * count;
    let mut copy = Vec::with_capacity(values.len());
    let room = &mut copy.spare_capacity_mut()[..values.len()];
    let pieces = room.par_chunks_mut(piece).zip(values.par_chunks(piece));
    let work = |(index, (room, values)): (_, (&mut [MaybeUninit<S>], &[S]))| {
        let mut copies = Copies {
            vectors: values.chunks_exact(dim),
            rooms: room.chunks_exact_mut(dim),
        };
        let result = work(index, &mut copies);
        copies.for_each(drop);
        result
    };
    let results = pieces.enumerate().map(work).collect();
    #[expect(
        unsafe_code,
        reason = "every piece of the room was copied into to its end, whatever `work` left over"
    )]
    unsafe {
        copy.set_len(values.len());
    }
    (copy, results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_is_copied_whatever_the_work_leaves() {
        let values: Vec<f32> = (0..7 * 11).map(|n| n as f32).collect();
        for count in [1, 2, 3, 11, 20] {
            let work = |piece: usize, vectors: &mut Copies<'_, f32>| {
                // One vector of each piece, the rest is left.
                vectors.next().expect("no piece is empty")[0] += 0.5;
                piece
            };
            let (copy, results) = copied(&values, 7, count, work);
            let mut expected = values.clone();
            for first in (0..11).step_by(count) {
                expected[7 * first] += 0.5;
            }
            assert_eq!(copy, expected);
            let order: Vec<_> = (0..11usize.div_ceil(count)).collect();
            assert_eq!(results, order);
        }
    }

    #[test]
    #[should_panic(expected = "10 numbers are no vectors of 8")]
    fn numbers_beyond_the_last_vector_are_refused() {
        copied(&[0.0f32; 10], 8, 1, |_, _| ());
    }
}
