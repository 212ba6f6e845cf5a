//! Answers as a whole, and the numbers that they end in by the two filters that GSM8K is read with.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use super::Share;

/// The numbers that two readers find in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// After the first `#### `.
    pub strict: Option<String>,
    /// The last number there is.
    pub flexible: Option<String>,
}

/// How many answers are right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExactScores {
    /// Word for word, but for space around them.
    pub text: Share,
    /// By the number after `####`; none where no expected answer has a number.
    pub strict: Option<Share>,
    /// By the last number; none where no expected answer has a number.
    pub flexible: Option<Share>,
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

/// Compares answers with what they should be. The number of an expected answer is what follows its last
/// `#### `, or else its last number; one without any counts for the text alone.
pub fn exact<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> ExactScores {
    let (mut text, mut strict, mut flexible) = (Vec::new(), Vec::new(), Vec::new());
    for (answer, expected) in pairs {
        text.push(answer.trim() == expected.trim());
        let marked = expected.rsplit_once("#### ");
        let number = marked.map(|(_, number)| plain(number.trim()));
        let number = number.or_else(|| extract(expected).flexible);
        // Two dots are a number to the pattern, and to nobody who asks.
        let number = number.filter(|number| number.contains(|c: char| c.is_ascii_digit()));
        let Some(number) = number else {
            continue;
        };
        let found = extract(answer);
        strict.push(found.strict.as_ref() == Some(&number));
        flexible.push(found.flexible.as_ref() == Some(&number));
    }
    let some = |right: &[bool]| (!right.is_empty()).then(|| Share::of(right));
    ExactScores {
        questions: text.len(),
        text: Share::of(&text),
        strict: some(&strict),
        flexible: some(&flexible),
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
    fn expected_answers_are_read_after_their_mark_or_by_their_last_number() {
        let scores = exact([
            ("#### 18", "9 * 2 = 18\n#### 18"),
            ("the answer is 1,800", "#### 1800"),
            ("#### 17", "18"),
            ("18.", "There are 9 * 2 = 18."),
            ("No...", "Yes..."),
            (" Miraneth\n", "Miraneth"),
        ]);
        let shares = [scores.strict, scores.flexible].map(|found| found.unwrap().share);
        assert_eq!(shares, [0.25, 0.75]);
        assert_eq!((scores.text.share, scores.questions), (1.0 / 6.0, 6));
        let words = exact([("Oskell", "Oskell")]);
        assert_eq!((words.strict, words.text.share), (None, 1.0));
    }
}
