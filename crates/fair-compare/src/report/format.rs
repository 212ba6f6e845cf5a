//! Numbers and words for a Markdown table.

use crate::statistics::Spread;

/// What is in a cell that has no number.
pub(super) const ABSENT: &str = "-";

/// `12.3 ± 0.4`; the number of runs behind it if they are not all.
pub(super) fn spread(spread: &Spread, finished: usize, number: impl Fn(f64) -> String) -> String {
    let deviation = spread
        .deviation
        .map(|deviation| format!(" ± {}", number(deviation)));
    let part = match spread.count == finished {
        true => String::new(),
        false => format!(" ({} of {finished} runs)", spread.count),
    };
    number(spread.mean) + &deviation.unwrap_or_default() + &part
}

/// Three significant digits, without an exponent where that is legible.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    // Rounding may carry into the next decade, so the exponent is that of the rounded number.
    let rounded = format!("{value:.2e}");
    let exponent = rounded
        .split('e')
        .nth(1)
        .and_then(|digits| digits.parse().ok());
    let exponent: i32 = exponent.unwrap_or(0);
    match exponent {
        -3..=5 => format!("{value:.*}", (2 - exponent).max(0) as usize),
        _ => rounded,
    }
}

/// With its sign, unless it rounds to zero.
pub(super) fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    match text.contains(|digit| ('1'..='9').contains(&digit)) {
        true => text,
        false => text[1..].into(),
    }
}

pub(super) fn rate(value: f64) -> String {
    format!("{value:e}")
}

/// One number, or the first and the last if they print differently.
pub(super) fn range((first, last): (u64, u64), number: impl Fn(u64) -> String) -> String {
    let (first, last) = (number(first), number(last));
    match first == last {
        true => first,
        false => format!("{first} to {last}"),
    }
}

/// In the unit that leaves at most four digits before the point.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024.0 {
            return format!("{} {unit}", significant(value));
        }
        value /= 1024.0;
    }
    format!("{} GiB", significant(value))
}

/// Text from outside, on one line and without a column in it.
pub(super) fn text(raw: &str) -> String {
    let words: Vec<&str> = raw.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A Markdown table: the first column to the left, the others to the right.
pub(super) fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = "|---".to_string() + &"|---:".repeat(header.len() - 1) + "|\n";
    let rows = rows.iter().map(|row| line(row));
    line(header) + &rule + &rows.collect::<String>()
}
