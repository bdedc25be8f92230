//! `oracles`: whether what is kept from chosen clients shows.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mixnet::sim::{Oracle, OracleRow, Oracles};

/// Arguments of `oracles`.
#[derive(Args)]
#[command(
    after_help = "Exit 0 only if no client was named, and each was where clients break the rule that prevents it.

Example:
  mixlab oracles --seeds 20 --json oracles.json"
)]
pub(super) struct OraclesArgs {
    /// Networks for each
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Networks that run at a time
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Where to write the rows, beside stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the networks and prints a JSON object an oracle.
pub(super) fn run(args: &OraclesArgs) -> ExitCode {
    let OraclesArgs { seeds, seed, threads, ref json } = *args;
    let rows = Oracles { seeds, seed, threads }.run(&Oracle::ALL);
    rows.iter().for_each(|row| println!("{}", row.json()));
    let all = rows.iter().map(OracleRow::json).collect();
    super::end(json.as_deref(), &all, rows.iter().all(OracleRow::is_closed))
}
