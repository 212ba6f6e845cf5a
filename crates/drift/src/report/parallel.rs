//! Several items at once.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Items that are read, and measured, at a time.
const TOGETHER: usize = 8;

/// Measures all items, several at once. Reading stays on this thread, in the order of the items,
/// and goes on while others are measured.
pub(super) fn in_parallel<I, R: Send, T: Send>(
    items: impl IntoIterator<Item = I>,
    read: impl Fn(I) -> R,
    measure: impl Fn(R) -> T + Sync,
) -> Vec<T> {
    let mut items = items.into_iter();
    let mut read_some = || Vec::from_iter(items.by_ref().take(TOGETHER).map(&read));
    let mut measured = Vec::new();
    let mut next = read_some();
    while !next.is_empty() {
        let together = std::mem::take(&mut next).into_par_iter().map(&measure);
        let mut done = Vec::new();
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| done = together.collect());
            next = read_some();
        });
        measured.extend(done);
    }
    measured
}
