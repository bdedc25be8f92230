//! `adversary`: what attacks come to, on simulated networks and on real processes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, value_parser};
use mixnet::crypto::{Defence, Defences};
use mixnet::sim::{Adversary, AdversaryProcesses, AdversaryRow, CONTROLS};
use mixnet::testnet::Programs;
use tokio::runtime::Runtime;

/// Arguments of `adversary`.
#[derive(Args)]
#[command(
    after_help = "Exit 0 only if no round that held a touched packet could be opened, nobody innocent was named, every
message arrived, and each row that names a control is red without that defence.

Examples:
  mixlab adversary --seeds 1000 --json adversary.json
  mixlab adversary --seeds 1 --seed 17 --behaviour duplicate
  mixlab adversary --seeds 5 --control no-echo-check
  mixlab adversary --processes --json processes.json"
)]
pub(super) struct AdversaryArgs {
    /// Networks for each behaviour in each position
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
    /// Only this one; may be given several times
    #[arg(long, value_name = "NAME", value_parser = behaviour)]
    behaviour: Vec<String>,
    /// Take this defence out of the honest mixes; may be given several times
    #[arg(long, value_name = "NAME", value_parser = control)]
    control: Vec<Defence>,
    /// Each once, on networks of real processes on this machine, seen from outside
    #[arg(long, conflicts_with_all = ["seeds", "control"])]
    processes: bool,
    /// Only the villain in this position, from 1
    #[arg(long, value_name = "HOP", requires = "processes")]
    position: Option<usize>,
    /// Where networks of processes lie; those that show nothing bad are deleted [default: a directory of the system's temporary one]
    #[arg(long, value_name = "DIR", requires = "processes")]
    dir: Option<PathBuf>,
    /// Where to write the rows, beside stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the networks and prints a JSON object a row.
pub(super) fn run(args: &AdversaryArgs, runtime: &Runtime) -> ExitCode {
    let rows = match args.processes {
        true => runtime.block_on(processes(args)),
        false => Ok(simulated(args)),
    };
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return super::broken(&error.to_string()),
    };
    let all = rows.iter().map(AdversaryRow::json).collect();
    super::end(args.json.as_deref(), &all, !rows.is_empty() && rows.iter().all(AdversaryRow::is_sound))
}

async fn processes(args: &AdversaryArgs) -> anyhow::Result<Vec<AdversaryRow>> {
    let temporary = || std::env::temp_dir().join(format!("mixlab-adversary-{}", std::process::id()));
    let adversary = AdversaryProcesses {
        programs: Programs::neighbours()?,
        rogue: std::env::current_exe()?,
        dir: args.dir.clone().unwrap_or_else(temporary),
        seed: args.seed,
        parallel: args.threads,
        mixes: args.mixes.into(),
        behaviours: args.behaviour.clone(),
        position: args.position,
    };
    let rows = adversary.run(|row| println!("{}", row.json())).await;
    // Only if it is empty: what a bad row left is to be looked at.
    let _ = std::fs::remove_dir(&adversary.dir);
    Ok(rows)
}

fn simulated(args: &AdversaryArgs) -> Vec<AdversaryRow> {
    let adversary = Adversary {
        seeds: args.seeds,
        seed: args.seed,
        threads: args.threads,
        mixes: args.mixes.into(),
        behaviours: args.behaviour.clone(),
        defences: args.control.iter().fold(Defences::default(), |all, defence| all.without(*defence)),
    };
    adversary.run(|row| println!("{}", row.json()))
}

fn behaviour(word: &str) -> Result<String, String> {
    let names: Vec<_> = Adversary::names().collect();
    if names.contains(&word) { Ok(word.into()) } else { Err(format!("it is one of {}", names.join(", "))) }
}

fn control(word: &str) -> Result<Defence, String> {
    let names = CONTROLS.map(|(name, _)| name).join(", ");
    let found = CONTROLS.into_iter().find(|(name, _)| *name == word);
    found.map(|(_, defence)| defence).ok_or(format!("it is one of {names}"))
}
