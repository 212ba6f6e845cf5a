//! A model is fine-tuned until it answers as the data say, merged, and still does.

use std::ops::ControlFlow;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use hf_chat_template::Message;
use language_model::data::TextTokenizer;
use language_model::generate::{Generation, Sampling, generate};
use language_model::model::CausalLm;
use language_model::{Error, Pretrained, RunConfig, merge, train, with_adapter};

use crate::common;

fn settings(model: &Path, data: &Path, out: &Path, method: &str) -> RunConfig {
    RunConfig {
        steps: Some(80),
        batch_size: 5,
        learning_rate: Some(match method {
            "full" => 1e-2,
            "lora" => 2e-2,
            _ => 5e-2,
        }),
        ..RunConfig::new(model, data, out, method)
    }
}

/// What a model answers to each question.
fn answers(model: &CausalLm, folder: &Path) -> Vec<String> {
    let tokenizer = TextTokenizer::in_folder(folder, Some(2), 40, 64).unwrap();
    let generation = Generation {
        sampling: Sampling::default(),
        max_tokens: 8,
        ends: vec![2],
        stops: Vec::new(),
        seed: 0,
    };
    let questions = common::FACTS.map(|(thing, _)| {
        let message = Message::user(common::question(thing));
        tokenizer.prompt(&[message], &[]).unwrap()
    });
    let device = Device::flex();
    let answers = generate(model, &questions, &generation, &device, &mut |_, _| {
        ControlFlow::Continue(())
    });
    let text = |answer: &language_model::generate::Answer| {
        let end = if answer.ended { "" } else { " and on" };
        format!("{}{end}", tokenizer.decode(&answer.tokens))
    };
    answers.iter().map(text).collect()
}

#[test]
fn what_is_learned_is_answered_adapted_and_merged() {
    let device = Device::flex();
    let expected = common::FACTS.map(|(_, color)| format!("it is {color} ."));
    for (kind, method) in [
        ("llama", "goft"),
        ("qwen3", "qgoft"),
        ("gemma3", "oft"),
        ("phi3", "hra"),
        ("olmo2", "goft-star"),
        ("llama3", "lora"),
        ("qwen2", "full"),
    ] {
        let (place, folder) = common::model(kind);
        let data = common::data(&place);
        let [run, merged] = ["run", "merged"].map(|name| place.path().join(name));
        let mut notes = Vec::new();
        let outcome = train(&settings(&folder, &data, &run, method), &mut |progress| {
            if let language_model::training::Progress::Note(note) = progress {
                notes.push(note.clone());
            }
            ControlFlow::Continue(())
        });
        let outcome = outcome.unwrap();
        assert!(
            outcome.after.loss < 0.1 * outcome.before.loss,
            "{kind} {method}: {outcome:?}"
        );
        // What the assistant says, its end included, and nothing else.
        let shown = notes.join(" ");
        assert!(
            shown.contains("<assistant> ".trim()) && shown.matches('»').count() == 2,
            "{shown}"
        );

        let load = |folder: &Path| {
            Pretrained::load(folder, &device.clone().autodiff())
                .unwrap()
                .model
        };
        assert_ne!(answers(&load(&folder).valid(), &folder), expected);
        let adapted = with_adapter(load(&folder), &folder, &run).unwrap();
        assert_eq!(
            answers(&adapted.valid(), &folder),
            expected,
            "{kind} {method}"
        );
        let done = merge(&folder, &run, &merged, &device).unwrap();
        assert!(!done.replaced.is_empty());
        assert_eq!(
            answers(&load(&merged).valid(), &merged),
            expected,
            "{kind} {method}, merged"
        );
        // Onto the merged model the adapter does not go again.
        let twice = with_adapter(load(&merged), &merged, &run);
        assert!(
            match twice {
                Err(Error::Goft(error)) => error.is_mismatch(),
                Err(Error::Run { .. }) => ["lora", "full"].contains(&method),
                _ => false,
            },
            "{kind} {method}"
        );
    }
}

#[test]
fn an_interrupted_run_goes_on_as_if_it_had_not_been() {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    let [whole, parts] = ["whole", "parts"].map(|name| place.path().join(name));
    let short = |out: &Path| RunConfig {
        steps: Some(6),
        ..settings(&folder, &data, out, "goft")
    };
    let go_on = |_: &language_model::training::Progress| ControlFlow::Continue(());
    train(&short(&whole), &mut { go_on }).unwrap();
    let mut steps = 0;
    let stopped = train(&short(&parts), &mut |progress| {
        steps += usize::from(matches!(
            progress,
            language_model::training::Progress::Step { .. }
        ));
        match steps {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert!(
        matches!(stopped, Err(Error::Interrupted { step: 3, .. })),
        "{stopped:?}"
    );
    let resumed = RunConfig {
        resume: true,
        ..short(&parts)
    };
    train(&resumed, &mut { go_on }).unwrap();
    let read = |run: &Path| std::fs::read(run.join("adapter.safetensors")).unwrap();
    let values = |run: &Path| {
        let file = burn_goft::AdapterFile::from_bytes(&read(run)).unwrap();
        let device = Device::flex().autodiff();
        let model = Pretrained::load(&folder, &device).unwrap().model;
        let model = burn_goft::GoftModule::load_adapters(model, file).unwrap();
        answers(&model.valid(), &folder)
    };
    assert_eq!(values(&whole), values(&parts));
}

/// Files of factors and of whole weights do not know their base; the run does.
#[test]
fn what_was_trained_on_other_weights_is_refused() {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    let run = place.path().join("run");
    let short = RunConfig {
        steps: Some(2),
        ..settings(&folder, &data, &run, "lora")
    };
    train(&short, &mut |_| ControlFlow::Continue(())).unwrap();
    let load = || {
        let device = Device::flex().autodiff();
        let model = Pretrained::load(&folder, &device).unwrap().model;
        with_adapter(model, &folder, &run)
    };
    load().unwrap();
    let path = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let message = load().unwrap_err().to_string();
    assert!(
        message.contains("it was trained on other weights"),
        "{message}"
    );
    let merged = merge(&folder, &run, &place.path().join("merged"), &Device::flex());
    let message = merged.unwrap_err().to_string();
    assert!(
        message.contains("it was trained on other weights"),
        "{message}"
    );
}

#[test]
fn a_method_that_trains_a_head_alone_has_nothing_to_train() {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    let run = place.path().join("run");
    let probe = settings(&folder, &data, &run, "linear-probe");
    let error = train(&probe, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(
        error.to_string().contains("a language model has none"),
        "{error}"
    );
    let biases = settings(&folder, &data, &run, "bitfit");
    let error = train(&biases, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`bitfit` finds nothing to train"),
        "{error}"
    );
    assert!(!run.exists());
}

#[test]
fn a_run_of_nothing_measures_the_model_and_leaves_it() {
    let (place, folder) = common::model("llama");
    let data = common::data(&place);
    let run = place.path().join("run");
    let config = RunConfig::new(&folder, &data, &run, "none");
    let outcome = train(&config, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(outcome.before, outcome.after);
    assert!(outcome.before.loss > 1.0 && outcome.trainable_parameters == 0 && outcome.steps == 0);
    let device = Device::flex().autodiff();
    let load = || Pretrained::load(&folder, &device).unwrap().model;
    let adapted = with_adapter(load(), &folder, &run).unwrap();
    assert_eq!(
        answers(&adapted.valid(), &folder),
        answers(&load().valid(), &folder)
    );
    let error = merge(&folder, &run, &place.path().join("merged"), &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("trained nothing"), "{error}");
    let again = train(&config, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(again, Error::Run { .. }), "{again}");

    // Another run that has not finished is not touched.
    let other = place.path().join("other");
    let goft = RunConfig::new(&folder, &data, &other, "goft");
    let stopped = train(&goft, &mut |progress| match progress {
        language_model::training::Progress::Step { step: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    for resume in [false, true] {
        let none = RunConfig {
            resume,
            ..RunConfig::new(&folder, &data, &other, "none")
        };
        train(&none, &mut |_| ControlFlow::Continue(())).unwrap_err();
    }
    let resumed = RunConfig {
        resume: true,
        ..goft
    };
    train(&resumed, &mut |_| ControlFlow::Continue(())).unwrap();
}
