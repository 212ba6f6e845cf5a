//! Answers that end in a number, by the two filters that GSM8K is read with.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use super::Share;

/// The numbers that two readers find in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// Behind the first `#### `.
    pub strict: Option<String>,
    /// The last number there is.
    pub flexible: Option<String>,
}

/// How many answers are right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExactScores {
    /// By the number behind `####`.
    pub strict: Share,
    /// By the last number.
    pub flexible: Share,
    /// Number of questions.
    pub questions: usize,
}

static STRICT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#### (\-?[0-9\.\,]+)").expect("a valid pattern"));
static FLEXIBLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(-?[$0-9.,]{2,})|(-?[0-9]+)").expect("a valid pattern"));

/// What the two readers find in a text, as they compare it: without commas, dollars and a final period.
///
/// Source: lm-evaluation-harness, `gsm8k.yaml`.
///
/// ```
/// use language_model::eval::extract;
///
/// let found = extract("so 3 * 500 = $1,500.\n#### 1,500 dollars, or 2");
/// assert_eq!(found.strict.as_deref(), Some("1500"));
/// assert_eq!(found.flexible.as_deref(), Some("2"));
/// ```
pub fn extract(text: &str) -> Extracted {
    let strict = STRICT.captures(text).map(|found| plain(&found[1]));
    let flexible = FLEXIBLE.find_iter(text).last();
    Extracted {
        strict,
        flexible: flexible.map(|found| plain(found.as_str())),
    }
}

/// A number as it is compared.
fn plain(number: &str) -> String {
    let number = number.replace([',', '$'], "");
    number.strip_suffix('.').unwrap_or(&number).to_lowercase()
}

/// Compares answers with what they should be: the number behind `#### `, or all of the text.
pub fn exact<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> ExactScores {
    let (mut strict, mut flexible) = (Vec::new(), Vec::new());
    for (answer, expected) in pairs {
        let expected = expected.rsplit("#### ").next().unwrap_or(expected);
        let expected = plain(expected.trim());
        let found = extract(answer);
        strict.push(found.strict.as_ref() == Some(&expected));
        flexible.push(found.flexible.as_ref() == Some(&expected));
    }
    ExactScores {
        questions: strict.len(),
        strict: Share::of(&strict),
        flexible: Share::of(&flexible),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_find_what_the_harness_finds() {
        let of = |text: &str| {
            let found = extract(text);
            (found.strict, found.flexible)
        };
        let some = |text: &str| Some(text.to_string());
        assert_eq!(of("#### 72"), (some("72"), some("72")));
        assert_eq!(of("#### -5.0."), (some("-5.0"), some("-5.0")));
        assert_eq!(of("####72"), (None, some("72")));
        assert_eq!(of("#### 1\n#### 2"), (some("1"), some("2")));
        assert_eq!(of("It is $7."), (None, some("7")));
        assert_eq!(of("nothing"), (None, None));
        // A quirk that is kept: two dots are a number to it.
        assert_eq!(of("5 .."), (None, some(".")));
    }

    #[test]
    fn expected_answers_are_read_behind_their_mark() {
        let scores = exact([
            ("#### 18", "9 * 2 = 18\n#### 18"),
            ("the answer is 1,800", "#### 1800"),
            ("#### 17", "18"),
            ("18.", "18"),
        ]);
        assert_eq!((scores.strict.share, scores.flexible.share), (0.25, 0.75));
    }
}
