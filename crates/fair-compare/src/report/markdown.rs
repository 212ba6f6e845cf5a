//! The report as Markdown.

use super::format::{ABSENT, capital, rate, signed, table, text};
use super::{Difference, Report, Row, columns, notes};
use crate::choose::RateScores;
use crate::protocol::Protocol;
use crate::statistics::Spread;

pub(super) fn write(report: &Report) -> String {
    let title = report.title.as_ref();
    let sections = [
        title.map(|title| format!("# {}\n", text(title))),
        Some(columns::write(report)),
        Some(notes::write(report)),
        by_seed(report),
        Some(tuning(report)),
        failed(report),
    ];
    let sections: Vec<String> = sections.into_iter().flatten().collect();
    sections.join("\n")
}

fn by_seed(report: &Report) -> Option<String> {
    let protocol = report.protocol();
    let rows = report.rows().iter();
    let lines: Vec<Vec<String>> = rows
        .filter_map(|row| Some(differences(protocol, row, row.difference.as_ref()?)))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let seeds = protocol.test_seeds.iter();
    let mut header = vec!["method".to_string()];
    header.extend(seeds.map(|seed| format!("seed {seed}")));
    header.push("interval of the mean".into());
    Some(format!(
        "## Difference to {} by seed\n\n{}",
        text(protocol.baseline().name()),
        table(&header, &lines)
    ))
}

fn differences(protocol: &Protocol, row: &Row, difference: &Difference) -> Vec<String> {
    let digits = protocol.metric.digits;
    let at = |seed: &u64| {
        let mut pairs = difference.by_seed.iter();
        let pair = pairs.find(|pair| pair.seed == *seed);
        pair.map_or(ABSENT.into(), |pair| signed(pair.difference, digits))
    };
    let interval = difference.half_width.map(|half| {
        let mean = difference.spread.mean;
        let ends = [mean - half, mean + half];
        ends.map(|end| signed(end, digits)).join(" to ")
    });
    let mut line = vec![text(&row.method)];
    line.extend(protocol.test_seeds.iter().map(at));
    line.push(interval.unwrap_or(ABSENT.into()));
    line
}

fn tuning(report: &Report) -> String {
    let protocol = report.protocol();
    let rows = protocol.methods.iter().zip(report.rows());
    let lines = rows.map(|(method, row)| {
        let grid = report.ledger.tuning(method);
        let mut line = vec![text(&method.name)];
        line.extend(grid.iter().map(|at| score(protocol, row, at)));
        line
    });
    let lines: Vec<_> = lines.collect();
    let mut header = vec!["method".to_string()];
    header.extend((1..=protocol.rates.len()).map(|place| format!("rate {place}")));
    format!(
        "## {}, on the validation split by learning rate\n\nEach cell is a rate of the method's grid and what it gave.\n\n{}",
        capital(&text(&protocol.metric.to_string())),
        table(&header, &lines)
    )
}

/// `rate: score`.
fn score(protocol: &Protocol, row: &Row, at: &RateScores) -> String {
    let (digits, planned) = (protocol.metric.digits, protocol.tuning_seeds.len());
    let chosen = match row.choice {
        Some(choice) if choice.rate == at.rate => " (chosen)",
        _ => "",
    };
    let score = match (at.failed, at.missing, Spread::of(&at.scores)) {
        (0, 0, Some(scores)) => format!("{:.digits$}{chosen}", scores.mean),
        (0, missing, _) => format!("{missing} of {planned} not run"),
        (failed, ..) => format!("{failed} of {planned} failed"),
    };
    format!("{}: {score}", rate(at.rate))
}

fn failed(report: &Report) -> Option<String> {
    let records = report.records().iter();
    let lines: Vec<String> = records
        .filter_map(|record| {
            let failure = record.failure()?;
            let (kind, message) = (failure.kind.words(), text(&failure.message));
            Some(format!(
                "- {}: {kind}: {message}\n",
                text(&record.run.to_string())
            ))
        })
        .collect();
    (!lines.is_empty()).then(|| format!("## Failed runs\n\n{}", lines.concat()))
}
