//! The commands of `mixclient`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::Role;

use super::args::{GlobalArgs, RunArgs};
use super::check::CheckArgs;
use super::contact::ContactCommand;
use super::error::{CliError, EXIT_CODES};
use super::init::InitArgs;
use super::outbox::OutboxCommand;
use super::recv::RecvArgs;
use super::send::SendArgs;
use super::{Ending, check, contact, init, on_all_cores, on_one_core, outbox, recv, run as daemons, send, status};

/// A client of a mix network: sends and receives, and hides who talks to whom
#[derive(Debug, Parser)]
#[command(name = "mixclient", version, subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Arguments {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a home: settings and keys; what is there stays
    Init(InitArgs),
    /// Take part in every round until told to stop
    Run(RunArgs),
    /// Put a message into the outbox
    Send(SendArgs),
    /// Print unread messages once, and save files
    Recv(RecvArgs),
    /// Show how a running client is doing
    Status,
    /// Find what would keep a home or a network file from working, without changing anything
    Check(CheckArgs),
    /// Whom you can write to
    #[command(subcommand)]
    Contact(ContactCommand),
    /// Messages that are on their way or were given up: list, retry, drop
    #[command(subcommand)]
    Outbox(OutboxCommand),
}

const EXAMPLES: &str = "Examples:
  mixclient init anna --network network.yaml     make a home with keys
  mixclient run                                  take part in every round; the rest needs it running
  mixclient contact own                          the line that others need to write to you
  mixclient send bob \"how are you?\" --wait       return once it is stored for bob
  mixclient recv                                 print what has come, files to ~/.mixclient/received";

/// Does what the arguments say.
pub(super) fn run(arguments: Arguments) -> Result<(), Ending> {
    let Arguments { global, command } = arguments;
    let home = || -> Result<PathBuf, CliError> { global.home(".mixclient") };
    match command {
        Command::Init(args) => init::run(&args, Role::Client, &home()?, global.json)?,
        Command::Run(args) => on_all_cores(daemons::client(&args, &home()?, global.json))?,
        Command::Send(args) => on_one_core(send::run(&args, &home()?, global.json))?,
        Command::Recv(args) => on_one_core(recv::run(&args, &home()?, global.json))?,
        Command::Status => on_one_core(status::run(&home()?, global.json))?,
        Command::Check(args) => return check::run(&args, Role::Client, home, global.json),
        Command::Contact(command) => on_one_core(contact::run(&command, &home()?, global.json))?,
        Command::Outbox(command) => on_one_core(outbox::run(&command, &home()?, global.json))?,
    }
    Ok(())
}
