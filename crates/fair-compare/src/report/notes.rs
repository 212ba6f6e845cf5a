//! How the numbers came about, in words.

use std::collections::BTreeSet;

use super::Report;
use super::format::{capital, significant, text};
use super::row::confidence;
use crate::protocol::Protocol;
use crate::run::{Run, RunSpec, Split};

pub(super) fn write(report: &Report) -> String {
    let notes = [
        incomplete(report),
        left_out(report),
        Some(budget(report.protocol())),
        Some(choice(report.protocol())),
        edges(report),
        Some(reported(report.protocol())),
        same_for_all_seeds(report),
        established(report),
        sides(report),
        Some(machines(report)),
        context(report.protocol()),
    ];
    let own = report.notes.iter().map(|note| text(note));
    let lines = notes.into_iter().flatten().chain(own);
    let lines: String = lines.map(|note| format!("- {note}\n")).collect();
    format!("## Notes\n\n{lines}")
}

fn incomplete(report: &Report) -> Option<String> {
    let missing = |runs: Vec<RunSpec>| {
        let runs = runs.iter();
        runs.filter(|spec| report.ledger.find(&spec.run()).is_none())
            .count()
    };
    let tuning_runs = report.protocol().tuning_runs();
    let (tuning, tests) = (tuning_runs.len(), report.ledger.test_runs());
    match (missing(tuning_runs), missing(tests)) {
        (0, 0) => None,
        (0, tests) => Some(format!("Not finished: {tests} test runs are missing.")),
        (some, _) => Some(format!(
            "Not finished: {some} of {tuning} tuning runs are missing, and the test runs that follow from them."
        )),
    }
}

/// A retry can change a choice.
fn left_out(report: &Report) -> Option<String> {
    let tests = report.records().iter();
    let tests = tests.filter(|record| record.run.split == Split::Test);
    let specs: Vec<Run> = report.ledger.test_runs().iter().map(RunSpec::run).collect();
    let others = tests.filter(|record| !specs.contains(&record.run)).count();
    (others > 0).then(|| {
        format!(
            "{others} test runs are left out: they were made at rates that are not the choice any more, as when failed tuning runs are \
             made again."
        )
    })
}

fn budget(protocol: &Protocol) -> String {
    format!(
        "Every method has the same budget: {} rates × {} seeds to choose its learning rate, then {} test runs; every run makes {} \
         training steps.",
        protocol.rates.len(),
        protocol.tuning_seeds.len(),
        protocol.test_seeds.len(),
        protocol.steps
    )
}

fn choice(protocol: &Protocol) -> String {
    format!(
        "The learning rate is the one of the method's grid, which is tabulated below, with the {} mean {} on the validation split \
         over the seeds {}; of equal ones the smaller. A rate at which a run failed is not chosen.",
        protocol.metric.direction.word(),
        text(&protocol.metric.name),
        seeds(&protocol.tuning_seeds),
    )
}

fn edges(report: &Report) -> Option<String> {
    let rows = report.rows().iter();
    let at_edge = rows.filter(|row| row.choice.is_some_and(|choice| choice.at_edge));
    let names: Vec<String> = at_edge.map(|row| text(&row.method)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "The best rate lies at the edge of the grid for {}: there may be a better one beyond, so that the grid should be wider.",
            names.join(", ")
        )
    })
}

fn reported(protocol: &Protocol) -> String {
    let seeds = seeds(&protocol.test_seeds);
    let spread = match protocol.test_seeds.len() {
        1 => "One seed says nothing about the spread.",
        _ => {
            "± is the sample standard deviation (divisor n - 1) over the seeds: how far apart runs are, not how well their mean is \
             known."
        }
    };
    format!(
        "{} is that on the test split with the seeds {seeds}, of which no tuning run knows; {} is better. {spread}",
        capital(&text(&protocol.metric.name)),
        protocol.metric.direction.comparative(),
    )
}

/// Runs that do not differ do not differ by a seed that they ignore.
fn same_for_all_seeds(report: &Report) -> Option<String> {
    let rows = report.rows().iter();
    let same = rows.filter(|row| row.metric.and_then(|metric| metric.deviation) == Some(0.0));
    let names: Vec<String> = same.map(|row| text(&row.method)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "All seeds gave the same number for {}: either the metric is coarse or the seed does not reach the training.",
            names.join(", ")
        )
    })
}

fn established(report: &Report) -> Option<String> {
    let rows = report.rows();
    rows.iter().find(|row| row.difference.is_some())?;
    let level = match rows.len() - 1 {
        1 => "at 95 %".into(),
        others => format!(
            "at {} % each, so that all {others} hold together with 95 %",
            significant(100.0 * confidence(rows.len()))
        ),
    };
    Some(format!(
        "Differences are taken between runs with the same seed, method less {}. One is bold only if all test runs of the two methods \
         finished, it is not the same for every seed, and the interval for its mean (Student's t, {level}) leaves out zero. Bold says \
         that there is a difference, whichever way; to have the best mean is none.",
        text(report.protocol().baseline().name()),
    ))
}

fn sides(report: &Report) -> Option<String> {
    let protocol = report.protocol();
    let forgetting = protocol.forgetting.as_ref().map(|metric| {
        format!(
            "Forgetting: {} is measured before and after training, on data that the training had nothing to do with; {} is better.",
            text(&metric.name),
            metric.direction.comparative(),
        )
    });
    let moved = report
        .rows()
        .iter()
        .any(|row| row.kl.is_some() || !row.drift.is_empty());
    let moved = moved.then(|| {
        "Little divergence or drift is no merit by itself: a method that learns little moves little.".to_string()
    });
    let notes: Vec<String> = [forgetting, moved].into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join(" "))
}

fn machines(report: &Report) -> String {
    let methods = report.protocol().methods.iter();
    let runs = methods.flat_map(|method| report.ledger.tested(method));
    let names: BTreeSet<String> = runs.map(|(_, run)| text(&run.machine)).collect();
    let several = match names.len() > 1 {
        true => {
            " These are several machines or programs: do not compare seconds and memory between rows."
        }
        false => "",
    };
    let names: Vec<String> = names.into_iter().collect();
    let items = match &report.protocol().throughput {
        Some(items) => format!(", {} per second", text(items)),
        None => String::new(),
    };
    format!(
        "Seconds per step{items} (median over the steps of a run, then over the runs) and peak memory (largest of the runs) depend on the \
         machine: {}.{several} The other columns do not, up to rounding.",
        if names.is_empty() {
            "none yet".into()
        } else {
            names.join("; ")
        }
    )
}

fn context(protocol: &Protocol) -> Option<String> {
    let methods = protocol.methods.iter().flat_map(|method| {
        let settings = method.settings.iter();
        settings.map(|(name, value)| (format!("{} {name}", method.name), value))
    });
    let context = protocol
        .context
        .iter()
        .map(|(name, value)| (name.clone(), value));
    let entries: Vec<String> = context
        .chain(methods)
        .map(|(name, value)| text(&format!("{name}: {}", plain(value))))
        .collect();
    (!entries.is_empty()).then(|| format!("Fixed for all runs: {}.", entries.join("; ")))
}

fn plain(value: &serde_json::Value) -> String {
    match value.as_str() {
        Some(text) => text.into(),
        None => value.to_string(),
    }
}

fn seeds(seeds: &[u64]) -> String {
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    seeds.join(", ")
}
