//! The commands of `mixnode`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::Role;

use super::args::{GlobalArgs, RunArgs};
use super::check::CheckArgs;
use super::error::{CliError, EXIT_CODES};
use super::evidence::EvidenceArgs;
use super::init::InitArgs;
use super::operator::ReadmitArgs;
use super::testnet::TestnetArgs;
use super::{Ending, check, evidence, init, on_all_cores, on_one_core, operator, run as daemons, status, testnet};

/// A mix of a mix network: takes in a round's packets, opens a layer, shuffles, hands them on
#[derive(Debug, Parser)]
#[command(name = "mixnode", version, subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
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
    /// Be a mix until told to stop
    Run(RunArgs),
    /// Find what would keep a home or a network file from working, without changing anything
    Check(CheckArgs),
    /// Show how a running mix is doing
    Status,
    /// Say who broke a round, from an evidence file and the network file alone
    VerifyEvidence(EvidenceArgs),
    /// Let a client in again that was proven guilty; every operator at their own mix
    Readmit(ReadmitArgs),
    /// Go on after a mix was proven guilty and operators have acted; every operator at their own mix
    Resume,
    /// Run a whole network of mixes and clients on this machine
    Testnet(TestnetArgs),
}

const EXAMPLES: &str = "Examples:
  mixnode testnet --demo                         a whole network on this machine, for a look
  mixnode init --home /etc/mix-1 mix-1           make a home with keys
  mixnode check --home /etc/mix-1                what would keep it from running
  mixnode run --home /etc/mix-1                  be a mix
  mixnode status --home /etc/mix-1 --json        how it goes
  mixnode verify-evidence FILE --network network.yaml";

/// Does what the arguments say.
pub(super) fn run(arguments: Arguments) -> Result<(), Ending> {
    let Arguments { global, command } = arguments;
    let home = || -> Result<PathBuf, CliError> { global.home(".mixnode") };
    match command {
        Command::Init(args) => init::run(&args, Role::Mix, &home()?, global.json)?,
        Command::Run(args) => on_all_cores(daemons::mix(&args, &home()?, global.json))?,
        Command::Check(args) => return check::run(&args, Role::Mix, home, global.json),
        Command::Status => on_one_core(status::run(&home()?, global.json))?,
        Command::VerifyEvidence(args) => return evidence::run(&args, global.json),
        Command::Readmit(args) => on_one_core(operator::readmit(&args, &home()?, global.json))?,
        Command::Resume => on_one_core(operator::resume(&home()?, global.json))?,
        Command::Testnet(args) => return testnet::run(&args, global.json),
    }
    Ok(())
}
