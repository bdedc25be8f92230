//! `storm`: what simulated networks lose when everything goes wrong.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mixnet::sim::{Control, Storm};

/// Arguments of `storm`.
#[derive(Args)]
pub(super) struct StormArgs {
    /// Rounds to open in all networks together, at least
    #[arg(long, default_value_t = 10_000)]
    rounds: u64,
    /// Rounds of bad weather in each network
    #[arg(long, default_value_t = 400)]
    rounds_each: u64,
    /// The first network's seed; each next network has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Networks that run at a time
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// What is broken on purpose: none, no-fsync, no-id-check, resend-on-missing-receipt
    #[arg(long, default_value = "none", value_parser = control)]
    control: Control,
    /// Let mixes in front of the exit lose their disks as well
    #[arg(long)]
    lose_disks: bool,
    /// Where to write the report, beside stdout
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the networks and prints one JSON object; exit code 1 if anything was lost, came twice or was seen that must
/// not be.
pub(super) fn run(args: &StormArgs) -> ExitCode {
    let StormArgs { rounds, rounds_each, seed, threads, control, lose_disks, ref json } = *args;
    let report = Storm { rounds, rounds_each, seed, threads, control, lose_disks }.run();
    report.details.iter().for_each(|detail| eprintln!("{detail}"));
    println!("{}", report.json());
    super::end(json.as_deref(), &report.json(), report.is_green())
}

fn control(word: &str) -> Result<Control, String> {
    let names = Control::ALL.map(Control::name).join(", ");
    Control::ALL.into_iter().find(|control| control.name() == word).ok_or(format!("it is one of {names}"))
}
