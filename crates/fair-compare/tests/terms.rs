//! What is no fair comparison is refused, and so is going on under other terms.

mod common;

use common::{Fake, accuracy, accuracy_metric, compare, files, folder, protocol};
use fair_compare::{Error, Method, Metric, Protocol};

#[test]
fn unfair_or_empty_protocols_are_refused_before_anything_is_written() {
    let base = || Protocol::new(accuracy_metric(), Method::new("base"));
    let cases = [
        (
            protocol().with_method(Method::new("good")),
            "two methods are called `good`",
        ),
        (
            protocol().with_method(Method::new(" ")),
            "a method has no name",
        ),
        (protocol().with_steps(0), "0 steps"),
        (
            protocol().with_tuning_seeds([]),
            "no tuning seed; set `with_tuning_seeds`",
        ),
        (
            protocol().with_test_seeds([]),
            "no test seed; set `with_test_seeds`",
        ),
        (protocol().with_test_seeds([1, 2]), "seed 1 is there twice"),
        (protocol().with_test_seeds([5, 5]), "seed 5 is there twice"),
        (protocol().with_rates([]), "`base` has no learning rate"),
        (
            protocol().with_rates([1e-2, 1e-2]),
            "`base` has the learning rate 1e-2 twice",
        ),
        (
            protocol().with_rates([1e-2, -1e-2]),
            "the learning rate -0.01",
        ),
        (protocol().with_rates([0.0]), "the learning rate 0"),
        (protocol().with_rates([f64::NAN]), "the learning rate NaN"),
        (
            protocol().with_rates([f64::INFINITY]),
            "the learning rate inf",
        ),
        (
            protocol().with_method(Method::new("own").with_rates([1e-2, 1e-1])),
            "`own` would try 2 learning rates and the others 3",
        ),
        (base(), "0 steps"),
    ];
    for (protocol, fragment) in cases {
        let folder = folder();
        let fake = Fake::new(accuracy);
        let error = compare(&protocol, folder.path(), &fake).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        assert!(
            error.to_string().contains(fragment),
            "{error} and not {fragment}"
        );
        assert_eq!((fake.asked(), files(folder.path())), (vec![], vec![]));
    }
}

#[test]
fn changed_terms_are_refused_and_named() {
    let folder = folder();
    let stored = protocol().with_context("data", "v1");
    let comparison = |protocol: &Protocol, fake: &Fake| compare(protocol, folder.path(), fake);
    comparison(&stored, &Fake::new(accuracy)).unwrap();
    let before = files(folder.path());

    let other_base = Protocol::new(accuracy_metric(), Method::new("basis"))
        .with_method(Method::new("good").with_setting("rank", 8))
        .with_rates([1e-3, 1e-2, 1e-1])
        .with_tuning_seeds([0, 1])
        .with_test_seeds([2, 3, 4])
        .with_steps(3)
        .with_context("data", "v1");
    let other_metric = Protocol::new(Metric::lowest("accuracy"), Method::new("base"))
        .with_method(Method::new("good").with_setting("rank", 8))
        .with_rates([1e-3, 1e-2, 1e-1])
        .with_tuning_seeds([0, 1])
        .with_test_seeds([2, 3, 4])
        .with_steps(3)
        .with_context("data", "v1");
    let cases = [
        (
            stored.clone().with_steps(4),
            "`steps` is 3 and was asked as 4",
        ),
        (
            stored.clone().with_rates([1e-3, 2e-2, 1e-1]),
            "`rates[1]` is 0.01 and was asked as 0.02",
        ),
        (
            stored.clone().with_rates([1e-2, 1e-1]),
            "`rates` is [0.001,0.01,0.1] and was asked as [0.01,0.1]",
        ),
        (
            stored.clone().with_tuning_seeds([0, 7]),
            "`tuning_seeds[1]` is 1 and was asked as 7",
        ),
        (
            stored.clone().with_test_seeds([2, 3, 4, 5]),
            "`test_seeds` is [2,3,4] and was asked as [2,3,4,5]",
        ),
        (
            stored.clone().with_method(Method::new("late")),
            "`methods` is [\"base\",\"good\"] and was asked as [\"base\",\"good\",\"late\"]",
        ),
        (
            stored.clone().with_context("data", "v2"),
            "`context.data` is \"v1\" and was asked as \"v2\"",
        ),
        (
            stored.clone().with_context("batch", 32),
            "`context.batch` is not stored and was asked as 32",
        ),
        (protocol(), "`context.data` is \"v1\" and was not asked"),
        (
            stored.clone().with_forgetting(Metric::highest("old")),
            "`forgetting` is null and was asked as \"old\"",
        ),
        (
            stored.clone().with_throughput("tokens"),
            "`throughput` is not stored and was asked as \"tokens\"",
        ),
        (
            other_base,
            "`methods[0].name` is \"base\" and was asked as \"basis\"",
        ),
        (
            other_metric,
            "`metric.direction` is \"highest\" and was asked as \"lowest\"",
        ),
    ];
    for (asked, fragment) in cases {
        let fake = Fake::new(accuracy);
        let error = comparison(&asked, &fake).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(fragment), "{message} and not {fragment}");
        assert!(message.contains("runs-v1.jsonl"), "{message}");
        assert!(message.contains("another folder"), "{message}");
        assert_eq!(fake.asked(), []);
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn several_changes_are_named_together() {
    let folder = folder();
    compare(&protocol(), folder.path(), &Fake::new(accuracy)).unwrap();
    let asked = protocol().with_steps(9).with_tuning_seeds([0, 8]);
    let error = compare(&asked, folder.path(), &Fake::new(accuracy)).unwrap_err();
    let Error::Changed { differences, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        differences,
        [
            "`steps` is 3 and was asked as 9",
            "`tuning_seeds[1]` is 1 and was asked as 8"
        ]
    );
}

#[test]
fn the_order_in_which_rates_are_written_is_no_change() {
    let folder = folder();
    compare(&protocol(), folder.path(), &Fake::new(accuracy)).unwrap();
    let fake = Fake::new(accuracy);
    let backwards = protocol().with_rates([1e-1, 1e-2, 1e-3]);
    compare(&backwards, folder.path(), &fake).unwrap();
    assert_eq!(fake.asked(), []);
}

#[test]
fn rates_without_a_short_decimal_form_are_no_change() {
    let folder = folder();
    let rates: Vec<f64> = (1..40)
        .map(|step| 1e-5 * 1.37f64.powi(step) / 3.0)
        .collect();
    let protocol = protocol().with_rates(rates);
    compare(&protocol, folder.path(), &Fake::new(accuracy)).unwrap();
    let fake = Fake::new(accuracy);
    compare(&protocol, folder.path(), &fake).unwrap();
    assert_eq!(fake.asked(), []);
}
