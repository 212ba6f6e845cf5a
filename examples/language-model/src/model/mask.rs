//! Which tokens look at which.

use burn::tensor::{Bool, Device, Tensor, TensorData};

/// The places of tokens in their texts. Rows may hold several texts one behind another; a token
/// looks at earlier ones of its own text alone.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By row and token, the position in its text.
    positions: Vec<Vec<usize>>,
    /// By row and token, which text of the row it belongs to; padding is a text of its own.
    texts: Vec<Vec<usize>>,
}

impl Layout {
    /// Rows of one text each, padded on the right to the longest.
    pub fn of_rows(lengths: &[usize]) -> Self {
        let packed: Vec<_> = lengths.iter().map(|length| vec![*length]).collect();
        Self::packed(&packed)
    }

    /// Rows of several texts one behind another, padded on the right to the longest.
    pub fn packed(rows: &[Vec<usize>]) -> Self {
        let longest = rows.iter().map(|texts| texts.iter().sum::<usize>()).max();
        let longest = longest.unwrap_or(0);
        let positions = rows.iter().map(|lengths| {
            let mut row: Vec<usize> = lengths.iter().flat_map(|length| 0..*length).collect();
            row.resize(longest, 0);
            row
        });
        let texts = rows.iter().map(|lengths| {
            let counted = lengths.iter().enumerate();
            let mut row: Vec<usize> = counted
                .flat_map(|(text, length)| std::iter::repeat_n(text, *length))
                .collect();
            row.resize(longest, lengths.len());
            row
        });
        Self {
            positions: positions.collect(),
            texts: texts.collect(),
        }
    }

    /// Tokens of each row.
    pub fn tokens(&self) -> usize {
        self.positions.first().map_or(0, Vec::len)
    }

    pub(super) fn positions(&self) -> &[Vec<usize>] {
        &self.positions
    }

    /// True where a score is blocked, `[rows, 1, tokens, tokens]`.
    pub(super) fn blocked(&self, window: Option<usize>, device: &Device) -> Tensor<4, Bool> {
        let (rows, tokens) = (self.positions.len(), self.tokens());
        let mut blocked = Vec::with_capacity(rows * tokens * tokens);
        for texts in &self.texts {
            for query in 0..tokens {
                let sees = |key: usize| {
                    let near = window.is_none_or(|window| query < key + window);
                    key <= query && near && texts[key] == texts[query]
                };
                blocked.extend((0..tokens).map(|key| !sees(key)));
            }
        }
        Tensor::from_data(TensorData::new(blocked, [rows, 1, tokens, tokens]), device)
    }
}

/// True where a score of new tokens behind `earlier` ones is blocked, `[rows, 1, tokens, all]`; none
/// if nothing is. Rows begin with so many tokens of padding.
pub(super) fn behind(
    padding: &[usize],
    earlier: usize,
    tokens: usize,
    window: Option<usize>,
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    let all = earlier + tokens;
    let within = window.is_none_or(|window| all <= window);
    if tokens == 1 && within && padding.iter().all(|padding| *padding == 0) {
        return None;
    }
    let mut blocked = Vec::with_capacity(padding.len() * tokens * all);
    for padding in padding {
        for query in earlier..all {
            let far = |key: usize| window.is_some_and(|window| query >= key + window);
            blocked.extend((0..all).map(|key| key > query || key < *padding || far(key)));
        }
    }
    let data = TensorData::new(blocked, [padding.len(), 1, tokens, all]);
    Some(Tensor::from_data(data, device))
}
