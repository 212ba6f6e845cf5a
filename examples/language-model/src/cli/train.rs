//! `train`.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use burn_goft_finetune::{Cost, Error};

use super::options::Train;
use super::write;
use crate::memory::size;
use crate::run::train;
use crate::training::Progress;

pub(super) fn run(
    options: &Train,
    out: &mut dyn Write,
    notes: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    let mut clock = Clock::default();
    let outcome = train(&options.config(), &mut |progress| {
        // What is only for looking at may fail.
        let _ = writeln!(notes, "{}", clock.line(progress));
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

/// How far a run is, and how long its updates have taken.
#[derive(Default)]
struct Clock {
    steps: usize,
    made: usize,
    seconds: f64,
}

impl Clock {
    fn line(&mut self, progress: &Progress) -> String {
        match progress {
            Progress::Started {
                step,
                steps,
                examples,
                trainable,
                total,
            } => {
                self.steps = *steps;
                format!(
                    "{examples} rows, steps {step} to {steps}; {trainable} of {total} parameters are trained"
                )
            }
            Progress::Note(note) => note.clone(),
            Progress::Step {
                step,
                loss,
                accuracy,
                gradient_norm,
                cost,
                ..
            } => {
                let accuracy = accuracy.map_or(String::new(), |share| {
                    format!(", {:.1} % of tokens right", 100.0 * share)
                });
                let left = self.left(*step, cost);
                format!(
                    "step {step}/{}: loss {loss:.4}{accuracy}, gradient {gradient_norm:.3}, {}, {left} left",
                    self.steps,
                    took(cost)
                )
            }
            Progress::Epoch {
                epoch,
                validation,
                best,
                stops,
                ..
            } => format!(
                "epoch {}: validation loss {:.4}, token accuracy {:.1} %{}{}",
                epoch + 1,
                validation.loss,
                100.0 * validation.accuracy,
                if *best { ", the best so far" } else { "" },
                if *stops {
                    "; it has stopped improving, and so does the training"
                } else {
                    ""
                }
            ),
        }
    }

    fn left(&mut self, step: usize, cost: &Cost) -> String {
        self.made += 1;
        self.seconds += cost.seconds;
        let left = self.steps.saturating_sub(step) as f64 * self.seconds / self.made as f64;
        duration(left)
    }
}

fn took(cost: &Cost) -> String {
    let speed = cost
        .tokens_per_second
        .map_or(String::new(), |speed| format!(" ({speed:.0} tokens/s)"));
    let memory = cost
        .peak_memory_bytes
        .map_or(String::new(), |bytes| format!(", {}", size(bytes)));
    format!("{:.2} s{speed}{memory}", cost.seconds)
}

/// In hours, minutes or seconds.
fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        seconds if seconds >= 3600 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        seconds if seconds >= 60 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{seconds} s"),
    }
}
