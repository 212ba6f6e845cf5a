//! Everything that can happen to bytes.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

type Damaged = (String, Vec<u8>);

pub(crate) fn header_length(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}

pub(crate) fn all(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    flips(bytes)
        .chain(truncations(bytes))
        .chain(overwrites(bytes))
        .chain(header_lengths(bytes))
        .chain(deletions(bytes))
        .chain(insertions(bytes))
        .chain(swaps(bytes))
        .chain(extensions(bytes))
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    (0..8 * bytes.len()).map(|bit| {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit} flipped"), damaged)
    })
}

fn truncations(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    (0..bytes.len()).map(|length| (format!("cut to {length} bytes"), bytes[..length].to_vec()))
}

fn overwrites(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    let mut rng = StdRng::seed_from_u64(1);
    (0..2000).map(move |round| {
        let mut damaged = bytes.to_vec();
        for _ in 0..rng.random_range(1..=16) {
            let place = rng.random_range(0..bytes.len());
            damaged[place] = rng.random();
        }
        (format!("overwrite {round}"), damaged)
    })
}

fn header_lengths(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    let (true_length, total) = (header_length(bytes) as u64, bytes.len() as u64);
    let near = (0..=300u64).map(move |offset| (true_length + offset).wrapping_sub(150));
    let at_the_end = (0..=20u64).map(move |offset| total.wrapping_sub(offset));
    let powers = (0..64).flat_map(|power| [1u64 << power, (1 << power) - 1, u64::MAX << power]);
    near.chain(at_the_end).chain(powers).map(|length| {
        let mut damaged = bytes.to_vec();
        damaged[..8].copy_from_slice(&length.to_le_bytes());
        (format!("header length {length}"), damaged)
    })
}

fn deletions(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    (0..bytes.len()).map(|place| {
        let mut damaged = bytes.to_vec();
        damaged.remove(place);
        (format!("byte {place} deleted"), damaged)
    })
}

fn insertions(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    let mut rng = StdRng::seed_from_u64(2);
    (0..=bytes.len()).map(move |place| {
        let mut damaged = bytes.to_vec();
        damaged.insert(place, rng.random());
        (format!("byte inserted at {place}"), damaged)
    })
}

fn swaps(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    let mut rng = StdRng::seed_from_u64(3);
    (0..1000).map(move |round| {
        let length = rng.random_range(1..=bytes.len() / 4);
        let first = rng.random_range(0..=bytes.len() - 2 * length);
        let second = rng.random_range(first + length..=bytes.len() - length);
        let mut damaged = bytes.to_vec();
        let (head, tail) = damaged.split_at_mut(second);
        head[first..first + length].swap_with_slice(&mut tail[..length]);
        (
            format!("swap {round}: {length} bytes at {first} and {second}"),
            damaged,
        )
    })
}

fn extensions(bytes: &[u8]) -> impl Iterator<Item = Damaged> + '_ {
    [1, 4, 8, 1000].into_iter().map(|more| {
        let mut damaged = bytes.to_vec();
        damaged.resize(bytes.len() + more, 0);
        (format!("{more} bytes appended"), damaged)
    })
}
