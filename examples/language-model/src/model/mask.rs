//! Which tokens look at which.

use std::ops::Range;

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

    /// What each token looks at.
    pub(super) fn spans(&self, window: Option<usize>) -> Vec<Vec<Range<usize>>> {
        let row = |texts: &Vec<usize>| {
            let mut first = 0;
            let span = |token: usize| {
                if token > 0 && texts[token] != texts[token - 1] {
                    first = token;
                }
                within(first, token, window)
            };
            (0..texts.len()).map(span).collect()
        };
        self.texts.iter().map(row).collect()
    }
}

/// What new tokens behind `earlier` ones look at. Rows begin with so many tokens of padding.
pub(super) fn behind(
    padding: &[usize],
    earlier: usize,
    tokens: usize,
    window: Option<usize>,
) -> Vec<Vec<Range<usize>>> {
    let row = |padding: &usize| {
        let tokens = earlier..earlier + tokens;
        tokens
            .map(|token| within(*padding, token, window))
            .collect()
    };
    padding.iter().map(row).collect()
}

/// A token and those before it, from `first` on and as near as the window says.
fn within(first: usize, token: usize, window: Option<usize>) -> Range<usize> {
    let nearest = window.map_or(0, |window| (token + 1).saturating_sub(window));
    let end = token + 1;
    first.max(nearest).min(end)..end
}
