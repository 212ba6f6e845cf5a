//! Who watches the runs.

use std::io::Write;

use crate::record::{Record, RunResult};
use crate::run::RunSpec;

#[cfg(feature = "progress")]
mod bars;
#[cfg(feature = "progress")]
pub use bars::Bars;

/// Hears what happens. `()` does not listen, [`Lines`] writes lines of text, `Bars` draws on a
/// terminal.
pub trait Observer {
    /// Something that the user should know.
    fn notice(&mut self, _message: &str) {}

    /// Run `number` of `total`, counted from 1, is recorded already.
    fn skipped(&mut self, _record: &Record, _number: usize, _total: usize) {}

    /// Run `number` of `total` begins. The total is lower once a method is out because none of its
    /// rates went well.
    fn started(&mut self, _spec: &RunSpec, _number: usize, _total: usize) {}

    /// The run has made `done` training steps.
    fn step(&mut self, _done: u64) {}

    /// The run is over and on the disk.
    fn finished(&mut self, _record: &Record) {}
}

impl Observer for () {}

/// A line of text for each run, for logs.
///
/// ```
/// use fair_compare::{Lines, Observer};
///
/// let mut log = Vec::new();
/// Lines::new(&mut log).notice("the last line was cut off");
/// assert_eq!(log, b"note: the last line was cut off\n");
/// ```
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    skipped: usize,
}

impl<W: Write> Lines<W> {
    /// Lines for `out`. If it refuses them they are lost, and the runs go on.
    pub fn new(out: W) -> Self {
        Self { out, skipped: 0 }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }
}

impl<W: Write> Observer for Lines<W> {
    fn notice(&mut self, message: &str) {
        self.line(&format!("note: {message}"));
    }

    fn skipped(&mut self, _record: &Record, _number: usize, _total: usize) {
        self.skipped += 1;
    }

    fn started(&mut self, spec: &RunSpec, number: usize, total: usize) {
        if self.skipped > 0 {
            let skipped = std::mem::take(&mut self.skipped);
            self.line(&format!("recorded already: {skipped} runs"));
        }
        self.line(&format!("run {number} of {total}: {}", spec.run()));
    }

    fn finished(&mut self, record: &Record) {
        self.line(&format!("  {}", in_words(record)));
    }
}

/// What became of a run, in a few words.
pub(crate) fn in_words(record: &Record) -> String {
    match &record.result {
        RunResult::Finished(finished) => format!("{:.4}", finished.outcome.metric),
        RunResult::Failed(failure) => format!("{}: {}", failure.kind.words(), failure.message),
    }
}
