//! Learning rates are chosen on the validation split, with the same effort for every method.

mod common;

use common::{Fake, accuracy, compare, folder, protocol, undisturbed};
use fair_compare::{Direction, Method, Metric, Protocol, RateScores, Split, Spread, choose};
use proptest::prelude::*;

#[test]
fn the_test_split_has_no_part_in_the_choice() {
    let fake = Fake::new(accuracy);
    let report = compare(&protocol(), folder().path(), &fake).unwrap();
    for row in report.rows() {
        assert_eq!(row.choice.unwrap().rate, 1e-2, "{}", row.method);
    }
    // At the chosen rate, which is not the best one there: 80 - 10, and half a point for each unit
    // of the seeds 2, 3 and 4.
    assert_eq!(report.rows()[0].metric.unwrap().mean, 71.5);

    for run in fake.asked() {
        let (rate, seeds): (_, &[u64]) = match run.split {
            Split::Validation => (run.rate, &[0, 1]),
            Split::Test => (1e-2, &[2, 3, 4]),
        };
        assert_eq!(run.rate, rate, "{run}");
        assert!(seeds.contains(&run.seed), "{run}");
    }
    let asked = fake.asked();
    let first_test = asked.iter().position(|run| run.split == Split::Test);
    assert_eq!(first_test, Some(2 * 3 * 2));
}

#[test]
fn every_method_makes_the_same_runs_in_turn() {
    let fake = Fake::new(accuracy);
    compare(&protocol(), folder().path(), &fake).unwrap();
    let asked = fake.asked();
    assert_eq!(asked.len(), protocol().run_count());
    for pair in asked.chunks(2) {
        let [base, good] = pair else {
            panic!("{pair:?}")
        };
        assert_eq!((&*base.method, &*good.method), ("base", "good"));
        assert_eq!(
            (base.rate, base.seed, base.split),
            (good.rate, good.seed, good.split)
        );
    }
}

#[test]
fn a_method_may_bring_a_grid_of_its_own() {
    let protocol = protocol().with_method(Method::new("own").with_rates([1e-2, 1e0, 1e-4]));
    let fake = Fake::new(accuracy);
    let report = compare(&protocol, folder().path(), &fake).unwrap();
    assert_eq!(report.rows()[2].choice.unwrap().rate, 1e-2);
    let asked = fake.asked();
    let own = asked
        .iter()
        .filter(|run| run.method == "own" && run.split == Split::Validation);
    let rates: Vec<f64> = own.map(|run| run.rate).collect();
    assert_eq!(rates, [1e-4, 1e-2, 1e0, 1e-4, 1e-2, 1e0]);
}

#[test]
fn less_is_better_of_a_loss() {
    let protocol = Protocol::new(Metric::lowest("loss"), Method::new("base"))
        .with_rates([1e-3, 1e-2, 1e-1])
        .with_tuning_seeds([0])
        .with_test_seeds([1])
        .with_steps(1);
    let report = undisturbed(&protocol, |spec| (spec.rate.ln() - 1e-2f64.ln()).abs());
    assert_eq!(report.rows()[0].choice.unwrap().rate, 1e-2);
}

/// Rates 1, 2, 3, .. with the given scores.
fn grid(scores: &[&[f64]]) -> Vec<RateScores> {
    let rates = (1..).map(f64::from);
    let rows = rates.zip(scores).map(|(rate, scores)| RateScores {
        rate,
        scores: scores.to_vec(),
        failed: 0,
        missing: 0,
    });
    rows.collect()
}

fn chosen(grid: &[RateScores]) -> Option<(f64, bool)> {
    choose(grid, Direction::Highest).map(|choice| (choice.rate, choice.at_edge))
}

#[test]
fn of_equal_rates_the_smaller_is_chosen() {
    let equal = grid(&[&[0.0], &[2.0], &[2.0], &[1.0]]);
    assert_eq!(chosen(&equal), Some((2.0, false)));
    let mut backwards = equal;
    backwards.reverse();
    assert_eq!(chosen(&backwards), Some((2.0, false)));
}

#[test]
fn rounding_breaks_no_tie() {
    let (small, large) = ([0.1, 0.1, 0.2], [0.2, 0.1, 0.1]);
    let mean = |scores| Spread::of(scores).unwrap().mean;
    assert!(mean(&small) < mean(&large), "equal but for rounding");
    let tied = grid(&[&[0.0], &small, &large, &[0.0]]);
    assert_eq!(chosen(&tied), Some((2.0, false)));
    // What differs by more than rounding is no tie.
    let better = [0.2, 0.1, 0.1 + 1e-14];
    let untied = grid(&[&[0.0], &small, &better, &[0.0]]);
    assert_eq!(chosen(&untied), Some((3.0, false)));
}

#[test]
fn a_best_rate_at_the_edge_is_marked() {
    assert_eq!(chosen(&grid(&[&[2.0], &[1.0], &[0.0]])), Some((1.0, true)));
    assert_eq!(chosen(&grid(&[&[0.0], &[1.0], &[2.0]])), Some((3.0, true)));
    assert_eq!(chosen(&grid(&[&[0.0], &[2.0], &[1.0]])), Some((2.0, false)));
    assert_eq!(chosen(&grid(&[&[2.0]])), Some((1.0, true)));
}

#[test]
fn a_rate_with_a_failed_or_a_missing_run_is_not_chosen() {
    let mut failing = grid(&[&[1.0, 1.0], &[9.0], &[0.0, 0.0]]);
    failing[1].failed = 1;
    assert_eq!(chosen(&failing), Some((1.0, true)));
    let mut missing = grid(&[&[1.0, 1.0], &[9.0]]);
    missing[1].missing = 1;
    assert_eq!(chosen(&missing), Some((1.0, true)));
    // Beyond the last rate that went well there is one that did not: the grid was wide enough.
    let mut bracketed = grid(&[&[0.0], &[1.0], &[]]);
    bracketed[2].failed = 1;
    assert_eq!(chosen(&bracketed), Some((2.0, false)));

    assert_eq!(chosen(&[]), None);
    let mut none = grid(&[&[]]);
    none[0].failed = 1;
    assert_eq!(chosen(&none), None);
}

proptest! {
    #[test]
    fn no_rate_is_better_and_no_smaller_one_as_good(
        scores in prop::collection::vec(prop::collection::vec(0u32..5, 4), 1..8),
    ) {
        // Sums of small integers are exact: the best rate is the first with the greatest sum.
        let sums: Vec<u32> = scores.iter().map(|scores| scores.iter().sum()).collect();
        let best = sums.iter().max().unwrap();
        let first = sums.iter().position(|sum| sum == best).unwrap();
        let scores: Vec<Vec<f64>> = scores
            .iter()
            .map(|scores| scores.iter().map(|score| f64::from(*score)).collect())
            .collect();
        let scores: Vec<&[f64]> = scores.iter().map(Vec::as_slice).collect();
        let choice = choose(&grid(&scores), Direction::Highest).unwrap();
        prop_assert_eq!(choice.rate, 1.0 + first as f64);

        let negative: Vec<Vec<f64>> = scores.iter().map(|row| row.iter().map(|s| -s).collect()).collect();
        let negative: Vec<&[f64]> = negative.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(choose(&grid(&negative), Direction::Lowest).unwrap(), choice);
    }
}
