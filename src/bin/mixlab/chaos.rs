//! `chaos`: what real processes lose when everything goes wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use mixnet::sim::{Chaos, ChaosReport, Profile};
use mixnet::testnet::Programs;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Arguments of `chaos`.
#[derive(Args)]
#[command(after_help = "Exit 0 only if nothing was lost, duplicated or corrupted and no daemon ended by itself.

Examples:
  mixlab chaos --seeds 200 --parallel 2 --json chaos.json
  mixlab chaos --seeds 1 --seed 17 --dir kept
  mixlab chaos --seeds 1 --profile loss --clients 20 --file 5000000 --minutes 15")]
pub(super) struct ChaosArgs {
    /// How many seeds, a network each
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Minutes in which things go wrong, for each seed
    #[arg(long, default_value_t = 0.5, value_parser = minutes)]
    minutes: f64,
    /// Write the result here, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Clients, at least 2
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u16).range(2..=1000))]
    clients: u16,
    /// Mixes, 2 to 7
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u16).range(2..=7))]
    mixes: u16,
    /// Networks at one time
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    parallel: usize,
    /// What goes wrong
    #[arg(long, value_enum, default_value_t = Wrong::All)]
    profile: Wrong,
    /// Send a file of this size from client-1 to client-2 as well
    #[arg(long, value_name = "BYTES")]
    file: Option<usize>,
    /// Where the networks lie; those that pass are deleted [default: a directory of the system's temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Wrong {
    /// Everything
    All,
    /// Bursts of 20 % loss, 2 % between them, and kills
    Loss,
    /// Nothing: what memory and disk an hour takes
    Calm,
}

/// Runs the seeds, tells how it goes, and prints the result.
pub(super) async fn run(args: &ChaosArgs) -> ExitCode {
    let programs = match Programs::neighbours() {
        Ok(programs) => programs,
        Err(error) => return super::broken(&error.to_string()),
    };
    let temporary = || std::env::temp_dir().join(format!("mixlab-chaos-{}", std::process::id()));
    let dir = args.dir.clone().unwrap_or_else(temporary);
    let chaos = Chaos {
        programs,
        dir: dir.clone(),
        seed: args.seed,
        seeds: args.seeds,
        time: Duration::from_secs_f64(args.minutes * 60.0),
        clients: args.clients.into(),
        mixes: args.mixes.into(),
        parallel: args.parallel,
        profile: match args.profile {
            Wrong::All => Profile::All,
            Wrong::Loss => Profile::Loss,
            Wrong::Calm => Profile::Calm,
        },
        file: args.file,
    };
    let (say, mut said) = mpsc::unbounded_channel::<String>();
    let listen = |kind| signal(kind).map_err(|error| super::broken(&format!("cannot listen for signals: {error}")));
    let (mut terminate, mut interrupt) = match (listen(SignalKind::terminate()), listen(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(code), _) | (_, Err(code)) => return code,
    };
    let report = {
        let mut running = std::pin::pin!(chaos.run(say));
        loop {
            tokio::select! {
                report = &mut running => break report,
                Some(line) = said.recv() => eprintln!("{line}"),
                // Every process dies with the runs, which are dropped here.
                _ = terminate.recv() => return stopped(&dir),
                _ = interrupt.recv() => return stopped(&dir),
            }
        }
    };
    while let Ok(line) = said.try_recv() {
        eprintln!("{line}");
    }
    if args.dir.is_none() {
        // Only if it is empty: what a failed seed left is to be looked at.
        let _ = std::fs::remove_dir(&dir);
    }
    show(&report, args)
}

fn show(report: &ChaosReport, args: &ChaosArgs) -> ExitCode {
    println!("{}", report.json());
    super::end(args.json.as_deref(), &report.json(), report.is_good())
}

fn stopped(dir: &Path) -> ExitCode {
    super::broken(&format!("it was told to stop; what it made lies in {}", dir.display()))
}

fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|minutes| (0.01..=10_000.0).contains(minutes));
    number.ok_or_else(|| "give a number of minutes from 0.01 to 10000".into())
}
