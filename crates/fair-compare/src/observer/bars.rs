//! Progress on a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Observer, in_words};
use crate::record::Record;
use crate::run::RunSpec;

/// A bar for the runs and one for the steps of the run at hand, on stderr, and only if that is a
/// terminal. Failures and notes stay above them.
#[derive(Debug)]
pub struct Bars {
    bars: MultiProgress,
    runs: ProgressBar,
    steps: ProgressBar,
}

impl Bars {
    /// Bars that show with the first run.
    pub fn new() -> Self {
        let bars = MultiProgress::new();
        let runs = bars.add(ProgressBar::no_length());
        runs.set_style(style("{bar:30} {pos}/{len} runs, {eta} left"));
        let steps = bars.add(ProgressBar::no_length());
        steps.set_style(style("{bar:30} {pos}/{len} steps: {msg}"));
        Self { bars, runs, steps }
    }

    fn say(&self, text: &str) {
        // A terminal that refuses text is no reason to stop.
        let _ = self.bars.println(text);
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Bars {
    fn notice(&mut self, message: &str) {
        self.say(&format!("note: {message}"));
    }

    fn skipped(&mut self, _record: &Record, number: usize, total: usize) {
        self.runs.set_length(total as u64);
        self.runs.set_position(number as u64);
        // What took no time says nothing about the time that is left.
        self.runs.reset_eta();
    }

    fn started(&mut self, spec: &RunSpec, number: usize, total: usize) {
        self.runs.set_length(total as u64);
        self.runs.set_position(number as u64 - 1);
        self.steps.set_length(spec.steps);
        self.steps.set_position(0);
        self.steps.set_message(spec.run().to_string());
    }

    fn step(&mut self, done: u64) {
        self.steps.set_position(done);
    }

    fn finished(&mut self, record: &Record) {
        self.runs.inc(1);
        if record.failure().is_some() {
            self.say(&format!("{}: {}", record.run, in_words(record)));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.steps.finish_and_clear();
        self.runs.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of this file")
}
