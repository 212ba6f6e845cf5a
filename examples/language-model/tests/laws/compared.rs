//! Methods on equal terms.

use std::sync::atomic::AtomicBool;

use fair_compare::Split;
use language_model::{CompareConfig, RunConfig, compare};

use crate::common;

fn config(
    place: &tempfile::TempDir,
    folder: &std::path::Path,
    data: &std::path::Path,
) -> CompareConfig {
    let text = place.path().join("other.txt");
    std::fs::write(&text, "what is the color ? the sky is it .".repeat(4)).unwrap();
    let run = RunConfig {
        steps: Some(6),
        max_length: 40,
        batch_size: 2,
        packing: true,
        ..RunConfig::new(folder, data, place.path().join("compared"), "")
    };
    CompareConfig {
        methods: ["full", "goft", "lora:1", "lora"]
            .map(String::from)
            .to_vec(),
        rates_per_method: 2,
        test_seeds: 2,
        forgetting: Some(text),
        answers: 3,
        max_tokens: 4,
        ..CompareConfig::new(run)
    }
}

#[test]
fn every_method_has_as_many_runs_and_goft_keeps_angles() {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    let lines = std::fs::read(data.join("valid.jsonl")).unwrap();
    std::fs::write(data.join("test.jsonl"), lines).unwrap();
    let config = config(&place, &folder, &data);
    let run = || compare(&config, &mut (), &AtomicBool::new(false)).unwrap();
    let report = run();
    // Two rates with one seed, then two seeds.
    assert_eq!(report.records().len(), 4 * (2 + 2));
    let tested = report
        .records()
        .iter()
        .filter(|record| record.run.split == Split::Test);
    let mut before = Vec::new();
    for record in tested {
        let outcome = &record.finished().unwrap().outcome;
        assert!(outcome.metric.is_finite() && outcome.adapter_bytes.unwrap() > 0);
        assert!(outcome.throughput.unwrap() > 0.0);
        let angle = outcome.drift["angle between neurons, change in deg"];
        assert_eq!(
            angle > 1e-3,
            record.run.method != "goft",
            "{}: {angle}",
            record.run.method
        );
        assert!((0.0..=100.0).contains(&outcome.drift["answers right, %"]));
        before.push(outcome.forgetting.unwrap().before);
    }
    assert_eq!(before.len(), 8);
    assert!(before.iter().all(|loss| *loss == before[0] && *loss > 0.0));
    let table = report.markdown();
    assert!(
        table.contains("goft") && table.contains("The pretrained model has a loss of"),
        "{table}"
    );
    assert!(table.contains("| tokens per second |"), "{table}");
    let trained = |row: usize| report.rows()[row].trainable_parameters.unwrap().0;
    assert_eq!(report.rows()[2].method, "lora:1");
    assert_eq!(8 * trained(2), trained(3));
    // All runs are recorded: the same again makes none.
    assert_eq!(run().markdown(), table);
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_runs() {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    let refused = |config: &CompareConfig| {
        let found = compare(config, &mut (), &AtomicBool::new(false));
        found.unwrap_err().to_string()
    };
    let config = config(&place, &folder, &data);
    assert!(refused(&config).contains("test.jsonl"));
    let twice = CompareConfig {
        methods: vec!["goft".into(), "goft".into()],
        ..config.clone()
    };
    assert!(refused(&twice).contains("named twice"));
    for (name, reason) in [
        ("goft:2", "has no rank"),
        ("gotf", "no method is called"),
        ("lora:8", "named twice, as `lora` and as `lora:8`"),
        ("hra:3", "must be even"),
        ("lora:1000", "take 1 to"),
    ] {
        let other = CompareConfig {
            methods: vec!["full".into(), "lora".into(), name.into()],
            ..config.clone()
        };
        let message = refused(&other);
        assert!(message.contains(reason), "{name}: {message}");
    }
    let none = CompareConfig {
        test_seeds: 0,
        ..config
    };
    assert!(refused(&none).contains("has to be 1 to 99"));
    assert!(!place.path().join("compared").exists());
}
