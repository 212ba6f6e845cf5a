//! Answers: of files, in conversations, with and without an adapter, up to words that end them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use clap::Parser;
use language_model::cli::{self, Loaded, Options, talk};
use language_model::generate::{Generation, Remembered, Sampling, generate, generate_next, speak};
use language_model::{Pretrained, RunConfig, train};

use crate::common;

fn generation(max_tokens: usize, stops: &[&str]) -> Generation {
    Generation {
        sampling: Sampling::default(),
        max_tokens,
        ends: vec![2],
        stops: stops.iter().map(|stop| stop.to_string()).collect(),
        seed: 0,
    }
}

/// Runs the program with these arguments and returns what it writes.
fn program(arguments: &[&str]) -> Result<String, language_model::Error> {
    let all = std::iter::once("goft-lm").chain(arguments.iter().copied());
    let options = Options::try_parse_from(all).unwrap();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    cli::run(&options, &mut out, &mut notes, &AtomicBool::new(false))?;
    Ok(String::from_utf8(out).unwrap())
}

/// A model that has learned the facts.
fn trained() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    let run = place.path().join("run");
    let config = RunConfig {
        packing: true,
        max_length: 40,
        batch_size: 2,
        steps: Some(60),
        learning_rate: Some(5e-2),
        sample_every: Some(30),
        ..RunConfig::new(&folder, &data, &run, "goft")
    };
    let mut notes = Vec::new();
    train(&config, &mut |progress| {
        if let language_model::training::Progress::Note(note) = progress {
            notes.push(note.clone());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let samples: Vec<_> = notes
        .iter()
        .filter(|note| note.starts_with("sample: "))
        .collect();
    assert_eq!(samples.len(), 2, "{notes:?}");
    assert_eq!(samples[1], "sample: it is blue .", "{notes:?}");
    assert!(
        notes.iter().any(|note| note.starts_with("memory: about")),
        "{notes:?}"
    );
    (place, folder, run)
}

#[test]
fn what_is_remembered_is_not_read_again_and_changes_nothing() {
    let device = Device::flex();
    for kind in ["llama", "gemma2", "qwen2_window", "phi3"] {
        let (_place, folder) = common::model(kind);
        let model = Pretrained::load(&folder, &device).unwrap().model;
        let mut remembered = Remembered::default();
        let mut text = vec![1, 9, 14];
        for turn in 0..4u32 {
            // The third does not go on from the second.
            if turn == 2 {
                text = vec![1, 9, 7, 8];
            }
            let go_on = &mut |_, _| ControlFlow::Continue(());
            let generation = generation(5, &[]);
            let fresh = generate(&model, &[text.clone()], &generation, &device, go_on).remove(0);
            let next = generate_next(&model, &text, &mut remembered, &generation, &device, go_on);
            assert_eq!(next, fresh, "{kind}, turn {turn}");
            text.extend(&next.tokens);
            text.extend([2, 3, 10 + turn]);
        }
    }
}

#[test]
fn a_conversation_has_its_adapter_on_and_off() {
    let (_place, folder, run) = trained();
    let loaded = Loaded::new(&folder, Some(&run), None, "flex").unwrap();
    let question = common::question("sky");
    let input = format!(
        "{question}\n/adapter off\n/reset\n{question}\n/adapter on\n/reset\n{question}\n/nonsense\n/quit\nnever\n"
    );
    let mut out = Vec::new();
    let generation = generation(8, &[]);
    talk(&loaded, None, &generation, &mut input.as_bytes(), &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    let said: Vec<&str> = out.split("> ").collect();
    assert_eq!(said[1], "it is blue .\n", "{out}");
    assert_eq!(said[2], "the adapter is off\n", "{out}");
    assert_ne!(said[4], said[1], "{out}");
    assert_eq!(said[7], said[1], "{out}");
    assert!(said[8].starts_with("`/nonsense` is no command"), "{out}");
    assert_eq!(said.len(), 10, "{out}");
}

#[test]
fn files_are_answered_in_their_order_and_up_to_a_word() {
    let (place, folder, run) = trained();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_string();
    let (input, output) = (path("questions.jsonl"), path("answers.jsonl"));
    let lines = common::FACTS.map(|(thing, _)| {
        let question = common::question(thing);
        // With an answer, which is passed over, and without.
        match thing {
            "sky" => serde_json::json!({"question": question, "answer": "no"}),
            _ => serde_json::json!({"messages": [{"role": "user", "content": question}]}),
        }
        .to_string()
    });
    std::fs::write(&input, lines.join("\n")).unwrap();
    let (model, adapter) = (folder.to_str().unwrap(), run.to_str().unwrap());
    let common_options = [
        "generate",
        "--model",
        model,
        "--adapter",
        adapter,
        "--input",
        &input,
    ];
    let read = |text: &str| -> Vec<serde_json::Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let written = program(
        &[
            &common_options[..],
            &["--output", &output, "--batch-size", "2"],
        ]
        .concat(),
    );
    assert_eq!(written.unwrap(), "");
    let answers = read(&std::fs::read_to_string(&output).unwrap());
    for ((_, color), answer) in common::FACTS.iter().zip(&answers) {
        assert_eq!(answer["answer"], format!("it is {color} ."));
        assert_eq!(
            (&answer["ended"], &answer["tokens"]),
            (&true.into(), &4.into())
        );
    }
    let stopped = program(&[&common_options[..], &["--stop", " is"]].concat()).unwrap();
    for answer in read(&stopped) {
        assert_eq!(
            (&answer["answer"], &answer["ended"]),
            (&"it".into(), &true.into())
        );
    }
    let cut = program(&[&common_options[..], &["--max-tokens", "2"]].concat()).unwrap();
    assert_eq!(read(&cut)[0]["ended"], false);
    let question = common::question("grass");
    let one = [
        "generate",
        "--model",
        model,
        "--adapter",
        adapter,
        "--prompt",
        &question,
    ];
    assert_eq!(program(&one).unwrap(), "it is green .\n");
}

#[test]
fn pieces_are_the_text() {
    let device = Device::flex();
    let (_place, folder, run) = trained();
    let loaded = Loaded::new(&folder, Some(&run), None, "flex").unwrap();
    let prompt = loaded.tokenizer.encode("what").unwrap();
    for stops in [&[][..], &[" ?"], &["zzz"]] {
        let mut heard = String::new();
        let spoken = speak(
            loaded.model(),
            &loaded.tokenizer,
            std::slice::from_ref(&prompt),
            None,
            &generation(12, stops),
            &device,
            &mut |_, text| {
                heard += text;
                ControlFlow::Continue(())
            },
        );
        assert_eq!(spoken[0].text, heard);
        assert!(!heard.is_empty() && stops.iter().all(|stop| !heard.contains(stop)));
    }
}

#[test]
fn what_cannot_be_answered_is_said() {
    let (place, folder) = common::model("llama");
    let model = folder.to_str().unwrap();
    let said = |arguments: &[&str]| program(arguments).unwrap_err().to_string();
    assert!(said(&["generate", "--model", model]).contains("name a --prompt"));
    let path = place.path().join("bad.jsonl");
    std::fs::write(&path, "{\"prompt\": \"what\"}\n").unwrap();
    let found = said(&[
        "generate",
        "--model",
        model,
        "--input",
        path.to_str().unwrap(),
    ]);
    assert!(
        found.contains("line 1") && found.contains("`prompt`"),
        "{found}"
    );
    assert!(said(&["eval", "--model", model]).contains("--choices, --answers or --text"));
    std::fs::remove_file(Path::new(model).join("tokenizer_config.json")).unwrap();
    let loaded = Loaded::new(&folder, None, None, "flex").unwrap();
    let mut out = Vec::new();
    let refused = talk(
        &loaded,
        None,
        &generation(1, &[]),
        &mut "hi\n".as_bytes(),
        &mut out,
    );
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("no chat template")
    );
}
