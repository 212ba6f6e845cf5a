//! The command line.

mod options;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn_goft_finetune::Error;
use hf_chat_template::Message;

pub use options::{Command, Options};
use options::{Generate, Merge, Train};

use crate::data::TextTokenizer;
use crate::device::device;
use crate::folder::Pretrained;
use crate::generate::{Generation, generate};
use crate::merge::merge;
use crate::run::{train, with_adapter};
use crate::training::Progress;

/// What messages call the standard output.
pub const OUTPUT: &str = "standard output";

/// Does what the options say.
///
/// # Errors
///
/// All of [`Error`].
pub fn run(
    options: &Options,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    match &options.command {
        Command::Train(options) => run_training(options, out, notes, interrupted),
        Command::Generate(options) => run_generation(options, out),
        Command::Merge(options) => run_merge(options, out),
    }
}

fn write(out: &mut dyn Write, text: &str) -> Result<(), Error> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::io("writing", OUTPUT))
}

fn run_training(
    options: &Train,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    let mut total = 0;
    let outcome = train(&options.config(), &mut |progress| {
        // What is only for looking at may fail.
        let _ = match progress {
            Progress::Started {
                step,
                steps,
                examples,
                trainable,
                total: all,
            } => {
                total = *steps;
                writeln!(
                    notes,
                    "{examples} examples, steps {step} to {steps}; {trainable} of {all} parameters are trained"
                )
            }
            Progress::Note(note) => writeln!(notes, "{note}"),
            Progress::Step {
                step,
                loss,
                seconds,
                ..
            } => writeln!(notes, "step {step}/{total}: loss {loss:.4}, {seconds:.2} s"),
            Progress::Epoch {
                epoch,
                validation,
                best,
                ..
            } => writeln!(
                notes,
                "epoch {}: validation loss {:.4}, token accuracy {:.1} %{}",
                epoch + 1,
                validation.loss,
                100.0 * validation.accuracy,
                if *best { ", the best so far" } else { "" }
            ),
        };
        match interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    write(
        out,
        &format!(
            "{}: validation loss {:.4} before, {:.4} after {} steps of {:.2} s; adapter of {} bytes in {}\n",
            outcome.method,
            outcome.before.loss,
            outcome.after.loss,
            outcome.steps,
            outcome.seconds_per_step,
            outcome.adapter_bytes,
            options.out.display()
        ),
    )
}

fn run_generation(options: &Generate, out: &mut dyn Write) -> Result<(), Error> {
    options.sampling().check().map_err(Error::Settings)?;
    let plain = device(&options.device).map_err(Error::Settings)?;
    let loading = match options.adapter {
        Some(_) => plain.clone().autodiff(),
        None => plain.clone(),
    };
    let pretrained = Pretrained::load(&options.model, &loading)?;
    let model = match &options.adapter {
        Some(run) => with_adapter(pretrained.model.clone(), &options.model, run)?.valid(),
        None => pretrained.model.clone(),
    };
    let known = pretrained.config.vocabulary;
    let tokenizer = TextTokenizer::in_folder(&options.model, pretrained.end(), known, usize::MAX)?;
    let refused = |reason: String| Error::Settings(reason);
    if options.system.is_some() && tokenizer.chat().is_none() {
        return Err(refused(
            "the model has no chat template, and so no place for --system; leave it out".into(),
        ));
    }
    let prompt = match tokenizer.chat().is_some() && !options.plain {
        true => {
            let system = options
                .system
                .iter()
                .map(|text| Message::system(text.as_str()));
            let user = Message::user(options.prompt.as_str());
            let messages: Vec<Message> = system.chain([user]).collect();
            tokenizer.prompt(&messages, &[])
        }
        false => tokenizer.encode(&options.prompt),
    };
    let prompt = prompt.map_err(refused)?;
    if prompt.is_empty() {
        return Err(refused(
            "the prompt has no token; give it a word to go on from".into(),
        ));
    }
    let generation = Generation {
        sampling: options.sampling(),
        max_tokens: options.max_tokens,
        ends: pretrained.ends.clone(),
        seed: options.seed,
    };
    let (mut tokens, mut shown, mut failed) = (Vec::new(), 0, None);
    generate(&model, &[prompt], &generation, &plain, &mut |_, token| {
        tokens.push(token);
        let text = tokenizer.decode(&tokens);
        // A character may take several tokens.
        if text.ends_with('\u{fffd}') {
            return ControlFlow::Continue(());
        }
        let new = text.get(shown..).unwrap_or_default().to_string();
        shown = text.len();
        match write(out, &new) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match failed {
        Some(error) => Err(error),
        None => {
            let rest = tokenizer.decode(&tokens);
            write(out, &format!("{}\n", rest.get(shown..).unwrap_or_default()))
        }
    }
}

fn run_merge(options: &Merge, out: &mut dyn Write) -> Result<(), Error> {
    let device = device(&options.device).map_err(Error::Settings)?;
    let done = merge(&options.model, &options.adapter, &options.out, &device)?;
    let worst = done
        .replaced
        .iter()
        .max_by(|a, b| a.rounding.relative.total_cmp(&b.rounding.relative));
    let mut text = format!(
        "{}: {} tensors merged, {} as they were\n",
        options.out.display(),
        done.replaced.len(),
        done.kept
    );
    if let Some(worst) = worst {
        text += &format!(
            "rounding to the files' precision changed `{}` the most, by {:.1e} of its norm\n",
            worst.name, worst.rounding.relative
        );
    }
    for left in &done.left_out {
        text += &format!(
            "left out `{}`, which holds other or older weights\n",
            Path::display(left)
        );
    }
    write(out, &text)
}
