//! Examples side by side.

use std::collections::BTreeSet;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::Trained;
use crate::model::Layout;

/// Some examples as the rows of a batch, padded on the right, and what is learned from them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[rows, tokens]`.
    pub ids: Tensor<2, Int>,
    /// Which tokens look at which.
    pub layout: Layout,
    /// The places, counted through all rows, whose next token is learned, `[n]`.
    pub places: Tensor<1, Int>,
    /// Those next tokens, `[n]`.
    pub next: Tensor<1, Int>,
}

impl Batch {
    /// Of these examples, a row each.
    pub fn new(examples: &[&Trained], device: &Device) -> Self {
        let rows: Vec<_> = examples.iter().map(|example| vec![*example]).collect();
        Self::packed(&rows, device)
    }

    /// Of rows of several examples one behind another, of which none looks at another one.
    pub fn packed(rows: &[Vec<&Trained>], device: &Device) -> Self {
        let lengths: Vec<Vec<usize>> = rows
            .iter()
            .map(|row| row.iter().map(|one| one.ids.len()).collect())
            .collect();
        let longest = lengths.iter().map(|row| row.iter().sum()).max();
        let longest: usize = longest.unwrap_or(0);
        let (mut ids, mut places, mut next) = (Vec::new(), Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            let mut start = index * longest;
            for example in row {
                ids.extend(example.ids.iter().map(|id| i64::from(*id)));
                for place in learned(example) {
                    places.push((start + place - 1) as i64);
                    next.push(i64::from(example.ids[place]));
                }
                start += example.ids.len();
            }
            ids.resize((index + 1) * longest, 0);
        }
        let row = |values: Vec<i64>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [rows.len(), longest]), device),
            layout: Layout::packed(&lengths),
            places: row(places),
            next: row(next),
        }
    }
}

/// Rows of at most `length` tokens that hold all examples, by number: the longest first, each into the
/// fullest row that has room for it. Fewer tokens are padding than with an example a row.
///
/// ```
/// use language_model::batch::pack;
///
/// assert_eq!(pack(&[3, 6, 2, 5], 8), [vec![1, 2], vec![3, 0]]);
/// ```
pub fn pack(lengths: &[usize], length: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|example| std::cmp::Reverse(lengths[*example]));
    let mut rows: Vec<(usize, Vec<usize>)> = Vec::new();
    // Room that is left, and the row that has it.
    let mut by_room = BTreeSet::<(usize, usize)>::new();
    for example in order {
        let needed = lengths[example];
        let found = by_room.range((needed, 0)..).next().copied();
        let row = match found {
            Some(found) => {
                by_room.remove(&found);
                found.1
            }
            None => {
                rows.push((length.max(needed), Vec::new()));
                rows.len() - 1
            }
        };
        let (room, members) = &mut rows[row];
        *room -= needed;
        members.push(example);
        by_room.insert((*room, row));
    }
    rows.into_iter().map(|(_, members)| members).collect()
}

/// The places of tokens that are learned. The first has nothing to be predicted from.
fn learned(example: &Trained) -> impl Iterator<Item = usize> {
    let marked = example.learned.iter().enumerate().skip(1);
    marked.filter_map(|(place, learned)| learned.then_some(place))
}

/// How many tokens are learned from an example.
pub fn count(example: &Trained) -> usize {
    learned(example).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_in_one_row_that_is_not_too_long() {
        for count in [0, 1, 7, 200] {
            let lengths: Vec<usize> = (0..count).map(|n| n * 37 % 61 + 1).collect();
            let rows = pack(&lengths, 64);
            let mut all: Vec<usize> = rows.iter().flatten().copied().collect();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            let of = |row: &Vec<usize>| row.iter().map(|one| lengths[*one]).sum::<usize>();
            assert!(rows.iter().all(|row| !row.is_empty() && of(row) <= 64));
            // All rows but the last few are full but for little.
            let tokens: usize = lengths.iter().sum();
            assert!(rows.len() <= tokens.div_ceil(64) + 1 + rows.len() / 20);
        }
        assert_eq!(
            pack(&[9, 2], 4),
            [vec![0], vec![1]],
            "what is longer has its own row"
        );
    }
}
