//! The daemon of one party: started, killed, stopped in mid-stride, short of disk, and started again.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::config::Home;
use crate::testnet::{TestnetError, daemon, last_words};

/// How long a daemon may take to stop before it is killed: more than any waits for its rounds.
const STOPPING: Duration = Duration::from_secs(20);

/// One party's daemon. It is killed when this is dropped.
pub(in crate::sim) struct Process {
    pub home: Home,
    program: PathBuf,
    /// What becomes the daemon, or runs in its place.
    wrapper: Vec<String>,
    log: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// Waiting for a child would close the pipe, by which it knows that we are gone.
    _pipe: Option<ChildStdin>,
}

/// What a running daemon takes up.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Usage {
    /// Resident memory, what it has of its database's file included.
    pub resident_kib: u64,
    /// Resident memory that is its own: what a leak adds to.
    pub anonymous_kib: u64,
    pub disk_kib: u64,
}

impl Process {
    /// The daemon of `home`; it does not run yet. `wrapper` is a program with arguments that becomes the daemon, or runs in its
    /// place; empty for none.
    pub(in crate::sim) fn new(home: Home, program: &Path, wrapper: Vec<String>) -> Self {
        Self { log: home.dir.join("log"), home, program: program.into(), wrapper, running: None }
    }

    /// From its next start on it is the daemon itself.
    pub(in crate::sim) fn give_back(&mut self) {
        self.wrapper.clear();
    }

    /// Starts it, its monotonic clock `clock` seconds off if that is not 0.
    pub(in crate::sim) fn start(&mut self, clock: i64) -> Result<(), TestnetError> {
        let wrapper = if clock == 0 { self.wrapper.clone() } else { off_by(clock) };
        let mut command = daemon(&self.program, &wrapper, &self.home, &self.log)?;
        let started = command.kill_on_drop(true).spawn();
        let mut child =
            started.map_err(|source| TestnetError::Io { what: format!("start {}", self.home.id), source })?;
        let pipe = child.stdin.take();
        self.running = Some(Running { child, _pipe: pipe });
        Ok(())
    }

    pub(in crate::sim) async fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It may have ended by itself a moment ago.
            let _ended = running.child.kill().await;
        }
    }

    pub(in crate::sim) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _gone = kill(Pid::from_raw(pid), signal);
        }
    }

    /// What there is to say if it has ended by itself; it does not run then.
    pub(in crate::sim) fn obituary(&mut self) -> Option<String> {
        let status = self.running.as_mut()?.child.try_wait().ok().flatten()?;
        self.running = None;
        Some(self.last_words("ended", status))
    }

    /// No file of its own may grow beyond its store's present length and `room` bytes; `None` lifts that. Whether the
    /// system did it.
    pub(in crate::sim) async fn limit(&self, room: Option<u64>) -> bool {
        let Some(pid) = self.pid() else { return false };
        let store = std::fs::metadata(self.store().join("data.mdb")).map_or(0, |found| found.len());
        let size = room.map_or("unlimited".into(), |room| (store + room).to_string());
        // The soft limit alone: what is lowered can be raised again without privileges.
        let mut command = Command::new("prlimit");
        command.args(["--pid", &pid.to_string(), &format!("--fsize={size}:")]);
        matches!(quiet(command).await, Some(status) if status.success())
    }

    /// Waits for it to stop, as it has been told to; what there is to say if it does not do so well.
    pub(in crate::sim) async fn wait(&mut self) -> Option<String> {
        let mut running = self.running.take()?;
        match timeout(STOPPING, running.child.wait()).await {
            Ok(Ok(status)) if status.success() => None,
            Ok(Ok(status)) => Some(self.last_words("did not stop well", status)),
            Ok(Err(error)) => Some(format!("{} cannot be waited for: {error}", self.home.id)),
            Err(_) => {
                let _ended = running.child.kill().await;
                Some(format!("{} did not stop in {} s", self.home.id, STOPPING.as_secs()))
            }
        }
    }

    /// `None` if it does not run.
    pub(in crate::sim) fn usage(&self) -> Option<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let number = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches("kB").trim().parse().ok()
        };
        let (resident_kib, anonymous_kib) = (number("VmRSS:")?, number("RssAnon:")?);
        let data = std::fs::metadata(self.store().join("data.mdb")).ok()?;
        Some(Usage { resident_kib, anonymous_kib, disk_kib: std::os::unix::fs::MetadataExt::blocks(&data) / 2 })
    }

    fn pid(&self) -> Option<i32> {
        self.running.as_ref()?.child.id().and_then(|id| i32::try_from(id).ok())
    }

    fn store(&self) -> PathBuf {
        self.home.dir.join("store")
    }

    fn last_words(&self, what: &str, status: ExitStatus) -> String {
        let words = last_words(&self.log).unwrap_or_default();
        format!("{} {what} ({status}); its last words:\n{words}", self.home.id)
    }
}

/// Whether a process can be given another monotonic clock here: user and time namespaces, without privileges.
pub(in crate::sim) async fn clocks_can_jump() -> bool {
    const FAR: i64 = 1_000_000;
    let uptime = |text: &str| text.split('.').next().and_then(|seconds| seconds.parse::<i64>().ok());
    let wrapper = off_by(FAR);
    let Some((program, arguments)) = wrapper.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).args(["cat", "/proc/uptime"]).stderr(std::process::Stdio::null()).kill_on_drop(true);
    let Ok(Ok(output)) = timeout(STOPPING, command.output()).await else { return false };
    let (before, off) = (std::fs::read_to_string("/proc/uptime").ok(), String::from_utf8_lossy(&output.stdout));
    match (before.as_deref().and_then(uptime), uptime(&off)) {
        (Some(here), Some(there)) => there - here > FAR / 2,
        _ => false,
    }
}

/// Whether the size of another process's files can be limited here.
pub(in crate::sim) async fn disks_can_fill() -> bool {
    let mut command = Command::new("prlimit");
    command.arg("--version");
    matches!(quiet(command).await, Some(status) if status.success())
}

/// The program that becomes another with a clock of its own; that one keeps the process id.
fn off_by(seconds: i64) -> Vec<String> {
    let seconds = seconds.to_string();
    let words = ["unshare", "--user", "--map-current-user", "--time", "--monotonic", &seconds, "--boottime", &seconds];
    words.map(str::to_owned).to_vec()
}

/// Runs a short command; `None` if there is none, or it takes too long.
async fn quiet(mut command: Command) -> Option<ExitStatus> {
    use std::process::Stdio;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    timeout(STOPPING, command.status()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    #[tokio::test]
    async fn a_process_is_measured_killed_and_mourned() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::init(&dir.path().join("home"), Role::Mix, "mix-1", None).expect("writable");
        std::fs::create_dir(home.dir.join("store")).expect("writable");
        std::fs::write(home.dir.join("store/data.mdb"), [1; 8192]).expect("writable");
        // Whatever stays alive with these arguments serves as a daemon.
        let stays = dir.path().join("stays");
        std::fs::write(&stays, "#!/bin/sh\nexec cat >/dev/null\n").expect("writable");
        let mut permissions = std::fs::metadata(&stays).expect("there").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o700);
        std::fs::set_permissions(&stays, permissions).expect("ours");
        let mut process = Process::new(home.clone(), &stays, Vec::new());
        assert!(process.usage().is_none() && process.obituary().is_none(), "it does not run yet");
        process.start(0).expect("starts");
        let usage = process.usage().expect("it runs");
        assert!(
            usage.resident_kib >= usage.anonymous_kib && usage.anonymous_kib > 0 && usage.disk_kib >= 8,
            "{usage:?}"
        );
        process.kill().await;
        assert!(process.usage().is_none() && process.obituary().is_none(), "we did it");

        let mut ends = Process::new(home, Path::new("/bin/false"), Vec::new());
        ends.start(0).expect("starts");
        let words = loop {
            match ends.obituary() {
                Some(words) => break words,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(words.contains("mix-1 ended (exit status: 1)"), "{words}");
    }
}
