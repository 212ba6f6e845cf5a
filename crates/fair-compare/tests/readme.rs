//! The README shows the program that is compiled and the table that it prints.

#[path = "../examples/fit_line.rs"]
#[expect(dead_code, reason = "its main")]
mod fit_line;

const README: &str = include_str!("../README.md");

#[test]
fn the_program_is_the_example() {
    let example = include_str!("../examples/fit_line.rs");
    let program = example
        .split_once("\n\n")
        .expect("a line of documentation")
        .1;
    assert!(
        README.contains(&format!("```rust,no_run\n{program}```\n")),
        "copy it again"
    );
}

#[test]
fn the_table_is_what_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let text = fit_line::compare(folder.path()).unwrap().markdown();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| slope"))
        .collect();
    let [slope, both, ..] = rows[..] else {
        panic!("{text}")
    };
    for row in [slope, both] {
        // The last cell is the time.
        let cells: Vec<&str> = row.trim_end_matches(" |").rsplitn(2, '|').collect();
        assert!(README.contains(cells[1]), "{row}");
    }
    let written = std::fs::read_to_string(folder.path().join("table-v1.md")).unwrap();
    assert!(
        written == text && text.starts_with("# Two ways to fit a line\n"),
        "{written}"
    );
}
