//! The table of methods.

use std::collections::BTreeSet;

use super::format::{ABSENT, bytes, range, rate, signed, significant, spread, table, text};
use super::{Report, Row};
use crate::statistics::Spread;

/// What a column has for a row.
type Cell<'a> = Box<dyn Fn(&Row) -> Option<String> + 'a>;

/// A heading and its cells. A column that has nothing for any row is left out.
type Column<'a> = (String, Cell<'a>);

pub(super) fn write(report: &Report) -> String {
    let rows = report.rows();
    let mut header = vec!["method".to_string()];
    let mut lines: Vec<Vec<String>> = rows.iter().map(|row| vec![text(&row.method)]).collect();
    for (heading, cell) in columns(report) {
        let cells: Vec<_> = rows.iter().map(cell).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        header.push(heading);
        for (line, cell) in lines.iter_mut().zip(cells) {
            line.push(cell.unwrap_or_else(|| ABSENT.into()));
        }
    }
    table(&header, &lines)
}

fn columns(report: &Report) -> Vec<Column<'_>> {
    let protocol = report.protocol();
    let metric = &protocol.metric;
    let digits = metric.digits;
    let baseline = text(protocol.baseline().name());
    let items = protocol.throughput.as_deref().unwrap_or("items");
    let throughput = format!("{items} per second");
    let mut columns: Vec<Column<'_>> = vec![
        ("learning rate".into(), Box::new(chosen)),
        ("test runs".into(), Box::new(runs)),
        (
            text(&metric.to_string()),
            fixed(digits, |row| row.metric.as_ref()),
        ),
        (
            format!("difference to {baseline}"),
            Box::new(move |row| difference(row, digits)),
        ),
        (
            "trainable parameters".into(),
            Box::new(|row| Some(range(row.trainable_parameters?, |count| count.to_string()))),
        ),
        (
            "adapter file".into(),
            Box::new(|row| Some(range(row.adapter_bytes?, bytes))),
        ),
        (
            "seconds per step".into(),
            Box::new(|row| row.seconds_per_step.map(significant)),
        ),
        (
            text(&throughput),
            Box::new(|row| row.throughput.map(significant)),
        ),
        (
            "peak memory".into(),
            Box::new(|row| row.peak_memory_bytes.map(bytes)),
        ),
    ];
    let forgetting = protocol.forgetting.as_ref();
    let name = forgetting.map_or("other data".into(), |metric| text(&metric.to_string()));
    let digits = forgetting.map_or(3, |metric| metric.digits);
    columns.push((
        format!("{name}, before"),
        fixed(digits, |row| row.forgetting_before.as_ref()),
    ));
    columns.push((
        format!("{name}, after"),
        fixed(digits, |row| row.forgetting_after.as_ref()),
    ));
    columns.push((
        "KL(pretrained ‖ tuned), nats".into(),
        Box::new(|row| Some(spread(row.kl.as_ref()?, row.finished, significant))),
    ));
    let names: BTreeSet<&String> = report
        .rows()
        .iter()
        .flat_map(|row| row.drift.keys())
        .collect();
    for name in names {
        columns.push((
            text(name),
            Box::new(move |row| Some(spread(row.drift.get(name)?, row.finished, significant))),
        ));
    }
    columns
}

fn fixed<'a>(digits: usize, of: impl Fn(&Row) -> Option<&Spread> + 'a) -> Cell<'a> {
    Box::new(move |row| {
        let number = |value| format!("{value:.digits$}");
        Some(spread(of(row)?, row.finished, number))
    })
}

fn chosen(row: &Row) -> Option<String> {
    if row.every_rate_failed {
        return Some("all failed".into());
    }
    let choice = row.choice?;
    let edge = if choice.at_edge { " (edge)" } else { "" };
    Some(rate(choice.rate) + edge)
}

fn runs(row: &Row) -> Option<String> {
    let failed = match row.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    Some(format!("{} of {}{failed}", row.finished, row.planned))
}

/// Bold if it is established.
fn difference(row: &Row, digits: usize) -> Option<String> {
    let difference = row.difference.as_ref()?;
    let mean = signed(difference.spread.mean, digits);
    let deviation = difference.spread.deviation;
    let deviation = deviation.map(|deviation| format!(" ± {deviation:.digits$}"));
    let cell = mean + &deviation.unwrap_or_default();
    Some(match difference.established {
        true => format!("**{cell}**"),
        false => cell,
    })
}
