//! What a process of this machine has used, as the system counts it.

use std::fs::read_to_string;

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Seconds on any core, in the program and in the system for it.
    pub cpu_s: f64,
    /// Resident memory at its highest, KiB.
    pub peak_kb: u64,
}

/// What the process has used since it began; `None` if it is gone or the system has no `/proc`.
pub(super) fn usage(pid: u32) -> Option<Usage> {
    let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; what follows it begins with field 3. 14 and 15 are the times.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(Usage {
        cpu_s: (ticks(14)? + ticks(15)?) as f64 / TICKS_PER_SECOND,
        peak_kb: peak.trim().trim_end_matches("kB").trim().parse().ok()?,
    })
}

/// USER_HZ, which Linux shows times in on every architecture this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_time_and_memory_and_none_is_none() {
        let before = usage(std::process::id()).expect("this process");
        assert!(before.peak_kb > 1000, "{before:?}");
        let began = std::time::Instant::now();
        while began.elapsed().as_millis() < 60 {
            std::hint::black_box([0u8; 4096]);
        }
        assert!(usage(std::process::id()).expect("this process").cpu_s > before.cpu_s);
        assert!(usage(u32::MAX).is_none());
    }
}
