//! The program itself: exit status, Ctrl-C, and the hub without a network.

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use common::Place;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_text-classification"))
}

fn train(place: &Place, model: &str, epochs: &str) -> Command {
    let mut command = program();
    command.args([
        "train",
        "--model",
        model,
        "--epochs",
        epochs,
        "--patience",
        epochs,
    ]);
    command.arg("--train").arg(&place.config.train);
    command.arg("--eval").arg(&place.config.eval);
    command.arg("--out").arg(&place.config.out);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn without_a_network_the_error_says_what_to_do() {
    let place = Place::new("goft");
    let cache = place.path("cache");
    let mut command = train(&place, "somebody/some-bert", "1");
    // Nobody listens on the discard port.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9");
    command.env("HF_HOME", &cache);
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("there is no folder `somebody/some-bert`, and the Hugging Face hub did not give `config.json`"),
        "{message}"
    );
    assert!(
        message.contains("name the folder as the model"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_how_to_go_on() {
    let place = Place::new("goft");
    let mut running = train(&place, &place.config.model, "100000")
        .spawn()
        .unwrap();
    let log = place.out("log.jsonl");
    let has_begun = || std::fs::read_to_string(&log).is_ok_and(|log| log.lines().count() > 3);
    while !has_begun() {
        assert!(running.try_wait().unwrap().is_none(), "it has ended early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = running.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("stopping after this step"), "{message}");
    assert!(
        message.contains("the same command with --resume goes on"),
        "{message}"
    );
    let mut folders = std::fs::read_dir(&place.config.out).unwrap();
    let is_checkpoint = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.unwrap().file_name();
        name.to_str().unwrap().starts_with("checkpoint-")
    };
    assert!(folders.any(is_checkpoint));
}
