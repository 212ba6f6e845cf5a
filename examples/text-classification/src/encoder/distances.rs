//! What the distance between two tokens adds to their score, in MPNet.

use burn::nn::Embedding;
use burn::tensor::{Int, Tensor, TensorData};

/// Rows of the table: half of them for a key before its query, half for one behind it.
pub(crate) const BUCKETS: usize = 32;
/// Distances that have a bucket of their own; farther ones share theirs.
const EXACT: usize = 8;

/// `[1, heads, tokens, tokens]`, to be added to the scores of every layer, from a table
/// `[32, heads]`.
///
/// Source: Song et al. 2020, [arXiv 2004.09297](https://arxiv.org/abs/2004.09297), with the buckets
/// of Raffel et al. 2020, [arXiv 1910.10683](https://arxiv.org/abs/1910.10683), Section 2.1.
pub(crate) fn added(table: &Embedding, tokens: usize) -> Tensor<4> {
    let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| bucket(query, key) as i32));
    let buckets = TensorData::new(Vec::from_iter(pairs), [tokens, tokens]);
    let buckets = Tensor::<2, Int>::from_data(buckets, &table.weight.device());
    table.forward(buckets).permute([2, 0, 1]).unsqueeze()
}

/// Beyond 8, `8 + floor(8 log(distance / 8) / log(128 / 8))` up to 15, in integers: two buckets an
/// octave.
fn bucket(query: usize, key: usize) -> usize {
    let half = BUCKETS / 2;
    let distance = query.abs_diff(key);
    let near = match distance < EXACT {
        true => distance,
        false => (EXACT + (distance * distance).ilog2() as usize - 6).min(half - 1),
    };
    match key > query {
        true => half + near,
        false => near,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_formula() {
        for distance in 0..600usize {
            let far = (distance as f64 / 8.0).ln() / 16f64.ln() * 8.0;
            // A hair more, for the octaves, where it is a whole number that rounding may miss.
            let expected = match distance {
                0..8 => distance,
                _ => 15.min(8 + (far + 1e-9) as usize),
            };
            assert_eq!(bucket(700, 700 - distance), expected);
            let ahead = if distance == 0 { 0 } else { 16 };
            assert_eq!(bucket(5, 5 + distance), expected + ahead);
        }
    }
}
