//! The laboratory: long experiments on real and simulated networks. Built only with the feature `sim`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "results go to stdout, errors to stderr")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use mixnet::sim::{Control, Crowd, CrowdReport, Plan, Storm};

#[derive(Parser)]
#[command(about = "Experiments on mixnet, on this machine only", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Many clients and all mixes in one process over loopback QUIC; says what arrived and whether memory stays flat
    Crowd {
        /// How many clients
        #[arg(long, default_value_t = 1000)]
        clients: usize,
        /// How many mixes
        #[arg(long, default_value_t = 3)]
        mixes: usize,
        /// User bytes in a packet
        #[arg(long, default_value_t = 1024)]
        payload: u32,
        /// Packets of each client in each round
        #[arg(long, default_value_t = 1)]
        packets_per_client: u32,
        /// Milliseconds of a round
        #[arg(long, default_value_t = 2000)]
        round_ms: u32,
        /// Seconds to watch after the first stored round
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Simulated networks in which everything goes wrong; says whether every message arrived once
    Storm(StormArguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Crowd { clients, mixes, payload, packets_per_client, round_ms, seconds } => {
            crowd(clients, mixes, payload, packets_per_client, round_ms, seconds)
        }
        Command::Storm(arguments) => storm(&arguments),
    }
}

fn crowd(clients: usize, mixes: usize, payload: u32, packets_per_client: u32, round_ms: u32, seconds: u64) -> ExitCode {
    let plan = Plan { clients, mixes, payload, packets_per_client, round_ms, ..Plan::default() };
    let crowd = Crowd { plan, time: Duration::from_secs(seconds) };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no threads to run on: {error}");
            return ExitCode::from(4);
        }
    };
    match runtime.block_on(crowd.run()) {
        Ok(report) => show(&report),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(4)
        }
    }
}

/// One JSON object; exit code 1 if anything went wrong.
fn show(report: &CrowdReport) -> ExitCode {
    let json = serde_json::json!({
        "schema": 1,
        "stored": report.stored,
        "aborted": report.aborted,
        "packets": report.packets,
        "rejected": report.rejected.iter().map(|(reason, count)| serde_json::json!({ reason: count })).collect::<Vec<_>>(),
        "registered": report.registered,
        "clients": report.counters,
        "memory_mib": report.memory_mib,
        "seconds": report.seconds,
    });
    println!("{json}");
    if report.aborted == 0 && report.stored > 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

#[derive(clap::Args)]
struct StormArguments {
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
    /// Let mixes between entry and exit lose their disks as well
    #[arg(long)]
    lose_disks: bool,
    /// Where to write the report, beside stdout
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

fn control(word: &str) -> Result<Control, String> {
    let names = Control::ALL.map(Control::name).join(", ");
    Control::ALL.into_iter().find(|control| control.name() == word).ok_or(format!("it is one of {names}"))
}

/// One JSON object; exit code 1 if anything was lost, came twice or was seen that must not be.
fn storm(arguments: &StormArguments) -> ExitCode {
    let StormArguments { rounds, rounds_each, seed, threads, control, lose_disks, ref json } = *arguments;
    let report = Storm { rounds, rounds_each, seed, threads, control, lose_disks }.run();
    report.details.iter().for_each(|detail| eprintln!("{detail}"));
    println!("{}", report.json());
    if let Some(path) = json
        && let Err(error) = std::fs::write(path, format!("{}\n", report.json()))
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::from(4);
    }
    if report.is_green() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
