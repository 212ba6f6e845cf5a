//! Files of examples: JSON, one object a line.

use std::path::Path;

use burn_goft_finetune::Error;
use hf_chat_template::{Content, Message};
use serde::Deserialize;
use serde_json::Value;

/// Something to learn from.
#[derive(Clone, Debug)]
pub enum Example {
    /// `{"messages": [..], "tools": [..]}`: a conversation, of which what the assistant says is
    /// learned.
    Messages {
        /// In order.
        messages: Vec<Message>,
        /// What the assistant may call.
        tools: Vec<Value>,
        /// The first message that may be learned from: those before are given.
        learned_from: usize,
    },
    /// `{"prompt": "..", "completion": ".."}`, or `question` and `answer`: the completion is learned.
    /// With a chat template they are a question and its answer.
    Completion {
        /// What comes first.
        prompt: String,
        /// What is learned.
        completion: String,
    },
    /// `{"text": ".."}`: all of it is learned.
    Text(String),
}

/// An example and its line, from 1.
#[derive(Clone, Debug)]
pub struct Source {
    /// The example.
    pub example: Example,
    /// Where it stands.
    pub line: usize,
}

#[derive(Deserialize)]
struct Raw {
    messages: Option<Vec<Value>>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(alias = "question")]
    prompt: Option<Value>,
    #[serde(alias = "answer")]
    completion: Option<Value>,
    text: Option<String>,
}

/// Reads a file of examples; lines without anything are passed over.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Line`] for a line that is no example, with what was found; and
/// [`Error::Data`] if the file has none.
pub fn read(path: &Path) -> Result<Vec<Source>, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("reading", path))?;
    let mut found = Vec::new();
    // A mark of the byte order, which some editors write.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let example = parse(text).map_err(|reason| Error::Line {
            path: path.into(),
            line,
            reason,
        })?;
        found.push(Source { example, line });
    }
    match found.is_empty() {
        true => Err(Error::data(
            path,
            "it has no example; write one JSON object a line",
        )),
        false => Ok(found),
    }
}

/// The fields that make an example, for messages.
const FIELDS: &str = "`messages`, `prompt` and `completion`, or `text`";

fn parse(line: &str) -> Result<Example, String> {
    let raw: Raw = serde_json::from_str(line).map_err(|error| {
        // The line is named beside it.
        let error = error.to_string();
        let error = error.split(" at line").next().unwrap_or_default();
        format!("it is no example: {error}; a line is a JSON object with {FIELDS}")
    })?;
    match raw {
        Raw {
            messages: Some(messages),
            prompt: None,
            completion: None,
            text: None,
            tools,
        } => {
            let messages = messages.into_iter().map(message);
            conversation(
                messages.collect::<Result<_, _>>()?,
                tools.unwrap_or_default(),
                0,
            )
        }
        Raw {
            messages: None,
            prompt: Some(prompt),
            completion: Some(completion),
            text: None,
            tools,
        } => completion_of(prompt, completion, tools.unwrap_or_default()),
        Raw {
            messages: None,
            prompt: None,
            completion: None,
            text: Some(text),
            ..
        } => match text.is_empty() {
            true => Err("its `text` is empty".into()),
            false => Ok(Example::Text(text)),
        },
        other => {
            let fields = [
                ("messages", other.messages.is_some()),
                ("prompt", other.prompt.is_some()),
                ("completion", other.completion.is_some()),
                ("text", other.text.is_some()),
            ];
            let found = fields.iter().filter(|(_, there)| *there);
            let found: Vec<_> = found.map(|(name, _)| format!("`{name}`")).collect();
            Err(match found.is_empty() {
                true => format!("it has none of the fields of an example: {FIELDS}"),
                false => format!("it has {}; an example has {FIELDS}", found.join(" and ")),
            })
        }
    }
}

fn conversation(
    messages: Vec<Message>,
    tools: Vec<Value>,
    learned_from: usize,
) -> Result<Example, String> {
    if messages.is_empty() {
        return Err("its `messages` are empty".into());
    }
    let silent = |message: &Message| {
        let empty = match &message.content {
            None => true,
            Some(Content::Text(text)) => text.is_empty(),
            Some(_) => false,
        };
        empty && message.role == "assistant" && message.tool_calls.is_empty()
    };
    match messages.iter().position(silent) {
        Some(place) => Err(format!(
            "message {} is the assistant's and says nothing; leave it out, or give it `content`",
            place + 1
        )),
        None => Ok(Example::Messages {
            messages,
            tools,
            learned_from,
        }),
    }
}

/// A message; what is null in it is as if it were not there.
fn message(mut value: Value) -> Result<Message, String> {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
    }
    serde_json::from_value(value).map_err(|error| format!("a message cannot be read: {error}"))
}

/// Both are texts, or both are messages.
fn completion_of(prompt: Value, completion: Value, tools: Vec<Value>) -> Result<Example, String> {
    match (prompt, completion) {
        (Value::String(prompt), Value::String(completion)) => match completion.is_empty() {
            true => Err("its `completion` is empty".into()),
            false => Ok(Example::Completion { prompt, completion }),
        },
        (Value::Array(prompt), Value::Array(completion)) => {
            let given = prompt.len();
            let all = prompt.into_iter().chain(completion);
            conversation(all.map(message).collect::<Result<_, _>>()?, tools, given)
        }
        _ => Err(
            "its `prompt` and `completion` are not both texts, nor both lists of messages".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_examples() {
        let messages = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "tools": [{"x": 1}]}"#;
        let Ok(Example::Messages {
            messages, tools, ..
        }) = parse(messages)
        else {
            panic!()
        };
        assert_eq!((messages.len(), tools.len()), (2, 1));
        assert_eq!(messages[1].role, "assistant");
        let line = r#"{"prompt": "a", "completion": "b", "id": 7}"#;
        assert!(matches!(parse(line), Ok(Example::Completion { prompt, .. }) if prompt == "a"));
        let line = r#"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#;
        assert!(
            matches!(parse(line), Ok(Example::Messages { messages, learned_from: 1, .. }) if messages.len() == 2)
        );
        let line = r#"{"question": "a", "answer": "b"}"#;
        assert!(
            matches!(parse(line), Ok(Example::Completion { completion, .. }) if completion == "b")
        );
        assert!(matches!(parse(r#"{"text": "a"}"#), Ok(Example::Text(text)) if text == "a"));
    }

    #[test]
    fn what_is_no_example_is_said() {
        for (line, expected) in [
            ("{", "no example"),
            ("[1]", "no example"),
            ("{}", "none of the fields"),
            (r#"{"prompt": "a"}"#, "it has `prompt`;"),
            (
                r#"{"text": "a", "prompt": "b"}"#,
                "it has `prompt` and `text`",
            ),
            (r#"{"text": ""}"#, "`text` is empty"),
            (
                r#"{"prompt": "a", "completion": ""}"#,
                "`completion` is empty",
            ),
            (r#"{"prompt": "a", "completion": []}"#, "not both texts"),
            (r#"{"messages": []}"#, "`messages` are empty"),
            (
                r#"{"messages": [{"role": "assistant"}]}"#,
                "message 1 is the assistant's and says nothing",
            ),
            (
                r#"{"messages": [{"content": "a"}]}"#,
                "missing field `role`",
            ),
        ] {
            let found = parse(line).unwrap_err();
            assert!(found.contains(expected), "{line}: {found}");
        }
    }

    #[test]
    fn files_name_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.jsonl");
        std::fs::write(&path, "\u{feff}{\"text\": \"a\"}\r\n\n{\"text\": 1}\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
        std::fs::write(&path, "{\"text\": \"a\"}\r\n\n{\"text\": \"b\"}").unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 3]);
        std::fs::write(&path, "\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("no example"));
    }
}
