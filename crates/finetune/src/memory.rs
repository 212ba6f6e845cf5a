//! How much memory a run takes.

use peak_alloc::PeakAlloc;

/// The counters of the heap. They count in a program that makes this its global allocator; in
/// another one there is nothing to read.
const HEAP: PeakAlloc = PeakAlloc;

/// Bytes of the process's heap from a moment on.
///
/// What is in use then and stays (another model, data of other runs) is not counted, and neither is
/// what the allocator keeps for itself. Tensors of a GPU are not on the heap.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    before: usize,
}

impl Heap {
    /// Begins to count. There is one peak in a process, so that a count ends where another one
    /// begins.
    pub fn count() -> Self {
        HEAP.reset_peak_usage();
        Self {
            before: HEAP.current_usage(),
        }
    }

    /// Forgets what has been in use until now.
    pub fn watch(&self) {
        HEAP.reset_peak_usage();
    }

    /// The most bytes that were in use at a time since the start or the last
    /// [`watch`](Self::watch), less those in use at the start; none where nobody counts.
    pub fn peak(&self) -> Option<u64> {
        (HEAP.current_usage() > 0).then(|| HEAP.peak_usage().saturating_sub(self.before) as u64)
    }
}

/// Has the allocator keep what is freed for what is allocated next, instead of giving it back to the
/// system: the tensors of a step are those of the next one, and fresh memory is filled with zeros by the
/// system, page by page, which is a quarter of a small model's step. To be called first in a program.
///
/// It has an effect on Linux with the GNU library, whose threshold is 32 MiB at the most by itself.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// What is smaller is kept: all but the largest tables.
        const LARGEST: libc::c_int = 1 << 30;
        /// The most that versions before 2.35 take.
        const LARGEST_ONCE: libc::c_int = 32 << 20;
        #[expect(
            unsafe_code,
            reason = "sets two numbers of the allocator; a value that it does not take is refused by it"
        )]
        unsafe {
            // Setting either number ends the growth of the first one by itself.
            if libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST) == 1
                || libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_ONCE) == 1
            {
                libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
            }
        }
    }
}
