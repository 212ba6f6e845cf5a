//! What seconds and bytes depend on.

use crate::files::digest;

/// The processor, where the system tells (Linux does), its threads, the device, and the program:
/// its first digits of SHA-256, by which runs of two versions are told apart.
pub fn machine(device: &str) -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_string())
    });
    let name = name.unwrap_or_else(|| std::env::consts::ARCH.into());
    let threads = match std::thread::available_parallelism() {
        Ok(threads) => format!(", {threads} threads"),
        Err(_) => String::new(),
    };
    let program = std::env::current_exe()
        .ok()
        .and_then(|path| digest(&path).ok());
    let program = program.map_or(String::new(), |digest| {
        format!(", program {}", &digest[..12])
    });
    format!("{name}{threads}, device {device}{program}")
}
