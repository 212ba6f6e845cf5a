//! The pairing: which axes pair at which level.

use burn_goft::{RotationPlan, Topology};
use proptest::prelude::*;

use crate::oracle::{neighbors, pairing};

fn pairs_of(plan: RotationPlan) -> Vec<Vec<(usize, usize)>> {
    plan.levels().map(|level| level.pairs().collect()).collect()
}

#[test]
fn the_pairs_are_those_that_are_drawn() {
    let four_levels = [
        vec![(0, 1), (2, 3), (4, 5), (6, 7)],
        vec![(0, 2), (4, 6)],
        vec![(0, 4)],
    ];
    assert_eq!(pairs_of(RotationPlan::new(8)), four_levels);
    let odd = [vec![(0, 1), (2, 3)], vec![(0, 2)], vec![(0, 4)]];
    assert_eq!(pairs_of(RotationPlan::new(5)), odd);
    // At level 2 coordinate 4 has no partner and waits for level 3.
    let waiting = [vec![(0, 1), (2, 3), (4, 5)], vec![(0, 2)], vec![(0, 4)]];
    assert_eq!(pairs_of(RotationPlan::new(6)), waiting);
    assert!(pairs_of(RotationPlan::new(1)).is_empty());
}

#[test]
fn every_dimension_has_the_pairs_of_the_definition() {
    for d in (1..=300).chain([768, 1023, 1024, 1025, 4096, 11008]) {
        assert_eq!(pairs_of(RotationPlan::new(d)), pairing(d), "d = {d}");
    }
}

#[test]
fn pairs_are_numbered_level_by_level_without_a_gap() {
    for d in 1..=300 {
        let plan = RotationPlan::new(d);
        let mut next = 0;
        let mut stride = 1;
        for level in plan.levels() {
            assert_eq!(level.first(), next, "d = {d}");
            assert!(level.pairs().all(|(i, j)| j - i == stride), "d = {d}");
            assert_eq!(level.pairs().len(), level.count(), "d = {d}");
            next += level.count();
            stride *= 2;
        }
        assert_eq!((next, plan.pair_count()), (d - 1, d - 1));
        // All levels together span the dimension and the last one is needed.
        assert!(stride >= d && stride < 2 * d, "d = {d}");
        assert_eq!(plan.level_count(), plan.levels().count());
    }
}

#[test]
fn neighbors_pair_once_and_the_last_of_an_odd_number_rests() {
    for d in 1..=300 {
        let plan = RotationPlan::with_topology(d, Topology::Neighbors);
        let expected = if d == 1 { Vec::new() } else { neighbors(d) };
        assert_eq!(pairs_of(plan), expected, "d = {d}");
        assert_eq!(plan.pair_count(), d / 2);
        assert_eq!((plan.dim(), plan.topology()), (d, Topology::Neighbors));
    }
}

proptest! {
    /// Why `d - 1` parameters suffice to reach every axis: the pairs form a tree with root 0.
    #[test]
    fn every_axis_but_the_first_leaves_at_exactly_one_level(d in 1usize..5000) {
        let mut left = vec![0; d];
        for level in RotationPlan::new(d).levels() {
            let mut met = vec![false; d];
            for (i, j) in level.pairs() {
                prop_assert!(i < j && j < d);
                prop_assert_eq!((left[i], left[j]), (0, 0), "a pair with an axis that has left");
                prop_assert!(!met[i] && !met[j], "pairs of a level must not share an axis");
                (met[i], met[j]) = (true, true);
                left[j] += 1;
            }
        }
        prop_assert_eq!(left[0], 0);
        prop_assert!(left[1..].iter().all(|times| *times == 1));
    }
}

#[test]
#[should_panic(
    expected = "RotationPlan: asked for vectors of length 0, and a rotation needs at least one axis"
)]
fn no_axis_panics() {
    RotationPlan::new(0);
}
