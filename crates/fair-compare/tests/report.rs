//! The table: what is in it, and what is bold.

mod common;

use common::{
    Fake, accuracy, accuracy_metric, compare, folder, make_steps, outcome, protocol, undisturbed,
};
use fair_compare::{Method, Metric, Outcome, Protocol, Report, RunError, RunSpec, Split, Spread};
use serde_json::Value;

/// By method and test seed 10, 11, 12; on the validation split the best rate is 1e-2, and of `edge`
/// the largest.
fn scripted(spec: &RunSpec) -> f64 {
    if spec.split == Split::Validation {
        let best = if spec.method.name() == "edge" {
            -1.0
        } else {
            -2.0
        };
        return 60.0 - (spec.rate.log10() - best).abs() + spec.seed as f64;
    }
    let by_seed = match spec.method.name() {
        "base" => [70.0, 71.0, 72.0],
        "better" => [75.0, 76.5, 77.0],
        "noisy | odd" => [80.0, 69.0, 73.0],
        "edge" => [69.0, 70.0, f64::NAN],
        name => panic!("{name} has no rate"),
    };
    by_seed[spec.seed as usize - 10]
}

fn table_protocol() -> Protocol {
    Protocol::new(accuracy_metric(), Method::new("base"))
        .with_method(Method::new("better").with_setting("rank", 8))
        .with_method(Method::new("noisy | odd").with_rates([1e-3, 1e-2, 3e-2]))
        .with_method(Method::new("edge"))
        .with_method(Method::new("hopeless"))
        .with_rates([1e-3, 1e-2, 1e-1])
        .with_tuning_seeds([0, 1])
        .with_test_seeds([10, 11, 12])
        .with_steps(3)
        .with_forgetting(
            Metric::highest("old accuracy")
                .with_unit("%")
                .with_digits(1),
        )
        .with_throughput("tokens")
        .with_context("data", "digits, 300 images")
        .with_context("batch", 32)
}

fn table_fake() -> Fake {
    Fake::new(scripted).with_mishap(|spec, steps| match spec.method.name() {
        "hopeless" if spec.rate > 5e-3 => Some(Err(RunError::OutOfMemory(
            "asked for 90 GiB,\nhas 80".into(),
        )
        .into())),
        "hopeless" => Some(Err(RunError::Diverged("the loss is NaN".into()).into())),
        // Reports less than the others.
        "noisy | odd" => {
            make_steps(spec, steps);
            let mut full = outcome(spec, scripted(spec));
            if spec.seed == 11 {
                full.kl = None;
            }
            full.adapter_bytes = None;
            full.drift.clear();
            Some(Ok(full))
        }
        _ => None,
    })
}

#[test]
fn the_markdown_is_this() {
    let folder = folder();
    let report = compare(&table_protocol(), folder.path(), &table_fake()).unwrap();
    let report = report
        .with_title("Five methods")
        .with_note("Memory is counted by the allocator.");
    let found = report.markdown();
    let expected = include_str!("golden/table.md");
    assert!(found == expected, "the report is now\n\n{found}");

    let written = folder.path().join("table-v1.md");
    report.write(folder.path()).unwrap();
    assert_eq!(std::fs::read_to_string(written).unwrap(), expected);
}

#[test]
fn rows_hold_what_was_measured() {
    let report = undisturbed_table();
    let [base, better, noisy, edge, hopeless] = report.rows() else {
        panic!()
    };
    let metric = better.metric.unwrap();
    // 75, 76.5, 77: deviations -7/6, 2/6 and 5/6, squares 49 + 4 + 25 over 36.
    assert!((metric.mean - 228.5 / 3.0).abs() < 1e-12);
    assert!((metric.deviation.unwrap() - (78f64 / 36.0 / 2.0).sqrt()).abs() < 1e-12);
    // Steps of 10, 20 and 30 ms and one for each unit of the seeds 10, 11, 12: the median of
    // medians.
    assert_eq!(base.seconds_per_step, Some(0.031));
    assert_eq!(base.throughput, Some(222.0));
    assert_eq!(base.trainable_parameters, Some((1000, 1000)));
    assert_eq!(base.adapter_bytes, Some((4010, 4012)));
    assert_eq!(base.peak_memory_bytes, Some((3 << 20) + 12));
    assert_eq!(base.forgetting_before, Spread::of(&[96.5; 3]));
    assert_eq!(base.forgetting_after, Spread::of(&[70.0, 71.0, 72.0]));
    assert_eq!(
        base.drift["angle, deg"],
        Spread::of(&[15.0, 16.5, 18.0]).unwrap()
    );
    assert_eq!(noisy.kl.unwrap().count, 2);
    assert!(edge.choice.unwrap().at_edge);
    assert_eq!((edge.finished, edge.failed, edge.planned), (2, 1, 3));
    assert_eq!(
        (hopeless.choice, hopeless.finished, hopeless.failed),
        (None, 0, 0)
    );
    assert!(hopeless.every_rate_failed && !edge.every_rate_failed);
    // Twice the same difference.
    assert_eq!(edge.difference.as_ref().unwrap().half_width, None);
    assert_eq!(base.difference, None);
    assert_eq!(hopeless.difference, None);
}

fn undisturbed_table() -> Report {
    compare(&table_protocol(), folder().path(), &table_fake()).unwrap()
}

#[test]
fn json_lines_are_the_rows() {
    let report = undisturbed_table();
    let text = report.json_lines();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), report.rows().len());
    for (line, row) in lines.iter().zip(report.rows()) {
        assert_eq!(line["method"], Value::from(row.method.clone()));
        let mean = row.metric.map(|metric| metric.mean);
        assert_eq!(line["metric"]["mean"].as_f64(), mean);
        let rate = row.choice.map(|choice| choice.rate);
        assert_eq!(line["choice"]["rate"].as_f64(), rate);
        let seeds = row
            .difference
            .as_ref()
            .map_or(0, |difference| difference.by_seed.len());
        assert_eq!(
            line["difference"]["by_seed"].as_array().map_or(0, Vec::len),
            seeds
        );
    }
}

/// Whether the difference between `base`, which is always at 50, and a method with these
/// differences is established, when `others` more methods are compared.
fn established(differences: fn(u64) -> f64, seeds: u64, others: usize) -> bool {
    thread_local! {
        static DIFFERENCES: std::cell::Cell<fn(u64) -> f64> = const { std::cell::Cell::new(|_| 0.0) };
    }
    DIFFERENCES.set(differences);
    let mut protocol = Protocol::new(accuracy_metric(), Method::new("base"))
        .with_method(Method::new("method"))
        .with_rates([1e-2])
        .with_tuning_seeds([1000])
        .with_test_seeds(0..seeds)
        .with_steps(1);
    for other in 0..others {
        protocol = protocol.with_method(Method::new(format!("other {other}")));
    }
    let report = undisturbed(&protocol, |spec| match spec.method.name() {
        "method" => 50.0 + DIFFERENCES.get()(spec.seed),
        _ => 50.0,
    });
    let difference = report.rows()[1].difference.as_ref().unwrap();
    let bold = report.markdown().contains("**");
    assert_eq!(bold, difference.established);
    bold
}

#[test]
fn only_a_difference_that_stands_out_from_its_spread_is_bold() {
    // 1, 2, 3: mean 2, deviation 1, and t(0.975; 2) / sqrt(3) = 2.484.
    let wide = |seed: u64| seed as f64 + 1.0;
    assert!(!established(wide, 3, 0));
    // 2, 3, 4: mean 3.
    let clear = |seed: u64| seed as f64 + 2.0;
    assert!(established(clear, 3, 0));
    // In either direction.
    assert!(established(|seed| -(seed as f64) - 2.0, 3, 0));
    // Beside another method the interval is at 97.5 %: t(0.9875; 2) / sqrt(3) = 3.582.
    assert!(!established(clear, 3, 1));
    assert!(established(|seed| seed as f64 + 3.0, 3, 1));
}

#[test]
fn one_seed_or_equal_differences_are_no_evidence() {
    assert!(!established(|_| 9.0, 1, 0));
    assert!(!established(|_| 9.0, 3, 0));
    assert!(!established(|_| 0.0, 3, 0));
}

#[test]
fn a_failed_run_forbids_bold() {
    let whole = undisturbed(&protocol(), accuracy);
    let difference = whole.rows()[1].difference.as_ref().unwrap();
    // 3.5, 3 and 3.25 above the baseline.
    assert!(difference.established);
    for method in ["base", "good"] {
        let fake = match method {
            "base" => Fake::new(accuracy).with_mishap(|spec, _| fails(spec, "base")),
            _ => Fake::new(accuracy).with_mishap(|spec, _| fails(spec, "good")),
        };
        let report = compare(
            &protocol().with_test_seeds([2, 3, 4, 5]),
            folder().path(),
            &fake,
        )
        .unwrap();
        let difference = report.rows()[1].difference.as_ref().unwrap();
        assert_eq!(difference.by_seed.len(), 3);
        assert!(difference.half_width.unwrap() < difference.spread.mean);
        assert!(!difference.established, "{method}");
    }
}

fn fails(spec: &RunSpec, method: &str) -> Option<Result<Outcome, Box<dyn std::error::Error>>> {
    let fails = spec.method.name() == method && spec.seed == 5;
    fails.then(|| Err("out of luck".into()))
}

#[test]
fn runs_are_paired_by_seed_and_not_by_order() {
    // The baseline gains 100 for each seed and so does the method, so that unpaired their spread
    // would hide everything.
    let report = undisturbed(&protocol(), |spec| {
        let method = if spec.method.name() == "good" {
            1.0 + 0.1 * spec.seed as f64
        } else {
            0.0
        };
        method + 100.0 * spec.seed as f64
    });
    let difference = report.rows()[1].difference.as_ref().unwrap();
    for pair in &difference.by_seed {
        assert!((pair.difference - 1.0 - 0.1 * pair.seed as f64).abs() < 1e-9);
    }
    assert!((difference.spread.mean - 1.3).abs() < 1e-9);
    assert!(difference.established);
}

/// The method has 18 answers more than the baseline whatever the seed, and shares of 872 round.
#[test]
fn the_same_difference_for_every_seed_is_not_established() {
    let report = undisturbed(&protocol(), |spec| {
        let answers = [168, 410, 554][spec.seed as usize % 3];
        let more = if spec.method.name() == "good" { 18 } else { 0 };
        100.0 * (f64::from(answers + more) / 872.0)
    });
    let difference = report.rows()[1].difference.as_ref().unwrap();
    assert!((difference.spread.mean - 1800.0 / 872.0).abs() < 1e-12);
    assert_eq!(difference.spread.deviation, Some(0.0));
    assert_eq!(difference.half_width, None);
    assert!(!difference.established);
}

#[test]
fn columns_that_nobody_filled_are_left_out() {
    let fake = Fake::new(accuracy).with_mishap(|spec, steps| {
        make_steps(spec, steps);
        Some(Ok(Outcome::new(accuracy(spec), 12)))
    });
    let text = compare(&protocol(), folder().path(), &fake)
        .unwrap()
        .markdown();
    let header = text.lines().next().unwrap();
    assert_eq!(
        header,
        "| method | learning rate | test runs | accuracy, % | difference to base | trainable parameters | seconds per step |"
    );
}

#[test]
fn a_seed_without_effect_is_suspected() {
    let report = undisturbed(&protocol(), |spec| {
        if spec.method.name() == "good" {
            1.0
        } else {
            spec.seed as f64
        }
    });
    let text = report.markdown();
    assert!(
        text.contains("All seeds gave the same number for good:"),
        "{text}"
    );
    assert!(
        !undisturbed(&protocol(), accuracy)
            .markdown()
            .contains("All seeds gave")
    );
}

#[test]
fn seconds_of_several_machines_are_not_to_be_compared() {
    let folder = folder();
    let first = Fake::new(accuracy).stopping_after(15);
    compare(&protocol(), folder.path(), &first).unwrap_err();
    let second = Fake::new(accuracy).on("a slide rule");
    let text = compare(&protocol(), folder.path(), &second)
        .unwrap()
        .markdown();
    assert!(
        text.contains("depend on the machine: a slide rule; an abacus. These are several"),
        "{text}"
    );
    let one = undisturbed(&protocol(), accuracy).markdown();
    assert!(
        one.contains("depend on the machine: an abacus. The other"),
        "{one}"
    );
}

#[test]
fn the_report_is_a_function_of_the_records() {
    let (one, two) = (folder(), folder());
    compare(&protocol(), one.path(), &Fake::new(accuracy)).unwrap();
    compare(&protocol(), two.path(), &Fake::new(accuracy)).unwrap();
    assert_eq!(common::files(one.path()), common::files(two.path()));
}
