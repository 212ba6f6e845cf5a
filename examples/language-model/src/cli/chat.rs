//! `chat`: a conversation, line by line.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;

use burn_goft_finetune::Error;
use hf_chat_template::Message;

use super::loaded::Loaded;
use super::options::Chat;
use super::write;
use crate::generate::{Generation, Remembered, speak};

/// What one can type beside questions.
const HELP: &str = "/adapter on|off   answer with the adapter or without it
/system TEXT      begin again, with what the model is told first
/reset            begin again
/quit             end; so does the end of the input\n";

pub(super) fn run(options: &Chat, out: &mut dyn Write) -> Result<(), Error> {
    options.choice.sampling().check().map_err(Error::Settings)?;
    let loaded = options.used.load()?;
    let generation = options.choice.generation(&loaded.ends);
    let system = options.system.as_deref();
    talk(
        &loaded,
        system,
        &generation,
        &mut std::io::stdin().lock(),
        out,
    )
}

/// Answers each line of the input, until it ends.
///
/// # Errors
///
/// [`Error::Settings`] where the model has no chat format; [`Error::Io`].
pub fn talk(
    loaded: &Loaded,
    system: Option<&str>,
    generation: &Generation,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if loaded.tokenizer.chat().is_none() {
        return Err(Error::Settings(
            "the model has no chat template, and so no conversations; `generate` goes on with a text"
                .into(),
        ));
    }
    let mut talk = Talk {
        loaded,
        generation,
        with_adapter: loaded.adapted.is_some(),
        history: Vec::new(),
        remembered: Remembered::default(),
    };
    talk.begin(system);
    write(out, "/help says what else there is\n")?;
    loop {
        write(out, "> ")?;
        let mut line = String::new();
        let read = input.read_line(&mut line);
        if read.map_err(Error::io("reading", "standard input"))? == 0 {
            return write(out, "\n");
        }
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("", _) => {}
            ("/quit" | "/exit", _) => return Ok(()),
            ("/help", _) => write(out, HELP)?,
            ("/reset", _) => {
                let system = talk.system();
                talk.begin(system.as_deref());
            }
            ("/system", text) => talk.begin(Some(text).filter(|text| !text.is_empty())),
            ("/adapter", state) => write(out, &talk.switch(state))?,
            (command, _) if command.starts_with('/') => {
                write(
                    out,
                    &format!("`{command}` is no command; there are\n{HELP}"),
                )?;
            }
            _ => talk.answer(line, out)?,
        }
    }
}

struct Talk<'a> {
    loaded: &'a Loaded,
    generation: &'a Generation,
    with_adapter: bool,
    history: Vec<Message>,
    remembered: Remembered,
}

impl Talk<'_> {
    fn begin(&mut self, system: Option<&str>) {
        self.history = system.iter().map(|text| Message::system(*text)).collect();
    }

    fn system(&self) -> Option<String> {
        let first = self
            .history
            .first()
            .filter(|first| first.role == "system")?;
        match &first.content {
            Some(hf_chat_template::Content::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// What is said of the switch.
    fn switch(&mut self, state: &str) -> String {
        if self.loaded.adapted.is_none() {
            return "there is no adapter; name one with --adapter\n".into();
        }
        match state {
            "on" => self.with_adapter = true,
            "off" => self.with_adapter = false,
            _ => {}
        }
        // Keys and values are the other model's.
        self.remembered = Remembered::default();
        let state = if self.with_adapter { "on" } else { "off" };
        format!("the adapter is {state}\n")
    }

    fn answer(&mut self, question: &str, out: &mut dyn Write) -> Result<(), Error> {
        self.history.push(Message::user(question));
        let prompt = match self.loaded.tokenizer.prompt(&self.history, &[]) {
            Ok(prompt) => prompt,
            Err(reason) => {
                self.history.pop();
                return write(out, &format!("{reason}\n"));
            }
        };
        if prompt.len() >= self.loaded.positions {
            self.history.pop();
            return write(
                out,
                &format!(
                    "the conversation has {} tokens, and the model was made for {}; /reset begins again\n",
                    prompt.len(),
                    self.loaded.positions
                ),
            );
        }
        let model = match &self.loaded.adapted {
            Some(adapted) if self.with_adapter => adapted,
            _ => &self.loaded.base,
        };
        let mut failed = None;
        let spoken = speak(
            model,
            &self.loaded.tokenizer,
            &[prompt],
            Some(&mut self.remembered),
            self.generation,
            &self.loaded.device,
            &mut |_, text| match write(out, text) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            },
        );
        if let Some(error) = failed {
            return Err(error);
        }
        let said = spoken.into_iter().map(|spoken| spoken.text);
        self.history
            .extend(said.map(|text| Message::assistant(text.as_str())));
        write(out, "\n")
    }
}
