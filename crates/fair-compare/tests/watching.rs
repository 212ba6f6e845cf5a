//! Who watches hears of every run.

mod common;

use std::fs;

use common::{Fake, accuracy, compare, folder, protocol, records};
use fair_compare::{Comparison, Lines, Observer, Record, RunSpec};

#[derive(Default)]
struct Heard(Vec<String>);

impl Observer for Heard {
    fn notice(&mut self, message: &str) {
        self.0.push(message.into());
    }

    fn skipped(&mut self, record: &Record, number: usize, total: usize) {
        self.0
            .push(format!("{number}/{total} skipped {}", record.run));
    }

    fn started(&mut self, spec: &RunSpec, number: usize, total: usize) {
        self.0.push(format!("{number}/{total} {}", spec.run()));
    }

    fn step(&mut self, done: u64) {
        self.0.push(format!("step {done}"));
    }

    fn finished(&mut self, record: &Record) {
        self.0.push(format!("over {}", record.run.seed));
    }
}

#[test]
fn runs_and_steps_are_heard_in_order() {
    let folder = folder();
    compare(
        &protocol(),
        folder.path(),
        &Fake::new(accuracy).stopping_after(1),
    )
    .unwrap_err();
    let mut heard = Heard::default();
    let comparison = Comparison::new(protocol(), folder.path());
    comparison.run(&Fake::new(accuracy), &mut heard).unwrap();
    assert_eq!(
        heard.0[..6],
        [
            "1/18 skipped base, rate 1e-3, seed 0, validation",
            "2/18 good, rate 1e-3, seed 0, validation",
            "step 1",
            "step 2",
            "step 3",
            "over 0"
        ]
    );
    let last = heard.0.iter().rev().nth(4).unwrap();
    assert_eq!(last, "18/18 good, rate 1e-2, seed 4, test");
}

#[test]
fn a_method_that_is_out_lowers_the_total() {
    let fake = Fake::new(accuracy)
        .with_mishap(|spec, _| (spec.method.name() == "good").then(|| Err("broken".into())));
    let mut heard = Heard::default();
    let folder = folder();
    Comparison::new(protocol(), folder.path())
        .run(&fake, &mut heard)
        .unwrap();
    let last = heard.0.iter().rev().nth(4).unwrap();
    assert_eq!(last, "15/15 base, rate 1e-2, seed 4, test");
}

#[test]
fn lines_are_a_log() {
    let folder = folder();
    let fake = Fake::new(accuracy)
        .with_mishap(|spec, _| (spec.rate == 1e-1 && spec.seed == 1).then(|| Err("broken".into())));
    compare(&protocol(), folder.path(), &fake).unwrap();
    let whole = fs::read_to_string(records(folder.path())).unwrap();
    let kept: Vec<&str> = whole.lines().take(17).collect();
    fs::write(records(folder.path()), kept.join("\n") + "\n{\"run\"").unwrap();

    let mut log = Vec::new();
    let comparison = Comparison::new(protocol(), folder.path());
    comparison.run(&fake, &mut Lines::new(&mut log)).unwrap();
    assert_eq!(
        String::from_utf8(log).unwrap(),
        "note: the last line of the records was cut off after 6 bytes; its run is made again\n\
         recorded already: 16 runs\n\
         run 17 of 18: base, rate 1e-2, seed 4, test\n  72.0000\n\
         run 18 of 18: good, rate 1e-2, seed 4, test\n  75.2500\n"
    );

    let mut log = Vec::new();
    let folder = common::folder();
    let comparison = Comparison::new(protocol(), folder.path());
    comparison.run(&fake, &mut Lines::new(&mut log)).unwrap();
    let log = String::from_utf8(log).unwrap();
    assert!(
        log.contains("run 11 of 18: base, rate 1e-1, seed 1, validation\n  error: broken\n"),
        "{log}"
    );
}

#[cfg(feature = "progress")]
#[test]
fn bars_change_no_result() {
    let folder = folder();
    let comparison = Comparison::new(protocol(), folder.path());
    let mut bars = fair_compare::Bars::default();
    let report = comparison.run(&Fake::new(accuracy), &mut bars).unwrap();
    let expected = common::undisturbed(&protocol(), accuracy);
    assert_eq!(report.markdown(), expected.markdown());
}
