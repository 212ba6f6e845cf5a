//! Examples side by side.

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
    /// Of these examples.
    pub fn new(examples: &[&Trained], device: &Device) -> Self {
        let lengths: Vec<usize> = examples.iter().map(|one| one.ids.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let (mut ids, mut places, mut next) = (Vec::new(), Vec::new(), Vec::new());
        for (row, example) in examples.iter().enumerate() {
            let padding = std::iter::repeat_n(0, longest - example.ids.len());
            ids.extend(example.ids.iter().map(|id| i64::from(*id)).chain(padding));
            for place in learned(example) {
                places.push((row * longest + place - 1) as i64);
                next.push(i64::from(example.ids[place]));
            }
        }
        let row = |values: Vec<i64>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [examples.len(), longest]), device),
            layout: Layout::of_rows(&lengths),
            places: row(places),
            next: row(next),
        }
    }
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
