//! Progress on a terminal as a bar, elsewhere as a line for each epoch.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

use crate::training::Progress;

pub(super) struct Show<'a> {
    notes: &'a mut dyn Write,
    bar: ProgressBar,
}

impl<'a> Show<'a> {
    pub(super) fn new(notes: &'a mut dyn Write) -> Self {
        // On standard error, and only if that is a terminal.
        let bar = ProgressBar::no_length();
        Self { notes, bar }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Started {
                step,
                steps,
                examples,
                trainable,
                total,
            } => {
                let style = "{bar:30} {pos}/{len} steps, {eta} left, {msg}";
                let style = ProgressStyle::with_template(style).expect("a valid template");
                self.bar.set_style(style);
                self.bar.set_length(*steps as u64);
                self.bar.set_position(*step as u64);
                let share = 100.0 * *trainable as f64 / *total as f64;
                self.line(&format!(
                    "{examples} examples; {trainable} of {total} numbers are trained ({share:.2} %)"
                ));
                if *step > 0 {
                    self.line(&format!("going on after step {step} of {steps}"));
                }
            }
            Progress::Note(note) => self.line(note),
            Progress::Step { step, loss, .. } => {
                self.bar.set_position(*step as u64);
                self.bar.set_message(format!("loss {loss:.3}"));
            }
            Progress::Epoch {
                epoch,
                training_loss,
                validation,
                best,
                stops,
            } => {
                let best = if *best { ", the best so far" } else { "" };
                self.line(&format!(
                    "epoch {}: training loss {training_loss:.4}; validation {validation}{best}",
                    epoch + 1
                ));
                if *stops {
                    self.line("validation has stopped improving, and so does the training");
                }
            }
        }
    }

    /// A line above the bar. One that cannot be written is not worth ending a training for.
    fn line(&mut self, line: &str) {
        let notes = &mut self.notes;
        self.bar.suspend(|| {
            let _ = writeln!(notes, "{line}");
        });
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
