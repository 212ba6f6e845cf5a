//! Chat templates: a conversation as the text that a model was trained on, and which part of it the
//! assistant says.

use std::ops::Range;
use std::path::Path;

use burn_goft_finetune::Error;
use hf_chat_template::{ChatTemplate, Message, RenderInput, TokenizerConfig};
use serde_json::Value;

/// Marks in a rendered text where the assistant's words begin and end. Of the code points that
/// Unicode keeps for private use, the last: no text has them.
const BEGIN: char = '\u{10FFFD}';
const END: char = '\u{10FFFC}';

/// The template for conversations with tools, where a model has files for its templates.
pub(crate) const TOOLS_FILE: &str = "additional_chat_templates/tool_use.jinja";

/// How a model's conversations are written.
#[derive(Debug)]
pub struct ChatFormat {
    template: ChatTemplate,
    /// For conversations with tools, where the model has another for them.
    with_tools: Option<ChatTemplate>,
    /// The template with marks around what the assistant says, where it says so itself.
    marked: Option<ChatTemplate>,
}

/// A conversation as text, with the parts of the assistant in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// What the assistant says.
    pub said: Vec<Range<usize>>,
}

impl ChatFormat {
    /// The template of a folder: `chat_template.jinja`, with the one for tools in
    /// `additional_chat_templates`, or that of `tokenizer_config.json`; none if the folder has neither.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Model`] for a file that cannot be read as what it is, with the
    /// template's line.
    pub fn in_folder(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join("tokenizer_config.json");
        let config: Value = match path.is_file() {
            false => Value::Object(serde_json::Map::new()),
            true => {
                let text = std::fs::read(&path).map_err(Error::io("reading", &path))?;
                serde_json::from_slice(&text).map_err(|error| {
                    Error::model(&path, format!("it is no tokenizer_config.json: {error}"))
                })?
            }
        };
        let in_file = |name: &str| -> Result<Option<Self>, Error> {
            let file = folder.join(name);
            if !file.is_file() {
                return Ok(None);
            }
            let source = std::fs::read_to_string(&file).map_err(Error::io("reading", &file))?;
            let format = Self::new(&source, &config);
            format
                .map(Some)
                .map_err(|reason| Error::model(&file, reason))
        };
        if let Some(format) = in_file("chat_template.jinja")? {
            let with_tools = in_file(TOOLS_FILE)?.map(|format| format.template);
            return Ok(Some(Self {
                with_tools,
                ..format
            }));
        }
        let Some(source) = config_template(&config, "default") else {
            return Ok(None);
        };
        let refused = |reason| Error::model(&path, reason);
        let mut format = Self::new(&source, &config).map_err(refused)?;
        if let Some(source) = named_template(&config, "tool_use") {
            format.with_tools = Some(Self::new(&source, &config).map_err(refused)?.template);
        }
        Ok(Some(format))
    }

    /// A template, with the special tokens of a `tokenizer_config.json`; an error is what is wrong
    /// with it.
    ///
    /// # Errors
    ///
    /// If the template is not valid Jinja, or the configuration is none.
    pub fn new(source: &str, config: &Value) -> Result<Self, String> {
        let config: TokenizerConfig = serde_json::from_value(config.clone())
            .map_err(|error| format!("its special tokens cannot be read: {error}"))?;
        let compile = |source: &str| {
            ChatTemplate::from_template_and_config(source, &config)
                .map_err(|error| format!("its chat template is not valid: {error}"))
        };
        Ok(Self {
            template: compile(source)?,
            with_tools: None,
            marked: marked(source).map(|source| compile(&source)).transpose()?,
        })
    }

    /// Whether the template itself says what the assistant says.
    pub fn is_marked(&self) -> bool {
        self.marked.is_some()
    }

    /// The text of a conversation; with `open`, up to where the assistant begins to answer.
    ///
    /// # Errors
    ///
    /// What the template says of the conversation, such as roles out of order.
    pub fn render(
        &self,
        messages: &[Message],
        tools: &[Value],
        open: bool,
    ) -> Result<String, String> {
        let template = match &self.with_tools {
            Some(template) if !tools.is_empty() => template,
            _ => &self.template,
        };
        render(template, messages, tools, open)
    }

    /// The text of a conversation, and what of it the assistant says by the template's own marks;
    /// none if it has no marks.
    ///
    /// # Errors
    ///
    /// As [`render`](Self::render).
    pub fn said(&self, messages: &[Message], tools: &[Value]) -> Option<Result<Rendered, String>> {
        // One for tools has its own way.
        let template = self.marked.as_ref()?;
        if self.with_tools.is_some() && !tools.is_empty() {
            return None;
        }
        let text = render(template, messages, tools, false);
        Some(text.and_then(|text| {
            let plain = self.render(messages, tools, false)?;
            let rendered = without_marks(&text);
            match rendered.text == plain {
                true => Ok(rendered),
                false => Err(
                    "the conversation has characters that stand for marks in this program".into(),
                ),
            }
        }))
    }
}

fn render(
    template: &ChatTemplate,
    messages: &[Message],
    tools: &[Value],
    open: bool,
) -> Result<String, String> {
    let input = RenderInput {
        messages: messages.to_vec(),
        tools: tools.to_vec(),
        add_generation_prompt: open,
        ..RenderInput::default()
    };
    template
        .render(&input)
        .map_err(|error| format!("the chat template refuses the conversation: {error}"))
}

/// The template that a configuration holds: its only one, or that of a name, or its first.
fn config_template(config: &Value, name: &str) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(source) => Some(source.clone()),
        Value::Array(all) => named_template(config, name)
            .or_else(|| Some(all.first()?.get("template")?.as_str()?.to_string())),
        _ => None,
    }
}

/// The template of a name, where a configuration holds several.
fn named_template(config: &Value, name: &str) -> Option<String> {
    let all = config.get("chat_template")?.as_array()?;
    let named = all
        .iter()
        .find(|one| one.get("name").is_some_and(|found| found == name))?;
    Some(named.get("template")?.as_str()?.to_string())
}

/// The template with marks within its `{% generation %}` blocks; none if it has no such block.
///
/// A tag becomes two, so that each side keeps how it trims white space.
fn marked(source: &str) -> Option<String> {
    let mut result = String::with_capacity(source.len());
    let (mut rest, mut any) = (source, false);
    while let Some(start) = rest.find("{%") {
        // A comment may hold what looks like a tag.
        if let Some(comment) = rest[..start].find("{#") {
            let end = rest[comment..]
                .find("#}")
                .map(|length| comment + length + 2);
            let end = end.unwrap_or(rest.len());
            result.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let Some(length) = rest[start + 2..].find("%}") else {
            break;
        };
        let tag = &rest[start..start + length + 4];
        let inner = &tag[2..tag.len() - 2];
        let (left, inner) = trimming(inner, true);
        let (right, inner) = trimming(inner, false);
        result.push_str(&rest[..start]);
        match inner.trim() {
            "generation" => {
                any = true;
                result.push_str(&format!(
                    "{{%{left} if true %}}{{{{ '{BEGIN}' }}}}{{% if true {right}%}}"
                ));
            }
            "endgeneration" => {
                result.push_str(&format!(
                    "{{%{left} endif %}}{{{{ '{END}' }}}}{{% endif {right}%}}"
                ));
            }
            _ => result.push_str(tag),
        }
        rest = &rest[start + length + 4..];
    }
    result.push_str(rest);
    any.then_some(result)
}

/// Takes the sign that trims white space off one end of a tag.
fn trimming(inner: &str, at_start: bool) -> (&str, &str) {
    let signs = ['-', '+'];
    let found = match at_start {
        true => inner.strip_prefix(signs).map(|rest| (&inner[..1], rest)),
        false => inner
            .strip_suffix(signs)
            .map(|rest| (&inner[inner.len() - 1..], rest)),
    };
    found.unwrap_or(("", inner))
}

fn without_marks(text: &str) -> Rendered {
    let mut rendered = Rendered {
        text: String::with_capacity(text.len()),
        said: Vec::new(),
    };
    let mut open = None;
    for character in text.chars() {
        match character {
            BEGIN => open = Some(rendered.text.len()),
            END => {
                let start = open.take();
                rendered
                    .said
                    .extend(start.map(|start| start..rendered.text.len()));
            }
            other => rendered.text.push(other),
        }
    }
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: &str = "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}</s>\n{% endfor %}{% if add_generation_prompt %}<assistant>\n{% endif %}";

    fn talk() -> Vec<Message> {
        vec![
            Message::user("Hi, and bye?"),
            Message::assistant("Hello."),
            Message::user("Again"),
            Message::assistant("Bye."),
        ]
    }

    fn format(source: &str) -> ChatFormat {
        ChatFormat::new(source, &json!({ "bos_token": "<s>" })).unwrap()
    }

    #[test]
    fn a_conversation_is_what_the_template_says() {
        let format = format(PLAIN);
        assert!(format.said(&talk(), &[]).is_none());
        let open = format.render(&talk()[..1], &[], true).unwrap();
        assert_eq!(open, "<user>\nHi, and bye?</s>\n<assistant>\n");
        let whole = format.render(&talk(), &[], false).unwrap();
        assert!(whole.starts_with(&open));
    }

    /// However white space is trimmed at the tags.
    #[test]
    fn what_the_assistant_says_is_what_the_template_marks() {
        for (before, after) in [("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}")] {
            let source = format!(
                "{{{{ bos_token }}}}\n{{% for m in messages %}}\n<{{{{ m.role }}}}>\n  {{% if m.role == 'assistant' %}}\n {before} \
                 generation {after}\n {{{{ m.content }}}}</s>\n {before} endgeneration {after}\n {{% else %}}{{{{ m.content \
                 }}}}\n{{% endif %}}{{% endfor %}}"
            );
            let format = format(&source);
            let rendered = format.said(&talk(), &[]).unwrap().unwrap();
            assert_eq!(rendered.text, format.render(&talk(), &[], false).unwrap());
            let said: Vec<&str> = rendered
                .said
                .iter()
                .map(|part| rendered.text[part.clone()].trim())
                .collect();
            assert_eq!(said, ["Hello.</s>", "Bye.</s>"], "{source}");
            // What is trimmed lies outside.
            let ends_open = rendered.text[rendered.said[0].clone()].starts_with([' ', '\n']);
            assert_eq!(ends_open, after == "%}", "{:?}", rendered.text);
        }
    }

    #[test]
    fn what_a_template_refuses_is_said() {
        let source = "{% if messages[0].role != 'user' %}{{ raise_exception('begin with the user') }}{% endif %}";
        let error = format(source)
            .render(&[Message::assistant("Hi")], &[], false)
            .unwrap_err();
        assert!(error.contains("begin with the user"), "{error}");
        let error = ChatFormat::new("{% if %}", &json!({})).unwrap_err();
        assert!(error.contains("not valid"), "{error}");
        let forged = [Message::user("\u{10FFFD}")];
        let source =
            "{% for m in messages %}{{ m.content }}{% generation %}{% endgeneration %}{% endfor %}";
        assert!(format(source).said(&forged, &[]).unwrap().is_err());
    }

    #[test]
    fn what_only_looks_like_a_tag_is_none() {
        for source in [
            "{# {%} #}a",
            "{# {% generation %} #}a",
            "a{%",
            "{{ '{%' }}a",
        ] {
            assert_eq!(marked(source), None, "{source}");
        }
    }

    #[test]
    fn a_file_for_tools_is_taken_where_there_are_tools() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let read = || ChatFormat::in_folder(folder.path()).unwrap();
        assert!(read().is_none());
        write("chat_template.jinja", "plain");
        let tool = json!({ "type": "function", "function": { "name": "add" } });
        let rendered = |tools: &[Value]| read().unwrap().render(&talk(), tools, false).unwrap();
        assert_eq!(rendered(std::slice::from_ref(&tool)), "plain");
        write(TOOLS_FILE, "with {{ tools[0].function.name }}");
        assert_eq!(rendered(&[tool]), "with add");
        assert_eq!(rendered(&[]), "plain");
        write(TOOLS_FILE, "{% if %}");
        let error = ChatFormat::in_folder(folder.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("tool_use.jinja"), "{error}");
    }

    #[test]
    fn of_several_templates_the_default_is_taken() {
        let config = json!({ "chat_template": [
            { "name": "tool_use", "template": "t" },
            { "name": "default", "template": "d" },
        ] });
        assert_eq!(config_template(&config, "default").unwrap(), "d");
        assert_eq!(
            config_template(&json!({ "chat_template": "x" }), "default").unwrap(),
            "x"
        );
        assert_eq!(config_template(&json!({}), "default"), None);
    }
}
