//! Data files: what is read, and what each refusal says.

mod common;

use std::path::Path;

use text_classification::{Examples, Task, read_texts};

fn with_file<T>(contents: &[u8], read: impl Fn(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.tsv");
    std::fs::write(&path, contents).unwrap();
    read(&path)
}

fn read(contents: &str) -> Result<Examples, String> {
    with_file(contents.as_bytes(), Examples::read).map_err(|error| error.to_string())
}

#[test]
fn lines_are_read_with_or_without_a_header() {
    let plain = read("pos\tgood film\nneg\tbad film\n").unwrap();
    assert_eq!(plain.rows.len(), 2);
    assert_eq!(plain.rows[1].label, "neg");
    assert_eq!(plain.rows[1].text.first, "bad film");
    assert_eq!(plain.rows[1].line, 2);
    assert!(!plain.are_pairs());
    for variant in [
        "label\ttext\npos\tgood film\nneg\tbad film",
        "\u{feff}label\ttext\r\npos\tgood film\r\nneg\tbad film\r\n\r\n",
    ] {
        let read = read(variant).unwrap();
        let rows: Vec<_> = read.rows.iter().map(|r| (&r.label, &r.text)).collect();
        let expected: Vec<_> = plain.rows.iter().map(|r| (&r.label, &r.text)).collect();
        assert_eq!(rows, expected);
        assert_eq!(read.rows[0].line, 2);
    }
    let pairs = read("same\ta\tb\n").unwrap();
    assert_eq!(pairs.rows[0].text.second.as_deref(), Some("b"));
    assert!(pairs.are_pairs());
}

#[test]
fn refusals_name_the_line() {
    for (contents, expected) in [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("label\ttext\n", "the file has no examples"),
        ("pos\tgood\nneg\n", "line 2: expected `label TAB text`"),
        ("pos\tgood\nneg\n", "found 1 column"),
        (
            "pos\ta\tb\tc\n",
            "line 1: expected `label TAB text` or `label TAB text TAB text`, found 4 columns",
        ),
        ("pos\tgood\n\nneg\tbad\n", "line 2: the line is empty"),
        ("pos\tgood\n\tbad\n", "line 2: the label is empty"),
        ("pos\tgood\nneg\t \n", "line 2: the text is empty"),
        (
            "pos\ta\tb\nneg\tc\n",
            "line 2: it has 2 columns and line 1 has 3",
        ),
    ] {
        let message = read(contents).unwrap_err();
        assert!(message.contains(expected), "{contents:?}: {message}");
        assert!(message.contains("data.tsv"), "{message}");
    }
    let message = with_file(b"pos\tgood\nneg\t\xff\xfe\n", Examples::read);
    assert!(
        message
            .unwrap_err()
            .to_string()
            .contains("line 2: it is not UTF-8")
    );
    let message = Examples::read(Path::new("/nowhere/at all.tsv")).unwrap_err();
    assert!(
        message
            .to_string()
            .contains("reading `/nowhere/at all.tsv`"),
        "{message}"
    );
}

#[test]
fn labels_are_classes_or_numbers() {
    let classes = Task::of(&read("b\tx\na\ty\nb\tz\n").unwrap(), false).unwrap();
    let expected = vec!["a".to_string(), "b".to_string()];
    assert_eq!(classes, Task::Classification { classes: expected });

    let numbers = Task::of(&read("1\tx\n2.5\ty\n-0.5\tz\n").unwrap(), true).unwrap();
    let Task::Regression { mean, deviation } = numbers else {
        panic!("numbers");
    };
    assert_eq!(mean, 1.0);
    assert!((deviation - 1.5f64.sqrt()).abs() < 1e-12);

    let refusal = |contents: &str, regression| {
        Task::of(&read(contents).unwrap(), regression)
            .unwrap_err()
            .to_string()
    };
    let message = refusal("a\tx\na\ty\n", false);
    assert!(
        message.contains("every example has the label `a`"),
        "{message}"
    );
    let message = refusal("1\tx\ngood\ty\n", true);
    assert!(
        message.contains("line 2: regression needs a number as the label, found `good`"),
        "{message}"
    );
    let message = refusal("1\tx\ninf\ty\n", true);
    assert!(message.contains("line 2"), "{message}");
    let message = refusal("3\tx\n3\ty\n", true);
    assert!(
        message.contains("every example has the label 3"),
        "{message}"
    );
}

#[test]
fn a_label_that_training_did_not_have_is_named_with_its_line() {
    let place = common::Place::new("linear-probe");
    common::write_lines(
        &place.config.eval,
        ["pos\tgood".into(), "meh\tfilm".to_string()],
    );
    let message = place.train().unwrap_err().to_string();
    assert!(message.contains("test.tsv"), "{message}");
    assert!(
        message.contains(
            "line 2: the label `meh` is not in the training data, which has `neg`, `pos`"
        ),
        "{message}"
    );
}

#[test]
fn a_header_is_one_in_whatever_case_and_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.tsv");
    for header in ["label\ttext", "Label\tText", "\"LABEL\"\t\"TEXT\""] {
        std::fs::write(&path, format!("{header}\npos\tgood\n")).unwrap();
        let rows = Examples::read(&path).unwrap().rows;
        assert_eq!((rows.len(), rows[0].line), (1, 2), "{header}");
    }
}

#[test]
fn pairs_and_single_texts_do_not_mix() {
    let place = common::Place::new("linear-probe");
    common::write_lines(&place.config.eval, ["pos\tgood\tfilm".to_string()]);
    let message = place.train().unwrap_err().to_string();
    assert!(
        message.contains("holds pairs, and the training data holds single texts"),
        "{message}"
    );
}

#[test]
fn texts_without_labels() {
    let singles = with_file(b"good film\nbad\n", |path| read_texts(path, false)).unwrap();
    assert_eq!(singles[1].first, "bad");
    let pairs = with_file(b"a\tb\n", |path| read_texts(path, true)).unwrap();
    assert_eq!(pairs[0].second.as_deref(), Some("b"));
    let refusal = |contents: &[u8], pairs| {
        let read = with_file(contents, |path| read_texts(path, pairs));
        read.unwrap_err().to_string()
    };
    assert!(refusal(b"a\nb\tc\n", false).contains("line 2: the model was trained on single texts"));
    assert!(refusal(b"a\n", true).contains("line 1: the model was trained on pairs"));
    assert!(refusal(b"", false).contains("the file is empty"));
}
