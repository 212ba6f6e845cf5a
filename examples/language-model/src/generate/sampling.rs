//! How the next token is chosen from logits.

use std::collections::HashSet;

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

/// How the next token is chosen. The defaults choose the likeliest.
///
/// The steps are those of transformers, in its order: the repetition penalty, the temperature, then
/// what is left out by `top_k`, `top_p` and `min_p`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Divides logits; at 0 the likeliest token is taken.
    pub temperature: f64,
    /// How many of the likeliest tokens are left.
    pub top_k: Option<usize>,
    /// The probability that the likeliest tokens which are left reach together.
    pub top_p: Option<f64>,
    /// The least probability of a token, as a share of the likeliest one's.
    pub min_p: Option<f64>,
    /// Makes tokens less likely that the text has already: their logits are divided by it where
    /// positive, multiplied where negative.
    pub repetition_penalty: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
        }
    }
}

impl Sampling {
    /// Refuses what cannot be; an error is what was found and what to do.
    ///
    /// # Errors
    ///
    /// For numbers out of their range.
    pub fn check(&self) -> Result<(), String> {
        let share = |value: Option<f64>, name: &str| match value {
            Some(value) if !(value > 0.0 && value <= 1.0) => Err(format!(
                "{name} is {value}; it is a probability, above 0 and at most 1"
            )),
            _ => Ok(()),
        };
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(format!(
                "the temperature is {}; it is 0 for the likeliest token, or a positive number such as 0.7",
                self.temperature
            ));
        }
        if self.top_k == Some(0) {
            return Err("top-k is 0, which leaves no token; leave it out for all".into());
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return Err(format!(
                "the repetition penalty is {}; it is 1 for none, or a number above such as 1.1",
                self.repetition_penalty
            ));
        }
        share(self.top_p, "top-p")?;
        share(self.min_p, "min-p")
    }

    /// A token, by the logits of all and the tokens that the text has.
    ///
    /// # Panics
    ///
    /// If there are no logits.
    pub fn choose(&self, mut logits: Vec<f32>, seen: &[u32], random: &mut StdRng) -> u32 {
        if self.repetition_penalty != 1.0 {
            let penalty = self.repetition_penalty as f32;
            for token in seen.iter().collect::<HashSet<_>>() {
                if let Some(logit) = logits.get_mut(*token as usize) {
                    *logit = match *logit > 0.0 {
                        true => *logit / penalty,
                        false => *logit * penalty,
                    };
                }
            }
        }
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let logit = |token: u32| logits[token as usize];
        let by_logit = |a: &u32, b: &u32| {
            let order = logit(*b).total_cmp(&logit(*a));
            // The first of equal ones, whatever the sorting.
            order.then(a.cmp(b))
        };
        if self.temperature == 0.0 {
            return order
                .into_iter()
                .min_by(by_logit)
                .expect("there are tokens");
        }
        order.sort_unstable_by(by_logit);
        let largest = logit(order[0]);
        let weight = |token: &u32| (f64::from(logit(*token) - largest) / self.temperature).exp();
        order.truncate(self.top_k.unwrap_or(order.len()));
        let mut weights: Vec<f64> = order.iter().map(weight).collect();
        if let Some(share) = self.top_p {
            let all: f64 = weights.iter().sum();
            let mut sum = 0.0;
            let enough = weights.iter().position(|weight| {
                sum += weight;
                sum >= share * all
            });
            weights.truncate(enough.map_or(weights.len(), |last| last + 1));
        }
        if let Some(least) = self.min_p {
            let left = weights.iter().take_while(|weight| **weight >= least);
            let left = left.count();
            weights.truncate(left);
        }
        let mut point = random.random::<f64>() * weights.iter().sum::<f64>();
        for (token, weight) in order.iter().zip(&weights) {
            point -= weight;
            if point < 0.0 {
                return *token;
            }
        }
        order[weights.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, -1.0, 3.0];

    /// How often each token is chosen, of many.
    fn shares(sampling: &Sampling, seen: &[u32]) -> Vec<f64> {
        const TIMES: usize = 40_000;
        sampling.check().unwrap();
        let mut random = StdRng::seed_from_u64(1);
        let mut counts = vec![0.0; LOGITS.len()];
        for _ in 0..TIMES {
            counts[sampling.choose(LOGITS.to_vec(), seen, &mut random) as usize] += 1.0;
        }
        counts.iter().map(|count| count / TIMES as f64).collect()
    }

    fn softmax(logits: &[f64]) -> Vec<f64> {
        let weights: Vec<f64> = logits.iter().map(|logit| logit.exp()).collect();
        let all: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / all).collect()
    }

    /// Four standard errors of so many draws.
    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.01, "{found} {expected}");
            assert_eq!(*expected == 0.0, *found == 0.0);
        }
    }

    #[test]
    fn the_likeliest_is_the_first_of_the_largest() {
        assert_eq!(shares(&Sampling::default(), &[]), [0.0, 1.0, 0.0, 0.0, 0.0]);
        let one = Sampling {
            temperature: 5.0,
            top_k: Some(1),
            ..Sampling::default()
        };
        assert_eq!(shares(&one, &[]), [0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn tokens_come_as_often_as_the_softmax_says() {
        for temperature in [0.5, 1.0, 2.0] {
            let sampling = Sampling {
                temperature,
                ..Sampling::default()
            };
            let scaled = LOGITS.map(|logit| f64::from(logit) / temperature);
            assert_close(&shares(&sampling, &[]), &softmax(&scaled));
        }
    }

    #[test]
    fn what_is_left_out_never_comes() {
        let warm = || Sampling {
            temperature: 1.0,
            ..Sampling::default()
        };
        let off = f64::NEG_INFINITY;
        // Probabilities: 0.054, 0.397, 0.146, 0.007, 0.397.
        let three = softmax(&[off, 3.0, 2.0, off, 3.0]);
        let two = softmax(&[off, 3.0, off, off, 3.0]);
        for (top_k, top_p, min_p, expected) in [
            (Some(3), None, None, &three),
            (None, Some(0.9), None, &three),
            (None, Some(0.6), None, &two),
            (None, None, Some(0.3), &three),
            (None, None, Some(0.5), &two),
        ] {
            let sampling = Sampling {
                top_k,
                top_p,
                min_p,
                ..warm()
            };
            assert_close(&shares(&sampling, &[]), expected);
        }
    }

    #[test]
    fn what_was_said_is_less_likely() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            ..Sampling::default()
        };
        assert_eq!(shares(&sampling, &[1, 1, 3]), [0.0, 0.0, 0.0, 0.0, 1.0]);
        let warm = Sampling {
            temperature: 1.0,
            ..sampling
        };
        let expected = softmax(&[1.0, 1.5, 2.0, -2.0, 3.0]);
        assert_close(&shares(&warm, &[1, 1, 3]), &expected);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let with = |change: fn(&mut Sampling)| {
            let mut sampling = Sampling::default();
            change(&mut sampling);
            sampling.check()
        };
        assert!(with(|_| ()).is_ok());
        for change in [
            (|s| s.temperature = -1.0) as fn(&mut Sampling),
            |s| s.temperature = f64::NAN,
            |s| s.top_k = Some(0),
            |s| s.top_p = Some(0.0),
            |s| s.top_p = Some(1.1),
            |s| s.min_p = Some(f64::NAN),
            |s| s.repetition_penalty = 0.0,
        ] {
            assert!(with(change).is_err());
        }
    }
}
