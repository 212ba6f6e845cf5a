//! What seconds and bytes depend on.

/// The processor, where the system tells (Linux does), its threads, and the device.
pub(super) fn machine(device: &str) -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_string())
    });
    let name = name.unwrap_or_else(|| std::env::consts::ARCH.into());
    match std::thread::available_parallelism() {
        Ok(threads) => format!("{name}, {threads} threads, device {device}"),
        Err(_) => format!("{name}, device {device}"),
    }
}
