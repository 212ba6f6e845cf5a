//! A comparison that was killed goes on and ends as if it had not been.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use common::{Fake, accuracy, accuracy_metric, compare, files, folder, protocol, records};
use fair_compare::{
    Comparison, Error, Experiment, Lines, Method, Outcome, Protocol, Report, RunSpec, Steps,
};

/// One of the runs of a method fails, so that failures are carried over as well.
fn fake() -> Fake {
    Fake::new(accuracy).with_mishap(|spec, _| {
        let fails = spec.method.name() == "good" && spec.rate == 1e-1;
        fails.then(|| Err("the line | broke".into()))
    })
}

/// What a comparison that nobody disturbs leaves behind.
fn expected(protocol: &Protocol) -> Vec<(String, Vec<u8>)> {
    let folder = folder();
    compare(protocol, folder.path(), &fake()).unwrap();
    let files = files(folder.path());
    let names: Vec<&str> = files.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["runs-v1.jsonl", "table-v1.jsonl", "table-v1.md"]);
    files
}

fn small() -> Protocol {
    Protocol::new(accuracy_metric(), Method::new("base"))
        .with_method(Method::new("good"))
        .with_rates([1e-2, 1e-1])
        .with_tuning_seeds([0])
        .with_test_seeds([1])
        .with_steps(1)
}

#[test]
fn stopping_before_any_run_changes_nothing() {
    let protocol = protocol();
    let expected = expected(&protocol);
    for made in 0..protocol.run_count() {
        let folder = folder();
        let error = compare(&protocol, folder.path(), &fake().stopping_after(made)).unwrap_err();
        assert!(matches!(error, Error::Stopped { .. }), "{error}");
        assert!(error.to_string().contains("the power went"), "{error}");

        let second = fake();
        compare(&protocol, folder.path(), &second).unwrap();
        assert_eq!(second.asked().len(), protocol.run_count() - made);
        assert_eq!(files(folder.path()), expected, "stopped after {made} runs");
    }
}

#[test]
fn a_finished_comparison_makes_no_run() {
    let folder = folder();
    let first = compare(&protocol(), folder.path(), &fake()).unwrap();
    let again = fake();
    let second = compare(&protocol(), folder.path(), &again).unwrap();
    assert_eq!(again.asked(), []);
    assert_eq!(second.markdown(), first.markdown());
}

/// Goes on from the first `length` bytes of the records. Returns how many runs were made and what
/// was said.
fn resume(protocol: &Protocol, folder: &Path, bytes: &[u8]) -> Result<(usize, String), Error> {
    fs::write(records(folder), bytes).unwrap();
    let (fake, mut said) = (fake(), Vec::new());
    Comparison::new(protocol.clone(), folder).run(&fake, &mut Lines::new(&mut said))?;
    Ok((fake.asked().len(), String::from_utf8(said).unwrap()))
}

#[test]
fn a_kill_at_any_byte_loses_the_run_at_hand_and_no_other() {
    let protocol = small();
    let expected = expected(&protocol);
    let bytes = &expected[0].1;
    let ends: Vec<usize> = (1..=bytes.len())
        .filter(|end| bytes[end - 1] == b'\n')
        .collect();
    assert_eq!(ends.len(), 1 + protocol.run_count());
    let folder = folder();
    // Near the ends of lines every byte; in between some, for each start waits for the disk.
    let near_end = |length: usize| ends.iter().any(|end| length.abs_diff(*end) <= 2);
    for length in (ends[0]..bytes.len()).filter(|length| near_end(*length) || length % 41 == 0) {
        let (made, said) = resume(&protocol, folder.path(), &bytes[..length]).unwrap();
        // A record that lacks nothing but its line feed is whole.
        let whole = ends[1..].iter().filter(|end| **end - 1 <= length).count();
        assert_eq!(made, protocol.run_count() - whole, "cut at {length}");
        assert_eq!(files(folder.path()), expected, "cut at {length}");

        let last_end = ends.iter().rev().find(|end| **end <= length).unwrap();
        let torn = match ends.contains(&(length + 1)) {
            true => 0,
            false => length - last_end,
        };
        let note = format!("cut off after {torn} bytes");
        assert_eq!(said.contains(&note), torn > 0, "cut at {length}: {said}");
    }
}

#[test]
fn a_file_cut_at_any_byte_has_the_records_before_the_cut() {
    let protocol = small();
    let bytes = &expected(&protocol)[0].1;
    let ends: Vec<usize> = (1..=bytes.len())
        .filter(|end| bytes[end - 1] == b'\n')
        .collect();
    let folder = folder();
    for length in ends[0]..=bytes.len() {
        fs::write(records(folder.path()), &bytes[..length]).unwrap();
        let report = Report::read(folder.path()).unwrap();
        let whole = ends[1..].iter().filter(|end| **end - 1 <= length).count();
        assert_eq!(report.records().len(), whole, "cut at {length}");
    }
}

#[test]
fn bytes_that_are_no_text_at_the_end_are_cut_off() {
    let protocol = small();
    let expected = expected(&protocol);
    let folder = folder();
    for end in [&[0u8; 40][..], b"\xff\xfe{", b"{\"run\":{\"method\":\"ba"] {
        let bytes = [&expected[0].1[..], end].concat();
        let (made, said) = resume(&protocol, folder.path(), &bytes).unwrap();
        assert_eq!(made, 0);
        assert!(
            said.contains(&format!("cut off after {} bytes", end.len())),
            "{said}"
        );
        assert_eq!(files(folder.path()), expected);
    }
}

/// The message with which `bytes` are refused. They stay as they are.
fn refused(protocol: &Protocol, bytes: &[u8]) -> String {
    let folder = folder();
    let error = resume(protocol, folder.path(), bytes)
        .unwrap_err()
        .to_string();
    assert_eq!(fs::read(records(folder.path())).unwrap(), bytes, "{error}");
    let read = Report::read(folder.path()).map(|_| ()).unwrap_err();
    assert_eq!(read.to_string(), error, "reading only finds the same");
    error
}

#[test]
fn damage_before_the_last_line_is_refused_with_its_place() {
    let protocol = small();
    let whole = String::from_utf8(expected(&protocol)[0].1.clone()).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let with = |line: usize, text: &str| {
        let mut lines = lines.clone();
        lines[line - 1] = text;
        (lines.join("\n") + "\n").into_bytes()
    };
    let damaged = |line: usize, text: &str, reason: &str| {
        let message = refused(&protocol, &with(line, text));
        assert!(message.contains(&format!("line {line} of")), "{message}");
        assert!(message.contains(reason), "{message}");
        let remedy = match line {
            1 => "start anew in another folder",
            _ => "delete that line",
        };
        assert!(message.contains("put back a copy"), "{message}");
        assert!(message.contains(remedy), "{message}");
    };
    damaged(1, &lines[0][..lines[0].len() / 2], "EOF");
    damaged(1, lines[1], "no schema");
    damaged(1, "[]", "no schema");
    damaged(3, &lines[2][..40], "at column 40");
    damaged(3, "", "EOF");
    let of_good = lines[2];
    damaged(
        3,
        &of_good.replace("metric", "meters"),
        "unknown field `meters`",
    );
    damaged(
        3,
        &of_good.replace("\"rate\":0.01", "\"rate\":0.07"),
        "no run good, rate 7e-2",
    );
    damaged(
        3,
        &of_good.replace("\"seed\":0", "\"seed\":1"),
        "no run good",
    );
    damaged(3, &of_good.replace("\"good\"", "\"best\""), "no run best");
    damaged(3, lines[1], "has finished in an earlier line");

    let empty = refused(&protocol, b"");
    assert!(
        empty.contains("line 1") && empty.contains("empty"),
        "{empty}"
    );
    let header_only = refused(&protocol, &lines[0].as_bytes()[..30]);
    assert!(header_only.contains("line 1"), "{header_only}");
}

#[test]
fn a_protocol_that_was_edited_is_refused() {
    let whole = String::from_utf8(expected(&small())[0].1.clone()).unwrap();
    let header = whole.lines().next().unwrap();
    let (start, rest) = header.split_once("\"methods\":[").unwrap();
    let (_, end) = rest.split_once("],\"rates\":[").unwrap();
    let cases = [
        (
            format!("{start}\"methods\":[],\"rates\":[{end}"),
            "there is no method",
        ),
        (header.replace("\"steps\":1", "\"steps\":0"), "0 steps"),
        (
            header.replace("\"steps\":1", "\"steps\":-1"),
            "invalid value",
        ),
        (
            header.replace("\"steps\"", "\"stops\""),
            "unknown field `stops`",
        ),
    ];
    for (header, fragment) in cases {
        let folder = folder();
        fs::write(records(folder.path()), header + "\n").unwrap();
        let error = Report::read(folder.path()).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Damaged { line: 1, .. }), "{error}");
        assert!(error.to_string().contains(fragment), "{error}");
        let error = compare(&small(), folder.path(), &fake()).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
    }
}

#[test]
fn another_schema_is_refused() {
    let protocol = small();
    let whole = String::from_utf8(expected(&protocol)[0].1.clone()).unwrap();
    let newer = whole.replacen("\"schema\":1", "\"schema\":2", 1);
    let message = refused(&protocol, newer.as_bytes());
    assert!(message.contains("written with schema 2"), "{message}");
    assert!(message.contains("reads and writes schema 1"), "{message}");

    let folder = folder();
    fs::write(folder.path().join("runs-v7.jsonl"), newer).unwrap();
    let fake = fake();
    let error = compare(&protocol, folder.path(), &fake)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("runs-v7.jsonl") && error.contains("schema 7"),
        "{error}"
    );
    assert_eq!(fake.asked(), []);
    assert!(!records(folder.path()).exists());
}

#[test]
fn a_failed_run_may_be_followed_by_its_second_attempt() {
    let protocol = small();
    let expected = expected(&protocol);
    let whole = String::from_utf8(expected[0].1.clone()).unwrap();
    let failed = whole.lines().find(|line| line.contains("broke")).unwrap();
    let folder = folder();
    let twice = format!("{whole}{failed}\n");
    let (made, _) = resume(&protocol, folder.path(), twice.as_bytes()).unwrap();
    assert_eq!(made, 0);
    assert_eq!(files(folder.path())[1..], expected[1..]);
}

#[test]
fn half_a_comparison_can_be_read_and_is_called_that() {
    let folder = folder();
    compare(&protocol(), folder.path(), &fake().stopping_after(7)).unwrap_err();
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(records(folder.path()))
        .unwrap();
    file.write_all(b"{\"run\":").unwrap();
    let before = files(folder.path());

    let report = Report::read(folder.path()).unwrap();
    assert_eq!(report.records().len(), 7);
    let text = report.markdown();
    assert!(
        text.contains("Not finished: 5 of 12 tuning runs are missing"),
        "{text}"
    );
    assert!(text.contains("1 of 2 not run"), "{text}");
    assert!(
        report
            .rows()
            .iter()
            .all(|row| row.choice.is_none() && row.metric.is_none())
    );
    assert_eq!(files(folder.path()), before, "reading changes nothing");

    compare(&protocol(), folder.path(), &fake().stopping_after(7)).unwrap_err();
    let text = Report::read(folder.path()).unwrap().markdown();
    assert!(
        text.contains("Not finished: 4 test runs are missing."),
        "{text}"
    );
}

/// Starts a comparison in the folder in which it is running.
struct Nested<'a>(&'a Path);

impl Experiment for Nested<'_> {
    fn run(&self, _: &RunSpec, _: &mut Steps<'_>) -> Result<Outcome, Box<dyn std::error::Error>> {
        compare(&small(), self.0, &fake())?;
        unreachable!("the folder is in use")
    }

    fn machine(&self) -> String {
        "two at once".into()
    }
}

#[test]
fn a_folder_is_one_comparison_s_at_a_time() {
    let folder = folder();
    let comparison = Comparison::new(small(), folder.path());
    let report = comparison.run(&Nested(folder.path()), &mut ()).unwrap();
    let failure = report.records()[0].failure().unwrap();
    assert!(
        failure.message.contains("in use by another process"),
        "{failure:?}"
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let fake = fake();
    let error = compare(&small(), &file.path().join("runs"), &fake)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("making the folder"), "{error}");
    let missing = Report::read(folder().path())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("opening") && missing.contains("runs-v1.jsonl"),
        "{missing}"
    );
}
