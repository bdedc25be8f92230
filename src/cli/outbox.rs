//! `outbox`: messages on their way, and those that wait for their user.

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use crate::control::{Answer, Ask, Listed, Place, Stream};
use crate::crypto::{from_hex, to_hex};

use super::error::CliError;
use super::{local, output};

/// The commands of `outbox`.
#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// Show the messages that are not stored yet, oldest first, and whether they are queued, in flight or held
    List {
        /// Also the stored ones, the newest 1000
        #[arg(long)]
        all: bool,
    },
    /// Send a message once more that failed too often
    Retry {
        /// The message's id, as `send` and `status` print it
        #[arg(value_parser = message_id)]
        id: MessageId,
    },
    /// Give up a message that waits
    Drop {
        /// The message's id, as `send` and `status` print it
        #[arg(value_parser = message_id)]
        id: MessageId,
    },
}

/// A message's id on the command line.
#[derive(Clone, Debug)]
pub(super) struct MessageId([u8; 16], String);

/// A message as a program reads it.
#[derive(Serialize)]
struct Shown {
    id: String,
    /// `null`: no contact any more.
    to: Option<String>,
    bytes: u64,
    packets: u32,
    state: &'static str,
    resends: u32,
}

#[derive(Serialize)]
struct Changed<'a> {
    id: &'a str,
    state: &'static str,
}

/// Does what the command says.
///
/// # Errors
/// If there is no such message, or the daemon does not answer.
pub(super) async fn run(command: &OutboxCommand, home: &Path, json: bool) -> Result<(), CliError> {
    let mut daemon = local::connect(&local::open_home(home)?).await?;
    let (ask, MessageId(_, id), state) = match command {
        OutboxCommand::List { all } => return list(&mut daemon, *all, json).await,
        OutboxCommand::Retry { id } => (Ask::Retry { message: id.0 }, id, "queued"),
        OutboxCommand::Drop { id } => (Ask::Drop { message: id.0 }, id, "dropped"),
    };
    let Answer::Done = local::ask(&mut daemon, &ask).await? else { return Err(local::unexpected()) };
    output::line(&if json { output::json(&Changed { id, state }) } else { format!("{id} {state}") })
}

async fn list(daemon: &mut Stream, all: bool, json: bool) -> Result<(), CliError> {
    daemon.send(&Ask::Outbox { all }).await?;
    loop {
        match local::answer(daemon).await? {
            Answer::Listed(listed) => {
                let shown = Shown::new(listed);
                output::line(&if json { output::json(&shown) } else { output::shown(&shown.in_words()) })?;
            }
            Answer::End => return Ok(()),
            _ => return Err(local::unexpected()),
        }
    }
}

impl Shown {
    fn new(listed: Listed) -> Self {
        let Listed { message, to, bytes, packets, state, resends } = listed;
        let state = match state {
            Place::Queued => "queued",
            Place::InFlight => "in_flight",
            Place::Stored => "stored",
            Place::Held => "held",
        };
        Self { id: to_hex(&message), to, bytes, packets, state, resends }
    }

    fn in_words(&self) -> String {
        let Self { id, to, bytes, packets, state, resends } = self;
        let to = to.as_deref().unwrap_or("nobody among the contacts");
        let packets = if *packets == 1 { "1 packet".into() } else { format!("{packets} packets") };
        let state = state.replace('_', " ");
        format!("{id} {state}: to {to}, {bytes} bytes in {packets}, sent again {resends} times")
    }
}

fn message_id(text: &str) -> Result<MessageId, String> {
    let bytes = from_hex(text).ok_or("a message's id has 32 hexadecimal digits")?;
    Ok(MessageId(bytes, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_scripts_see_where_a_message_is() {
        let listed = Listed {
            message: [0xab; 16],
            to: Some("bob".into()),
            bytes: 5,
            packets: 1,
            state: Place::InFlight,
            resends: 2,
        };
        let shown = Shown::new(listed.clone());
        let id = "ab".repeat(16);
        assert_eq!(shown.in_words(), format!("{id} in flight: to bob, 5 bytes in 1 packet, sent again 2 times"));
        let expected = r#""to":"bob","bytes":5,"packets":1,"state":"in_flight","resends":2}"#;
        assert_eq!(output::json(&shown), format!(r#"{{"schema":1,"id":"{id}",{expected}"#));
        let unknown = Shown::new(Listed { to: None, state: Place::Held, ..listed });
        assert!(unknown.in_words().contains("held: to nobody among the contacts"));
    }
}
