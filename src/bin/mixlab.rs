//! The laboratory: long experiments on real and simulated networks. Built only with the feature `sim`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "results go to stdout, errors to stderr")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use mixnet::sim::{Crowd, CrowdReport, Plan};

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
}

fn main() -> ExitCode {
    let Command::Crowd { clients, mixes, payload, packets_per_client, round_ms, seconds } = Arguments::parse().command;
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
