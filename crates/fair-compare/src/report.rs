//! The table.

use std::path::Path;

use crate::error::Error;
use crate::ledger::Ledger;
use crate::protocol::Protocol;
use crate::record::Record;
use crate::store::{self, write_beside};
use crate::{SCHEMA, choose};

mod columns;
mod format;
mod markdown;
mod notes;
mod row;

pub use row::{Difference, Row, SeedDifference};

/// What a protocol's records say, as rows, as JSON lines and as Markdown.
///
/// It is a function of the records alone: no date, no path, no version of anything.
#[derive(Debug, Clone)]
pub struct Report {
    ledger: Ledger,
    rows: Vec<Row>,
    title: Option<String>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            rows: row::all(&ledger),
            ledger,
            title: None,
            notes: Vec::new(),
        }
    }

    /// The report of a folder, from what is recorded so far. Changes nothing; a last line that was
    /// cut off is left out.
    ///
    /// # Errors
    /// No records, damaged ones, or ones of another schema.
    ///
    /// ```no_run
    /// use fair_compare::Report;
    ///
    /// let report = Report::read("fit-line")?;
    /// for row in report.rows() {
    ///     println!("{}: {} of {} test runs", row.method, row.finished, row.planned);
    /// }
    /// # Ok::<(), fair_compare::Error>(())
    /// ```
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, Error> {
        store::load(folder.as_ref()).map(Self::new)
    }

    /// A heading for the Markdown.
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// A note below those that the report writes itself: how memory was measured, what the drift
    /// numbers are.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// One row a method, in the protocol's order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The terms.
    pub fn protocol(&self) -> &Protocol {
        &self.ledger.protocol
    }

    /// The runs that are over, in the order in which they were made.
    pub fn records(&self) -> &[Record] {
        self.ledger.records()
    }

    /// The validation scores of a method, rate by rate; `None` if there is no such method.
    pub fn tuning(&self, method: &str) -> Option<Vec<choose::RateScores>> {
        let mut methods = self.protocol().methods.iter();
        let method = methods.find(|known| known.name() == method)?;
        Some(self.ledger.tuning(method))
    }

    /// The table with its notes, the differences by seed, the validation scores and the failed
    /// runs.
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// The rows as JSON, a line each.
    pub fn json_lines(&self) -> String {
        self.rows.iter().map(store::line).collect()
    }

    /// Writes `table-v1.md` and `table-v1.jsonl` into `folder`, each beside what is there and then
    /// over it.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        for (ending, text) in [("md", self.markdown()), ("jsonl", self.json_lines())] {
            let path = folder.as_ref().join(format!("table-v{SCHEMA}.{ending}"));
            write_beside(&path, text.as_bytes())?;
        }
        Ok(())
    }
}
