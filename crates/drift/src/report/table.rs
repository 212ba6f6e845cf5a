//! The report as text.

use std::fmt;

use super::{DriftReport, Measured};
use crate::metric::{Column, Metric};
use crate::{answers, representations, rotation, weights};

impl fmt::Display for DriftReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_table(f, "representation", &representations::METRICS, &self.layers)?;
        write_table(f, "weight", &weights::METRICS, &self.weights)?;
        write_table(f, "rotation", &rotation::METRICS, &self.rotations)?;
        let answers = self.answers.as_slice();
        write_table(f, "output", &answers::METRICS, answers)?;
        for metric in &self.forgetting {
            writeln!(
                f,
                "forgotten: {} {} (from {} to {})",
                metric.metric, metric.forgotten, metric.before, metric.after
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        let settings = &self.settings;
        write!(
            f,
            "at most {} rows for CKA, SVCCA and Procrustes, {} neurons for angles, energy, \
             spectrum and subspace",
            settings.rows, settings.neurons
        )
    }
}

/// Four digits behind the point, or the magnitude of what would vanish there; a bare 0 is nothing
/// at all.
pub(super) fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(0.0) => "0".into(),
        Some(value) if value.abs() < 1e-3 => format!("{value:.0e}"),
        Some(value) => format!("{value:.4}"),
    }
}

/// A line for each thing measured, columns as wide as their widest cell, the first to the left and
/// the others to the right, and an empty line. Nothing, if nothing was measured.
fn write_table<Of>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    metrics: &[Metric<Of>],
    measured: &[Measured],
) -> fmt::Result {
    if measured.is_empty() {
        return Ok(());
    }
    let columns = metrics.iter().flat_map(|metric| metric.columns);
    let columns: Vec<&Column> = columns.filter(|c| !c.header.is_empty()).collect();
    let header = columns.iter().map(|column| column.header.to_string());
    let mut lines = vec![Vec::from_iter(
        [title.to_string()].into_iter().chain(header),
    )];
    for row in measured {
        let cells = columns.iter().map(|column| number(row.get(column.key)));
        lines.push([row.name.clone()].into_iter().chain(cells).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..=columns.len()).filter_map(width).collect();
    for line in &lines {
        write!(f, "{:width$}", line[0], width = widths[0])?;
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            write!(f, "  {cell:>width$}")?;
        }
        writeln!(f)?;
    }
    writeln!(f)
}
