//! What a process of this machine has used, as the system counts it.

use std::fs::read_to_string;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;

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
    Some(Usage { cpu_s: (ticks(14)? + ticks(15)?) as f64 / TICKS_PER_SECOND, peak_kb: status_kb(pid, "VmHWM:")? })
}

/// A line of what the system says of a process, KiB.
fn status_kb(pid: u32, name: &str) -> Option<u64> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Looks again and again at how much memory processes have that is no file's, which the system keeps no maximum of. What
/// a store has mapped into memory is its file's, and the system takes it back when it likes.
pub(super) struct Watch {
    highest: Arc<[AtomicU64]>,
    looking: AbortHandle,
}

/// Between two looks: a batch of megabytes lies there for longer.
const LOOK: Duration = Duration::from_millis(50);

impl Watch {
    /// Begins in the present tokio runtime.
    pub(super) fn begin(pids: Vec<Option<u32>>) -> Self {
        let highest: Arc<[AtomicU64]> = pids.iter().map(|_| AtomicU64::new(0)).collect();
        let seen = highest.clone();
        let looking = tokio::spawn(async move {
            loop {
                for (pid, seen) in pids.iter().zip(&*seen) {
                    let now = pid.and_then(|pid| status_kb(pid, "RssAnon:"));
                    seen.fetch_max(now.unwrap_or_default(), Ordering::Relaxed);
                }
                sleep(LOOK).await;
            }
        });
        Self { highest, looking: looking.abort_handle() }
    }

    /// The most that the process at `place` has had, KiB; `None` where nothing was seen.
    pub(super) fn highest(&self, place: usize) -> Option<u64> {
        Some(self.highest[place].load(Ordering::Relaxed)).filter(|kb| *kb > 0)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
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

    #[tokio::test]
    async fn memory_of_a_process_that_has_ended_was_seen() {
        // It copies 12.5 GB through a piece of 64 MiB, and ends by itself: seconds, of which a look takes a twentieth.
        let mut child = tokio::process::Command::new("dd")
            .args(["if=/dev/zero", "of=/dev/null", "bs=64M", "count=200"])
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("every system has it");
        let watch = Watch::begin(vec![child.id(), None]);
        assert!(child.wait().await.expect("it ends").success());
        assert!((64 << 10..80 << 10).contains(&watch.highest(0).expect("seen")), "{:?}", watch.highest(0));
        assert_eq!(watch.highest(1), None);
    }
}
