//! The program itself: exit status, Ctrl-C, and the hub without a network.

mod common;

#[cfg(unix)]
use std::path::Path;
#[cfg(unix)]
use std::process::Child;
use std::process::{Command, Stdio};
#[cfg(unix)]
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

/// Waits until a running program has written so many lines to a file.
#[cfg(unix)]
fn wait_for_lines(running: &mut Child, path: &Path, lines: usize) {
    while std::fs::read_to_string(path).map_or(0, |text| text.lines().count()) < lines {
        assert!(running.try_wait().unwrap().is_none(), "it has ended early");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ctrl-C, and what the program says before it fails.
#[cfg(unix)]
fn interrupt(running: Child) -> String {
    let id = running.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_how_to_go_on() {
    let place = Place::new("goft");
    let mut running = train(&place, &place.config.model, "100000")
        .spawn()
        .unwrap();
    wait_for_lines(&mut running, &place.out("log.jsonl"), 4);
    let message = interrupt(running);
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

/// Four runs, long enough to be met in the middle.
#[cfg(unix)]
fn compare(place: &Place) -> Command {
    let mut command = program();
    command.args(["compare", "--model", &place.config.model]);
    command.args(["--methods", "linear-probe,goft", "--steps", "40"]);
    command.args([
        "--rates-per-method",
        "1",
        "--tuning-seeds",
        "1",
        "--test-seeds",
        "1",
    ]);
    command.arg("--train").arg(&place.config.train);
    command.arg("--eval").arg(&place.config.eval);
    command.arg("--out").arg(&place.config.out);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The rows of a table but for time and memory, which no two runs have the same.
#[cfg(unix)]
fn rows(place: &Place) -> Vec<serde_json::Value> {
    let table = std::fs::read_to_string(place.out("table-v1.jsonl")).unwrap();
    let row = |line: &str| {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        for name in ["seconds_per_step", "peak_memory_bytes"] {
            assert!(row[name].take().is_number(), "{name}: {line}");
        }
        row
    };
    table.lines().map(row).collect()
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_comparison_that_goes_on_to_the_same_table() {
    let place = Place::new("");
    let mut running = compare(&place).spawn().unwrap();
    let records = place.out("runs-v1.jsonl");
    // The terms and the first run; the second one is on its way.
    wait_for_lines(&mut running, &records, 2);
    let message = interrupt(running);
    assert!(message.contains("stopping after this step"), "{message}");
    assert!(
        message.contains("the same call goes on from here"),
        "{message}"
    );
    let made = std::fs::read_to_string(&records).unwrap();
    assert!((2..5).contains(&made.lines().count()), "{made}");
    assert!(!place.out("table-v1.md").exists());

    let resumed = compare(&place).output().unwrap();
    assert!(resumed.status.success());
    let table = std::fs::read(place.out("table-v1.md")).unwrap();
    assert_eq!(resumed.stdout, table);
    let all = std::fs::read_to_string(&records).unwrap();
    assert!(all.starts_with(&made));
    assert_eq!(all.lines().count(), 5);

    let elsewhere = Place::new("");
    assert!(compare(&elsewhere).status().unwrap().success());
    assert_eq!(rows(&place), rows(&elsewhere));
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let mut place = Place::new("linear-probe");
    place.config.epochs = 1;
    place.train().unwrap();
    let texts = common::reviews(64, 9).into_iter().map(|(_, text)| text);
    let input = common::write_lines(&place.path("texts.txt"), texts);
    let mut command = program();
    command
        .args(["predict", "--adapter"])
        .arg(&place.config.out);
    command.arg("--input").arg(input);
    let mut running = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(running.stdout.take());
    assert!(running.wait().unwrap().success());
}
