//! Whole runs on the tiny model: what each method trains, what it learns, and what it leaves.

mod common;

use std::ops::ControlFlow;

use burn::tensor::Device;
use common::Place;
use text_classification::{
    Examples, METHODS, Metrics, ModelFiles, Predictor, Progress, Task, Text, read_texts,
};

/// 2 layers of weights [12, 12] four times, [12, 20] and [20, 12] as burn has them, and a head [12,
/// 2] with its bias.
const HEAD: usize = 12 * 2 + 2;
const ANGLES: usize = 2 * (5 * 11 + 19);
const NEURONS: usize = 2 * (4 * 12 + 20 + 12);

/// Trained numbers by method, and what is in the paths of what it trains beside the head.
fn expected(method: &str) -> (usize, fn(&str) -> bool) {
    let bert = |path: &str| path.starts_with("bert.");
    match method {
        "linear-probe" => (HEAD, |_| false),
        "bitfit" => (HEAD + 2 * (4 * 12 + 20 + 12 + 2 * 12) + 12, |path| {
            path.starts_with("bert.") && (path.ends_with("bias") || path.ends_with("beta"))
        }),
        "full" => {
            let all = common::tensors(0)
                .values()
                .map(|(_, v)| v.len())
                .sum::<usize>();
            (HEAD + all, bert)
        }
        "lora" => (HEAD + 2 * 8 * (4 * 24 + 2 * 32), |path| {
            path.contains(".lora.")
        }),
        "goft" => (HEAD + ANGLES, |path| path.contains(".goft.angles")),
        "goft-star" => (HEAD + ANGLES + NEURONS, |path| path.contains(".goft.")),
        "qgoft" => (HEAD + 4 * ANGLES, |path| {
            path.contains(".goft.block_offsets")
        }),
        // Axes shorter than 32 are one block.
        "oft" => (HEAD + 2 * (5 * 12 * 11 / 2 + 20 * 19 / 2), |path| {
            path.contains(".goft.skew")
        }),
        "hra" => (HEAD + 2 * 8 * (5 * 12 + 20), |path| {
            path.contains(".goft.reflections")
        }),
        // An angle and a scale of each pair of neighbors.
        "road" => (HEAD + 2 * (5 * 12 + 20), |path| {
            path.contains(".goft.road1")
        }),
        other => panic!("say what `{other}` trains"),
    }
}

fn reviews() -> Vec<Text> {
    let texts = common::reviews(10, 9).into_iter();
    let text = |(_, first)| Text {
        first,
        second: None,
    };
    texts.map(text).collect()
}

#[test]
fn every_method_trains_its_parameters_and_no_others_and_its_file_gives_them_back() {
    for method in &METHODS {
        let place = Place::new(method.name);
        let trained = place.train().unwrap();
        let (count, is_trained) = expected(method.name);
        let outcome = &trained.outcome;
        assert_eq!(outcome.trainable_parameters, count, "{}", method.name);
        assert_eq!(outcome.steps, 15);

        let device = Device::flex();
        let base = ModelFiles::in_folder(&place.path("model")).unwrap();
        let base = common::stored::bits(&base.load(16, &device).unwrap().bert);
        let after = common::stored::bits(trained.predictor.model());
        for (path, bits) in &after {
            let Some(path_in_bert) = path.strip_prefix("bert.") else {
                continue;
            };
            let changed = match base.get(path_in_bert) {
                Some(before) => before != bits,
                None => {
                    // An adapter's own parameter: most start at zero, factors and reflections do
                    // not.
                    bits.iter().any(|bits| f32::from_bits(*bits) != 0.0)
                }
            };
            // A key's bias moves all scores of a query alike, and softmax takes that out again.
            let without_effect = path.ends_with("key.bias");
            if !without_effect {
                assert_eq!(changed, is_trained(path), "{}: {path}", method.name);
            }
        }

        let bytes = std::fs::metadata(place.out("adapter.safetensors"))
            .unwrap()
            .len();
        assert_eq!(outcome.adapter_bytes, bytes);
        let loaded = Predictor::load(&place.config.out, None, &device).unwrap();
        assert_eq!(
            common::stored::bits(loaded.model()),
            after,
            "{}",
            method.name
        );
        let answers = loaded.predict(&reviews()).unwrap();
        assert_eq!(answers, trained.predictor.predict(&reviews()).unwrap());
        let test = Examples::read(&place.config.eval).unwrap();
        assert_eq!(loaded.evaluate(&test).unwrap(), outcome.test);
    }
}

#[test]
fn every_method_learns_more_than_a_head_alone() {
    // The encoder is random and tiny, and wants larger steps than a pretrained one.
    let rates = [
        ("linear-probe", 0.0),
        ("bitfit", 3e-2),
        ("full", 1e-2),
        ("lora", 1e-2),
        ("goft", 5e-2),
        ("goft-star", 5e-2),
        ("qgoft", 3e-2),
        ("oft", 3e-2),
        ("hra", 3e-2),
        ("road", 5e-2),
    ];
    assert_eq!(rates.map(|(name, _)| name), METHODS.map(|m| m.name));
    let results = rates.map(|(name, rate)| {
        let mut place = Place::new(name);
        place.config.epochs = 16;
        place.config.patience = None;
        place.config.learning_rate = Some(rate);
        place.config.head_learning_rate = Some(3e-2);
        let outcome = place.train().unwrap().outcome;
        let epochs = place.log("epoch");
        let loss = epochs[15]["training_loss"].as_f64().unwrap();
        (name, loss, outcome.test.score())
    });
    let (_, alone, _) = results[0];
    for (name, loss, accuracy) in &results[1..] {
        assert!(*loss < alone / 2.0, "{name}: {results:?}");
        assert!(*accuracy >= 0.85, "{name}: {results:?}");
    }
}

#[test]
fn targets_choose_layers_and_say_what_there_is() {
    let mut place = Place::new("goft");
    place.config.epochs = 1;
    place.config.targets = vec!["*.query.weight".into(), "*encoder.1.output.weight".into()];
    let trained = place.train().unwrap();
    assert_eq!(trained.outcome.trainable_parameters, HEAD + 2 * 11 + 19);

    let refusal = |method: &str, target: &str| {
        let mut place = Place::new(method);
        place.config.targets = vec![target.into()];
        place.train().unwrap_err().to_string()
    };
    let message = refusal("goft", "*.queries.weight");
    assert!(
        message.contains("`*.queries.weight` matches no linear weight"),
        "{message}"
    );
    assert!(
        message.contains("bert.encoder.0.attention.query.weight"),
        "{message}"
    );
    let message = refusal("bitfit", "*.query.weight");
    assert!(message.contains("matches no bias"), "{message}");
    let message = refusal("linear-probe", "*");
    assert!(message.contains("takes no targets"), "{message}");
    let message = refusal("lora", "a[b");
    assert!(message.contains("not a valid glob"), "{message}");
}

#[test]
fn two_half_batches_make_the_update_of_one() {
    let run = |batch_size, accumulation| {
        let mut place = Place::new("qgoft");
        common::write_reviews(&place.config.train, 8, 5);
        place.config.batch_size = batch_size;
        place.config.accumulation = accumulation;
        // Something to average: the penalty counts once, whatever the number of batches.
        place.config.penalty = Some(1.0);
        let trained = place.train().unwrap();
        assert_eq!(trained.outcome.steps, 3);
        let loss = place.log("step")[2]["loss"].as_f64().unwrap();
        let norm = place.log("step")[2]["gradient_norm"].as_f64().unwrap();
        (loss, norm)
    };
    let (whole, halves, uneven) = (run(8, 1), run(4, 2), run(3, 3));
    for other in [halves, uneven] {
        assert!((whole.0 - other.0).abs() < 1e-5, "{whole:?} {other:?}");
        assert!(
            (whole.1 / other.1 - 1.0).abs() < 1e-3,
            "{whole:?} {other:?}"
        );
    }
}

#[test]
fn the_rates_rise_and_fall_as_written() {
    let mut place = Place::new("goft");
    place.config.warmup = 0.2;
    place.config.learning_rate = Some(0.01);
    place.config.head_learning_rate = Some(0.1);
    place.train().unwrap();
    let steps = place.log("step");
    assert_eq!(steps.len(), 15);
    for (index, line) in steps.iter().enumerate() {
        let t = index as f64;
        let factor = if t < 3.0 {
            (t + 1.0) / 3.0
        } else {
            (15.0 - t) / 12.0
        };
        let rate = line["learning_rate"].as_f64().unwrap();
        let head = line["head_learning_rate"].as_f64().unwrap();
        assert!((rate - 0.01 * factor).abs() < 1e-12, "{line}");
        assert!((head - 0.1 * factor).abs() < 1e-12, "{line}");
    }
}

#[test]
fn a_long_training_takes_a_third_of_the_rates_unless_they_are_given() {
    let peak = |steps, rate| {
        let mut place = Place::new("linear-probe");
        place.config.batch_size = 1;
        place.config.steps = Some(steps);
        place.config.warmup = 0.0;
        place.config.head_learning_rate = rate;
        // The first step says the peak.
        text_classification::run(&place.config, &mut |_| ControlFlow::Break(())).unwrap_err();
        place.log("step")[0]["head_learning_rate"].as_f64().unwrap()
    };
    assert_eq!(peak(100, None), 3e-2);
    assert_eq!(peak(200, None), 1.5e-2);
    assert!((peak(3000, None) - 1e-2).abs() < 1e-12);
    assert_eq!(peak(3000, Some(0.25)), 0.25);
}

#[test]
fn a_training_without_progress_stops_early() {
    let mut place = Place::new("linear-probe");
    place.config.epochs = 9;
    place.config.patience = Some(2);
    place.config.head_learning_rate = Some(0.0);
    let mut stops = Vec::new();
    let outcome = text_classification::run(&place.config, &mut |progress| {
        if let Progress::Epoch {
            stops: last, best, ..
        } = progress
        {
            stops.push((*best, *last));
        }
        ControlFlow::Continue(())
    });
    // The first epoch is the best, and two more are not better.
    assert_eq!(stops, [(true, false), (false, false), (false, true)]);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.steps, outcome.best_epoch), (15, 0));

    // The last epoch ends it anyway.
    place.config.epochs = 3;
    place.config.out = place.path("three");
    let mut last = None;
    text_classification::run(&place.config, &mut |progress| {
        if let Progress::Epoch { stops, .. } = progress {
            last = Some(*stops);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(last, Some(false));
}

#[test]
fn the_best_epoch_is_the_one_that_is_kept() {
    let mut place = Place::new("full");
    place.config.epochs = 6;
    place.config.patience = None;
    // Far too fast: the validation goes up and down.
    place.config.learning_rate = Some(0.1);
    place.config.head_learning_rate = Some(3e-3);
    let trained = place.train().unwrap();
    let epochs = place.log("epoch");
    let accuracies = epochs.iter().map(|line| {
        let accuracy = line["validation"]["accuracy"].as_f64().unwrap();
        (accuracy, -line["validation"]["loss"].as_f64().unwrap())
    });
    let accuracies: Vec<_> = accuracies.collect();
    let outcome = &trained.outcome;
    let best = accuracies[outcome.best_epoch];
    assert!(accuracies.iter().all(|other| best >= *other));
    assert_ne!(
        best, accuracies[5],
        "the last epoch must not be the best for this test to say anything"
    );
    let validation = Examples::read(place.config.validation.as_ref().unwrap()).unwrap();
    let again = trained.predictor.evaluate(&validation).unwrap();
    assert_eq!(again, outcome.validation);
    assert_eq!(again.score(), best.0);
}

#[test]
fn pairs_are_told_apart_by_their_token_types() {
    let mut place = Place::new("full");
    let pairs = |count, seed| {
        let (first, second) = (
            common::reviews(count, seed),
            common::reviews(count, seed + 100),
        );
        let pairs = first
            .into_iter()
            .zip(second.into_iter().skip(seed as usize % 2));
        pairs.map(|((a, first), (b, second))| {
            let label = if a == b { "same" } else { "other" };
            format!("{label}\t{first}\t{second}")
        })
    };
    // Even seeds give pairs of the same opinion, odd ones of opposite opinions.
    let both = |name: &str, count: usize, seed: u64| {
        let lines = pairs(count, seed).chain(pairs(count, seed + 1));
        common::write_lines(&place.path(name), lines)
    };
    let (train, test) = (both("pairs.tsv", 30, 20), both("pairs_test.tsv", 10, 30));
    place.config.train = train;
    place.config.eval = test.clone();
    place.config.validation = Some(test);
    let trained = place.train().unwrap();
    let text = |first: &str, second: &str| Text {
        first: first.into(),
        second: Some(second.into()),
    };
    let answers = trained.predictor.predict(&[
        text("the film is good", "the plot was awful"),
        text("the plot was awful", "the film is good"),
    ]);
    let answers = answers.unwrap();
    assert_ne!(answers[0].probability, answers[1].probability);

    let loaded = Predictor::load(&place.config.out, None, &Device::flex()).unwrap();
    assert!(loaded.takes_pairs());
    let singles = Examples::read(&place.path("validation.tsv")).unwrap();
    let message = loaded.evaluate(&singles).unwrap_err().to_string();
    assert!(
        message.contains("holds single texts, and the training data holds pairs"),
        "{message}"
    );
    let message = read_texts(&place.path("test.tsv"), false)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("line 1: the model was trained on single texts"),
        "{message}"
    );
}

#[test]
fn numbers_are_learned_in_their_own_units() {
    let mut place = Place::new("goft");
    // 100 for a good film and 140 for a bad one, and 1 more for each word.
    let numbers = |name: &str, count, seed| {
        let lines = common::reviews(count, seed)
            .into_iter()
            .map(|(label, text)| {
                let base = if label == "pos" { 100 } else { 140 };
                format!("{}\t{text}", base + text.split(' ').count())
            });
        common::write_lines(&place.path(name), lines)
    };
    let (train, test) = (numbers("n.tsv", 40, 1), numbers("n_test.tsv", 24, 2));
    place.config.train = train;
    place.config.eval = test.clone();
    place.config.validation = Some(test);
    place.config.regression = true;
    place.config.epochs = 30;
    place.config.patience = None;
    place.config.learning_rate = Some(3e-2);
    place.config.head_learning_rate = Some(1e-2);
    let trained = place.train().unwrap();
    let Metrics::Regression { mse, pearson, .. } = trained.outcome.test else {
        panic!("numbers");
    };
    // The labels' own variance is 400.
    assert!(mse < 100.0, "{mse}");
    assert!(pearson.unwrap() > 0.85, "{pearson:?}");
    let loaded = Predictor::load(&place.config.out, None, &Device::flex()).unwrap();
    let answers = loaded.predict(&reviews()).unwrap();
    assert_eq!(answers, trained.predictor.predict(&reviews()).unwrap());
    assert!(answers.iter().all(|answer| answer.probability.is_none()));
    let number: f64 = answers[0].label.parse().unwrap();
    assert!((95.0..125.0).contains(&number), "{number}");
}

#[test]
fn the_unit_of_numbers_is_that_of_the_training_part() {
    let mut place = Place::new("linear-probe");
    let lines = (0..5).map(|power| format!("{}\tfilm", 1 << power));
    place.config.train = common::write_lines(&place.path("powers.tsv"), lines);
    place.config.eval = place.config.train.clone();
    place.config.validation = None;
    place.config.validation_share = 0.2;
    place.config.regression = true;
    let trained = place.train().unwrap();
    let Task::Regression { mean, .. } = trained.predictor.task() else {
        panic!("numbers");
    };
    let held_out = 31.0 - 4.0 * mean;
    assert!([1.0, 2.0, 4.0, 8.0, 16.0].contains(&held_out), "{held_out}");
}

/// An adapter belongs to weights, not to the name of a folder.
#[test]
fn other_weights_are_refused_unless_asked_for() {
    for method in ["goft", "lora"] {
        let place = Place::new(method);
        place.train().unwrap();
        let model = std::path::Path::new(&place.config.model).join("model.safetensors");
        let tensors = common::tensors(12);
        common::write_weights(&model, &tensors, burn::tensor::DType::F32, str::to_string);
        let load = |model| Predictor::load(&place.config.out, model, &Device::flex());
        let message = load(None).unwrap_err().to_string();
        assert!(
            message.contains("trained on weights with the SHA-256"),
            "{message}"
        );
        let model = place.config.model.as_str();
        let message = load(Some(model)).unwrap_err().to_string();
        assert!(message.contains("with `--other-weights`"), "{message}");
        let device = Device::flex();
        assert!(Predictor::load_on_other_weights(&place.config.out, model, &device).is_ok());
    }
}

#[test]
fn settings_that_cannot_work_are_refused_before_training() {
    let refusal = |change: fn(&mut text_classification::RunConfig)| {
        let mut place = Place::new("goft");
        change(&mut place.config);
        let refused = place.train().unwrap_err().to_string();
        assert!(!place.out("log.jsonl").exists());
        refused
    };
    for (message, expected) in [
        (
            refusal(|c| c.method = "goofy".into()),
            "no method is called `goofy`; choose one of linear-probe",
        ),
        (
            refusal(|c| c.device = "abacus".into()),
            "no device is called `abacus`",
        ),
        (refusal(|c| c.batch_size = 0), "the batch size is 0"),
        (refusal(|c| c.epochs = 0), "the number of epochs is 0"),
        (refusal(|c| c.patience = Some(0)), "the patience is 0"),
        (
            refusal(|c| c.learning_rate = Some(f64::NAN)),
            "the learning rate is NaN",
        ),
        (refusal(|c| c.warmup = 1.0), "the warm-up is 1"),
        (
            refusal(|c| c.validation_share = 0.0),
            "the share for validation is 0",
        ),
        (
            refusal(|c| c.penalty = Some(0.1)),
            "`goft` has no orthogonality penalty",
        ),
        (refusal(|c| c.max_length = 3), "texts of at most 3 tokens"),
        (refusal(|c| c.model = "./nowhere".into()), "no such folder"),
        (
            refusal(|c| c.train = "nowhere.tsv".into()),
            "reading `nowhere.tsv`",
        ),
    ] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn models_that_lack_a_file_say_which() {
    let refusal = |change: fn(&std::path::Path)| {
        let place = Place::new("goft");
        change(&place.path("model"));
        place.train().unwrap_err().to_string()
    };
    for (message, expected) in [
        (
            refusal(|m| std::fs::remove_file(m.join("config.json")).unwrap()),
            "no config.json",
        ),
        (
            refusal(|m| std::fs::remove_file(m.join("vocab.txt")).unwrap()),
            "neither tokenizer.json nor vocab.txt",
        ),
        (
            refusal(|m| std::fs::remove_file(m.join("model.safetensors")).unwrap()),
            "no .safetensors file",
        ),
        (
            refusal(|m| {
                let weights = m.join("model.safetensors");
                std::fs::copy(&weights, m.join("a.safetensors")).unwrap();
                std::fs::rename(&weights, m.join("b.safetensors")).unwrap();
            }),
            "a.safetensors, b.safetensors",
        ),
        (
            refusal(|m| {
                let words = std::fs::read_to_string(m.join("vocab.txt")).unwrap();
                std::fs::write(m.join("vocab.txt"), words + "more\n").unwrap();
            }),
            "the tokenizer has 27 tokens, and config.json says 26",
        ),
    ] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn texts_that_are_cut_are_counted() {
    let mut place = Place::new("linear-probe");
    place.config.max_length = 128;
    let long = "the film is good and good and good and good and good and good and good";
    let lines = [
        "pos\tgood".to_string(),
        format!("neg\t{long}"),
        format!("pos\t{long}"),
    ];
    common::write_lines(&place.config.train, lines);
    let mut notes = Vec::new();
    let finished = text_classification::run(&place.config, &mut |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note.clone());
        }
        ControlFlow::Continue(())
    });
    finished.unwrap();
    assert_eq!(
        notes,
        [
            "3 texts of 2 classes: neg (1), pos (2)",
            "1 of them with one example, such as `neg` in line 2: a header looks like that, if its first column is not called `label`",
            "the model has 16 positions: texts are cut there, not at 128 tokens",
            "2 of 3 texts are longer than 16 tokens and were cut there"
        ]
    );
}

#[test]
fn an_adapter_does_not_go_onto_another_model() {
    for method in ["goft", "lora"] {
        let mut place = Place::new(method);
        place.config.epochs = 1;
        place.train().unwrap();
        let other = place.path("other");
        std::fs::create_dir(&other).unwrap();
        for name in ["vocab.txt", "model.safetensors"] {
            std::fs::copy(place.path("model").join(name), other.join(name)).unwrap();
        }
        // Same names, half the layers.
        let config =
            common::config_json().replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
        std::fs::write(other.join("config.json"), config).unwrap();
        let mut tensors = common::tensors(11);
        tensors.retain(|name, _| !name.contains("layer.1."));
        common::write_weights(
            &other.join("model.safetensors"),
            &tensors,
            burn::tensor::DType::F32,
            str::to_string,
        );
        let other = other.to_str().unwrap();
        let refusal = Predictor::load_on_other_weights(&place.config.out, other, &Device::flex());
        let message = refusal.unwrap_err().to_string();
        assert!(message.contains("encoder.1."), "{message}");
        assert!(message.contains("load it onto the model"), "{message}");
    }
    let empty = tempfile::tempdir().unwrap();
    let refusal = Predictor::load(empty.path(), None, &Device::flex()).unwrap_err();
    assert!(
        refusal.to_string().contains("no finished run here"),
        "{refusal}"
    );
}

#[test]
fn a_rank_above_a_matrix_and_a_rate_of_nothing_are_refused() {
    let mut place = Place::new("lora");
    place.config.rank = 13;
    let message = place.train().unwrap_err().to_string();
    assert!(message.contains("rank 13"), "{message}");
    assert!(
        message.contains("[12, 12]") && message.contains("take 1 to 12"),
        "{message}"
    );
    place.config.rank = usize::MAX;
    let message = place.train().unwrap_err().to_string();
    assert!(message.contains("take 1 to 12"), "{message}");
    place.config.rank = 12;
    place.config.epochs = 1;
    place.train().unwrap();

    let mut place = Place::new("linear-probe");
    place.config.learning_rate = Some(1e-2);
    let message = place.train().unwrap_err().to_string();
    assert!(message.contains("trains the head only"), "{message}");
}

#[test]
fn a_damaged_adapter_is_refused() {
    for method in ["goft", "lora", "bitfit"] {
        let mut place = Place::new(method);
        place.config.epochs = 1;
        place.train().unwrap();
        let path = place.out("adapter.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let refusal = Predictor::load(&place.config.out, None, &Device::flex());
        let message = refusal.unwrap_err().to_string();
        assert!(message.contains("adapter.safetensors"), "{message}");
        assert!(
            message.contains("settings.json was written for"),
            "{message}"
        );
    }
}

#[test]
fn a_model_that_was_moved_is_named_with_the_way_to_say_where() {
    let mut place = Place::new("linear-probe");
    place.config.epochs = 1;
    place.train().unwrap();
    let moved = place.path("moved");
    std::fs::rename(&place.config.model, &moved).unwrap();
    let refusal = Predictor::load(&place.config.out, None, &Device::flex());
    let message = refusal.unwrap_err().to_string();
    assert!(
        message.contains("name its place with `--model`"),
        "{message}"
    );
    let found = Predictor::load(&place.config.out, moved.to_str(), &Device::flex());
    assert!(found.is_ok());
}

#[test]
fn nothing_is_written_over() {
    let refusal = |place: &Place| place.train().unwrap_err().to_string();
    // An adapter and its settings are all that is needed to use them.
    let place = Place::new("goft");
    place.train().unwrap();
    std::fs::remove_file(place.out("metrics.json")).unwrap();
    std::fs::remove_file(place.out("log.jsonl")).unwrap();
    let before = common::file_tensors(&place.out("adapter.safetensors"));
    assert!(refusal(&place).contains("it holds an adapter; name another folder"));
    assert_eq!(
        common::file_tensors(&place.out("adapter.safetensors")),
        before
    );

    let mut place = Place::new("goft");
    place.config.out = place.config.model.clone().into();
    assert!(refusal(&place).contains("the folder of the pretrained model"));

    let place = Place::new("goft");
    std::fs::create_dir(&place.config.out).unwrap();
    let lock = std::fs::File::create(place.out(".lock")).unwrap();
    lock.try_lock().unwrap();
    assert!(refusal(&place).contains("another process is writing to it"));
    drop(lock);
    place.train().unwrap();
}

#[test]
fn a_fixed_number_of_steps_ends_with_the_last_state() {
    let place = |steps| {
        let mut place = Place::new("full");
        // What is learned makes the validation worse.
        let swapped = common::reviews(16, 3).into_iter().map(|(label, text)| {
            let label = if label == "pos" { "neg" } else { "pos" };
            format!("{label}\t{text}")
        });
        let validation = place.config.validation.clone().unwrap();
        common::write_lines(&validation, swapped);
        place.config.learning_rate = Some(1e-2);
        place.config.head_learning_rate = Some(3e-2);
        place.config.patience = Some(1);
        place.config.epochs = 8;
        place.config.steps = steps;
        place
    };
    let stopped = place(None).train().unwrap().outcome;
    assert!(stopped.steps < 40, "{stopped:?}");
    let place = place(Some(38));
    let mut config = place.config.clone();
    config.patience = None;
    let outcome = text_classification::run(&config, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((outcome.steps, outcome.best_epoch), (38, 7));
    let epochs = place.log("epoch");
    assert_eq!(epochs.len(), 8);
    let score = |epoch: usize| epochs[epoch]["validation"]["accuracy"].as_f64().unwrap();
    assert!(score(0) > score(7), "{epochs:?}");
    assert_eq!(outcome.validation.score(), score(7));
}
