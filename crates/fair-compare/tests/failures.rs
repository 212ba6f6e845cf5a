//! A run that fails is recorded, shown and not chosen, and the others are made.

mod common;

use std::collections::BTreeMap;
use std::fmt;

use common::{
    Fake, accuracy, accuracy_metric, compare, files, folder, make_steps, outcome, protocol,
};
use fair_compare::{
    Comparison, Error, Failure, FailureKind, Method, Outcome, Protocol, Report, RunError, RunSpec,
    Split, Steps,
};

#[derive(Debug, thiserror::Error)]
#[error("the loader gave up")]
struct Outer(#[source] Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such file")
    }
}

impl std::error::Error for Inner {}

/// One mishap for each method of that name.
fn mishap(
    spec: &RunSpec,
    steps: &mut Steps<'_>,
) -> Option<Result<Outcome, Box<dyn std::error::Error>>> {
    let mut good = outcome(spec, 50.0);
    Some(match spec.method.name() {
        "loss" => {
            let loss = steps.time(|| f64::NAN);
            steps.finite(loss).map(|_| good).map_err(Into::into)
        }
        "memory" => Err(RunError::OutOfMemory("asked for 90 GiB of 80".into()).into()),
        "error" => Err(Outer(Inner).into()),
        "panic" => panic!("shapes {} and {} differ", 3, 4),
        "metric" => {
            make_steps(spec, steps);
            good.metric = f64::NAN;
            Ok(good)
        }
        "short" => Ok(good),
        "long" => {
            make_steps(spec, steps);
            make_steps(spec, steps);
            Ok(good)
        }
        "drift" => {
            make_steps(spec, steps);
            good.drift.insert("twist".into(), f64::INFINITY);
            Ok(good)
        }
        "kl" => {
            make_steps(spec, steps);
            good.kl = Some(f64::INFINITY);
            Ok(good)
        }
        _ => return None,
    })
}

fn with_all_mishaps() -> Protocol {
    let names = [
        "loss", "memory", "error", "panic", "metric", "short", "long", "drift", "kl",
    ];
    let protocol = Protocol::new(accuracy_metric(), Method::new("base"))
        .with_rates([1e-2])
        .with_tuning_seeds([0])
        .with_test_seeds([1, 2])
        .with_steps(2);
    let methods = names.iter().map(|name| Method::new(*name));
    methods.fold(protocol, Protocol::with_method)
}

#[test]
fn each_kind_of_failure_is_recorded_and_the_others_go_on() {
    let folder = folder();
    let fake = Fake::new(accuracy).with_mishap(mishap);
    let report = compare(&with_all_mishaps(), folder.path(), &fake).unwrap();
    let failures: BTreeMap<&str, &Failure> = report
        .records()
        .iter()
        .filter_map(|record| Some((&*record.run.method, record.failure()?)))
        .collect();
    let expected = [
        (
            "loss",
            FailureKind::Diverged,
            "the loss is NaN after step 1",
        ),
        ("memory", FailureKind::OutOfMemory, "asked for 90 GiB of 80"),
        (
            "error",
            FailureKind::Error,
            "the loader gave up: no such file",
        ),
        ("panic", FailureKind::Panic, "shapes 3 and 4 differ"),
        ("metric", FailureKind::Diverged, "the metric is NaN"),
        (
            "short",
            FailureKind::Refused,
            "2 training steps are agreed and 0 were made",
        ),
        (
            "long",
            FailureKind::Refused,
            "2 training steps are agreed and 4 were made",
        ),
        ("drift", FailureKind::Refused, "twist is inf"),
        ("kl", FailureKind::Refused, "the KL divergence is inf"),
    ];
    assert_eq!(failures.len(), expected.len());
    let text = report.markdown();
    for (method, kind, message) in expected {
        assert_eq!(
            (failures[method].kind, &*failures[method].message),
            (kind, message)
        );
        assert!(
            text.contains(&format!(": {message}\n")),
            "{message} is not in\n{text}"
        );
    }

    let base = &report.rows()[0];
    assert_eq!((base.finished, base.planned), (2, 2));
    for row in &report.rows()[1..] {
        assert_eq!(
            (row.choice, row.finished, row.metric),
            (None, 0, None),
            "{}",
            row.method
        );
    }
    // A method without a rate has nothing to test.
    let tests = fake
        .asked()
        .into_iter()
        .filter(|run| run.split == Split::Test);
    assert!(tests.map(|run| run.method).eq(["base", "base"]));
    assert!(
        text.contains("| loss | all failed | 0 of 2 | - |"),
        "{text}"
    );
    assert!(!text.contains("Not finished"), "{text}");

    let read = Report::read(folder.path()).unwrap();
    assert_eq!(read.records(), report.records());
}

#[test]
fn a_rate_that_fails_for_one_seed_is_not_chosen() {
    // 1e-2 is the best rate, and 1e-3 and 1e-1 are as good as each other.
    let fake = Fake::new(accuracy).with_mishap(|spec, _| {
        let fails = spec.rate == 1e-2 && spec.seed == 1;
        fails.then(|| Err("a cosmic ray".into()))
    });
    let folder = folder();
    let report = compare(&protocol(), folder.path(), &fake).unwrap();
    for row in report.rows() {
        assert_eq!(row.choice.unwrap().rate, 1e-3);
    }
    let text = report.markdown();
    assert!(text.contains("1 of 2 failed"), "{text}");
}

#[test]
fn a_failed_test_run_is_counted_out_and_shown() {
    let fake = Fake::new(accuracy).with_mishap(|spec, _| {
        let fails = spec.method.name() == "good" && spec.seed == 4;
        fails.then(|| Err(RunError::Diverged("lost".into()).into()))
    });
    let folder = folder();
    let report = compare(&protocol(), folder.path(), &fake).unwrap();
    let [base, good] = report.rows() else {
        panic!()
    };
    assert_eq!((base.finished, base.failed), (3, 0));
    assert_eq!((good.finished, good.failed, good.planned), (2, 1, 3));
    // 80 + 3 - 10, half a point for a unit of the seed, a quarter for its rest by three.
    assert_eq!(good.metric.unwrap().mean, (74.5 + 74.5) / 2.0);
    let difference = good.difference.as_ref().unwrap();
    let seeds: Vec<u64> = difference.by_seed.iter().map(|pair| pair.seed).collect();
    assert_eq!(seeds, [2, 3]);
    // 3.5 for the one and 3 for the other.
    assert_eq!(difference.spread.mean, 3.25);
    let text = report.markdown();
    assert!(
        text.contains("| good | 1e-2 | 2 of 3, 1 failed |"),
        "{text}"
    );
    assert!(
        text.contains("- good, rate 1e-2, seed 4, test: diverged: lost\n"),
        "{text}"
    );
}

#[test]
fn what_was_mended_is_made_again_on_request_and_what_diverged_is_not() {
    let folder = folder();
    let protocol = with_all_mishaps();
    let first = Fake::new(accuracy).with_mishap(mishap);
    compare(&protocol, folder.path(), &first).unwrap();

    let unasked = Fake::new(accuracy);
    compare(&protocol, folder.path(), &unasked).unwrap();
    assert_eq!(unasked.asked(), []);

    let mended = Fake::new(accuracy);
    let again = Comparison::new(protocol.clone(), folder.path()).with_retry();
    let report = again.run(&mended, &mut ()).unwrap();
    let asked = mended.asked();
    let tuned = asked.iter().filter(|run| run.split == Split::Validation);
    let tuned: Vec<&str> = tuned.map(|run| &*run.method).collect();
    assert_eq!(
        tuned,
        ["memory", "error", "panic", "short", "long", "drift", "kl"]
    );
    let finished: Vec<usize> = report.rows().iter().map(|row| row.finished).collect();
    assert_eq!(finished, [2, 0, 2, 2, 2, 0, 2, 2, 2, 2]);

    let third = Fake::new(accuracy);
    let after = Comparison::new(protocol, folder.path()).with_retry();
    let same = after.run(&third, &mut ()).unwrap();
    assert_eq!(third.asked(), []);
    assert_eq!(same.markdown(), report.markdown());
}

#[test]
fn a_choice_that_changes_after_a_retry_leaves_the_old_tests_out() {
    let folder = folder();
    let broken = Fake::new(accuracy).with_mishap(|spec, _| {
        let fails = spec.rate == 1e-2 && spec.seed == 1;
        fails.then(|| Err("the disk was full".into()))
    });
    let before = compare(&protocol(), folder.path(), &broken).unwrap();
    assert_eq!(before.rows()[0].choice.unwrap().rate, 1e-3);

    let again = Comparison::new(protocol(), folder.path()).with_retry();
    let after = again.run(&Fake::new(accuracy), &mut ()).unwrap();
    let undisturbed = common::undisturbed(&protocol(), accuracy);
    assert_eq!(after.rows(), undisturbed.rows());
    let text = after.markdown();
    assert!(text.contains("6 test runs are left out"), "{text}");
    assert!(!undisturbed.markdown().contains("left out"));
}

#[test]
fn a_stop_is_no_failure() {
    let folder = folder();
    let fake = Fake::new(accuracy).stopping_after(0);
    let error = compare(&protocol(), folder.path(), &fake).unwrap_err();
    let Error::Stopped { run, reason } = error else {
        panic!("{error}")
    };
    assert_eq!(run, "base, rate 1e-3, seed 0, validation");
    assert_eq!(reason, "the power went");
    let files = files(folder.path());
    assert_eq!(files.len(), 1);
    let lines = files[0].1.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 1, "the protocol and no run");
}
