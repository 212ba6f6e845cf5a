//! In which batches, and in which order, examples are read.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// How many batches are sorted by length together: enough that lengths in a batch are alike, few
/// enough that an epoch is still in random order.
const BUCKET: usize = 16;

/// The batches of an epoch as indices into the examples, in an order that depends on seed, epoch
/// and lengths only.
///
/// Examples are shuffled, sorted by length inside buckets of 16 batches, cut into batches, and the
/// batches are shuffled.
pub fn epoch(lengths: &[usize], batch: usize, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    // A golden-ratio step keeps the streams of neighboring seeds and epochs apart.
    let stream = seed.wrapping_add((epoch as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut random = StdRng::seed_from_u64(stream);
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(&mut random);
    for bucket in order.chunks_mut(batch * BUCKET) {
        bucket.sort_by_key(|index| lengths[*index]);
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(batch).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut random);
    batches
}

/// All examples by falling length, for evaluation: the batch that needs most memory comes first.
pub fn by_length(lengths: &[usize], batch: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    order.chunks(batch).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> Vec<usize> {
        (0..203).map(|i| 3 + (i * 37) % 50).collect()
    }

    #[test]
    fn an_epoch_has_every_example_once_and_pads_little() {
        let lengths = lengths();
        let batches = epoch(&lengths, 8, 1, 0);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..203).collect::<Vec<_>>());
        let padded: usize = batches
            .iter()
            .map(|b| b.len() * b.iter().map(|i| lengths[*i]).max().unwrap())
            .sum();
        let tokens: usize = lengths.iter().sum();
        // In random order a batch of 8 pads to about 1.6 times its tokens.
        assert!(padded < tokens * 12 / 10, "{padded} for {tokens}");
    }

    #[test]
    fn the_order_is_the_seeds_and_the_epochs() {
        let lengths = lengths();
        assert_eq!(epoch(&lengths, 8, 1, 0), epoch(&lengths, 8, 1, 0));
        assert_ne!(epoch(&lengths, 8, 1, 0), epoch(&lengths, 8, 1, 1));
        assert_ne!(epoch(&lengths, 8, 1, 0), epoch(&lengths, 8, 2, 0));
    }

    #[test]
    fn evaluation_starts_with_the_longest() {
        assert_eq!(by_length(&[3, 9, 5], 2), [vec![1, 2], vec![0]]);
    }
}
