//! Answers as text, piece by piece.

use std::ops::ControlFlow;

use burn::tensor::Device;

use super::{Generation, OnToken, Remembered, generate, generate_next};
use crate::data::TextTokenizer;
use crate::model::CausalLm;

/// An answer, and whether it came to its end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Its text, without the words that ended it.
    pub text: String,
    /// Whether a token or a word that ends answers ended it.
    pub ended: bool,
    /// Its tokens, without the one that ended it.
    pub tokens: usize,
}

/// Hears the answer's number and its next words; a break ends that answer.
pub type OnText<'a> = &'a mut dyn FnMut(usize, &str) -> ControlFlow<()>;

/// Lets a model without autodiff answer some prompts at once, up to any of [`Generation::stops`]. One
/// prompt may go on from what the model remembers.
///
/// # Panics
///
/// If a prompt is empty; if something is remembered and there is not one prompt.
pub fn speak(
    model: &CausalLm,
    tokenizer: &TextTokenizer,
    prompts: &[Vec<u32>],
    remembered: Option<&mut Remembered>,
    generation: &Generation,
    device: &Device,
    on_text: OnText<'_>,
) -> Vec<Spoken> {
    let mut voices: Vec<Voice> = prompts
        .iter()
        .map(|_| Voice::new(&generation.stops))
        .collect();
    let mut hear = |row: usize, token: u32| {
        let voice = &mut voices[row];
        voice.tokens.push(token);
        let text = tokenizer.decode(&voice.tokens);
        // A character may take several tokens.
        if text.ends_with('\u{fffd}') {
            return ControlFlow::Continue(());
        }
        let new = voice.hear(&text);
        let heard = match new.is_empty() {
            true => ControlFlow::Continue(()),
            false => on_text(row, &new),
        };
        match voice.stopped {
            true => ControlFlow::Break(()),
            false => heard,
        }
    };
    let on_token: OnToken<'_> = &mut hear;
    let answers = match remembered {
        None => generate(model, prompts, generation, device, on_token),
        Some(remembered) => {
            assert_eq!(prompts.len(), 1, "speak: one text is remembered");
            let prompt = &prompts[0];
            vec![generate_next(
                model, prompt, remembered, generation, device, on_token,
            )]
        }
    };
    let mut spoken = Vec::new();
    for (row, (voice, answer)) in voices.iter_mut().zip(answers).enumerate() {
        if !voice.stopped {
            // What was held back, as it might have become a word that ends it.
            let text = tokenizer.decode(&voice.tokens);
            let rest = text.get(voice.said.len()..).unwrap_or_default().to_string();
            if !rest.is_empty() {
                let _ = on_text(row, &rest);
            }
            voice.said += &rest;
        }
        spoken.push(Spoken {
            text: std::mem::take(&mut voice.said),
            ended: answer.ended,
            tokens: answer.tokens.len(),
        });
    }
    spoken
}

/// What has been said of an answer, and what is held back.
struct Voice<'a> {
    stops: &'a [String],
    tokens: Vec<u32>,
    said: String,
    stopped: bool,
}

impl<'a> Voice<'a> {
    fn new(stops: &'a [String]) -> Self {
        Self {
            stops,
            tokens: Vec::new(),
            said: String::new(),
            stopped: false,
        }
    }

    /// What can be said now that the whole text is this one.
    fn hear(&mut self, text: &str) -> String {
        let Some(unsaid) = text.get(self.said.len()..) else {
            return String::new();
        };
        let found = self.stops.iter().filter_map(|stop| unsaid.find(stop));
        let new = match found.min() {
            Some(end) => {
                self.stopped = true;
                &unsaid[..end]
            }
            None => &unsaid[..unsaid.len() - held_back(unsaid, self.stops)],
        };
        self.said += new;
        new.to_string()
    }
}

/// Bytes at the end of a text that may be the beginning of a word that ends it.
fn held_back(text: &str, stops: &[String]) -> usize {
    let begins = |stop: &String| {
        let lengths = (1..stop.len()).rev();
        let mut lengths = lengths.filter(|length| stop.is_char_boundary(*length));
        lengths.find(|length| text.ends_with(&stop[..*length]))
    };
    stops.iter().filter_map(begins).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says a text that grows by these pieces.
    fn said(pieces: &[&str], stops: &[&str]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
        let mut voice = Voice::new(&stops);
        let mut text = String::new();
        let mut all = Vec::new();
        for piece in pieces {
            text += piece;
            all.push(voice.hear(&text));
            if voice.stopped {
                break;
            }
        }
        (all, voice.stopped)
    }

    #[test]
    fn words_that_end_an_answer_are_never_said() {
        let pieces = ["one", " two\nQ", "ues", "tion: x"];
        let (heard, stopped) = said(&pieces, &["\nQuestion:"]);
        assert_eq!(heard, ["one", " two", "", ""]);
        assert!(stopped);
        let (heard, stopped) = said(&["a\nQ", "uiet"], &["\nQuestion:"]);
        assert_eq!((heard.concat(), stopped), ("a\nQuiet".into(), false));
        let (heard, _) = said(&["a#b##c"], &["##", "b##c"]);
        assert_eq!(heard, ["a#"], "the one that comes first");
        let (heard, stopped) = said(&["ä", "öü"], &["ö"]);
        assert_eq!((heard.concat(), stopped), ("ä".into(), true));
    }
}
