//! Texts and conversations to tokens, with those marked that are learned.

use std::ops::Range;
use std::path::Path;

use burn_goft_finetune::Error;
use hf_chat_template::{Content, Message};
use tokenizers::{Encoding, Tokenizer};

use super::chat::ChatFormat;
use super::examples::Example;

/// An example as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trained {
    /// All tokens.
    pub ids: Vec<u32>,
    /// By token, whether predicting it is learned.
    pub learned: Vec<bool>,
    /// Whether the text was longer than allowed and lost its end.
    pub cut: bool,
}

/// Why nothing can be learned from an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// No token of it is to be learned, as in a conversation in which the assistant says nothing,
    /// or only beyond the limit of length.
    NothingLearned,
    /// The beginning of the conversation is written in another way once it goes on, so that it
    /// cannot be told what the assistant says.
    NoPrefix,
}

impl Skip {
    /// What was found, in words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NothingLearned => {
                "have no token that is learned: the assistant says nothing in them, or only beyond the limit of length"
            }
            Self::NoPrefix => {
                "are written differently once they go on, so that it cannot be told what the assistant says"
            }
        }
    }
}

/// A model's tokenizer, and how it writes conversations.
#[derive(Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    chat: Option<ChatFormat>,
    /// The token that ends a text.
    end: Option<u32>,
    /// How many tokens the model knows.
    known: usize,
    max_length: usize,
}

impl TextTokenizer {
    /// The tokenizer of a folder, `tokenizer.json`, for a model that knows so many tokens; it cuts
    /// texts at `max_length` of them. Texts end in the token `end`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if a file is missing or is not what it should be.
    pub fn in_folder(
        folder: &Path,
        end: Option<u32>,
        known: usize,
        max_length: usize,
    ) -> Result<Self, Error> {
        let path = folder.join("tokenizer.json");
        if !path.is_file() {
            return Err(Error::model(
                folder,
                "the folder has no tokenizer.json; the transformers library writes one (`save_pretrained` of the tokenizer)",
            ));
        }
        let mut tokenizer = Tokenizer::from_file(&path)
            .map_err(|error| Error::model(&path, format!("it is no tokenizer.json: {error}")))?;
        // Files may carry how somebody once cut and padded.
        tokenizer.with_padding(None);
        let refused = |error: tokenizers::Error| Error::model(&path, error.to_string());
        tokenizer.with_truncation(None).map_err(refused)?;
        Ok(Self {
            tokenizer,
            chat: ChatFormat::in_folder(folder)?,
            end,
            known,
            max_length,
        })
    }

    /// How conversations are written, where the model has a way.
    pub fn chat(&self) -> Option<&ChatFormat> {
        self.chat.as_ref()
    }

    /// The number of a token.
    pub fn token(&self, text: &str) -> Option<u32> {
        self.tokenizer.token_to_id(text)
    }

    /// The text of tokens, without special ones.
    ///
    /// # Panics
    ///
    /// If a token is none of the tokenizer's.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer
            .decode(ids, true)
            .expect("tokens of this tokenizer")
    }

    /// The text of one token, special ones as they are written.
    pub fn show(&self, id: u32) -> String {
        self.show_all(&[id])
    }

    /// The text of tokens, special ones as they are written.
    pub fn show_all(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, false).unwrap_or_default()
    }

    /// Tokens of a text that goes on, as the model's training began a text.
    ///
    /// # Errors
    ///
    /// From the tokenizer.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        self.ids(text, true)
    }

    /// Tokens of a text without special ones around it.
    ///
    /// # Errors
    ///
    /// From the tokenizer.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, String> {
        self.ids(text, false)
    }

    /// The token that a text without a beginning goes on from: what the tokenizer puts before one, or
    /// the one that ends texts.
    pub fn beginning(&self) -> u32 {
        let first = self.ids("", true).unwrap_or_default();
        first.first().copied().or(self.end).unwrap_or(0)
    }

    /// Tokens of a conversation up to where the assistant begins to answer.
    ///
    /// # Errors
    ///
    /// If the model has no template, or the template refuses the conversation.
    pub fn prompt(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
    ) -> Result<Vec<u32>, String> {
        let chat = self.chat.as_ref().ok_or(NO_TEMPLATE)?;
        self.ids(&chat.render(messages, tools, true)?, false)
    }

    /// An example as tokens, those of a conversation with what the assistant says to be learned.
    ///
    /// # Errors
    ///
    /// What is wrong with the example.
    pub fn trained(&self, example: &Example) -> Result<Result<Trained, Skip>, String> {
        let trained = match example {
            Example::Messages {
                messages,
                tools,
                learned_from,
            } => self.conversation(messages, tools, *learned_from)?,
            Example::Completion { prompt, completion } if self.chat.is_some() => {
                let messages = [
                    Message::user(prompt.as_str()),
                    Message::assistant(completion.as_str()),
                ];
                self.conversation(&messages, &[], 0)?
            }
            Example::Completion { prompt, completion } => self.completion(prompt, completion)?,
            Example::Text(text) => {
                let mut ids = self.ids(text, true)?;
                ids.extend(self.end.filter(|end| ids.last() != Some(end)));
                let learned = vec![true; ids.len()];
                Ok((ids, learned))
            }
        };
        Ok(trained.and_then(|(ids, learned)| self.cut(ids, learned)))
    }

    fn cut(&self, mut ids: Vec<u32>, mut learned: Vec<bool>) -> Result<Trained, Skip> {
        let cut = ids.len() > self.max_length;
        ids.truncate(self.max_length);
        learned.truncate(self.max_length);
        // There is nothing to predict the first from.
        if let Some(first) = learned.first_mut() {
            *first = false;
        }
        match learned.contains(&true) {
            true => Ok(Trained { ids, learned, cut }),
            false => Err(Skip::NothingLearned),
        }
    }

    fn ids(&self, text: &str, special: bool) -> Result<Vec<u32>, String> {
        Ok(self.encoding(text, special)?.get_ids().to_vec())
    }

    /// Refused where the model does not know a token, such as one for images.
    fn encoding(&self, text: &str, special: bool) -> Result<Encoding, String> {
        let encoding = self.tokenizer.encode(text, special);
        let encoding =
            encoding.map_err(|error| format!("the tokenizer refuses the text: {error}"))?;
        match encoding
            .get_ids()
            .iter()
            .find(|id| **id as usize >= self.known)
        {
            None => Ok(encoding),
            Some(id) => Err(format!(
                "the text has the token {id} `{}`, and the model knows {} tokens; leave it out of the text",
                self.show(*id),
                self.known
            )),
        }
    }

    /// The tokens of prompt and completion apart, as generating goes on from those of the prompt.
    fn completion(&self, prompt: &str, completion: &str) -> Result<Masked, String> {
        let mut ids = self.ids(prompt, true)?;
        let before = ids.len();
        ids.extend(self.ids(completion, false)?);
        ids.extend(self.end.filter(|end| ids.last() != Some(end)));
        let learned = (0..ids.len()).map(|place| place >= before).collect();
        Ok(Ok((ids, learned)))
    }

    /// What each answer of the assistant is, from where the template lets it begin to the token
    /// that ends its turn.
    fn conversation(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        from: usize,
    ) -> Result<Masked, String> {
        let chat = self.chat.as_ref().ok_or(NO_TEMPLATE)?;
        if from == 0
            && let Some(rendered) = chat.said(messages, tools)
        {
            let rendered = rendered?;
            return self.marked(&rendered.text, &rendered.said).map(Ok);
        }
        let text = chat.render(messages, tools, false)?;
        let mut said = Vec::new();
        for (place, message) in messages.iter().enumerate().skip(from) {
            // Before a first message there is no conversation to render.
            if message.role != "assistant" || place == 0 {
                continue;
            }
            let before = chat.render(&messages[..place], tools, true)?;
            let with = chat.render(&messages[..=place], tools, false)?;
            if !text.starts_with(&before) {
                return Ok(Err(Skip::NoPrefix));
            }
            // Templates may end a text in another way than a turn: as far as both go.
            let common = common_start(&text, &with);
            let start = before.len();
            let end = match common > start && holds_content(message, &text[start..common]) {
                true => Some(common),
                false => self.end_of_content(&text, start, message),
            };
            let Some(end) = end else {
                return Ok(Err(Skip::NoPrefix));
            };
            said.push(start..end);
        }
        let (ids, mut learned) = self.marked(&text, &said)?;
        self.end_turns(&ids, &mut learned);
        Ok(Ok((ids, learned)))
    }

    /// Where a turn ends that is written in another way as the last one, as without its thoughts:
    /// behind the message itself and the special token that follows it.
    fn end_of_content(&self, text: &str, start: usize, message: &Message) -> Option<usize> {
        let Some(Content::Text(content)) = &message.content else {
            return None;
        };
        let content = content.trim();
        let rest = text[start..].trim_start().strip_prefix(content)?;
        let behind = rest.trim_start();
        let special = self.tokenizer.get_added_tokens_decoder();
        let mut special = special.values().filter(|token| token.special);
        let token = special.find(|token| behind.starts_with(&token.content))?;
        Some(text.len() - behind.len() + token.content.len())
    }

    /// Without what the template writes behind the token that ends a turn, such as a line's end or
    /// a token that ends the text: nobody says it, and in generating nothing comes after that token.
    fn end_turns(&self, ids: &[u32], learned: &mut [bool]) {
        let special = self.tokenizer.get_added_tokens_decoder();
        let is_special = |id: u32| special.get(&id).is_some_and(|token| token.special);
        let ends =
            (1..=ids.len()).filter(|end| learned[end - 1] && learned.get(*end) != Some(&true));
        for end in ends.collect::<Vec<_>>() {
            let mut first = None;
            for place in (0..end).rev().take_while(|place| learned[*place]) {
                if is_special(ids[place]) {
                    first = Some(place);
                } else if !self.show(ids[place]).trim().is_empty() {
                    break;
                }
            }
            if let Some(first) = first {
                learned[first + 1..end].fill(false);
            }
        }
    }

    /// Tokens that touch a part of the text are learned.
    fn marked(&self, text: &str, said: &[Range<usize>]) -> Result<(Vec<u32>, Vec<bool>), String> {
        let encoding = self.encoding(text, false)?;
        let touches = |(start, end): &(usize, usize)| {
            said.iter()
                .any(|part| *start < part.end && part.start < *end)
        };
        let learned = encoding.get_offsets().iter().map(touches);
        Ok((encoding.get_ids().to_vec(), learned.collect()))
    }
}

/// How far two texts are the same, at a character's end.
fn common_start(one: &str, other: &str) -> usize {
    let pairs = one.char_indices().zip(other.chars());
    pairs
        .take_while(|((_, a), b)| a == b)
        .map(|((place, a), _)| place + a.len_utf8())
        .last()
        .unwrap_or(0)
}

/// Whether a part of a text is what a message says: templates may rewrite earlier ones.
fn holds_content(message: &Message, part: &str) -> bool {
    match &message.content {
        Some(Content::Text(text)) => part.contains(text.trim()),
        _ => true,
    }
}

/// Tokens, and which of them are learned.
type Masked = Result<(Vec<u32>, Vec<bool>), Skip>;

const NO_TEMPLATE: &str = "the model has no chat template (`chat_template` of tokenizer_config.json, or chat_template.jinja); give \
                           it one, or train on {\"prompt\", \"completion\"} or {\"text\"}";
