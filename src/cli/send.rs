//! `send`: a message into the outbox.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::control::{Answer, Ask, ControlError, MessageKind, Outgoing, Progress, Stream};
use crate::crypto::to_hex;

use super::error::{CliError, Exit};
use super::{local, output};

/// Arguments of `send`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("content").required(true))]
#[command(override_usage = "mixclient send [OPTIONS] <RECIPIENT> <TEXT|-|--file <PATH>>")]
#[command(
    after_help = "Returns once the message is on disk: it goes out with the next rounds, also after a crash. With
--wait it returns once all of it is stored where the recipient's polls find it.

Examples:
  mixclient send bob \"how are you?\"
  mixclient send bob --file report.pdf --wait
  tar c notes | mixclient send bob -"
)]
pub(super) struct SendArgs {
    /// The name of a contact
    recipient: String,
    /// The text; - takes it from standard input
    #[arg(group = "content", allow_hyphen_values = true)]
    text: Option<String>,
    /// Send this file, under its name
    #[arg(long, value_name = "PATH", group = "content")]
    file: Option<PathBuf>,
    /// Do not tell the recipient who sent it
    #[arg(long)]
    anonymous: bool,
    /// Wait until it is stored for the recipient
    #[arg(long)]
    wait: bool,
}

/// No network takes a longer message.
const MOST_BYTES: u64 = u32::MAX as u64;

#[derive(Serialize)]
struct Sent {
    id: String,
    bytes: u64,
    packets: u32,
    state: &'static str,
    earliest_round: u64,
    rounds: Vec<u64>,
    resends: u32,
    /// `null` unless waited for.
    sealed: Option<bool>,
    /// `null` unless waited for.
    clients: Option<u32>,
}

/// Sends a message.
///
/// # Errors
/// If it cannot be read, or the daemon does not take it.
pub(super) async fn run(args: &SendArgs, home: &Path, json: bool) -> Result<(), CliError> {
    let home = local::open_home(home)?;
    let mut daemon = local::connect(&home).await?;
    let (kind, name, data) = content(args)?;
    let bytes = data.len() as u64;
    let outgoing = Outgoing { to: args.recipient.clone(), named: !args.anonymous, kind, name, bytes };
    let accepted = prepare(&mut daemon, outgoing, &data).await?;
    let Answer::Accepted { message, packets, earliest_round } = accepted else { return Err(local::unexpected()) };
    let mut sent = Sent {
        id: to_hex(&message),
        bytes,
        packets,
        state: "queued",
        earliest_round,
        rounds: Vec::new(),
        resends: 0,
        sealed: None,
        clients: None,
    };
    if !json {
        let packets = if packets == 1 { "1 packet".into() } else { format!("{packets} packets") };
        output::line(&format!("{} queued: {packets}, from round {earliest_round} on", sent.id))?;
    }
    if args.wait {
        let Answer::Progress(Progress { stored, rounds, crowd, resends }) =
            local::ask(&mut daemon, &Ask::AwaitStored { message }).await?
        else {
            return Err(local::unexpected());
        };
        sent.state = if stored { "stored" } else { "held" };
        (sent.rounds, sent.resends) = (rounds, resends);
        (sent.sealed, sent.clients) = (Some(crowd.sealed), crowd.clients);
        if !json && stored {
            output::line(&format!("{} stored in {}{}", sent.id, in_words(&sent.rounds), output::crowd(crowd)))?;
        }
    }
    if json {
        output::line(&output::json(&sent))?;
    }
    match sent.state {
        "held" => Err(CliError::new(
            Exit::TryAgain,
            format!(
                "the message failed too often and waits\nhelp: `mixclient outbox retry {}` sends it again, `outbox drop` gives it up",
                sent.id
            ),
        )),
        _ => Ok(()),
    }
}

/// Hands a message to the daemon.
async fn prepare(daemon: &mut Stream, outgoing: Outgoing, data: &[u8]) -> Result<Answer, CliError> {
    daemon.send(&Ask::PrepareMessage(outgoing)).await?;
    let sent = daemon.raw(data).await;
    match (local::answer(daemon).await, sent) {
        // A message that is too large is not read to its end; why comes all the same.
        (Err(error), Err(_)) if error.exit != Exit::Network => Err(error),
        (_, Err(error)) => Err(ControlError::into(error)),
        (answer, Ok(())) => answer,
    }
}

fn content(args: &SendArgs) -> Result<(MessageKind, String, Vec<u8>), CliError> {
    match (&args.file, &args.text) {
        (Some(path), _) => {
            let failed = |error| CliError::new(Exit::Usage, format!("cannot read {}: {error}", path.display()));
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
                let text = format!("{} has no name that can travel\nhelp: rename the file", path.display());
                CliError::new(Exit::Usage, text)
            })?;
            let file = File::open(path).map_err(failed)?;
            Ok((MessageKind::File, name.into(), bounded(file).map_err(failed)?))
        }
        (None, Some(text)) if text != "-" => Ok((MessageKind::Text, String::new(), text.clone().into_bytes())),
        _ => {
            let read = bounded(io::stdin().lock());
            Ok((MessageKind::Text, String::new(), read.map_err(|error| CliError::io("read standard input", &error))?))
        }
    }
}

fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `round 3`, `rounds 3 to 7`.
fn in_words(rounds: &[u64]) -> String {
    match (rounds.iter().min(), rounds.iter().max()) {
        (Some(first), Some(last)) if first != last => format!("rounds {first} to {last}"),
        (Some(only), _) => format!("round {only}"),
        _ => "an earlier round".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_told_in_words() {
        assert_eq!(in_words(&[]), "an earlier round");
        assert_eq!(in_words(&[7]), "round 7");
        assert_eq!(in_words(&[9, 7, 8]), "rounds 7 to 9");
    }

    #[test]
    fn scripts_find_every_field() {
        let sent = Sent {
            id: "ab".into(),
            bytes: 5,
            packets: 1,
            state: "stored",
            earliest_round: 3,
            rounds: vec![3],
            resends: 0,
            sealed: Some(true),
            clients: Some(4),
        };
        let expected = concat!(
            r#"{"schema":1,"id":"ab","bytes":5,"packets":1,"state":"stored","earliest_round":3,"rounds":[3],"resends":0,"#,
            r#""sealed":true,"clients":4}"#,
        );
        assert_eq!(output::json(&sent), expected);
    }
}
