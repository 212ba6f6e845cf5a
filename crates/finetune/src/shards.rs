//! Parts of a batch that are computed at the same time.

use std::fmt;
use std::panic::resume_unwind;
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Into how many parts a batch of so many rows is best dealt on a device: on burn's CPU backend as many as there are
/// threads, which do many small things at a time better than one thing together; one elsewhere.
pub fn shards(device: &str, rows: usize) -> usize {
    match device {
        "flex" => rayon::current_num_threads().min(rows).max(1),
        _ => 1,
    }
}

/// [`Course::shards`](crate::Course::shards) of runs whose settings do not name it, for serde.
pub fn one_shard() -> usize {
    1
}

/// Whether it is as in runs whose settings do not name it, for serde.
pub fn is_one_shard(number: &usize) -> bool {
    *number == 1
}

/// A pool of threads for each part.
pub(crate) struct Shards {
    pools: Vec<ThreadPool>,
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shards({})", self.pools.len())
    }
}

impl Shards {
    /// Deals this process's threads to so many parts of a batch of so many rows, at least one to each. A single part has
    /// them all, and no pool of its own.
    pub(crate) fn new(count: usize, rows: usize) -> Self {
        let count = count.min(rows);
        let threads = rayon::current_num_threads();
        let pool = |part: usize| {
            let each = (threads + count - 1 - part) / count;
            let pool = ThreadPoolBuilder::new().num_threads(each.max(1)).build();
            pool.expect("a process may start threads")
        };
        let count = if count < 2 { 0 } else { count };
        Self {
            pools: (0..count).map(pool).collect(),
        }
    }

    /// The examples in as many parts as there are pools, none of them empty. Neighbors are of similar length, and go to
    /// different parts.
    pub(crate) fn deal(&self, examples: &[usize]) -> Vec<Vec<usize>> {
        let count = self.pools.len().min(examples.len()).max(1);
        let part = |first| examples.iter().skip(first).step_by(count).copied();
        (0..count).map(|first| part(first).collect()).collect()
    }

    /// Does the work of each part on its own threads, all at the same time.
    ///
    /// # Panics
    ///
    /// If there are more parts than pools, or with what one of them panics.
    pub(crate) fn each<P: Send, R: Send>(
        &self,
        parts: Vec<P>,
        work: impl Fn(P) -> R + Sync,
    ) -> Vec<R> {
        assert!(parts.len() <= self.pools.len(), "a pool for each part");
        thread::scope(|scope| {
            let started: Vec<_> = parts
                .into_iter()
                .zip(&self.pools)
                .map(|(part, pool)| {
                    let work = &work;
                    scope.spawn(move || pool.install(|| work(part)))
                })
                .collect();
            let ended = started.into_iter().map(thread::ScopedJoinHandle::join);
            ended
                .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_dealt_once_and_neighbors_apart() {
        let examples: Vec<usize> = (10..17).collect();
        assert_eq!(Shards::new(1, 9).deal(&examples), vec![examples.clone()]);
        assert_eq!(
            Shards::new(2, 9).deal(&examples),
            [vec![10, 12, 14, 16], vec![11, 13, 15]]
        );
        assert_eq!(Shards::new(4, 9).deal(&[5, 3]), [[5], [3]]);
    }

    #[test]
    fn parts_have_threads_of_their_own_and_keep_their_order() {
        let all = rayon::current_num_threads();
        let each = |part: usize| ((all + 2 - part) / 3).max(1);
        let found =
            Shards::new(3, 9).each(vec![7, 8, 9], |part| (part, rayon::current_num_threads()));
        assert_eq!(found, [(7, each(0)), (8, each(1)), (9, each(2))]);
        assert_eq!(Shards::new(100_000, 2).pools.len(), 2);
    }

    #[test]
    #[should_panic(expected = "in the second")]
    fn a_panic_of_a_part_is_that_of_all() {
        Shards::new(2, 9).each(vec![1, 2], |part| assert!(part != 2, "in the second"));
    }

    #[test]
    fn a_gpu_computes_a_batch_as_one() {
        assert_eq!(shards("cuda", 8), 1);
        assert_eq!(shards("flex", 1), 1);
        assert_eq!(shards("flex", 1000), rayon::current_num_threads());
    }
}
