//! The processes of a network.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Home, replace};

use super::{Layout, TestnetError};

/// How long a child may take to stop before it is killed: more than any daemon waits for its rounds.
const STOPPING: Duration = Duration::from_secs(20);
/// Bytes of a log that are shown.
const LAST_WORDS: u64 = 2000;

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `mixnode`.
    pub mixnode: PathBuf,
    /// `mixclient`.
    pub mixclient: PathBuf,
}

impl Programs {
    /// This program, which is `mixnode`, and `mixclient` beside it.
    ///
    /// # Errors
    /// If there is none.
    pub fn siblings() -> Result<Self, TestnetError> {
        let mixnode = std::env::current_exe().map_err(TestnetError::io("find this program"))?;
        let mixclient = mixnode.with_file_name("mixclient");
        Self { mixnode, mixclient }.present()
    }

    /// Both beside this program, which is another.
    ///
    /// # Errors
    /// If one is missing.
    pub fn neighbours() -> Result<Self, TestnetError> {
        let this = std::env::current_exe().map_err(TestnetError::io("find this program"))?;
        Self { mixnode: this.with_file_name("mixnode"), mixclient: this.with_file_name("mixclient") }.present()
    }

    fn present(self) -> Result<Self, TestnetError> {
        let missing = [&self.mixnode, &self.mixclient].into_iter().find(|program| !program.is_file()).cloned();
        missing.map_or(Ok(self), |missing| Err(TestnetError::NoProgram(missing)))
    }
}

/// The running processes of a network. They stop by themselves when this process is gone.
pub struct Children {
    pids_path: PathBuf,
    pids: BTreeMap<String, u32>,
    logs: BTreeMap<String, PathBuf>,
    tasks: JoinSet<Ended>,
    stop_clients: CancellationToken,
    stop_mixes: CancellationToken,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Whose it was.
    pub name: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Children {
    /// Starts everybody, and writes `pids.json`.
    ///
    /// # Errors
    /// If a process cannot be started; those that were stop again.
    pub fn start(layout: &Layout, programs: &Programs) -> Result<Self, TestnetError> {
        let mut children = Self {
            pids_path: layout.dir.join("pids.json"),
            pids: BTreeMap::new(),
            logs: BTreeMap::new(),
            tasks: JoinSet::new(),
            stop_clients: CancellationToken::new(),
            stop_mixes: CancellationToken::new(),
        };
        for (homes, program, stop) in [
            (&layout.mixes, &programs.mixnode, children.stop_mixes.clone()),
            (&layout.clients, &programs.mixclient, children.stop_clients.clone()),
        ] {
            for home in homes {
                let log = home.dir.join("log");
                let child = spawn(program, home, &log)?;
                children.pids.extend(child.id().map(|id| (home.id.clone(), id)));
                children.logs.insert(home.id.clone(), log);
                children.tasks.spawn(wait(home.id.clone(), child, stop.clone()));
            }
        }
        children.write_pids()?;
        Ok(children)
    }

    /// The process ids of those that run, by name.
    pub fn pids(&self) -> &BTreeMap<String, u32> {
        &self.pids
    }

    /// Waits for the next process that ends; for ever if none is left.
    ///
    /// # Errors
    /// If `pids.json`, which then lacks it, cannot be written.
    pub async fn next_death(&mut self) -> Result<Ended, TestnetError> {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(ended)) => {
                    self.pids.remove(&ended.name);
                    self.write_pids()?;
                    return Ok(ended);
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// What is to be said about a process that should not have ended.
    pub fn obituary(&self, ended: Ended) -> TestnetError {
        let Ended { name, status } = ended;
        let path = self.logs.get(&name).cloned().unwrap_or_default();
        TestnetError::Died { log: last_words(&path).unwrap_or_default(), name, status, path }
    }

    /// Stops everybody, clients first so that the mixes still carry their last round; those that do not stop in 20
    /// seconds are killed. Returns those that did not end well.
    pub async fn stop(mut self) -> Vec<Ended> {
        let mut bad = Vec::new();
        let clients = |name: &str| name.starts_with("client-");
        self.stop_clients.cancel();
        while self.pids.keys().any(|name| clients(name)) {
            self.stopped(&mut bad).await;
        }
        self.stop_mixes.cancel();
        while !self.tasks.is_empty() {
            self.stopped(&mut bad).await;
        }
        // Nobody runs: a list of processes would name others by and by.
        let _ = std::fs::remove_file(&self.pids_path);
        bad
    }

    async fn stopped(&mut self, bad: &mut Vec<Ended>) {
        if let Some(Ok(ended)) = self.tasks.join_next().await {
            self.pids.remove(&ended.name);
            if !ended.status.success() {
                bad.push(ended);
            }
        }
    }

    fn write_pids(&self) -> Result<(), TestnetError> {
        let text = serde_json::to_string(&self.pids).expect("names and numbers have a JSON form");
        Ok(replace(&self.pids_path, 0o644, text.as_bytes())?)
    }
}

fn spawn(program: &Path, home: &Home, log: &Path) -> Result<Child, TestnetError> {
    let mut command = daemon(program, &[], home, log)?;
    command.spawn().map_err(TestnetError::io(format!("start {}", program.display())))
}

/// The command that runs the daemon `program` of `home`: it appends to `log`, and stops when its standard input ends,
/// which is a pipe. `wrapper` is a program with arguments that becomes the daemon; empty for none.
///
/// # Errors
/// If the log cannot be written.
pub fn daemon(program: &Path, wrapper: &[String], home: &Home, log: &Path) -> Result<Command, TestnetError> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(log);
    let file = file.map_err(TestnetError::io(format!("write {}", log.display())))?;
    let mut command = match wrapper.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command.arg("run").arg("--home").arg(&home.dir).arg("--die-with-stdin");
    for (variable, _) in std::env::vars_os() {
        // Settings of this shell's own home; how to log is everybody's.
        let name = variable.to_string_lossy();
        if name.starts_with("MIXNET_") && !name.starts_with("MIXNET_LOG") {
            command.env_remove(&variable);
        }
    }
    // A group of its own: Ctrl-C reaches the parent alone, which then stops its children once.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(file).process_group(0);
    Ok(command)
}

/// Waits for a child's end, and brings it about when told.
async fn wait(name: String, mut child: Child, stop: CancellationToken) -> Ended {
    // Waiting for a child closes the pipe to it, unless it is somewhere else.
    let pipe = child.stdin.take();
    let status = tokio::select! {
        status = child.wait() => status,
        () = stop.cancelled() => end(&mut child).await,
    };
    drop(pipe);
    // The system has no such child only if it has been waited for.
    Ended { name, status: status.unwrap_or_default() }
}

async fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    // A child that has not been waited for keeps its number, dead or alive.
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    match tokio::time::timeout(STOPPING, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.start_kill()?;
            child.wait().await
        }
    }
}

/// The last lines of a log: 8 at most, of its last 2,000 bytes, each behind two spaces.
///
/// # Errors
/// If it cannot be read.
pub fn last_words(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(8)).map(|line| format!("  {line}"));
    Ok(shown.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_few() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let long: String = (0..1000).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&path, long).expect("writable");
        let words = last_words(&path).expect("readable");
        assert_eq!(words.lines().next(), Some("  line 992"));
        assert_eq!(words.lines().last(), Some("  line 999"));
        std::fs::write(&path, "only").expect("writable");
        assert_eq!(last_words(&path).expect("readable"), "  only");
        assert!(last_words(dir.path().join("none").as_path()).is_err());
    }
}
