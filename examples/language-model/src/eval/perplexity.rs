//! How well a text is predicted.

use burn::tensor::Device;
use serde::Serialize;

use super::token_losses;
use crate::data::{TextTokenizer, Trained};
use crate::model::CausalLm;

/// What predicting a text costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Perplexity {
    /// Mean cross entropy, in nats per token.
    pub loss: f64,
    /// Its exponential.
    pub perplexity: f64,
    /// Bits for each byte of the text, which models of other tokens can be compared by.
    pub bits_per_byte: f64,
    /// Tokens that were predicted: all but the first.
    pub tokens: usize,
}

/// Measures a model without autodiff on a text, in windows of `length` tokens that begin `stride` apart:
/// each token is predicted once, from at least `length - stride` before it where there are as many.
///
/// # Errors
///
/// If the text has no two tokens, or lengths cannot be.
pub fn perplexity(
    model: &CausalLm,
    tokenizer: &TextTokenizer,
    text: &str,
    length: usize,
    stride: usize,
    device: &Device,
) -> Result<Perplexity, String> {
    if stride == 0 || length < 2 || stride >= length {
        return Err(format!(
            "windows of {length} tokens are to begin {stride} apart; they have at least 2, and the stride is from 1 to one less"
        ));
    }
    let ids = tokenizer.encode(text)?;
    if ids.len() < 2 {
        return Err("the text has no two tokens: there is nothing to predict".into());
    }
    let windows = windows(ids.len(), length, stride).map(|(start, end, first)| Trained {
        ids: ids[start..end].to_vec(),
        learned: (start..end).map(|place| place >= first).collect(),
        cut: false,
    });
    let windows: Vec<Trained> = windows.collect();
    let losses = token_losses(model, &windows, device);
    let losses: Vec<f64> = losses.into_iter().flatten().map(|(loss, _)| loss).collect();
    let sum: f64 = losses.iter().sum();
    let loss = sum / losses.len() as f64;
    Ok(Perplexity {
        loss,
        perplexity: loss.exp(),
        bits_per_byte: sum / std::f64::consts::LN_2 / text.len() as f64,
        tokens: losses.len(),
    })
}

/// Beginning and end of each window, and the first token that is predicted in it.
fn windows(
    count: usize,
    length: usize,
    stride: usize,
) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut predicted = 1;
    (0..count).step_by(stride).map_while(move |start| {
        let end = (start + length).min(count);
        (predicted < end).then(|| {
            let window = (start, end, predicted);
            predicted = end;
            window
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_but_the_first_is_predicted_once() {
        for (count, length, stride) in [(2, 8, 4), (8, 8, 4), (9, 8, 4), (100, 8, 3), (23, 4, 1)] {
            let mut all = Vec::new();
            for (start, end, first) in windows(count, length, stride) {
                assert!(end - start <= length && first > start);
                let before = first - start;
                assert!(
                    start == 0 || before >= length - stride,
                    "{start} {end} {first}"
                );
                all.extend(first..end);
            }
            assert_eq!(
                all,
                (1..count).collect::<Vec<_>>(),
                "{count} {length} {stride}"
            );
        }
    }
}
