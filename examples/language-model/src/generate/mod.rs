//! Texts that go on.

mod sampling;
mod text;

use std::ops::ControlFlow;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use sampling::Sampling;
pub use text::{OnText, Spoken, speak};

use crate::model::{Cache, CausalLm};

/// When texts end, and how their tokens are chosen.
#[derive(Clone, Debug)]
pub struct Generation {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The most tokens of an answer.
    pub max_tokens: usize,
    /// Tokens that end a text, and are no part of it.
    pub ends: Vec<u32>,
    /// Words that end a text and are no part of it, for [`speak`].
    pub stops: Vec<String>,
    /// What random choices begin with; each text has its own.
    pub seed: u64,
}

/// Tells the answer's row and its next token; a break ends that answer.
pub type OnToken<'a> = &'a mut dyn FnMut(usize, u32) -> ControlFlow<()>;

/// An answer, and whether it came to its end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its tokens, without the one that ended it.
    pub tokens: Vec<u32>,
    /// Whether a token of [`Generation::ends`] ended it, or whoever heard of its tokens.
    pub ended: bool,
}

/// The tokens of one text that a model has seen, so that a text which begins with them needs the rest
/// alone: a conversation goes on without being read again.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    seen: Option<(Cache, Vec<u32>)>,
}

/// Lets a model without autodiff go on with some texts at once.
///
/// The answer to a text does not depend on the others but for rounding, and for LongRoPE, which turns
/// positions by the longest of them.
///
/// # Panics
///
/// If a text is empty.
pub fn generate(
    model: &CausalLm,
    texts: &[Vec<u32>],
    generation: &Generation,
    device: &Device,
    on_token: OnToken<'_>,
) -> Vec<Answer> {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    assert!(
        texts.iter().all(|text| !text.is_empty()),
        "generate: a text has no token"
    );
    let padding: Vec<usize> = texts.iter().map(|text| longest - text.len()).collect();
    let mut cache = Cache::new(padding.clone());
    let first = texts
        .iter()
        .zip(&padding)
        .flat_map(|(text, padding)| std::iter::repeat_n(&text[0], *padding).chain(text).copied());
    let first = ids(first.collect(), texts.len(), device);
    go_on(
        model, texts, &mut cache, first, generation, device, on_token,
    )
}

/// The same for one text, of which the model may remember the beginning. It then remembers this one
/// and the answer; another model's memory gives another model's answers.
///
/// # Panics
///
/// If the text is empty.
pub fn generate_next(
    model: &CausalLm,
    text: &[u32],
    remembered: &mut Remembered,
    generation: &Generation,
    device: &Device,
    on_token: OnToken<'_>,
) -> Answer {
    let known = remembered.seen.take().filter(|(_, seen)| {
        // The last token is read in any case, for what comes after it.
        seen.len() < text.len() && text.starts_with(seen)
    });
    let (mut cache, seen) = known.unwrap_or_else(|| (Cache::new(vec![0]), Vec::new()));
    let first = ids(text[seen.len()..].to_vec(), 1, device);
    let texts = [text.to_vec()];
    let mut answers = go_on(
        model, &texts, &mut cache, first, generation, device, on_token,
    );
    let answer = answers.remove(0);
    let read = text.iter().chain(&answer.tokens).take(cache.tokens());
    remembered.seen = Some((cache.clone(), read.copied().collect()));
    answer
}

/// Reads what is new of some texts, then their answers, token by token.
fn go_on(
    model: &CausalLm,
    texts: &[Vec<u32>],
    cache: &mut Cache,
    mut next: Tensor<2, Int>,
    generation: &Generation,
    device: &Device,
    on_token: OnToken<'_>,
) -> Vec<Answer> {
    let mut rows: Vec<Row> = texts
        .iter()
        .zip(0u64..)
        .map(|(text, index)| Row {
            seen: text.clone(),
            answer: Answer {
                tokens: Vec::new(),
                ended: false,
            },
            random: StdRng::seed_from_u64(generation.seed.wrapping_add(index)),
        })
        .collect();
    for _ in 0..generation.max_tokens {
        if rows.iter().all(|row| row.answer.ended) {
            break;
        }
        let hidden = model.go_on(next, cache);
        let tokens = hidden.dims()[1];
        let logits = model.logits(hidden.narrow(1, tokens - 1, 1));
        let vocabulary = logits.dims()[2];
        let logits: Vec<f32> = logits.into_data().iter().collect();
        let mut chosen = Vec::with_capacity(rows.len());
        for (index, (row, logits)) in rows.iter_mut().zip(logits.chunks(vocabulary)).enumerate() {
            chosen.push(row.go_on(index, logits, generation, on_token));
        }
        next = ids(chosen, rows.len(), device);
    }
    rows.into_iter().map(|row| row.answer).collect()
}

struct Row {
    seen: Vec<u32>,
    answer: Answer,
    random: StdRng,
}

impl Row {
    /// The next token; of a row that has ended, any.
    fn go_on(
        &mut self,
        index: usize,
        logits: &[f32],
        generation: &Generation,
        on_token: OnToken<'_>,
    ) -> u32 {
        if self.answer.ended {
            return self.seen[0];
        }
        let sampling = &generation.sampling;
        let token = sampling.choose(logits.to_vec(), &self.seen, &mut self.random);
        self.seen.push(token);
        if generation.ends.contains(&token) {
            self.answer.ended = true;
        } else {
            self.answer.tokens.push(token);
            self.answer.ended = on_token(index, token).is_break();
        }
        token
    }
}

fn ids(tokens: Vec<u32>, rows: usize, device: &Device) -> Tensor<2, Int> {
    let columns = tokens.len() / rows.max(1);
    let tokens: Vec<i64> = tokens.into_iter().map(i64::from).collect();
    Tensor::from_data(TensorData::new(tokens, [rows, columns]), device)
}
