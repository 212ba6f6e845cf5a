//! A tiny model that can talk: a fixture with a tokenizer of words and a chat template.

use std::path::{Path, PathBuf};

use language_model::data::Trained;
use serde_json::json;
use tempfile::TempDir;

/// Numbered from 0: the special tokens of the fixtures' config.json first.
pub(crate) const WORDS: [&str; 24] = [
    "<pad>",
    "<s>",
    "</s>",
    "<user>",
    "<assistant>",
    "<system>",
    "what",
    "color",
    "is",
    "the",
    "sky",
    "grass",
    "blood",
    "coal",
    "snow",
    "?",
    "blue",
    "green",
    "red",
    "black",
    "white",
    ".",
    "it",
    "unknown",
];

/// Every turn ends in `</s>` and a line's end.
pub(crate) const TEMPLATE: &str = "{% for m in messages %}<{{ m.role }}> {{ m.content }} </s>\n{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}";

/// A fixture's folder with a tokenizer beside the weights.
pub(crate) fn model(kind: &str) -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(kind);
    for entry in std::fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let special = (0..6).map(|id| {
        json!({ "id": id, "content": WORDS[id], "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true })
    });
    let vocabulary: serde_json::Map<_, _> = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| (word.to_string(), json!(id)))
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": special.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": { "type": "WhitespaceSplit" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "unknown" },
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let config = json!({ "eos_token": "</s>", "chat_template": TEMPLATE });
    std::fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    (place, folder)
}

/// Questions and answers.
pub(crate) const FACTS: [(&str, &str); 5] = [
    ("sky", "blue"),
    ("grass", "green"),
    ("blood", "red"),
    ("coal", "black"),
    ("snow", "white"),
];

pub(crate) fn question(thing: &str) -> String {
    format!("what color is the {thing} ?")
}

/// A folder of examples.
pub(crate) fn data(place: &TempDir) -> PathBuf {
    let folder = place.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    let line = |(thing, color): &(&str, &str)| {
        let messages = json!([
            { "role": "user", "content": question(thing) },
            { "role": "assistant", "content": format!("it is {color} .") },
        ]);
        json!({ "messages": messages }).to_string()
    };
    let lines: Vec<String> = FACTS.iter().map(line).collect();
    for name in ["train.jsonl", "valid.jsonl"] {
        std::fs::write(folder.join(name), lines.join("\n")).unwrap();
    }
    folder
}

/// Tokens that are learned from a place on.
pub(crate) fn example(ids: &[u32], from: usize) -> Trained {
    Trained {
        ids: ids.to_vec(),
        learned: (0..ids.len()).map(|place| place >= from).collect(),
        cut: false,
    }
}
