//! The distribution that a sentence encoder has without a head.

use fair_compare::kl_divergence;

/// By what sentence-transformers multiply cosines.
const SCALE: f64 = 20.0;

/// Pairs in a batch, at most.
const BATCH: usize = 32;

/// Embeddings of length 1 of both texts of each pair.
pub(super) struct Embedded {
    pub(super) firsts: Vec<Vec<f64>>,
    pub(super) seconds: Vec<Vec<f64>>,
}

impl Embedded {
    /// Cosine of each pair.
    pub(super) fn cosines(&self) -> Vec<f64> {
        let pairs = self.firsts.iter().zip(&self.seconds);
        pairs.map(|(first, second)| dot(first, second)).collect()
    }

    /// KL(self ‖ tuned) of finding the second text of a pair among those of a batch, in nats, the
    /// mean over the pairs:
    ///
    /// `sum_j p(j | i) (ln p(j | i) - ln q(j | i))`, `p(j | i) = softmax_j(20 cos(a_i, b_j))`, `q`
    /// the same of `tuned`.
    ///
    /// It is the distribution that the contrastive training of sentence encoders is about:
    /// Henderson et al. 2017 (<https://arxiv.org/abs/1705.00652>), section 4;
    /// sentence-transformers' `MultipleNegativesRankingLoss` with its scale of 20 (Reimers and
    /// Gurevych 2019, <https://arxiv.org/abs/1908.10084>). The batches are consecutive pairs, as
    /// equal in size as can be and of at most 32, not the training's; the labels of the pairs play
    /// no part.
    pub(super) fn divergence(&self, tuned: &Self) -> f64 {
        let count = self.firsts.len();
        let batches = count.div_ceil(BATCH);
        let batch = |number| number * count / batches..(number + 1) * count / batches;
        let sum = (0..batches).map(batch).map(|range| {
            let size = range.len();
            let logits = |of: &Self| of.logits(range.clone());
            size as f64 * kl_divergence(&logits(self), &logits(tuned), size)
        });
        sum.sum::<f64>() / count as f64
    }

    /// `20 cos(a_i, b_j)` for `i` and `j` in a range, row by row.
    fn logits(&self, range: std::ops::Range<usize>) -> Vec<f64> {
        let seconds = &self.seconds[range.clone()];
        let rows = self.firsts[range].iter().flat_map(|first| {
            let row = seconds.iter().map(|second| SCALE * dot(first, second));
            row.collect::<Vec<_>>()
        });
        rows.collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pairs in the plane, the seconds at angles to the firsts.
    fn pairs(angles: [f64; 2]) -> Embedded {
        Embedded {
            firsts: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
            seconds: angles.map(|angle| vec![angle.cos(), angle.sin()]).to_vec(),
        }
    }

    #[test]
    fn divergence_by_hand() {
        let quarter = std::f64::consts::FRAC_PI_4;
        // Both seconds between the two firsts: every row is (1/2, 1/2).
        let before = pairs([quarter, quarter]);
        // The second one turned until the cosines differ by ln 3 / 20 in the first row and by 0 in
        // none.
        let cosine = quarter.cos() - 3f64.ln() / 20.0;
        let after = pairs([quarter, cosine.acos()]);
        // First row: (3/4, 1/4).
        let first = 0.5 * (0.5_f64 / 0.75).ln() + 0.5 * (0.5_f64 / 0.25).ln();
        // Second row: the sines' difference, as a logit d, gives ln((1 + e^d) / 2) - d / 2.
        let d = 20.0 * (cosine.acos().sin() - quarter.sin());
        let second = ((1.0 + d.exp()) / 2.0).ln() - d / 2.0;
        let expected = (first + second) / 2.0;
        assert!((before.divergence(&after) - expected).abs() < 1e-12);
        // The order counts.
        assert!((after.divergence(&before) - expected).abs() > 1e-3);
        assert_eq!(before.divergence(&before), 0.0);
    }

    #[test]
    fn rows_are_of_firsts() {
        let of = |first: f64, second: f64| Embedded {
            firsts: vec![vec![first], vec![0.0]],
            seconds: vec![vec![second], vec![0.0]],
        };
        // The first row is (20, 0) and then (0, 0); the second row is (0, 0) both times.
        let (p, q) = (1.0 / (1.0 + (-20.0_f64).exp()), 0.5_f64);
        let expected = 0.5 * (p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / q).ln());
        assert!((of(1.0, 1.0).divergence(&of(0.0, 1.0)) - expected).abs() < 1e-12);
    }

    /// A pair that has changed by itself in a batch changes the rows of its own batch only.
    #[test]
    fn batches_are_of_32_pairs_at_most_and_equal() {
        let same = |count: usize| Embedded {
            firsts: vec![vec![1.0]; count],
            seconds: vec![vec![0.0]; count],
        };
        for (count, own) in [(32, 32), (33, 16), (66, 22), (2, 2)] {
            let mut after = same(count);
            after.seconds[0] = vec![1.0];
            // p is 1/n everywhere; q is e^20 / (e^20 + n - 1) once in each row of the batch.
            let n = own as f64;
            let row = (20f64.exp() + n - 1.0).ln() - n.ln() - 20.0 / n;
            let expected = row * n / count as f64;
            let found = same(count).divergence(&after);
            assert!(
                (found - expected).abs() < 1e-9,
                "{count}: {found}, {expected}"
            );
        }
    }
}
