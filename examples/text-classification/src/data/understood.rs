//! What a program has understood of a data file, so that a header or a swapped column does not pass
//! for classes.

use std::collections::BTreeMap;

use super::examples::Examples;
use super::task::Task;

/// Classes that are named; of more, these and how many others.
const NAMED: usize = 12;

/// Characters of a name that are shown.
const LONGEST: usize = 30;

/// A sentence about the labels and one about what may be wrong with them.
pub(crate) fn sentences(examples: &Examples, task: &Task) -> Vec<String> {
    let texts = match examples.are_pairs() {
        true => "pairs of texts",
        false => "texts",
    };
    let count = examples.rows.len();
    let Task::Classification { classes } = task else {
        let numbers = examples
            .rows
            .iter()
            .filter_map(|row| row.label.parse().ok());
        let (low, high) = numbers
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n: f64| {
                (low.min(n), high.max(n))
            });
        return vec![format!(
            "{count} {texts} labeled with numbers from {low} to {high}"
        )];
    };
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &examples.rows {
        counts.entry(&row.label).or_insert((0, row.line)).0 += 1;
    }
    let named = counts.iter().take(NAMED);
    let named: Vec<_> = named
        .map(|(name, (count, _))| format!("{} ({count})", short(name)))
        .collect();
    let others = match counts.len().saturating_sub(NAMED) {
        0 => String::new(),
        others => format!(" and {others} others"),
    };
    let mut sentences = vec![format!(
        "{count} {texts} of {} classes: {}{others}",
        classes.len(),
        named.join(", ")
    )];
    sentences.extend(doubts(&counts));
    sentences
}

/// Not a whole text, if columns are swapped.
fn short(name: &str) -> String {
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", &name[..end]),
        None => name.into(),
    }
}

/// About labels that occur once. `counts` has how often, and the first line, of each.
fn doubts(counts: &BTreeMap<&str, (usize, usize)>) -> Option<String> {
    let mut single = counts.iter().filter(|(_, (count, _))| *count == 1);
    let singles = single.clone().count();
    let (name, (_, line)) = single.next()?;
    if 2 * singles <= counts.len() {
        return Some(format!(
            "{singles} of them with one example, such as `{}` in line {line}: a header looks like that, if its first column is not \
             called `label`",
            short(name)
        ));
    }
    let numbers = counts.keys().all(|label| label.parse::<f64>().is_ok());
    Some(match numbers {
        true => {
            "most labels occur once, and all are numbers: a regression takes --regression".into()
        }
        false => "most labels occur once: is the label the first column, `label TAB text`?".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Example, Text};

    fn about(labels: &[&str], regression: bool) -> Vec<String> {
        let rows = labels.iter().zip(1..).map(|(label, line)| Example {
            label: (*label).into(),
            text: Text {
                first: "text".into(),
                second: None,
            },
            line,
        });
        let examples = Examples {
            path: "data.tsv".into(),
            rows: rows.collect(),
        };
        sentences(&examples, &Task::of(&examples, regression).unwrap())
    }

    #[test]
    fn classes_are_counted_and_what_looks_wrong_is_said() {
        assert_eq!(
            about(&["b", "a", "b", "a"], false),
            ["4 texts of 2 classes: a (2), b (2)"]
        );
        let header = about(&["Sentiment", "a", "b", "b", "a"], false);
        assert!(header[1].contains("`Sentiment` in line 1"), "{header:?}");
        let swapped = about(&["one text", "another", "a third"], false);
        assert!(
            swapped[1].contains("is the label the first column"),
            "{swapped:?}"
        );
        let long = "a text of many letters, äöü and more of them";
        let long = about(&[long, "b", "b", "b"], false);
        assert!(
            long[0].contains("a text of many letters, äöü an.. (1)"),
            "{long:?}"
        );
        let numbers = about(&["1", "2.5", "3", "3"], false);
        assert!(numbers[1].contains("--regression"), "{numbers:?}");
        assert_eq!(
            about(&["1", "-2.5"], true),
            ["2 texts labeled with numbers from -2.5 to 1"]
        );
        let many: Vec<_> = (0..40).map(|n| format!("class {}", n % 20)).collect();
        let many = about(&many.iter().map(String::as_str).collect::<Vec<_>>(), false);
        assert!(
            many[0].ends_with("and 8 others") && many.len() == 1,
            "{many:?}"
        );
    }
}
