//! Comparisons on the tiny model.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use common::Place;
use fair_compare::{Lines, Observer, Record, Report, RunSpec, Split};
use text_classification::{
    CompareConfig, Error, Example, Examples, METHODS, Predictor, RunConfig, Text, Trained, compare,
};

/// 4 methods' worth of settings cut down to two: 2 x (2 x 1 + 2) runs of 4 steps.
fn config(place: &Place) -> CompareConfig {
    let mut config = CompareConfig::new(RunConfig {
        steps: Some(4),
        epochs: 1,
        ..place.config.clone()
    });
    config.methods = vec!["full".into(), "goft".into()];
    config.rates_per_method = 2;
    config.tuning_seeds = 1;
    config.test_seeds = 2;
    config.forgetting = Some(pairs(place));
    config
}

/// 12 of entailment, 12 of contradiction and 12 of neither, at random: what counts is that a change
/// of the embeddings shows.
fn pairs(place: &Place) -> std::path::PathBuf {
    let labels = ["entailment", "contradiction", "neutral"];
    let reviews = common::reviews(72, 5);
    let lines = reviews.chunks(2).zip(labels.iter().cycle());
    let lines = lines.map(|(pair, label)| format!("{label}\t{}\t{}", pair[0].1, pair[1].1));
    common::write_lines(&place.path("pairs.tsv"), lines)
}

fn embed(predictor: &Predictor, text: &str) -> Vec<f64> {
    let text = Text {
        first: text.into(),
        second: None,
    };
    predictor.embed(&[text]).unwrap().remove(0)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// KL of `softmax_j(20 cos(a_i, b_j))`, probability by probability, in batches of 18: the 36 pairs
/// are two halves.
fn divergence(place: &Place, before: &Predictor, after: &Predictor) -> f64 {
    let rows = Examples::read(&pairs(place)).unwrap().rows;
    assert_eq!(rows.len(), 36);
    let mut sum = 0.0;
    for batch in rows.chunks(18) {
        let probabilities = |predictor: &Predictor, first: &str| {
            let first = embed(predictor, first);
            let weights = batch.iter().map(|row| {
                let second = embed(predictor, row.text.second.as_deref().unwrap());
                (20.0 * dot(&first, &second)).exp()
            });
            let weights: Vec<f64> = weights.collect();
            let total: f64 = weights.iter().sum();
            weights
                .iter()
                .map(|weight| weight / total)
                .collect::<Vec<_>>()
        };
        for row in batch {
            let p = probabilities(before, &row.text.first);
            let q = probabilities(after, &row.text.first);
            sum += p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        }
    }
    sum / 36.0
}

/// The area under the ROC curve, from embeddings one by one.
fn area(place: &Place, predictor: &Predictor) -> f64 {
    let cosines = |label: &str| {
        let rows = Examples::read(&pairs(place)).unwrap().rows;
        let rows = rows.into_iter().filter(|row| row.label == label);
        let cosine = |row: Example| {
            let first = embed(predictor, &row.text.first);
            dot(&first, &embed(predictor, &row.text.second.unwrap()))
        };
        rows.map(cosine).collect::<Vec<f64>>()
    };
    let (high, low) = (cosines("entailment"), cosines("contradiction"));
    assert_eq!((high.len(), low.len()), (12, 12));
    let wins = high.iter().flat_map(|a| low.iter().map(move |b| a > b));
    wins.filter(|won| *won).count() as f64 / 144.0
}

fn run(config: &CompareConfig, observer: &mut dyn Observer) -> Result<Report, Error> {
    compare(config, observer, &AtomicBool::new(false))
}

/// Counts runs and steps.
#[derive(Default)]
struct Count {
    started: usize,
    skipped: usize,
    steps: Vec<u64>,
}

impl Observer for Count {
    fn started(&mut self, _spec: &RunSpec, _number: usize, _total: usize) {
        self.started += 1;
    }

    fn skipped(&mut self, _record: &Record, _number: usize, _total: usize) {
        self.skipped += 1;
    }

    fn step(&mut self, done: u64) {
        self.steps.push(done);
    }
}

fn table(place: &Place) -> Vec<u8> {
    std::fs::read(place.out("table-v1.md")).unwrap()
}

#[test]
fn two_methods_to_the_end_and_again() {
    let place = Place::new("");
    let config = config(&place);
    let mut count = Count::default();
    let report = run(&config, &mut count).unwrap();
    assert_eq!((count.started, count.skipped), (8, 0));
    assert_eq!(count.steps, [1, 2, 3, 4].repeat(8));

    let markdown = report.markdown();
    for expected in [
        "# Fine-tuning model on train.tsv",
        "| full |",
        "| goft |",
        "accuracy, %",
        "entailment above contradiction",
        "cosine of representations",
        "KL(pretrained ‖ tuned), nats",
        "softmax_j(20 cos(a_i, b_j))",
        "Peak memory is the most bytes of the process's heap",
        "angle between neurons",
    ] {
        assert!(markdown.contains(expected), "{expected}: {markdown}");
    }
    assert!(!markdown.contains(place.folder.path().to_str().unwrap()));
    assert_eq!(table(&place), markdown.as_bytes());
    // Nothing but the records and the table is left.
    let left = std::fs::read_dir(&place.config.out).unwrap();
    let left: BTreeSet<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let files = ["runs-v1.jsonl", "table-v1.jsonl", "table-v1.md"];
    assert_eq!(left, files.map(String::from).into());

    let mut count = Count::default();
    let again = run(&config, &mut count).unwrap();
    assert_eq!((count.started, count.skipped), (0, 8));
    assert_eq!(again.markdown(), markdown);
}

#[test]
fn what_is_measured_is_what_a_run_by_hand_gives() {
    let place = Place::new("");
    // The other way round than in training, so that no split can be taken for another.
    let swapped = common::reviews(24, 2).into_iter().map(|(label, text)| {
        let label = if label == "pos" { "neg" } else { "pos" };
        format!("{label}\t{text}")
    });
    common::write_lines(&place.config.eval, swapped);
    let mut config = config(&place);
    config.run.steps = Some(STEPS);
    let report = run(&config, &mut ()).unwrap();
    // A probe leaves the encoder as it is.
    let pretrained = Place::new("linear-probe").train().unwrap().predictor;
    let (mut before, mut changed) = (BTreeSet::new(), false);
    for record in report.records() {
        let Trained {
            outcome: by_hand,
            predictor,
        } = hand_made(&place, record);
        let outcome = &record.finished().unwrap().outcome;
        assert_eq!(outcome.metric, 100.0 * by_hand.test.score(), "{record:?}");
        assert_eq!(
            outcome.trainable_parameters,
            by_hand.trainable_parameters as u64
        );
        assert_eq!(outcome.adapter_bytes, Some(by_hand.adapter_bytes));
        let tuning = record.run.split == Split::Validation;
        assert_eq!(outcome.forgetting.is_none(), tuning);
        assert_eq!(outcome.kl.is_none(), tuning);
        assert_eq!(outcome.drift.is_empty(), tuning);
        let Some(forgetting) = outcome.forgetting else {
            continue;
        };
        let area = area(&place, &predictor);
        // Two cosines that are equal up to rounding may change places.
        assert!((forgetting.after - area).abs() < 0.01, "{record:?}: {area}");
        let kl = divergence(&place, &pretrained, &predictor);
        assert!(kl > 1e-4, "{kl}");
        assert!(
            (outcome.kl.unwrap() - kl).abs() < 1e-3 * kl,
            "{record:?}: {kl}"
        );
        before.insert(forgetting.before.to_bits());
        changed |= forgetting.before != forgetting.after;
        let angle = outcome.drift["angle between neurons, change in deg"];
        // A rotation keeps the angles between neurons.
        match record.run.method.as_str() {
            "goft" => assert!(angle < 1e-3, "{angle}"),
            _ => assert!(angle > 1e-3, "{angle}"),
        }
        let cosine = outcome.drift["cosine of representations"];
        assert!((-1.0..0.9999999).contains(&cosine), "{cosine}");
    }
    assert_eq!(before.len(), 1);
    assert!(changed);
}

/// Enough to learn something.
const STEPS: usize = 40;

/// The same run without a comparison.
fn hand_made(place: &Place, record: &Record) -> Trained {
    let run = &record.run;
    let (default, head) = match run.method.as_str() {
        "full" => (3e-4, 9e-3),
        "goft" => (1.5e-2, 9e-3),
        other => panic!("say the rates of `{other}`"),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut config = RunConfig {
        out: folder.path().join("out"),
        method: run.method.clone(),
        seed: run.seed,
        learning_rate: Some(default * (run.rate / default)),
        head_learning_rate: Some(head * (run.rate / default)),
        patience: None,
        steps: Some(STEPS),
        ..place.config.clone()
    };
    if run.split == Split::Validation {
        config.eval = config.validation.clone().unwrap();
    }
    let go_on = &mut |_: &_| std::ops::ControlFlow::Continue(());
    text_classification::train(&config, go_on).unwrap()
}

#[test]
fn every_method_is_measured() {
    let place = Place::new("");
    let mut config = CompareConfig {
        methods: METHODS.map(|method| method.name.into()).to_vec(),
        ..config(&place)
    };
    config.rates_per_method = 1;
    config.test_seeds = 1;
    let report = run(&config, &mut ()).unwrap();
    assert_eq!(report.records().len(), 2 * METHODS.len());
    for record in report.records() {
        let outcome = record.finished().map(|finished| &finished.outcome);
        let outcome = outcome.unwrap_or_else(|| panic!("{record:?}"));
        let Some(angle) = outcome.drift.get("angle between neurons, change in deg") else {
            assert_eq!(record.run.split, Split::Validation);
            continue;
        };
        let keeps_angles = ["linear-probe", "bitfit", "goft", "goft-star", "oft", "hra"];
        let keeps = keeps_angles.contains(&&*record.run.method);
        assert_eq!(*angle < 1e-3, keeps, "{record:?}");
    }
}

#[test]
fn texts_that_are_cut_are_counted_in_the_report() {
    let place = Place::new("");
    let mut config = config(&place);
    config.methods = vec!["linear-probe".into()];
    config.rates_per_method = 1;
    config.test_seeds = 1;
    let text = run(&config, &mut ()).unwrap().markdown();
    assert!(!text.contains("were cut there"), "{text}");

    // Six words and two special tokens.
    config.run.out = place.path("shorter");
    config.run.max_length = 8;
    let longer = |path: &std::path::Path| {
        let examples = Examples::read(path).unwrap();
        let words = |text: &str| text.split(' ').count();
        let rows = examples.rows.iter();
        let counts = rows.flat_map(|row| {
            [Some(&row.text.first), row.text.second.as_ref()]
                .into_iter()
                .flatten()
                .map(|text| words(text))
        });
        let counts: Vec<usize> = counts.collect();
        (
            counts.iter().filter(|count| **count > 6).count(),
            counts.len(),
        )
    };
    let text = run(&config, &mut ()).unwrap().markdown();
    let pairs = config.forgetting.as_deref().unwrap();
    for (name, path) in [
        ("training split", config.run.train.as_path()),
        ("test split", config.run.eval.as_path()),
        ("forgetting file", pairs),
    ] {
        let (cut, all) = longer(path);
        assert!(cut > 0);
        let note = format!(
            "Of the {name}, {cut} of {all} texts are longer than 8 tokens and were cut there."
        );
        assert!(text.contains(&note), "{note}\n{text}");
    }
}

#[test]
fn interrupted_it_stops_at_a_run_and_goes_on_from_there() {
    let place = Place::new("");
    let config = config(&place);
    /// Presses Ctrl-C in the middle of the third run.
    struct Press<'a>(usize, &'a AtomicBool);
    impl Observer for Press<'_> {
        fn step(&mut self, _done: u64) {
            self.0 += 1;
            let pressed = self.0 == 2 * 4 + 2;
            self.1
                .fetch_or(pressed, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let interrupted = AtomicBool::new(false);
    let message = compare(&config, &mut Press(0, &interrupted), &interrupted)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("the same call goes on from here"),
        "{message}"
    );

    let mut count = Count::default();
    let resumed = run(&config, &mut count).unwrap();
    assert_eq!((count.started, count.skipped), (6, 2));
    let elsewhere = Place::new("");
    let at_once = run(&self::config(&elsewhere), &mut ()).unwrap();
    let metrics = |report: &Report| {
        let records = report.records().iter();
        let outcome = |record: &Record| record.finished().unwrap().outcome.clone();
        let outcomes = records
            .map(outcome)
            .map(|o| (o.metric, o.forgetting, o.drift));
        outcomes.collect::<Vec<_>>()
    };
    assert_eq!(metrics(&resumed), metrics(&at_once));
}

#[test]
fn other_settings_are_refused_and_nothing_is_changed() {
    let place = Place::new("");
    let config = config(&place);
    run(&config, &mut ()).unwrap();
    let before = table(&place);
    let refusal = |change: &dyn Fn(&mut CompareConfig)| {
        let mut changed = config.clone();
        change(&mut changed);
        run(&changed, &mut ()).unwrap_err().to_string()
    };
    let message = refusal(&|config| config.run.steps = Some(5));
    assert!(message.contains("steps"), "{message}");
    assert!(
        message.contains("holds runs of another protocol"),
        "{message}"
    );
    let message = refusal(&|config| config.methods.reverse());
    assert!(message.contains("another protocol"), "{message}");
    common::write_reviews(&place.config.train, 40, 7);
    let message = refusal(&|_| ());
    assert!(message.contains("training file"), "{message}");
    assert_eq!(table(&place), before);
}

#[test]
fn a_rate_at_which_training_breaks_is_a_row_and_no_end() {
    let place = Place::new("");
    let mut config = config(&place);
    // Weights of 1e30 overflow in f32.
    let weights = common::tensors(11);
    let weights = weights.into_iter().map(|(name, (shape, values))| {
        let values = match name.contains("output.dense.weight") {
            true => values.iter().map(|value| value * 1e38).collect(),
            false => values,
        };
        (name, (shape, values))
    });
    common::write_weights(
        &place.path("model").join("model.safetensors"),
        &weights.collect(),
        burn::tensor::DType::F32,
        str::to_string,
    );
    config.forgetting = None;
    let mut log = Vec::new();
    run(&config, &mut Lines::new(&mut log)).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(log.contains("step 1: the loss is"), "{log}");
}

#[test]
fn what_no_run_could_use_is_refused_at_once() {
    let place = Place::new("");
    let refusal = |change: &dyn Fn(&mut CompareConfig)| {
        let mut changed = config(&place);
        change(&mut changed);
        run(&changed, &mut ()).unwrap_err().to_string()
    };
    let message = refusal(&|config| config.methods = vec!["goofy".into()]);
    assert!(message.contains("no method is called `goofy`"), "{message}");
    let message = refusal(&|config| config.methods.clear());
    assert!(message.contains("no method to compare"), "{message}");
    let message = refusal(&|config| config.methods = vec!["goft".into(), "goft".into()]);
    assert!(message.contains("`goft` is named twice"), "{message}");
    let message = refusal(&|config| config.test_seeds = 0);
    assert!(
        message.contains("seeds to test with is 0; it has to be 1 to 99"),
        "{message}"
    );
    let message = refusal(&|config| config.tuning_seeds = u64::MAX);
    assert!(message.contains("it has to be 1 to 99"), "{message}");
    let message = refusal(&|config| config.rates_per_method = 0);
    assert!(message.contains("rates for each method is 0"), "{message}");
    let message = refusal(&|config| config.limit_eval = Some(0));
    assert!(message.contains("limit of test examples is 0"), "{message}");
    let message = refusal(&|config| config.limit_train = Some(3));
    assert!(message.contains("`--limit-train`"), "{message}");
    let message = refusal(&|config| config.forgetting = Some(config.run.train.clone()));
    assert!(
        message.contains("forgetting is measured on pairs"),
        "{message}"
    );
    let test = common::write_lines(&place.path("other.tsv"), ["odd\tthe film".to_string()]);
    let message = refusal(&|config| config.run.eval = test.clone());
    assert!(message.contains("the label `odd`"), "{message}");
    assert!(!place.out("runs-v1.jsonl").exists());
}
