//! Means, spreads and intervals against other formulas for them.

use std::f64::consts::PI;

use approx::assert_relative_eq;
use fair_compare::{Spread, kl_divergence, median};
use proptest::prelude::*;

fn numbers(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1e3..1e3, sizes)
}

/// Student's t in closed form, for one, two and four degrees of freedom (Shaw 2006).
fn quantile(freedom: usize, p: f64) -> f64 {
    let a = 4.0 * p * (1.0 - p);
    match freedom {
        1 => (PI * (p - 0.5)).tan(),
        2 => (2.0 * p - 1.0) * (2.0 / a).sqrt(),
        4 => 2.0 * ((a.sqrt().acos() / 3.0).cos() / a.sqrt() - 1.0).sqrt(),
        _ => panic!("no closed form for {freedom}"),
    }
}

#[test]
fn the_interval_is_student_s() {
    for values in [
        &[1.0, 4.0][..],
        &[1.0, 4.0, 9.0],
        &[1.0, 4.0, 9.0, -3.0, 2.5],
    ] {
        let n = values.len();
        let spread = Spread::of(values).unwrap();
        for confidence in [0.5, 0.9, 0.95, 0.9875] {
            let t = quantile(n - 1, (1.0 + confidence) / 2.0);
            let expected = t * spread.deviation.unwrap() / (n as f64).sqrt();
            let found = spread.half_width(confidence).unwrap();
            assert_relative_eq!(found, expected, max_relative = 1e-9);
        }
    }
    // From the usual tables: t(0.975; 9) = 2.262, t(0.995; 9) = 3.250.
    let ten: Vec<f64> = (0..10).map(f64::from).collect();
    let spread = Spread::of(&ten).unwrap();
    let unit = spread.deviation.unwrap() / 10f64.sqrt();
    assert_relative_eq!(
        spread.half_width(0.95).unwrap() / unit,
        2.262,
        epsilon = 5e-4
    );
    assert_relative_eq!(
        spread.half_width(0.99).unwrap() / unit,
        3.250,
        epsilon = 5e-4
    );
}

#[test]
fn one_number_has_no_spread_and_none_has_nothing() {
    let one = Spread::of(&[3.0]).unwrap();
    assert_eq!((one.count, one.mean, one.deviation), (1, 3.0, None));
    assert_eq!(one.half_width(0.95), None);
    assert_eq!(Spread::of(&[]), None);
    assert_eq!(median(&[]), None);
}

#[test]
fn equal_numbers_have_no_deviation() {
    let equal = Spread::of(&[2.5; 4]).unwrap();
    assert_eq!((equal.mean, equal.deviation), (2.5, Some(0.0)));
    assert_eq!(equal.half_width(0.95), Some(0.0));
    // The sum of three of these rounds.
    for correct in 0..=872u32 {
        let share = 100.0 * (f64::from(correct) / 872.0);
        let equal = Spread::of(&[share; 3]).unwrap();
        assert_eq!((equal.mean, equal.deviation), (share, Some(0.0)));
    }
}

#[test]
#[should_panic(expected = "asked for rows of 3 classes, got 4 and 4 logits")]
fn rows_of_logits_are_whole() {
    kl_divergence(&[0.0; 4], &[0.0; 4], 3);
}

#[test]
#[should_panic(expected = "got 6 and 3 logits")]
fn both_models_give_the_same_rows() {
    kl_divergence(&[0.0; 6], &[0.0; 3], 3);
}

#[test]
fn large_logits_do_not_overflow() {
    // p = (1, 0) to rounding, q = (1/2, 1/2): ln 2.
    let kl = kl_divergence(&[2000.0, -2000.0], &[5000.0, 5000.0], 2);
    assert_relative_eq!(kl, 2f64.ln(), epsilon = 1e-15);
    // q has next to nothing where p has half: half of ln(1/2) - (-4000) and half of ln(1/2) - 0.
    let kl = kl_divergence(&[0.0, 0.0], &[2000.0, -2000.0], 2);
    assert_relative_eq!(kl, 2000.0 - 2f64.ln(), max_relative = 1e-15);
}

proptest! {
    #[test]
    fn the_variance_is_that_of_pairs(values in numbers(2..30)) {
        // s^2 = sum over pairs (x - y)^2 / (n (n - 1)), a formula without the mean.
        let n = values.len() as f64;
        let mut pairs = 0.0;
        for (place, x) in values.iter().enumerate() {
            pairs += values[..place].iter().map(|y| (x - y).powi(2)).sum::<f64>();
        }
        let spread = Spread::of(&values).unwrap();
        assert_relative_eq!(
            spread.deviation.unwrap(),
            (pairs / (n * (n - 1.0))).sqrt(),
            max_relative = 1e-9,
            epsilon = 1e-9
        );
        prop_assert_eq!(spread.count, values.len());
    }

    #[test]
    fn deviations_from_the_mean_cancel(values in numbers(1..30)) {
        let mean = Spread::of(&values).unwrap().mean;
        let rest: f64 = values.iter().map(|value| value - mean).sum();
        prop_assert!(rest.abs() < 1e-9);
    }

    #[test]
    fn a_shift_moves_the_mean_and_a_factor_scales_both(values in numbers(2..20), shift in -9.0..9.0, factor in 0.1..9.0) {
        let moved: Vec<f64> = values.iter().map(|value| factor * value + shift).collect();
        let (spread, moved) = (Spread::of(&values).unwrap(), Spread::of(&moved).unwrap());
        assert_relative_eq!(moved.mean, factor * spread.mean + shift, epsilon = 1e-8);
        let (before, after) = (spread.deviation.unwrap(), moved.deviation.unwrap());
        assert_relative_eq!(after, factor * before, epsilon = 1e-8);
    }

    #[test]
    fn the_median_is_what_is_left_in_the_middle(values in numbers(1..30)) {
        // Takes away the least and the greatest until one or two are left.
        let mut rest = values.clone();
        while rest.len() > 2 {
            for sign in [1.0, -1.0] {
                let least = rest.iter().map(|value| sign * value).fold(f64::INFINITY, f64::min);
                let place = rest.iter().position(|value| sign * value == least).unwrap();
                rest.swap_remove(place);
            }
        }
        let middle = rest.iter().sum::<f64>() / rest.len() as f64;
        assert_relative_eq!(median(&values).unwrap(), middle, epsilon = 1e-10);
    }

    #[test]
    fn divergence_is_the_sum_of_its_definition(
        rows in prop::collection::vec((prop::array::uniform3(-5.0..5.0), prop::array::uniform3(-5.0..5.0)), 1..6),
    ) {
        let softmax = |logits: [f64; 3]| {
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            logits.map(|logit| logit.exp() / sum)
        };
        let mut expected = 0.0;
        for (p, q) in &rows {
            let (p, q) = (softmax(*p), softmax(*q));
            expected += (0..3).map(|class| p[class] * (p[class] / q[class]).ln()).sum::<f64>();
        }
        expected /= rows.len() as f64;
        let pretrained: Vec<f64> = rows.iter().flat_map(|(p, _)| *p).collect();
        let tuned: Vec<f64> = rows.iter().flat_map(|(_, q)| *q).collect();
        let found = kl_divergence(&pretrained, &tuned, 3);
        assert_relative_eq!(found, expected, epsilon = 1e-12);
        prop_assert!(found > -1e-12);
        prop_assert!(kl_divergence(&tuned, &tuned, 3).abs() < 1e-15);
    }
}
