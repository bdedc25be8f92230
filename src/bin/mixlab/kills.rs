//! `kills`: what is released and published when each mix is killed at each moment of a round.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, value_parser};
use mixnet::sim::{Kills, KillsProcesses, KillsRow};
use mixnet::testnet::Programs;
use serde_json::Value;
use tokio::runtime::Runtime;

/// Arguments of `kills`.
#[derive(Args)]
#[command(
    after_help = "Exit 0 only if of no round a share was released and an onion key published, and every message arrived once.

Examples:
  mixlab kills --seeds 100 --json kills.json
  mixlab kills --processes --seeds 100 --json kills-processes.json"
)]
pub(super) struct KillsArgs {
    /// Networks: for each mix, moment and kind of round; with processes as many as there are, each mix killed once in each
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Networks that run at a time
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Mixes, 2 to 7
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u16).range(2..=7))]
    mixes: u16,
    /// Networks of real processes on this machine
    #[arg(long)]
    processes: bool,
    /// Where networks of processes lie; those that pass are deleted [default: a directory of the system's temporary one]
    #[arg(long, value_name = "DIR", requires = "processes")]
    dir: Option<PathBuf>,
    /// Where to write the result, beside stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the networks and prints JSON.
pub(super) fn run(args: &KillsArgs, runtime: &Runtime) -> ExitCode {
    let found = if args.processes { runtime.block_on(processes(args)) } else { Ok(simulated(args)) };
    let (json, good) = match found {
        Ok(found) => found,
        Err(error) => return super::broken(&error.to_string()),
    };
    super::end(args.json.as_deref(), &json, good)
}

fn simulated(args: &KillsArgs) -> (Value, bool) {
    let KillsArgs { seeds, seed, threads, .. } = *args;
    let rows = Kills { seeds, seed, threads, mixes: args.mixes.into() }.run(|row| println!("{}", row.json()));
    (rows.iter().map(KillsRow::json).collect(), !rows.is_empty() && rows.iter().all(KillsRow::is_good))
}

async fn processes(args: &KillsArgs) -> anyhow::Result<(Value, bool)> {
    let temporary = || std::env::temp_dir().join(format!("mixlab-kills-{}", std::process::id()));
    let kills = KillsProcesses {
        programs: Programs::neighbours()?,
        rogue: std::env::current_exe()?,
        dir: args.dir.clone().unwrap_or_else(temporary),
        seed: args.seed,
        seeds: args.seeds,
        parallel: args.threads,
        mixes: args.mixes.into(),
    };
    let (summary, good) = kills.run(|seed| eprintln!("{seed}")).await;
    println!("{summary}");
    // Only if it is empty: what a bad seed left is to be looked at.
    let _ = std::fs::remove_dir(&kills.dir);
    Ok((summary, good))
}
