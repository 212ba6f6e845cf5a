//! A run that is interrupted and resumed is, bit for bit, the run that was not.

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::DType;
use common::Place;
use text_classification::{Error, Outcome, Progress, RunConfig, run};

fn straight(config: &RunConfig) -> Result<Outcome, Error> {
    run(config, &mut |_| ControlFlow::Continue(()))
}

/// Stops after so many updates of all.
fn stop_after(config: &RunConfig, last: usize) -> Result<Outcome, Error> {
    run(config, &mut |progress| match progress {
        Progress::Step { step, .. } if *step == last => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
}

fn place(method: &str) -> Place {
    let mut place = Place::new(method);
    // 7 batches in 4 updates an epoch.
    place.config.batch_size = 6;
    place.config.accumulation = 2;
    place.config.head_learning_rate = Some(1e-2);
    place
}

/// Everything that a run leaves but times.
fn results(place: &Place, mut outcome: Outcome) -> impl PartialEq + std::fmt::Debug + use<> {
    outcome.seconds_per_step = 0.0;
    outcome.peak_memory_bytes = None;
    let tensors = common::file_tensors(&place.out("adapter.safetensors"));
    let mut log = ["step", "epoch"].map(|event| place.log(event));
    for line in log.iter_mut().flatten() {
        line.as_object_mut().unwrap().remove("cost");
    }
    (outcome, tensors, log)
}

#[test]
fn resumed_is_uninterrupted() {
    for method in [
        "linear-probe",
        "bitfit",
        "full",
        "lora",
        "goft",
        "goft-star",
        "qgoft",
        "oft",
        "hra",
        "road",
    ] {
        let uninterrupted = place(method);
        let outcome = straight(&uninterrupted.config).unwrap();
        assert_eq!(outcome.steps, 12);
        let expected = results(&uninterrupted, outcome);
        // In the first epoch, after its last update but before its validation, in the middle,
        // before the end.
        for stop in [1, 4, 6, 11] {
            let mut place = place(method);
            let stopped = stop_after(&place.config, stop).unwrap_err();
            let Error::Interrupted {
                step,
                steps,
                ref folder,
            } = stopped
            else {
                panic!("{stopped}");
            };
            assert_eq!((step, steps), (stop, 12));
            assert!(stopped.to_string().contains("--resume"));
            assert!(folder.join("state.json").exists());
            place.config.resume = true;
            let outcome = straight(&place.config).unwrap();
            assert!(
                results(&place, outcome) == expected,
                "{method}, stopped after {stop}"
            );
        }
    }
}

#[test]
fn interrupted_twice_and_killed_once() {
    let uninterrupted = place("goft");
    let expected = results(&uninterrupted, straight(&uninterrupted.config).unwrap());
    let mut place = place("goft");
    stop_after(&place.config, 2).unwrap_err();
    place.config.resume = true;
    stop_after(&place.config, 7).unwrap_err();
    // Killed in the middle of a later line and of a later checkpoint: what they hold is made again.
    let log = place.out("log.jsonl");
    let lines = std::fs::read_to_string(&log).unwrap();
    let eighth = lines
        .lines()
        .last()
        .unwrap()
        .replace("\"step\":7", "\"step\":8");
    std::fs::write(&log, format!("{lines}{eighth}\n{{\"event\":\"st")).unwrap();
    std::fs::create_dir(place.out(".checkpoint-9.partial")).unwrap();
    let outcome = straight(&place.config).unwrap();
    assert!(results(&place, outcome) == expected);
    let left = std::fs::read_dir(&place.config.out).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with("checkpoint-")
    });
    assert_eq!(left.count(), 0, "a finished run needs no checkpoints");
}

#[test]
fn a_run_is_not_resumed_as_another() {
    let mut place = place("goft");
    stop_after(&place.config, 5).unwrap_err();
    let refusal = |config: &RunConfig| straight(config).unwrap_err().to_string();
    let message = refusal(&place.config);
    assert!(
        message.contains("not finished; go on with --resume"),
        "{message}"
    );

    place.config.resume = true;
    let mut other = place.config.clone();
    other.batch_size = 7;
    let message = refusal(&other);
    assert!(
        message.contains("made with `batch_size` 6, and asked is 7"),
        "{message}"
    );
    let mut other = place.config.clone();
    other.method = "qgoft".into();
    let message = refusal(&other);
    assert!(message.contains("`method` \"goft\""), "{message}");

    let train = std::fs::read_to_string(&place.config.train).unwrap();
    std::fs::write(&place.config.train, format!("{train}pos\tgood\n")).unwrap();
    let message = refusal(&place.config);
    assert!(message.contains("data files have changed"), "{message}");
    std::fs::write(&place.config.train, train).unwrap();

    let model = Path::new(&place.config.model).join("model.safetensors");
    let weights = std::fs::read(&model).unwrap();
    common::write_weights(&model, &common::tensors(12), DType::F32, str::to_string);
    let message = refusal(&place.config);
    assert!(message.contains("other pretrained weights"), "{message}");
    std::fs::write(&model, weights).unwrap();

    // Refusals have left the checkpoint as it was, and files may be called by other names.
    let mut other = place.config.clone();
    let copy = place.path("copy.tsv");
    std::fs::copy(&other.train, &copy).unwrap();
    other.train = copy;
    straight(&other).unwrap();
    let message = refusal(&place.config);
    assert!(
        message.contains("finished run; name another folder"),
        "{message}"
    );
}

/// Between its adapter and its metrics.
#[test]
fn a_run_that_was_killed_at_its_end_is_finished() {
    let mut place = place("goft");
    let stopped = stop_after(&place.config, 11).unwrap_err();
    let Error::Interrupted { folder, .. } = stopped else {
        panic!("{stopped}");
    };
    let copy = place.path("copy");
    let name = folder.file_name().unwrap().to_owned();
    copy_folder(&folder, &copy);
    place.config.resume = true;
    let outcome = straight(&place.config).unwrap();
    std::fs::remove_file(place.out("metrics.json")).unwrap();
    copy_folder(&copy, &place.config.out.join(name));
    let again = straight(&place.config).unwrap();
    assert_eq!(again.test, outcome.test);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn without_a_checkpoint_there_is_nothing_to_resume() {
    let mut place = place("goft");
    place.config.resume = true;
    let message = straight(&place.config).unwrap_err().to_string();
    assert!(
        message.contains("no checkpoint; start without --resume"),
        "{message}"
    );

    place.config.resume = false;
    stop_after(&place.config, 3).unwrap_err();
    std::fs::write(place.out("checkpoint-1").join("model.bpk"), b"damaged").unwrap();
    place.config.resume = true;
    let message = straight(&place.config).unwrap_err().to_string();
    assert!(message.contains("model.bpk"), "{message}");
}

#[test]
fn a_fixed_number_of_steps_is_resumed_as_well() {
    let fixed = || {
        let mut place = place("goft");
        place.config.steps = Some(6);
        place
    };
    let uninterrupted = fixed();
    let outcome = straight(&uninterrupted.config).unwrap();
    assert_eq!(outcome.steps, 6);
    let expected = results(&uninterrupted, outcome);
    // Before a validation, in an epoch that is cut short, and before the validation of that.
    for stop in [4, 5, 6] {
        let mut place = fixed();
        stop_after(&place.config, stop).unwrap_err();
        place.config.resume = true;
        let outcome = straight(&place.config).unwrap();
        assert!(results(&place, outcome) == expected, "after {stop}");
    }
}
