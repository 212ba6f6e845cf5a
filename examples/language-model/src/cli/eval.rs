//! `eval`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use burn_goft_finetune::Error;
use hf_chat_template::Content;
use serde_json::{Value, json};

use super::loaded::Loaded;
use super::options::Eval;
use super::write;
use crate::data::{Example, read};
use crate::eval::{choices, exact, perplexity, read_questions};
use crate::generate::{Generation, Sampling, speak};

pub(super) fn run(options: &Eval, out: &mut dyn Write, notes: &mut dyn Write) -> Result<(), Error> {
    let loaded = options.used.load()?;
    let mut results = serde_json::Map::new();
    if let Some(path) = &options.choices {
        let mut questions = read_questions(path)?;
        questions.truncate(options.limit.unwrap_or(usize::MAX));
        let longest = options.window.min(loaded.positions);
        let (model, device) = (loaded.model(), &loaded.device);
        let scores = choices(model, &loaded.tokenizer, &questions, longest, device);
        let scores = scores.map_err(Error::Settings)?;
        results.insert("choices".into(), json!(scores));
    }
    if let Some(path) = &options.answers {
        results.insert("answers".into(), answers(options, &loaded, path, notes)?);
    }
    if let Some(path) = &options.text {
        let text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
        let length = options.window.min(loaded.positions);
        let stride = options.stride.unwrap_or(length / 2);
        let (model, device) = (loaded.model(), &loaded.device);
        let found = perplexity(model, &loaded.tokenizer, &text, length, stride, device);
        let found = found.map_err(|reason| Error::data(path, reason))?;
        results.insert("text".into(), json!(found));
    }
    if results.is_empty() {
        return Err(Error::Settings(
            "there is nothing to measure; name --choices, --answers or --text".into(),
        ));
    }
    write(out, &format!("{:#}\n", Value::Object(results)))
}

/// Writes the answers to questions whose answers are known, and compares them.
fn answers(
    options: &Eval,
    loaded: &Loaded,
    path: &Path,
    notes: &mut dyn Write,
) -> Result<Value, Error> {
    let mut pairs = Vec::new();
    for source in read(path)?
        .into_iter()
        .take(options.limit.unwrap_or(usize::MAX))
    {
        let refused = |reason: String| Error::Line {
            path: path.into(),
            line: source.line,
            reason,
        };
        let (prompt, expected) = match source.example {
            Example::Completion { prompt, completion } => {
                let prompt = loaded.question(&prompt, None, options.plain);
                (prompt.map_err(refused)?, completion)
            }
            Example::Messages {
                mut messages,
                tools,
                ..
            } => {
                let last = messages.pop().filter(|last| last.role == "assistant");
                let content = last.and_then(|last| last.content);
                let Some(Content::Text(expected)) = content else {
                    return Err(refused(
                        "it does not end with an answer to compare with".into(),
                    ));
                };
                let prompt = loaded.tokenizer.prompt(&messages, &tools);
                (prompt.map_err(refused)?, expected)
            }
            Example::Text(_) => {
                return Err(refused(
                    "it is a `text`, and has no answer to compare with".into(),
                ));
            }
        };
        pairs.push((prompt, expected));
    }
    let generation = Generation {
        sampling: Sampling::default(),
        max_tokens: options.max_tokens,
        ends: loaded.ends.clone(),
        stops: options.stop.clone(),
        seed: 0,
    };
    pairs.sort_by_key(|(prompt, _)| prompt.len());
    let mut spoken = Vec::new();
    for some in pairs.chunks(options.batch_size.max(1)) {
        let prompts: Vec<Vec<u32>> = some.iter().map(|(prompt, _)| prompt.clone()).collect();
        let go_on = &mut |_, _: &str| ControlFlow::Continue(());
        let (model, device) = (loaded.model(), &loaded.device);
        let batch = speak(
            model,
            &loaded.tokenizer,
            &prompts,
            None,
            &generation,
            device,
            go_on,
        );
        spoken.extend(batch.into_iter().map(|answer| answer.text));
        // What is only for looking at may fail.
        let _ = writeln!(notes, "{} of {} answered", spoken.len(), pairs.len());
    }
    let compared = spoken.iter().zip(&pairs);
    let compared = compared.map(|(answer, (_, expected))| (answer.as_str(), expected.as_str()));
    Ok(json!(exact(compared)))
}
