//! What the tests look at a test network with: its processes, and the programs as people call them.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Beyond what the slowest machine needs; whoever waits so long has found a fault.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const MIXNODE: &str = env!("CARGO_BIN_EXE_mixnode");
pub(crate) const MIXCLIENT: &str = env!("CARGO_BIN_EXE_mixclient");

/// A process whose output is read as it comes; it dies with the test.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) lines: Receiver<String>,
}

impl Process {
    /// Starts it; `stream` picks the output to read, the other is dropped.
    pub(crate) fn start(program: &str, arguments: &[&str], stdout: bool) -> Self {
        let pipe = |wanted| if wanted { Stdio::piped() } else { Stdio::null() };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(pipe(stdout)).stderr(pipe(!stdout));
        let mut child = command.spawn().expect("starts");
        let source: Box<dyn Read + Send> = match stdout {
            true => Box::new(child.stdout.take().expect("piped")),
            false => Box::new(child.stderr.take().expect("piped")),
        };
        let (send, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(source).lines().map_while(Result::ok).try_for_each(|line| send.send(line)).ok();
        });
        Self { child, lines }
    }

    /// Reads up to the first line with `part`.
    pub(crate) fn says(&self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("it does not say `{part}`"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without saying `{part}`"),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it runs");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("it does not end", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running test network.
pub(crate) struct Network {
    pub(crate) process: Process,
    pub(crate) dir: PathBuf,
}

impl Network {
    pub(crate) fn start(dir: &Path) -> Self {
        let dir = dir.join("net");
        let arguments = ["testnet", "--dir", text(&dir), "--round", "0.3", "--payload", "4096"];
        let process = Process::start(MIXNODE, &arguments, true);
        assert_eq!(process.says("ready"), "ready");
        Self { process, dir }
    }

    pub(crate) fn home(&self, id: &str) -> String {
        text(&self.dir.join(id)).to_owned()
    }

    pub(crate) fn pid(&self, id: &str) -> i32 {
        let pids: Value = serde_json::from_slice(&fs::read(self.dir.join("pids.json")).expect("there")).expect("JSON");
        i32::try_from(pids[id].as_i64().expect(id)).expect("a process id")
    }

    pub(crate) fn send(&self, from: &str, to: &str, message: &str) -> Value {
        json(&client(&["--home", &self.home(from), "send", to, message, "--json"]))
    }

    /// Waits for one message and takes all there are.
    pub(crate) fn receive(&self, at: &str) -> Vec<Value> {
        let output = client(&["recv", "--home", &self.home(at), "--json", "--timeout", "100"]);
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).expect("text");
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    pub(crate) fn status(&self, program: &str, id: &str) -> Value {
        json(&run(program, &["status", "--json", "--home", &self.home(id)]))
    }

    /// Waits until the exit has stored `more` rounds than now.
    pub(crate) fn rounds_go_on(&self, more: u64) {
        let stored = || self.status(MIXNODE, "mix-3")["rounds"]["stored"].as_u64().expect("a number");
        let before = stored();
        eventually("the network stands still", || (stored() >= before + more).then_some(()));
    }
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("runs")
}

pub(crate) fn client(arguments: &[&str]) -> Output {
    run(MIXCLIENT, arguments)
}

pub(crate) fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(value["schema"], 1);
    value
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

pub(crate) fn eventually<T>(fault: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(found) => return found,
            None if Instant::now() > until => panic!("{fault}"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Whether a process does anything; one that has ended may wait for somebody to ask how.
pub(crate) fn is_alive(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn has_fields(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "no `{field}` in {value}");
    }
}

pub(crate) const EVERYBODY: [&str; 7] = ["mix-1", "mix-2", "mix-3", "client-1", "client-2", "client-3", "client-4"];
