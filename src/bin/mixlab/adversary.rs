//! `adversary`: what attacks on simulated networks come to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, value_parser};
use mixnet::crypto::{Defence, Defences};
use mixnet::sim::{Adversary, AdversaryRow, CONTROLS};

/// Arguments of `adversary`.
#[derive(Args)]
#[command(
    after_help = "Exit 0 only if no round that held a touched packet could be opened, nobody innocent was named, every
message arrived, and each row that names a control is red without that defence.

Examples:
  mixlab adversary --seeds 1000 --json adversary.json
  mixlab adversary --seeds 1 --seed 17 --behaviour duplicate
  mixlab adversary --seeds 5 --control no-echo-check"
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
    /// Where to write the rows, beside stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the networks and prints a JSON object a row.
pub(super) fn run(args: &AdversaryArgs) -> ExitCode {
    let adversary = Adversary {
        seeds: args.seeds,
        seed: args.seed,
        threads: args.threads,
        mixes: args.mixes.into(),
        behaviours: args.behaviour.clone(),
        defences: args.control.iter().fold(Defences::default(), |all, defence| all.without(*defence)),
    };
    let rows = adversary.run(|row| println!("{}", row.json()));
    if let Some(path) = &args.json {
        let all = serde_json::Value::Array(rows.iter().map(AdversaryRow::json).collect());
        if let Err(error) = std::fs::write(path, format!("{all}\n")) {
            eprintln!("cannot write {}: {error}", path.display());
            return ExitCode::from(super::BROKEN);
        }
    }
    if !rows.is_empty() && rows.iter().all(AdversaryRow::is_sound) { ExitCode::SUCCESS } else { ExitCode::from(1) }
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
