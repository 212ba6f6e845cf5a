//! Questions with answers to choose from, scored as lm-evaluation-harness does.

use std::path::Path;

use burn::tensor::Device;
use burn_goft_finetune::Error;
use serde::{Deserialize, Serialize};

use super::{Share, token_losses};
use crate::data::{TextTokenizer, Trained};
use crate::model::CausalLm;

/// A question and the answers to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What comes first.
    pub context: String,
    /// The answers.
    pub choices: Vec<String>,
    /// Which of them is right, from 0.
    pub gold: usize,
    /// What stands between the question and an answer.
    #[serde(default = "space")]
    pub delimiter: String,
}

fn space() -> String {
    " ".into()
}

/// How many of the questions a model answers right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ChoiceScores {
    /// By the answer of the largest log-likelihood.
    pub acc: Share,
    /// By the largest log-likelihood over the answer's number of characters.
    pub acc_norm: Share,
    /// Number of questions.
    pub questions: usize,
}

/// Reads a file of questions, `{"context", "choices", "gold"}` a line.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Line`] for a line that is no question, and [`Error::Data`] for a file
/// without any.
pub fn read_questions(path: &Path) -> Result<Vec<Question>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
    let mut found = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let refused = |reason: String| Error::Line {
            path: path.into(),
            line,
            reason,
        };
        let question: Question = serde_json::from_str(text).map_err(|error| {
            let error = error.to_string();
            let error = error.split(" at line").next().unwrap_or_default();
            refused(format!(
                "it is no question: {error}; a line is {{\"context\": \"..\", \"choices\": [\"..\"], \"gold\": 0}}"
            ))
        })?;
        if question.gold >= question.choices.len() {
            return Err(refused(format!(
                "its `gold` is {}, and it has {} `choices`, which are counted from 0",
                question.gold,
                question.choices.len()
            )));
        }
        if question.choices.iter().any(String::is_empty) {
            return Err(refused("one of its `choices` is empty".into()));
        }
        found.push(question);
    }
    match found.is_empty() {
        true => Err(Error::data(
            path,
            "it has no question; write one JSON object a line",
        )),
        false => Ok(found),
    }
}

/// Answers questions by a model without autodiff. Of what is longer than `longest` tokens the beginning
/// is left out.
///
/// # Errors
///
/// From the tokenizer.
pub fn choices(
    model: &CausalLm,
    tokenizer: &TextTokenizer,
    questions: &[Question],
    longest: usize,
    device: &Device,
) -> Result<ChoiceScores, String> {
    let mut pairs = Vec::new();
    for question in questions {
        for choice in &question.choices {
            let continuation = format!("{}{choice}", question.delimiter);
            pairs.push(pair(tokenizer, &question.context, &continuation, longest)?);
        }
    }
    let losses = token_losses(model, &pairs, device);
    let mut sums = losses
        .iter()
        .map(|tokens| -tokens.iter().map(|(loss, _)| loss).sum::<f64>());
    let (mut plain, mut normed) = (Vec::new(), Vec::new());
    for question in questions {
        let likelihoods: Vec<f64> = sums.by_ref().take(question.choices.len()).collect();
        let by_length = question.choices.iter().zip(&likelihoods);
        let by_length = by_length.map(|(choice, sum)| sum / choice.chars().count() as f64);
        plain.push(first_of_largest(likelihoods.iter().copied()) == question.gold);
        normed.push(first_of_largest(by_length) == question.gold);
    }
    Ok(ChoiceScores {
        acc: Share::of(&plain),
        acc_norm: Share::of(&normed),
        questions: questions.len(),
    })
}

/// As numpy's argmax.
fn first_of_largest(values: impl Iterator<Item = f64>) -> usize {
    let best = values.enumerate().reduce(|best, one| match one.1 > best.1 {
        true => one,
        false => best,
    });
    best.map_or(0, |(place, _)| place)
}

/// The tokens of a context and its continuation, of which the latter are predicted. Spaces between them
/// belong to the continuation, as tokenizers have it.
fn pair(
    tokenizer: &TextTokenizer,
    context: &str,
    continuation: &str,
    longest: usize,
) -> Result<Trained, String> {
    let kept = context.trim_end();
    let whole = tokenizer.encode_plain(&format!("{context}{continuation}"))?;
    let mut given = tokenizer.encode_plain(kept)?.len();
    let mut ids = whole;
    if given == 0 {
        // Something to predict the first token from.
        ids.insert(0, tokenizer.beginning());
        given = 1;
    }
    let behind = ids.len().saturating_sub(longest);
    let learned = (0..ids.len()).map(|place| place >= given);
    let mut learned: Vec<bool> = learned.collect();
    ids.drain(..behind);
    learned.drain(..behind);
    Ok(Trained {
        ids,
        learned,
        cut: behind > 0,
    })
}
