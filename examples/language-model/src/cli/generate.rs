//! `generate`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use burn_goft_finetune::{Error, files};
use hf_chat_template::Message;
use serde_json::{Value, json};

use super::loaded::Loaded;
use super::options::Generate;
use super::write;
use crate::data::{Example, read};
use crate::generate::{Generation, speak};

pub(super) fn run(
    options: &Generate,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), Error> {
    options.choice.sampling().check().map_err(Error::Settings)?;
    let loaded = options.used.load()?;
    let generation = options.choice.generation(&loaded.ends);
    match (&options.prompt, &options.input) {
        (Some(prompt), _) => one(options, &loaded, &generation, prompt, out),
        (None, Some(input)) => many(options, &loaded, &generation, input, out, notes),
        (None, None) => Err(Error::Settings(
            "there is nothing to answer; name a --prompt, or an --input of many".into(),
        )),
    }
}

fn one(
    options: &Generate,
    loaded: &Loaded,
    generation: &Generation,
    prompt: &str,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let prompt = loaded
        .question(prompt, options.system.as_deref(), options.plain)
        .map_err(Error::Settings)?;
    let mut failed = None;
    let (model, device) = (loaded.model(), &loaded.device);
    speak(
        model,
        &loaded.tokenizer,
        &[prompt],
        None,
        generation,
        device,
        &mut |_, text| match write(out, text) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        },
    );
    match failed {
        Some(error) => Err(error),
        None => write(out, "\n"),
    }
}

/// A file of prompts, batches of those of similar length at a time.
fn many(
    options: &Generate,
    loaded: &Loaded,
    generation: &Generation,
    input: &Path,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), Error> {
    let prompts = prompts(options, loaded, input)?;
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|index| prompts[*index].len());
    let mut answers: Vec<Option<Value>> = vec![None; prompts.len()];
    let mut done = 0;
    for some in order.chunks(options.batch_size.max(1)) {
        let batch: Vec<Vec<u32>> = some.iter().map(|index| prompts[*index].clone()).collect();
        let go_on = &mut |_, _: &str| ControlFlow::Continue(());
        let (model, device) = (loaded.model(), &loaded.device);
        let spoken = speak(
            model,
            &loaded.tokenizer,
            &batch,
            None,
            generation,
            device,
            go_on,
        );
        for (index, answer) in some.iter().zip(spoken) {
            let line =
                json!({"answer": answer.text, "ended": answer.ended, "tokens": answer.tokens});
            answers[*index] = Some(line);
        }
        done += some.len();
        // What is only for looking at may fail.
        let _ = writeln!(notes, "{done} of {} answered", prompts.len());
    }
    let lines = answers
        .into_iter()
        .flatten()
        .map(|line| format!("{line}\n"));
    let lines: String = lines.collect();
    match &options.output {
        Some(path) => files::write(path, lines.as_bytes()),
        None => write(out, &lines),
    }
}

/// The prompts of a file: what an example has before its answer, whether it has one or not.
fn prompts(options: &Generate, loaded: &Loaded, input: &Path) -> Result<Vec<Vec<u32>>, Error> {
    let sources = read(input)?;
    let prompts = sources.into_iter().map(|source| {
        let system = options.system.as_deref();
        let prompt = match source.example {
            Example::Messages {
                mut messages,
                tools,
                ..
            } => {
                if messages.last().is_some_and(|last| last.role == "assistant") {
                    messages.pop();
                }
                let system = system.iter().map(|text| Message::system(*text));
                let messages: Vec<Message> = system.chain(messages).collect();
                loaded.tokenizer.prompt(&messages, &tools)
            }
            Example::Completion { prompt, .. } => loaded.question(&prompt, system, options.plain),
            Example::Text(text) => loaded.question(&text, system, true),
        };
        prompt.map_err(|reason| Error::Line {
            path: input.into(),
            line: source.line,
            reason,
        })
    });
    prompts.collect()
}
