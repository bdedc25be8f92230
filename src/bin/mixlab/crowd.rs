//! `crowd`: many clients in one process.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use mixnet::sim::{Crowd, CrowdReport, Plan};

/// Arguments of `crowd`.
#[derive(Args)]
pub(super) struct CrowdArgs {
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
}

/// Runs a crowd and prints what it did.
pub(super) async fn run(args: &CrowdArgs) -> ExitCode {
    let CrowdArgs { clients, mixes, payload, packets_per_client, round_ms, seconds } = *args;
    let plan = Plan { clients, mixes, payload, packets_per_client, round_ms, ..Plan::default() };
    match (Crowd { plan, time: Duration::from_secs(seconds) }).run().await {
        Ok(report) => show(&report),
        Err(error) => super::broken(&error.to_string()),
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
