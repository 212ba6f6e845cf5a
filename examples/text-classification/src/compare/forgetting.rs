//! What the pretrained encoder is good at: sentence embeddings whose cosine says how close two texts are.

use std::path::Path;

use burn::tensor::Device;
use burn_goft_compare::Metric;

use crate::bert::Bert;
use crate::data::{Example, Examples, Text};
use crate::encoded::tokenize;
use crate::error::Error;
use crate::evaluate;
use crate::metrics::Metrics;
use crate::tokenizer::TextTokenizer;

/// Labelled pairs of texts.
pub(super) struct Pairs {
    examples: Examples,
    labels: Labels,
}

#[derive(Debug, PartialEq)]
enum Labels {
    /// How close the texts are.
    Numbers(Vec<f64>),
    /// Whether the first entails the second or contradicts it; none for a pair that is left out.
    Entailed(Vec<Option<bool>>),
}

impl Pairs {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let examples = Examples::read(path)?;
        if !examples.are_pairs() {
            return Err(Error::data(
                path,
                "it holds single texts; forgetting is measured on pairs, `label TAB text TAB text`",
            ));
        }
        let labels = labels(&examples)?;
        Ok(Self { examples, labels })
    }

    pub(super) fn metric(&self) -> Metric {
        match self.labels {
            Labels::Numbers(_) => {
                Metric::highest("Spearman correlation of the embeddings' cosines with the labels")
            }
            Labels::Entailed(_) => {
                Metric::highest("AUC of the embeddings' cosines, entailment above contradiction")
            }
        }
    }

    /// The metric of an encoder.
    pub(super) fn measure(
        &self,
        bert: &Bert,
        tokenizer: &TextTokenizer,
        device: &Device,
    ) -> Result<f64, Error> {
        let embed = |side: fn(&Example) -> &str| {
            let texts: Vec<Text> = self
                .examples
                .rows
                .iter()
                .map(|row| single(side(row)))
                .collect();
            let tokens = tokenize(texts.iter(), tokenizer)?;
            Ok::<_, Error>(evaluate::rows(&tokens, device, |batch| bert.embed(batch)))
        };
        let firsts = embed(|row| &row.text.first)?;
        let seconds = embed(|row| row.text.second.as_deref().expect("pairs"))?;
        let cosine = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| a * b).sum();
        let cosines: Vec<f64> = firsts.iter().zip(&seconds).map(cosine).collect();
        Ok(score(&self.labels, &cosines))
    }
}

fn single(text: &str) -> Text {
    Text {
        first: text.into(),
        second: None,
    }
}

fn labels(examples: &Examples) -> Result<Labels, Error> {
    let numbers = examples
        .rows
        .iter()
        .map(|row| row.label.parse::<f64>().ok());
    let numbers: Option<Vec<f64>> = numbers.map(|n| n.filter(|n| n.is_finite())).collect();
    if let Some(numbers) = numbers {
        return match numbers.iter().any(|number| *number != numbers[0]) {
            true => Ok(Labels::Numbers(numbers)),
            false => Err(Error::data(
                &examples.path,
                format!(
                    "every pair has the label {}; nothing can be told apart",
                    numbers[0]
                ),
            )),
        };
    }
    let entailed = examples.rows.iter().map(|row| match row.label.as_str() {
        "entailment" => Some(true),
        "contradiction" => Some(false),
        _ => None,
    });
    let entailed: Vec<_> = entailed.collect();
    match entailed.contains(&Some(true)) && entailed.contains(&Some(false)) {
        true => Ok(Labels::Entailed(entailed)),
        false => Err(Error::data(
            &examples.path,
            format!(
                "forgetting is measured on pairs labelled with numbers, or with `entailment` and `contradiction`, both of \
                 them; line {} has `{}`",
                examples.rows[0].line, examples.rows[0].label
            ),
        )),
    }
}

/// Where the labels or the cosines are all the same there is no correlation: 0, as of chance.
fn score(labels: &Labels, cosines: &[f64]) -> f64 {
    match labels {
        Labels::Numbers(numbers) => match Metrics::of_numbers(numbers, cosines) {
            Metrics::Regression { spearman, .. } => spearman.unwrap_or(0.0),
            Metrics::Classification { .. } => unreachable!("metrics of numbers"),
        },
        Labels::Entailed(entailed) => {
            let chosen = |side| {
                let both = entailed.iter().zip(cosines);
                let of_side = both.filter(move |(label, _)| **label == Some(side));
                of_side.map(|(_, cosine)| *cosine).collect::<Vec<_>>()
            };
            area(&chosen(true), &chosen(false))
        }
    }
}

/// Share of pairs of a high and a low value that are in that order, ties as half: the area under the ROC curve.
fn area(high: &[f64], low: &[f64]) -> f64 {
    let wins = high.iter().flat_map(|high| {
        low.iter().map(move |low| match high.total_cmp(low) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
    });
    wins.sum::<f64>() / (high.len() * low.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[&str]) -> Result<Labels, Error> {
        let rows = labels.iter().enumerate().map(|(line, label)| Example {
            label: (*label).into(),
            text: single("text"),
            line: line + 1,
        });
        super::labels(&Examples {
            path: "pairs.tsv".into(),
            rows: rows.collect(),
        })
    }

    #[test]
    fn area_by_hand() {
        // Of 2 x 3 pairs: 0.9 wins 3 times; 0.5 wins once, ties once, loses once.
        assert_eq!(area(&[0.9, 0.5], &[0.1, 0.5, 0.7]), 4.5 / 6.0);
        assert_eq!(area(&[1.0], &[0.0]), 1.0);
    }

    #[test]
    fn labels_say_which_metric() {
        let cosines = [0.1, 0.9, 0.5, 0.2];
        let numbers = of(&["1", "4.5", "2", "3"]).unwrap();
        // Ranks 1 4 2 3 and 1 4 3 2: 1 - 6 * 2 / (4 * 15).
        assert!((score(&numbers, &cosines) - 0.8).abs() < 1e-12);
        let classes = of(&["contradiction", "entailment", "neutral", "entailment"]).unwrap();
        assert_eq!(score(&classes, &cosines), 1.0);
        assert_eq!(score(&classes, &[0.5, 0.9, 0.0, 0.2]), 0.5);
    }

    #[test]
    fn labels_of_neither_kind_are_refused() {
        let message = |labels: &[&str]| of(labels).unwrap_err().to_string();
        assert!(message(&["same", "other"]).contains("line 1 has `same`"));
        assert!(message(&["entailment", "neutral"]).contains("both of them"));
        assert!(message(&["1", "1"]).contains("every pair has the label 1"));
        assert!(message(&["1", "NaN"]).contains("labelled with numbers"));
    }
}
