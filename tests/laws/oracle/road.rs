//! RoAd in float64 from its paper (Liao and Monz 2024): `G = [[a11 cos t11, -a12 sin t12], [a21 sin
//! t21, a22 cos t22]]`, with one angle and scale for all entries, for each row, or for each entry.

/// Which angle, and scale, an entry reads of those of its pair.
fn place(of_pair: usize, entry: usize) -> usize {
    match of_pair {
        1 => 0,
        2 => entry / 2,
        4 => entry,
        _ => panic!("RoAd has 1, 2 or 4 angles for a pair, not {of_pair}"),
    }
}

/// Value of an entry for `a = 1`, and its slope by the angle.
fn turn(entry: usize, t: f64) -> (f64, f64) {
    match entry {
        0 | 3 => (t.cos(), -t.sin()),
        1 => (-t.sin(), -t.cos()),
        _ => (t.sin(), t.cos()),
    }
}

/// The flat entries of all blocks: all angles are stored first, then every scale's distance from 1.
pub(crate) fn blocks(of_pair: usize, stored: &[f64]) -> Vec<f64> {
    let (angles, offsets) = stored.split_at(stored.len() / 2);
    let entry = |index: usize| {
        let at = index / 4 * of_pair + place(of_pair, index % 4);
        (1.0 + offsets[at]) * turn(index % 4, angles[at]).0
    };
    (0..4 * angles.len() / of_pair).map(entry).collect()
}

/// `dL/dp` of the stored parameters from `dL/dG`.
pub(crate) fn gradients(of_pair: usize, stored: &[f64], of_blocks: &[f64]) -> Vec<f64> {
    let (angles, offsets) = stored.split_at(stored.len() / 2);
    let (mut of_angles, mut of_offsets) = (vec![0.0; angles.len()], vec![0.0; angles.len()]);
    for (index, gradient) in of_blocks.iter().enumerate() {
        let at = index / 4 * of_pair + place(of_pair, index % 4);
        let (value, slope) = turn(index % 4, angles[at]);
        of_angles[at] += gradient * (1.0 + offsets[at]) * slope;
        of_offsets[at] += gradient * value;
    }
    [of_angles, of_offsets].concat()
}
