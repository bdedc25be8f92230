//! The commands of `mixload`.

use clap::{Parser, Subcommand};

use super::error::EXIT_CODES;
use super::measure::RunArgs;
use super::series::{MatrixArgs, ScaleArgs};
use super::{Ending, measure, series};

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
    /// The benchmark of few clients and messages from 10 B to 1 MB, one round at a time, with figures
    Matrix(MatrixArgs),
    /// Cost of a packet against packets a round, 1 k to 1 M, with a figure
    Scale(ScaleArgs),
}

const EXAMPLES: &str = "Examples:
  mixload run --clients 64 --packets-per-client 157 --payload 1024 --rounds 12 --round 0 --json run.json
  mixload matrix --out matrix
  mixload scale --out scale --packets 1000,10000,100000";

/// Does what the arguments say.
pub(super) fn run(arguments: Arguments) -> Result<(), Ending> {
    match arguments.command {
        Command::Run(args) => measure::run(&args)?,
        Command::Matrix(args) => series::matrices(&args)?,
        Command::Scale(args) => series::scales(&args)?,
    }
    Ok(())
}
