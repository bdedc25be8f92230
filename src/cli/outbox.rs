//! `outbox`: messages that wait for their user.

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use crate::control::{Answer, Ask};
use crate::crypto::from_hex;

use super::error::CliError;
use super::{local, output};

/// The commands of `outbox`.
#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
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
        OutboxCommand::Retry { id } => (Ask::Retry { message: id.0 }, id, "queued"),
        OutboxCommand::Drop { id } => (Ask::Drop { message: id.0 }, id, "dropped"),
    };
    let Answer::Done = local::ask(&mut daemon, &ask).await? else { return Err(local::unexpected()) };
    output::line(&if json { output::json(&Changed { id, state }) } else { format!("{id} {state}") })
}

fn message_id(text: &str) -> Result<MessageId, String> {
    let bytes = from_hex(text).ok_or("a message's id has 32 hexadecimal digits")?;
    Ok(MessageId(bytes, text.to_owned()))
}
