//! Data files: a line of tab-separated columns for each example.

use std::io::Read;
use std::path::{Path, PathBuf};

use burn_goft_finetune::Error;

/// One text, or two that are judged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The first or only text.
    pub first: String,
    /// The second text of a pair.
    pub second: Option<String>,
}

/// A labeled line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// A class, or a number for regression.
    pub label: String,
    /// What is labeled.
    pub text: Text,
    /// Line number in the file, from 1.
    pub line: usize,
}

/// The lines of a labeled file, at least one, all with one text or all with two.
#[derive(Clone, Debug)]
pub struct Examples {
    /// Where they came from, for messages.
    pub path: PathBuf,
    /// In the order of the file.
    pub rows: Vec<Example>,
}

impl Examples {
    /// Reads `label TAB text` or `label TAB text TAB text`, UTF-8. A first line that starts with
    /// the column name `label`, in whatever case, is a header; quotes have no meaning.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Data`] for a file without examples, [`Error::Line`] for a line that
    /// does not fit.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let lines = lines(path)?;
        let mut rows: Vec<Example> = Vec::new();
        for (line, text) in lines {
            let columns: Vec<&str> = text.split('\t').map(str::trim).collect();
            if line == 1 && is_header(columns[0]) {
                continue;
            }
            let wrong = |reason: String| Error::Line {
                path: path.into(),
                line,
                reason,
            };
            let (label, first, second) = match columns[..] {
                [label, first] => (label, first, None),
                [label, first, second] => (label, first, Some(second)),
                _ => {
                    return Err(wrong(format!(
                        "expected `label TAB text` or `label TAB text TAB text`, found {}",
                        count(columns.len())
                    )));
                }
            };
            if label.is_empty() {
                return Err(wrong("the label is empty".into()));
            }
            let text = text_of(first, second).map_err(wrong)?;
            if let Some(before) = rows.first()
                && before.text.second.is_some() != text.second.is_some()
            {
                let columns = |text: &Text| if text.second.is_some() { 3 } else { 2 };
                return Err(wrong(format!(
                    "it has {} columns and line {} has {}; a file holds single texts or pairs, not both",
                    columns(&text),
                    before.line,
                    columns(&before.text)
                )));
            }
            rows.push(Example {
                label: label.into(),
                text,
                line,
            });
        }
        match rows.is_empty() {
            true => Err(Error::data(path, "the file has no examples")),
            false => Ok(Self {
                path: path.into(),
                rows,
            }),
        }
    }

    /// Whether each example is a pair.
    pub fn are_pairs(&self) -> bool {
        self.rows[0].text.second.is_some()
    }
}

/// Pairs for single texts, or the other way round.
pub(crate) fn refuse_other_shape(examples: &Examples, pairs: bool) -> Result<(), Error> {
    let name = |pairs| if pairs { "pairs" } else { "single texts" };
    match examples.are_pairs() == pairs {
        true => Ok(()),
        false => Err(Error::data(
            &examples.path,
            format!(
                "it holds {}, and the training data holds {}",
                name(!pairs),
                name(pairs)
            ),
        )),
    }
}

/// Quoted as well, as spreadsheets write it.
fn is_header(first: &str) -> bool {
    first.trim_matches('"').eq_ignore_ascii_case("label")
}

/// Reads texts without labels, `text` or `text TAB text` a line; `-` is standard input.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Data`] for a file without texts, [`Error::Line`] for a line that does
/// not fit `pairs`.
pub fn read_texts(path: &Path, pairs: bool) -> Result<Vec<Text>, Error> {
    let mut texts = Vec::new();
    for (line, text) in lines(path)? {
        let columns: Vec<&str> = text.split('\t').map(str::trim).collect();
        let read = match (pairs, &columns[..]) {
            (false, [first]) => text_of(first, None),
            (true, [first, second]) => text_of(first, Some(second)),
            (false, _) => Err(format!(
                "the model was trained on single texts; expected `text`, found {}",
                count(columns.len())
            )),
            (true, _) => Err(format!(
                "the model was trained on pairs; expected `text TAB text`, found {}",
                count(columns.len())
            )),
        };
        texts.push(read.map_err(|reason| Error::Line {
            path: path.into(),
            line,
            reason,
        })?);
    }
    match texts.is_empty() {
        true => Err(Error::data(path, "there are no texts")),
        false => Ok(texts),
    }
}

fn count(columns: usize) -> String {
    match columns {
        1 => "1 column".into(),
        more => format!("{more} columns"),
    }
}

fn text_of(first: &str, second: Option<&str>) -> Result<Text, String> {
    if first.is_empty() {
        return Err("the text is empty".into());
    }
    if second.is_some_and(str::is_empty) {
        return Err("the second text is empty; a tab at the end of a line makes it a pair".into());
    }
    Ok(Text {
        first: first.into(),
        second: second.map(Into::into),
    })
}

/// Lines with their numbers. Empty lines at the end are left out; one before is an error.
fn lines(path: &Path) -> Result<Vec<(usize, String)>, Error> {
    let bytes = match path == Path::new("-") {
        false => std::fs::read(path),
        true => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map(|_| bytes)
        }
    };
    let bytes = bytes.map_err(Error::io("reading", path))?;
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let last = bytes.iter().rposition(|byte| !b"\r\n".contains(byte));
    let bytes = &bytes[..last.map_or(0, |last| last + 1)];
    if bytes.is_empty() {
        return Err(Error::data(path, "the file is empty"));
    }
    let line = |(index, bytes): (usize, &[u8])| {
        let line = index + 1;
        let wrong = |reason: &str| Error::Line {
            path: path.into(),
            line,
            reason: reason.into(),
        };
        let text = str::from_utf8(bytes)
            .map_err(|_| wrong("it is not UTF-8; save the file in that encoding"))?;
        let text = text.trim_end_matches('\r');
        match text.trim().is_empty() {
            true => Err(wrong("the line is empty")),
            false => Ok((line, text.to_string())),
        }
    };
    bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .map(line)
        .collect()
}
