//! What the pretrained encoder is good at: sentence embeddings whose cosine says how close two
//! texts are.

use std::path::Path;

use burn::tensor::Device;
use burn_goft_finetune::Error;
use fair_compare::Metric;

use super::contrast::Embedded;
use crate::data::{Example, Examples, Text, tokenize};
use crate::encoder::{Bert, TextTokenizer, Tokens};
use crate::evaluate;
use crate::metrics::Metrics;

/// Labeled pairs of texts.
pub(super) struct Pairs {
    examples: Examples,
    labels: Labels,
}

#[derive(Debug, PartialEq)]
enum Labels {
    /// How close the texts are.
    Numbers(Vec<f64>),
    /// Pairs that are close and pairs that are not.
    Two {
        /// The labels of these and of those.
        names: [String; 2],
        /// Whether a pair is close; none for one that is left out.
        close: Vec<Option<bool>>,
    },
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
        match &self.labels {
            Labels::Numbers(_) => {
                Metric::highest("Spearman correlation of the embeddings' cosines with the labels")
            }
            Labels::Two {
                names: [close, other],
                ..
            } => Metric::highest(format!(
                "AUC of the embeddings' cosines, {close} above {other}"
            )),
        }
    }

    /// The tokens of all texts, the first and the second of each pair.
    pub(super) fn tokens(&self, tokenizer: &TextTokenizer) -> Result<Vec<Tokens>, Error> {
        let texts = self.examples.rows.iter().flat_map(|row| {
            let both = [Some(&row.text.first), row.text.second.as_ref()];
            both.into_iter().flatten().map(|text| single(text))
        });
        tokenize(Vec::from_iter(texts).iter(), tokenizer)
    }

    /// What an encoder makes of the texts, each by itself.
    pub(super) fn embed(
        &self,
        bert: &Bert,
        tokenizer: &TextTokenizer,
        device: &Device,
    ) -> Result<Embedded, Error> {
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
        Ok(Embedded {
            firsts: embed(|row| &row.text.first)?,
            seconds: embed(|row| row.text.second.as_deref().expect("pairs"))?,
        })
    }

    /// The metric of an encoder, from its embeddings.
    pub(super) fn score(&self, embedded: &Embedded) -> f64 {
        score(&self.labels, &embedded.cosines())
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
        return of_numbers(numbers).map_err(|reason| Error::data(&examples.path, reason));
    }
    let entailed = examples.rows.iter().map(|row| match row.label.as_str() {
        "entailment" => Some(true),
        "contradiction" => Some(false),
        _ => None,
    });
    let close: Vec<_> = entailed.collect();
    match close.contains(&Some(true)) && close.contains(&Some(false)) {
        true => Ok(Labels::Two {
            names: ["entailment", "contradiction"].map(String::from),
            close,
        }),
        false if close.iter().flatten().next().is_some() => Err(Error::data(
            &examples.path,
            format!(
                "forgetting is measured on pairs of two kinds, and there is none labeled `{}`",
                match close.contains(&Some(true)) {
                    true => "contradiction",
                    false => "entailment",
                }
            ),
        )),
        false => Err(Error::data(
            &examples.path,
            format!(
                "forgetting is measured on pairs labeled with numbers, or with `entailment` and `contradiction`, both of \
                 them; line {} has `{}`",
                examples.rows[0].line, examples.rows[0].label
            ),
        )),
    }
}

/// Two different numbers are two kinds of pairs, whatever numbers they are.
fn of_numbers(numbers: Vec<f64>) -> Result<Labels, String> {
    let mut different = numbers.clone();
    different.sort_by(f64::total_cmp);
    different.dedup();
    match different[..] {
        [only] => Err(format!(
            "every pair has the label {only}; nothing can be told apart"
        )),
        [low, high] => Ok(Labels::Two {
            names: [high, low].map(|number| number.to_string()),
            close: numbers.iter().map(|number| Some(*number == high)).collect(),
        }),
        _ => Ok(Labels::Numbers(numbers)),
    }
}

/// Where the labels or the cosines are all the same there is no correlation: 0, as of chance.
fn score(labels: &Labels, cosines: &[f64]) -> f64 {
    match labels {
        Labels::Numbers(numbers) => match Metrics::of_numbers(numbers, cosines) {
            Metrics::Regression { spearman, .. } => spearman.unwrap_or(0.0),
            Metrics::Classification { .. } => unreachable!("metrics of numbers"),
        },
        Labels::Two { close, .. } => {
            let chosen = |side| {
                let both = close.iter().zip(cosines);
                let of_side = both.filter(move |(label, _)| **label == Some(side));
                of_side.map(|(_, cosine)| *cosine).collect::<Vec<_>>()
            };
            area(&chosen(true), &chosen(false))
        }
    }
}

/// Share of pairs of a high and a low value that are in that order, ties as half: the area under
/// the ROC curve.
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
        // There are 2 x 3 pairs: 0.9 wins 3 times; 0.5 wins once, ties once, loses once.
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
        // The second has the higher label and loses against two of three.
        let two = of(&["0", "1", "0.0", "0"]).unwrap();
        assert!((score(&two, &[0.5, 0.3, 0.1, 0.9]) - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn labels_of_neither_kind_are_refused() {
        let message = |labels: &[&str]| of(labels).unwrap_err().to_string();
        assert!(message(&["same", "other"]).contains("line 1 has `same`"));
        assert!(message(&["entailment", "neutral"]).contains("none labeled `contradiction`"));
        assert!(message(&["neutral", "contradiction"]).contains("none labeled `entailment`"));
        assert!(message(&["1", "1"]).contains("every pair has the label 1"));
        assert!(message(&["1", "NaN"]).contains("labeled with numbers"));
    }
}
