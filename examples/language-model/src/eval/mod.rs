//! Measures models: answers to choose from, answers to be written, and text to be predicted.

mod choices;
mod exact;
mod likelihood;
mod perplexity;

pub use choices::{ChoiceScores, Question, choices, read_questions};
pub use exact::{ExactScores, Extracted, exact, extract};
pub use likelihood::token_losses;
pub use perplexity::{Perplexity, perplexity};

/// A share of questions, and its standard error as that of a mean.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Share {
    /// From 0 to 1.
    pub share: f64,
    /// The sample's standard deviation over the root of its size; 0 for one question.
    pub stderr: f64,
}

impl Share {
    /// Of questions that were answered right or not.
    pub fn of(right: &[bool]) -> Self {
        let count = right.len() as f64;
        let share = right.iter().filter(|right| **right).count() as f64 / count.max(1.0);
        let variance = share * (1.0 - share) * count / (count - 1.0).max(1.0);
        Self {
            share,
            stderr: (variance / count.max(1.0)).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_the_standard_error_of_a_mean() {
        let found = Share::of(&[true, true, false, true]);
        assert_eq!(found.share, 0.75);
        // The sample's variance is 0.25.
        assert!((found.stderr - 0.25).abs() < 1e-12);
        assert_eq!(Share::of(&[true]).stderr, 0.0);
    }
}
