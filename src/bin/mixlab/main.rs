//! The laboratory: long experiments on real and simulated networks. Built only with the feature `sim`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "results go to stdout, errors to stderr")]

mod adversary;
mod anonymity;
mod blame;
mod chaos;
mod crowd;
mod kills;
mod lanes;
mod oracles;
mod performance;
mod rogue;
mod storm;
mod timing;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Experiments on mixnet, on this machine only", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Networks, simulated or of real processes, in which somebody is malicious; says whether anything opened, leaked or was lost by it
    Adversary(adversary::AdversaryArgs),
    /// What is claimed of anonymity is attacked, experiment by experiment, each beside a control that must fail
    Anonymity(anonymity::AnonymityArgs),
    /// Many clients and all mixes in one process over loopback QUIC; says what arrived and whether memory stays flat
    Crowd(crowd::CrowdArgs),
    /// Real processes that are killed, stopped, cut off and short of disk while messages travel; says whether all arrived
    Chaos(chaos::ChaosArgs),
    /// Each mix killed at each moment of a round; says whether any round was both released and burnt
    Kills(kills::KillsArgs),
    /// Receipts, answers and submissions kept from chosen clients; says whether that names any of them
    Oracles(oracles::OraclesArgs),
    /// Simulated networks in which everything goes wrong; says whether every message arrived once
    Storm(storm::StormArgs),
    /// A daemon that somebody has taken over
    #[command(hide = true)]
    Rogue(rogue::RogueArgs),
    /// An honest round is replayed as after a burn; says how long that takes
    Blame(blame::BlameArgs),
    /// X25519 under fixed and random scalars is timed; says whether the time tells them apart
    Timing(timing::TimingArgs),
    /// All benches, and the document of what they found; says whether the ratios that are asked for are met
    Performance(performance::PerformanceArgs),
    /// The vector X25519 is held against the library and the reference; says how many points agree
    Lanes(lanes::LanesArgs),
}

/// Ends an experiment that has come to something: writes it to where it is wanted, and says whether it is as it must be.
fn end(json: Option<&Path>, found: &serde_json::Value, good: bool) -> ExitCode {
    if let Some(path) = json
        && let Err(error) = std::fs::write(path, format!("{found}\n"))
    {
        return broken(&format!("cannot write {}: {error}", path.display()));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Ends an experiment that could not be made, for a reason.
fn broken(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::from(4)
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return broken(&format!("no threads to run on: {error}")),
    };
    match command {
        Command::Crowd(args) => runtime.block_on(crowd::run(&args)),
        Command::Chaos(args) => runtime.block_on(chaos::run(&args)),
        Command::Adversary(args) => adversary::run(&args, &runtime),
        Command::Anonymity(args) => anonymity::run(&args, &runtime),
        Command::Kills(args) => kills::run(&args, &runtime),
        Command::Rogue(args) => runtime.block_on(rogue::run(args)),
        Command::Oracles(args) => oracles::run(&args),
        Command::Storm(args) => storm::run(&args),
        Command::Blame(args) => blame::run(&args),
        Command::Timing(args) => timing::run(&args),
        Command::Performance(args) => performance::run(&args),
        Command::Lanes(args) => lanes::run(&args),
    }
}
