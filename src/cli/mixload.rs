//! The commands of `mixload`.

use clap::{Parser, Subcommand};

use super::error::EXIT_CODES;
use super::measure::RunArgs;
use super::{Ending, measure};

/// Measures what a mix network carries: throughput, latency, loss, and what each hop costs
#[derive(Debug, Parser)]
#[command(name = "mixload", version, subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Many clients at once, round after round, through three mixes of its own or a running network
    Run(RunArgs),
}

const EXAMPLES: &str = "Examples:
  mixload run --clients 64 --packets-per-client 157 --payload 1024 --rounds 12 --round 0 --json run.json";

/// Does what the arguments say.
pub(super) fn run(arguments: Arguments) -> Result<(), Ending> {
    match arguments.command {
        Command::Run(args) => Ok(measure::run(&args)?),
    }
}
