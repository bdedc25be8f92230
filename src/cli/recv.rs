//! `recv`: what has come, once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::control::{Answer, Ask, Crowd, Incoming, MessageKind, Stream};
use crate::crypto::{sha256, to_hex};

use super::error::{CliError, Exit};
use super::saving::{save, saved_before};
use super::{local, output};

/// Arguments of `recv`.
#[derive(Args, Debug)]
#[command(
    after_help = "Messages are marked read once they are printed and their files are on disk. Nothing unread: no output.

Examples:
  mixclient recv --timeout 60            wait a minute for a first message
  mixclient recv --follow --json         every message as it comes, an object a line
  mixclient recv --save-to .             files into the working directory"
)]
pub(super) struct RecvArgs {
    /// Also messages that have been read
    #[arg(long)]
    all: bool,
    /// Go on with messages as they come, until interrupted
    #[arg(long)]
    follow: bool,
    /// Seconds to wait for a message if there is none; with --follow for a further one
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Where to save files, under their senders' names made safe [default: received in the home]
    #[arg(long, value_name = "DIR")]
    save_to: Option<PathBuf>,
}

/// A message as a program reads it.
#[derive(Serialize)]
struct Shown {
    id: String,
    /// `null`: anonymous, or of nobody among the contacts.
    from: Option<String>,
    kind: &'static str,
    name: Option<String>,
    bytes: u64,
    sha256: String,
    text: Option<String>,
    path: Option<String>,
    round: u64,
    sealed: bool,
    /// `null` before the round's verdict, and long after it.
    clients: Option<u32>,
    #[serde(skip)]
    crowd: Crowd,
}

/// Messages that one request marks read: far below the longest frame.
const MARKED_AT_ONCE: usize = 1024;
/// How long one question of `--follow` waits before it is asked again.
const FOLLOW: Duration = Duration::from_secs(3600);

/// Prints messages, then marks them read.
///
/// # Errors
/// If the daemon goes away, or a file cannot be saved.
pub(super) async fn run(args: &RecvArgs, home: &Path, json: bool) -> Result<(), CliError> {
    let home = local::open_home(home)?;
    let mut daemon = local::connect(&home).await?;
    let dir = args.save_to.clone().unwrap_or_else(|| home.dir.join("received"));
    let show = |message: &Incoming, data: &[u8], all: bool| print(message, data, &dir, all, json);
    if !args.follow {
        return poll(&mut daemon, args.all, args.timeout.unwrap_or_default(), show).await.map(|_| ());
    }
    if args.all {
        poll(&mut daemon, true, Duration::ZERO, show).await?;
    }
    let follow = async {
        loop {
            let came = poll(&mut daemon, false, args.timeout.unwrap_or(FOLLOW), show).await?;
            if came == 0 && args.timeout.is_some() {
                return Ok(());
            }
        }
    };
    tokio::select! {
        ended = follow => ended,
        _interrupted = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Takes what is there, shows it, and marks it read; how many there were.
async fn poll(
    daemon: &mut Stream,
    all: bool,
    wait: Duration,
    show: impl Fn(&Incoming, &[u8], bool) -> Result<(), CliError>,
) -> Result<usize, CliError> {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    daemon.send(&Ask::PollMessages { all, wait_ms }).await?;
    let mut messages = Vec::new();
    loop {
        match local::answer(daemon).await? {
            Answer::Message(message) => {
                let data = daemon.bytes(message.bytes).await?;
                show(&message, &data, all)?;
                messages.push(message.message);
            }
            Answer::End => break,
            _ => return Err(local::unexpected()),
        }
    }
    for messages in messages.chunks(MARKED_AT_ONCE) {
        local::ask(daemon, &Ask::MarkRead { messages: messages.to_vec() }).await?;
    }
    Ok(messages.len())
}

fn print(message: &Incoming, data: &[u8], dir: &Path, all: bool, json: bool) -> Result<(), CliError> {
    let path = match message.kind {
        MessageKind::Text => None,
        MessageKind::File => Some(keep(dir, &message.name, data, all)?),
    };
    let shown = Shown::new(message, data, path.as_deref());
    output::line(&if json { output::json(&shown) } else { output::shown(&shown.paragraph()) })
}

/// Saves a file; one that was read before may be there.
fn keep(dir: &Path, name: &str, data: &[u8], all: bool) -> Result<PathBuf, CliError> {
    if let Some(path) = all.then(|| saved_before(dir, name, data)).flatten() {
        return Ok(path);
    }
    save(dir, name, data).map_err(|error| {
        let text = format!(
            "cannot save a file in {}: {error}\nhelp: give another place with --save-to DIR; the message stays unread",
            dir.display()
        );
        CliError::new(Exit::Failed, text)
    })
}

impl Shown {
    fn new(message: &Incoming, data: &[u8], path: Option<&Path>) -> Self {
        let is_file = message.kind == MessageKind::File;
        Self {
            id: to_hex(&message.message),
            from: message.from.clone(),
            kind: if is_file { "file" } else { "text" },
            name: is_file.then(|| message.name.clone()),
            bytes: message.bytes,
            sha256: to_hex(&sha256(data)),
            text: (!is_file).then(|| String::from_utf8_lossy(data).into_owned()),
            path: path.map(|path| path.display().to_string()),
            round: message.round,
            sealed: message.crowd.sealed,
            clients: message.crowd.clients,
            crowd: message.crowd,
        }
    }

    /// `client-1, round 7, sealed, among 4 clients: hello`.
    fn paragraph(&self) -> String {
        let from = self.from.as_deref().unwrap_or("anonymous");
        let what = match (&self.text, &self.path) {
            (Some(text), _) => output::indented(text),
            (None, path) => {
                format!("file of {} bytes, saved as {}", self.bytes, path.as_deref().unwrap_or_default())
            }
        };
        format!("{from}, round {}{}: {what}", self.round, output::crowd(self.crowd))
    }
}

/// Seconds on the command line: fractions are fine.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a number of seconds from 0 on".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: MessageKind, name: &str, bytes: u64) -> Incoming {
        let crowd = Crowd { sealed: true, clients: Some(4) };
        Incoming { message: [7; 16], from: Some("client-1".into()), kind, name: name.into(), round: 9, crowd, bytes }
    }

    #[test]
    fn scripts_find_every_field() {
        let text = message(MessageKind::Text, "", 3);
        let shown: serde_json::Value =
            serde_json::from_str(&output::json(&Shown::new(&text, b"abc", None))).expect("JSON");
        let expected = serde_json::json!({
            "schema": 1, "id": "07".repeat(16), "from": "client-1", "kind": "text", "name": null, "bytes": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "text": "abc",
            "path": null, "round": 9, "sealed": true, "clients": 4,
        });
        assert_eq!(shown, expected);
        let file = Incoming { from: None, ..message(MessageKind::File, "../a", 0) };
        let shown = Shown::new(&file, b"", Some(Path::new("/x/a")));
        let shown: serde_json::Value = serde_json::from_str(&output::json(&shown)).expect("JSON");
        assert_eq!(
            (&shown["from"], &shown["name"], &shown["path"], &shown["text"]),
            (
                &serde_json::json!(null),
                &serde_json::json!("../a"),
                &serde_json::json!("/x/a"),
                &serde_json::json!(null)
            )
        );
    }

    #[test]
    fn people_read_a_paragraph_each() {
        let text = message(MessageKind::Text, "", 9);
        assert_eq!(
            Shown::new(&text, b"one\ntwo\xff", None).paragraph(),
            "client-1, round 9, sealed, among 4 clients: one\n    two\u{fffd}"
        );
        assert_eq!(Shown::new(&text, b"", None).paragraph(), "client-1, round 9, sealed, among 4 clients: ");
        let file = Incoming { from: None, ..message(MessageKind::File, "a", 4) };
        let shown = Shown::new(&file, b"abcd", Some(Path::new("/x/a")));
        assert_eq!(shown.paragraph(), "anonymous, round 9, sealed, among 4 clients: file of 4 bytes, saved as /x/a");
    }

    #[test]
    fn seconds_may_have_fractions() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "x", "-1", "NaN", "inf", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
