//! Whole command lines, through the library.

mod common;

use std::sync::atomic::AtomicBool;

use clap::Parser;
use common::Place;
use text_classification::cli::{self, Options};

/// What a command writes to its output and to its notes.
fn run(arguments: &[&str], interrupted: bool) -> Result<(String, String), String> {
    let options = Options::try_parse_from(["text-classification"].iter().chain(arguments))
        .map_err(|error| error.to_string())?;
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let interrupted = AtomicBool::new(interrupted);
    cli::run(&options, &mut out, &mut notes, &interrupted).map_err(|error| error.to_string())?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ok((text(out), text(notes)))
}

fn train_line<'a>(place: &'a Place, more: &[&'a str]) -> Vec<&'a str> {
    let config = &place.config;
    let path = |path: &'a std::path::Path| path.to_str().unwrap();
    let mut line = vec![
        "train",
        "--model",
        &config.model,
        "--train",
        path(&config.train),
        "--eval",
        path(&config.eval),
        "--out",
        path(&config.out),
        "--max-length",
        "16",
        "--batch-size",
        "8",
    ];
    line.extend(more);
    line
}

#[test]
fn train_eval_predict() {
    let place = Place::new("goft");
    let options = [
        "--method",
        "goft-star",
        "--epochs",
        "12",
        "--head-learning-rate",
        "0.01",
    ];
    let (out, notes) = run(&train_line(&place, &options), false).unwrap();
    // A tenth of 40 is held out.
    assert!(
        notes.starts_with("40 texts of 2 classes: neg (20), pos (20)\n36 examples; "),
        "{notes}"
    );
    assert!(notes.contains("epoch 1: training loss"), "{notes}");
    assert!(out.contains("test: accuracy "), "{out}");
    assert!(out.contains("goft-star: trained 334 of "), "{out}");

    let adapter = place.config.out.to_str().unwrap();
    let test = place.config.eval.to_str().unwrap();
    let (json, _) = run(
        &["eval", "--adapter", adapter, "--eval", test, "--json"],
        false,
    )
    .unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let metrics = std::fs::read_to_string(place.out("metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(json, metrics["test"]);

    let reviews = common::reviews(8, 44);
    let input = common::write_lines(
        &place.path("texts.txt"),
        reviews.iter().map(|(_, text)| text.clone()),
    );
    let input = input.to_str().unwrap();
    let (out, _) = run(&["predict", "--adapter", adapter, "--input", input], false).unwrap();
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 8);
    for (line, (label, text)) in lines.iter().zip(&reviews) {
        assert_eq!(line[2], text);
        assert_eq!(line[0], *label, "{text}");
        let probability: f64 = line[1].parse().unwrap();
        assert!((0.5..=1.0).contains(&probability));
    }
}

#[test]
fn interrupted_and_resumed() {
    let place = Place::new("goft");
    let message = run(&train_line(&place, &["--epochs", "2"]), true).unwrap_err();
    assert!(message.contains("stopped after step 1 of 10"), "{message}");
    assert!(
        message.contains("the same command with --resume"),
        "{message}"
    );
    let (out, notes) = run(&train_line(&place, &["--epochs", "2", "--resume"]), false).unwrap();
    assert!(notes.contains("going on after step 1 of 10"), "{notes}");
    assert!(out.contains("the adapter is in"), "{out}");
}

#[test]
fn mistakes_on_the_command_line() {
    let place = Place::new("goft");
    for (more, expected) in [
        (vec!["--method", "goofy"], "linear-probe"),
        (vec!["--epochs", "many"], "invalid value 'many'"),
        (
            vec!["--validation", "x.tsv", "--validation-share", "0.2"],
            "cannot be used with",
        ),
        (vec!["--device", "abacus"], "no device is called `abacus`"),
    ] {
        let message = run(&train_line(&place, &more), false).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    let message = run(&["eval", "--adapter", "nowhere", "--eval", "x"], false).unwrap_err();
    assert!(
        message.contains("`nowhere`: there is no finished run here"),
        "{message}"
    );
}
