//! How much memory the process has used.

/// The largest resident set of this process so far, in bytes, where the system says so (Linux does). It is the process's, not
/// one run's: the first run of a process has it for itself.
pub(crate) fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Makes [`peak`] start again from what is resident now. False where the system cannot (Linux can).
pub(crate) fn forget_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}
