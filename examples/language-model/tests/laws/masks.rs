//! Which tokens are learned: what the assistant says, its end included, and nothing else.

use std::path::Path;

use burn_goft_finetune::Error;
use hf_chat_template::Message;
use language_model::data::{Data, Example, Skip, TextTokenizer, Trained};
use serde_json::json;

use crate::common;

fn tokenizer(template: Option<&str>, max_length: usize) -> TextTokenizer {
    let (_place, folder) = common::model("llama");
    let config = match template {
        Some(template) => json!({ "chat_template": template }),
        None => json!({}),
    };
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    TextTokenizer::in_folder(&folder, Some(2), 40, max_length).unwrap()
}

fn messages(turns: &[(&str, &str)]) -> Example {
    let message = |(role, content): &(&str, &str)| Message::new(*role, *content);
    Example::Messages {
        messages: turns.iter().map(message).collect(),
        tools: Vec::new(),
        learned_from: 0,
    }
}

/// The words that are learned, in brackets, among the others.
fn shown(trained: &Trained) -> String {
    let word = |(id, learned): (&u32, &bool)| {
        let word = common::WORDS[*id as usize];
        if *learned {
            format!("[{word}]")
        } else {
            word.to_string()
        }
    };
    let words: Vec<_> = trained.ids.iter().zip(&trained.learned).map(word).collect();
    words.join(" ")
}

const TALK: [(&str, &str); 5] = [
    ("system", "it is ."),
    ("user", "what is blue ?"),
    ("assistant", "the sky ."),
    ("user", "what is red ?"),
    ("assistant", "blood"),
];

const LEARNED: &str = "<system> it is . </s> <user> what is blue ? </s> <assistant> [the] [sky] [.] [</s>] <user> what is red ? </s> \
                       <assistant> [blood] [</s>]";

/// The same template, which marks what the assistant says.
fn marked() -> String {
    common::TEMPLATE.replace(
        "{{ m.content }} </s>\n",
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content }} </s>{% endgeneration %}{% else %}{{ m.content }} </s>{% endif %}\n\n",
    )
}

#[test]
fn a_conversation_is_learned_where_the_assistant_speaks() {
    for template in [common::TEMPLATE, &marked()] {
        let tokenizer = tokenizer(Some(template), 64);
        assert_eq!(
            tokenizer.chat().unwrap().is_marked(),
            template != common::TEMPLATE
        );
        let trained = tokenizer.trained(&messages(&TALK)).unwrap().unwrap();
        assert_eq!(shown(&trained), LEARNED, "{template}");
        assert!(!trained.cut);
        let prompt = tokenizer
            .prompt(&[Message::user("what is red ?")], &[])
            .unwrap();
        let words: Vec<_> = prompt
            .iter()
            .map(|id| common::WORDS[*id as usize])
            .collect();
        assert_eq!(words.join(" "), "<user> what is red ? </s> <assistant>");
    }
}

#[test]
fn a_question_and_its_answer_are_a_conversation_where_there_is_a_way() {
    let example = Example::Completion {
        prompt: "what is red ?".into(),
        completion: "blood .".into(),
    };
    let with = tokenizer(Some(common::TEMPLATE), 64);
    let trained = with.trained(&example).unwrap().unwrap();
    assert_eq!(
        shown(&trained),
        "<user> what is red ? </s> <assistant> [blood] [.] [</s>]"
    );
    let plain = Example::Completion {
        prompt: "what is red ? ".into(),
        completion: "blood .".into(),
    };
    let trained = tokenizer(None, 64).trained(&plain).unwrap().unwrap();
    assert_eq!(shown(&trained), "what is red ? [blood] [.] [</s>]");
    let error = tokenizer(None, 64).trained(&messages(&TALK)).unwrap_err();
    assert!(error.contains("no chat template"), "{error}");
}

#[test]
fn a_text_is_learned_but_for_its_first_token() {
    let trained = tokenizer(None, 64).trained(&Example::Text("the sky is blue".into()));
    assert_eq!(
        shown(&trained.unwrap().unwrap()),
        "the [sky] [is] [blue] [</s>]"
    );
    let ended = tokenizer(None, 64).trained(&Example::Text("the sky </s>".into()));
    assert_eq!(shown(&ended.unwrap().unwrap()), "the [sky] [</s>]");
}

#[test]
fn what_is_too_long_is_cut_and_said() {
    let trained = tokenizer(Some(common::TEMPLATE), 13)
        .trained(&messages(&TALK))
        .unwrap();
    let trained = trained.unwrap();
    assert!(trained.cut);
    assert_eq!(
        shown(&trained),
        "<system> it is . </s> <user> what is blue ? </s> <assistant> [the]"
    );
    let nothing = tokenizer(Some(common::TEMPLATE), 12).trained(&messages(&TALK));
    assert_eq!(nothing.unwrap(), Err(Skip::NothingLearned));
    let silent = tokenizer(Some(common::TEMPLATE), 64).trained(&messages(&TALK[..2]));
    assert_eq!(silent.unwrap(), Err(Skip::NothingLearned));
}

/// As templates that leave out earlier thoughts.
#[test]
fn a_conversation_that_is_rewritten_as_it_goes_on_is_left_out() {
    let template = "{% for m in messages %}<{{ m.role }}> {% if loop.last %}it {% endif %}{{ m.content }} </s>\n{% endfor %}{% if \
                    add_generation_prompt %}<assistant> {% endif %}";
    let tokenizer = tokenizer(Some(template), 64);
    assert_eq!(
        tokenizer.trained(&messages(&TALK)).unwrap(),
        Err(Skip::NoPrefix)
    );
}

#[test]
fn what_is_left_out_is_counted_or_refused() {
    let (place, folder) = common::model("llama");
    let tokenizer = TextTokenizer::in_folder(&folder, Some(2), 40, 12).unwrap();
    let path = place.path().join("train.jsonl");
    let line = |turns: &[(&str, &str)]| {
        let turns = turns
            .iter()
            .map(|(role, content)| json!({ "role": role, "content": content }));
        json!({ "messages": turns.collect::<Vec<_>>() }).to_string()
    };
    let whole = line(&[("user", "what is red ?"), ("assistant", "blood")]);
    let long = line(&[
        ("user", "what is red ?"),
        ("assistant", "it is it is it is"),
    ]);
    let silent = line(&[("user", "what ?")]);
    let read = |lines: &[&str], path: &Path, strict| {
        std::fs::write(path, lines.join("\n")).unwrap();
        Data::read(path, &tokenizer, 0.3, 0, strict)
    };
    let data = read(&[&whole, &long, &silent, &whole], &path, false).unwrap();
    assert_eq!((data.training.len(), data.validation.len()), (2, 1));
    let notes = data.notes.join("\n");
    assert!(
        notes.contains("1 of 4 examples are longer than the limit"),
        "{notes}"
    );
    assert!(notes.contains("1 of 4 examples are left out"), "{notes}");
    for (lines, expected) in [
        ([&whole, &long], "line 2: it is longer"),
        ([&whole, &silent], "line 2: such examples have no token"),
    ] {
        let error = read(&lines.map(String::as_str), &path, true).unwrap_err();
        assert!(matches!(error, Error::Line { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = read(&[&silent, &silent], &path, false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("nothing can be learned"), "{error}");
}

/// Templates that end a text, or an answer, in another way than a turn within it.
#[test]
fn turns_end_where_the_assistant_stops_however_the_text_goes_on() {
    // As Phi-3's: a text that nobody goes on with ends in a token of its own.
    let ended = "{% for m in messages %}<{{ m.role }}> {{ m.content }} </s>\n{% endfor %}{% if add_generation_prompt %}<assistant> {% else \
                 %}<pad>{% endif %}";
    // As Qwen3's: thoughts stand in the last answer alone.
    let thinking = "{% for m in messages %}<{{ m.role }}> {% if loop.last and m.role == 'assistant' %}? {% endif %}{{ m.content }} </s>\n{% \
                    endfor %}{% if add_generation_prompt %}<assistant> {% endif %}";
    let trained = |template| {
        let tokenizer = tokenizer(Some(template), 64);
        shown(&tokenizer.trained(&messages(&TALK)).unwrap().unwrap())
    };
    assert_eq!(trained(ended), format!("{LEARNED} <pad>"));
    assert_eq!(trained(thinking), LEARNED.replace("[blood]", "[?] [blood]"));
}

#[test]
fn what_is_given_is_not_learned() {
    let tokenizer = tokenizer(Some(common::TEMPLATE), 64);
    let Example::Messages { messages, .. } = messages(&TALK) else {
        unreachable!()
    };
    let example = Example::Messages {
        messages,
        tools: Vec::new(),
        learned_from: 4,
    };
    let trained = tokenizer.trained(&example).unwrap().unwrap();
    let given = LEARNED.replace("[the] [sky] [.] [</s>]", "the sky . </s>");
    assert_eq!(shown(&trained), given);
}

#[test]
fn a_token_that_the_model_does_not_know_is_refused() {
    let (_place, folder) = common::model("llama");
    let tokenizer = TextTokenizer::in_folder(&folder, Some(2), 18, 64).unwrap();
    let error = tokenizer
        .trained(&Example::Text("the sky is red".into()))
        .unwrap_err();
    assert!(
        error.contains("the token 18 `red`, and the model knows 18 tokens"),
        "{error}"
    );
}

#[test]
fn tools_have_a_template_of_their_own_where_there_is_one() {
    let (_place, folder) = common::model("llama");
    let with_tools = format!("unknown {}", common::TEMPLATE);
    let config = json!({ "chat_template": [
        { "name": "default", "template": common::TEMPLATE },
        { "name": "tool_use", "template": with_tools },
    ] });
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    let tokenizer = TextTokenizer::in_folder(&folder, Some(2), 40, 64).unwrap();
    let prompt = |tools: &[serde_json::Value]| {
        let ids = tokenizer.prompt(&[Message::user("what ?")], tools).unwrap();
        common::WORDS[ids[0] as usize]
    };
    assert_eq!(
        (prompt(&[]), prompt(&[json!({ "name": "look" })])),
        ("<user>", "unknown")
    );
}
