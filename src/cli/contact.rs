//! `contact`: whom one can write to.

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use crate::config::{Contact, Home, NetworkFile};
use crate::control::{Answer, Ask, Stream};

use super::error::{CliError, Exit};
use super::{local, output};

/// The commands of `contact`.
#[derive(Debug, Subcommand)]
pub(super) enum ContactCommand {
    /// Print the line that others need to write to you
    Own,
    /// Print all contacts
    List,
    /// Add a contact: the whole line that its owner printed with `contact own`
    Add {
        /// mixnet-contact-v1 NAME MAILBOX LETTERKEY
        #[arg(required = true, num_args = 1..)]
        line: Vec<String>,
        /// Call it so instead
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a contact
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Serialize)]
struct Shown {
    name: String,
    mailbox: String,
    letter_key: String,
    line: String,
}

#[derive(Serialize)]
struct Changed<'a> {
    name: &'a str,
    changed: bool,
}

/// Does what the command says.
///
/// # Errors
/// If the home, its keys or its contacts cannot be used.
pub(super) async fn run(command: &ContactCommand, dir: &Path, json: bool) -> Result<(), CliError> {
    let home = local::open_home(dir)?;
    match command {
        ContactCommand::Own => {
            let network = NetworkFile::read(&home.network)?.id();
            show(&home.client_secrets()?.contact(&home.id, &network), json)
        }
        ContactCommand::List => home.contacts().list()?.iter().try_for_each(|contact| show(contact, json)),
        ContactCommand::Add { line, name } => {
            let mut contact: Contact = line.join(" ").parse()?;
            if let Some(name) = name {
                contact.name.clone_from(name);
            }
            let added = home.contacts().add(&contact)?;
            tell_daemon(&home).await?;
            changed(&contact.name, added, if added { "is a contact now" } else { "was a contact already" }, json)
        }
        ContactCommand::Remove { name } => {
            if !home.contacts().remove(name)? {
                let text = format!("there is no contact `{name}`\nhelp: `contact list` shows those there are");
                return Err(CliError::new(Exit::Usage, text));
            }
            tell_daemon(&home).await?;
            changed(name, true, "is no contact any more", json)
        }
    }
}

/// A daemon that runs learns whose letters have a sender from now on; one that does not learns it when it starts.
async fn tell_daemon(home: &Home) -> Result<(), CliError> {
    let Ok(mut daemon) = Stream::connect(&home.control).await else { return Ok(()) };
    match local::ask(&mut daemon, &Ask::Contacts).await? {
        Answer::Done => Ok(()),
        _ => Err(local::unexpected()),
    }
}

fn show(contact: &Contact, json: bool) -> Result<(), CliError> {
    let line = contact.to_string();
    if !json {
        return output::line(&line);
    }
    output::line(&output::json(&Shown {
        name: contact.name.clone(),
        mailbox: contact.mailbox.to_string(),
        letter_key: contact.letter_key.to_string(),
        line,
    }))
}

fn changed(name: &str, changed: bool, words: &str, json: bool) -> Result<(), CliError> {
    output::line(&if json { output::json(&Changed { name, changed }) } else { format!("{name} {words}") })
}
