//! The report as text, as a figure and as JSON.

use burn_goft::Goft;
use burn_goft_drift::{Drift, DriftReport, Error, Measured, Trace};
use serde_json::Value;

use crate::compare::{adapted, base, compare};
use crate::models::Mlp;

fn report() -> DriftReport {
    let report = compare(&Drift::new(), &base(), &adapted(Goft::quasi()));
    report
        .with_forgetting("accuracy on old digits, %", 96.5, 58.0)
        .unwrap()
}

/// The cells of the first line that starts with `name`.
fn line(table: &str, name: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no line `{name}` in\n{table}"));
    line.split_whitespace().map(String::from).collect()
}

#[test]
fn the_table_holds_the_numbers() {
    let report = report();
    let table = report.to_string();
    let lines = format!("\n{table}");
    let four = |measured: &Measured, name: &str| format!("{:.4}", measured.get(name).unwrap());
    for (of, measured, cells) in [
        (
            "representation",
            &report.layers[1],
            &[
                (1, "row_cosine"),
                (2, "row_cosine_min"),
                (6, "linear_cka"),
                (8, "procrustes_distance"),
                (10, "anisotropy_after"),
            ][..],
        ),
        (
            "weight",
            &report.weights[0],
            &[
                (1, "relative_change"),
                (3, "angle_change_max"),
                (8, "subspace_similarity"),
            ],
        ),
        (
            "rotation",
            &report.rotations[0],
            &[(1, "distance_spectral"), (4, "orthogonality_bound")],
        ),
        (
            "output",
            report.answers.as_ref().unwrap(),
            &[(1, "kl_divergence"), (3, "agreement")],
        ),
    ] {
        let part = lines.split(&format!("\n{of} ")).nth(1).unwrap();
        let line = line(part, &format!("{} ", measured.name));
        for (cell, name) in cells {
            assert_eq!(line[*cell], four(measured, name), "{name} in\n{table}");
        }
    }
    assert!(
        table.contains("forgotten: accuracy on old digits, % 38.5 (from 96.5 to 58)"),
        "{table}"
    );
}

/// What did not move at all can be told from what moved by rounding.
#[test]
fn zero_and_nearly_zero_look_different() {
    let cells = |after: &Mlp| {
        let table = compare(&Drift::new(), &base(), after).to_string();
        line(&table, "fc1.weight")[1..4].to_vec()
    };
    assert_eq!(cells(&base()), ["0", "0", "0"]);
    let [change, mean, most] = cells(&adapted(Goft::strict())).try_into().unwrap();
    assert!(
        change.starts_with("0.") || change.starts_with("1."),
        "{change}"
    );
    assert!(mean.contains("e-") && most.contains("e-"), "{mean} {most}");
}

#[test]
fn what_is_missing_is_a_dash_and_a_note() {
    let settings = Drift::new().with_neurons(1);
    let table = compare(&settings, &base(), &adapted(Goft::quasi())).to_string();
    assert_eq!(line(&table, "fc1.weight")[2], "-", "{table}");
    assert!(
        table.contains("note: `fc1.weight`: angle_change has no value here"),
        "{table}"
    );
    assert!(!table.contains("NaN"));
}

/// Up to the last digit, which serde_json may lose in reading.
fn assert_same(found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{a:?} {b:?}");
            a.values()
                .zip(b.values())
                .for_each(|(a, b)| assert_same(a, b));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| assert_same(a, b));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 2.0 * f64::EPSILON * b.abs(), "{a} {b}");
        }
        (a, b) => assert_eq!(a, b),
    }
}

#[test]
fn json_gives_the_report_back() {
    let report = report();
    let text = serde_json::to_string(&report).unwrap();
    let back: DriftReport = serde_json::from_str(&text).unwrap();
    let tree = |report: &DriftReport| serde_json::to_value(report).unwrap();
    assert_same(&tree(&back), &tree(&report));
    assert_eq!(back.settings, report.settings);
    assert_eq!(back.layers[0].name, "fc1");
    // Settings from a file may leave some out, and may not misspell one.
    let settings: Drift = serde_json::from_str(r#"{"rows": 9}"#).unwrap();
    assert_eq!(settings, Drift::new().with_rows(9));
    assert!(serde_json::from_str::<Drift>(r#"{"row": 9}"#).is_err());
}

#[test]
fn a_metric_that_is_no_number_is_refused() {
    let refused = report().with_forgetting("accuracy", 1.0, f64::NAN);
    assert!(matches!(refused, Err(Error::NonFinite { what, .. }) if what == "`accuracy`"));
}

#[test]
fn the_figure_has_a_cell_for_each_layer_and_weight() {
    let report = report();
    let svg = report.svg();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for name in [
        "fc1",
        "fc2",
        "fc1.weight",
        "head.weight",
        "1 - CKA",
        "angle (rad)",
    ] {
        assert!(svg.contains(&format!("\n{name}\n")), "{name} in {svg}");
    }
    // Six metrics of two layers and three weights, and the background.
    assert_eq!(svg.matches("<rect").count(), 6 * 5 + 1);
    let moved = format!("{:.4}", 1.0 - report.layers[0].get("row_cosine").unwrap());
    assert!(svg.contains(&format!("\n{moved}\n")), "{moved}");
}

/// Where nothing moved all cells are pale; what is missing is gray.
#[test]
fn shades_are_distances() {
    let still = compare(&Drift::new().with_neurons(1), &base(), &base());
    let svg = still.svg();
    let rects = |svg: &str, fill: &str| svg.matches(&format!("fill=\"{fill}\"")).count();
    let gray = "#E1E1E1";
    // With one neuron: no angle and no energy, of three weights.
    assert_eq!(
        svg.lines()
            .filter(|l| l.starts_with("<rect") && l.contains(gray))
            .count(),
        6
    );
    assert!(rects(&report().svg(), "#FFFFFF") < rects(&svg, "#FFFFFF"));
}

#[test]
fn names_are_escaped_in_the_figure() {
    let model = base();
    let x = || crate::tensor_of(&crate::random(1, 6, 2));
    let traced = || Trace::new().with_layer("a < b & c", x());
    let report = Drift::new()
        .compare(&model, traced(), &model, traced())
        .unwrap();
    let svg = report.svg();
    assert!(svg.contains("a &lt; b &amp; c"), "{svg}");
}

#[test]
fn an_empty_report_prints_and_draws() {
    #[derive(burn::module::Module, Debug)]
    struct Empty {}
    let report = Drift::new()
        .compare(&Empty {}, Trace::new(), &Empty {}, Trace::new())
        .unwrap();
    assert!(report.layers.is_empty() && report.weights.is_empty());
    assert!(report.to_string().contains("at most 128 rows"));
    assert!(report.svg().starts_with("<svg"));
}
