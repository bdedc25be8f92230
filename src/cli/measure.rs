//! `mixload run`: clients against mixes.

use std::fs::DirBuilder;
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use rand::Rng;

use crate::crypto::{os_csprng, to_hex};
use crate::load::{self, Ground, Options, Progress, Report, Shape, Stage, Tell, Traffic, WarmUp};

use super::error::{CliError, Exit};
use super::{on_all_cores, output};

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Clients
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = value_parser!(u32).range(2..=65_536))]
    clients: u32,
    /// Connections to the entry, and as many to the exit [default: one for each client]
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u32).range(1..=65_536))]
    connections: Option<u32>,
    /// Packets that each client sends in each round
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    packets_per_client: u64,
    /// Bytes of each message; the network's payload is as large, 256 at least
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = value_parser!(u64).range(1..=4 << 20))]
    payload: u64,
    /// Rounds that count
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = value_parser!(u64).range(1..=1_000_000))]
    rounds: u64,
    /// Rounds before them that do not, while everybody begins [default: 4, and none back to back]
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u64).range(0..=1_000_000))]
    warm_up: Option<u64>,
    /// Seconds from the start of one round to the next; 0: back to back
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    round: f64,
    /// Rounds that are not sealed, to see what sealing costs
    #[arg(long)]
    unsealed: bool,
    /// A running network, by its file; its own figures go before those of the flags
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Where the homes of that network's clients are, each under its name [default: beside its file]
    #[arg(long, value_name = "DIR", requires = "network")]
    homes: Option<PathBuf>,
    /// Where the own network lies, kept afterwards [default: a new directory that goes at the end]
    #[arg(long, value_name = "DIR", conflicts_with = "network")]
    dir: Option<PathBuf>,
    /// Play the part I of N of the clients; who starts the network waits for the others, who give its file
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = part)]
    part: (usize, usize),
    /// The largest datagram that mixes and clients of the own network try, 1200 to 6000
    #[arg(long, value_name = "BYTES", conflicts_with = "network", value_parser = value_parser!(u16).range(1200..=6000))]
    mtu: Option<u16>,
    /// Write the figures as JSON to FILE, - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw latency.svg and hops.svg into DIR
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Rounds that do not count, by default: as many as ten thousand clients that connect within a few seconds take to settle.
const WARM_UP: u64 = 4;

/// Measures, and shows what it found.
///
/// # Errors
/// If the network does not start, or the figures cannot be written.
pub(super) fn run(args: &RunArgs) -> Result<(), CliError> {
    if !(args.round == 0.0 || (0.01..=86_400.0).contains(&args.round)) {
        let text = "--round takes 0, or 0.01 to 86400 seconds\nhelp: write --round 0 for rounds back to back";
        return Err(CliError::new(Exit::Usage, text));
    }
    if args.connections.is_some_and(|connections| connections > args.clients) {
        let text = "--connections is more than --clients\nhelp: leave it out for a connection for each client";
        return Err(CliError::new(Exit::Usage, text));
    }
    let report = on_all_cores(measured(args))?;
    if let Some(out) = &args.out {
        make(out)?;
        report.draw(out)?;
    }
    match &args.json {
        Some(path) if path == Path::new("-") => output::line(&output::json(&report))?,
        Some(path) => {
            write(path, &output::json(&report))?;
            show(&report)?;
        }
        None => show(&report)?,
    }
    let (lost, wrong, unsent) = (report.lost, report.wrong, report.unsent());
    if lost + wrong + unsent > 0 {
        let text = format!(
            "{lost} messages were lost, {unsent} not sent, and {wrong} letters wrong\nhelp: see the errors above, and the mixes' logs with --dir"
        );
        return Err(CliError::new(Exit::Failed, text));
    }
    Ok(())
}

async fn measured(args: &RunArgs) -> Result<Report, CliError> {
    let warm_up = |timed: bool| args.warm_up.unwrap_or(if timed { WARM_UP } else { 0 });
    let (ground, dir) = match &args.network {
        Some(file) => (Ground::at(file)?, None),
        None => {
            let dir = args.dir.clone().map_or_else(temporary, Ok)?;
            let shape = Shape {
                mixes: 3,
                clients: args.clients as usize,
                payload: args.payload.max(256),
                packets_per_client: args.packets_per_client,
                rounds: warm_up(args.round > 0.0) + args.rounds,
                round_seconds: args.round,
                // Every mailbox gets as much as every client sends, and a place is left over.
                poll_letters: args.packets_per_client + 1,
                sealed: !args.unsealed,
                mtu: args.mtu,
            };
            (Ground::start(&dir, &shape).await?, args.dir.is_none().then_some(dir))
        }
    };
    let timed = ground.network().parameters.round_ms > 0;
    let options = Options {
        rounds: args.rounds,
        warm_up: warm_up(timed),
        bytes: args.payload as usize,
        connections: args.connections.map(|count| count as usize),
        traffic: Traffic::Ring,
        spread: timed,
    };
    let mut crew = ground.crew(args.homes.as_deref(), args.clients as usize)?;
    crew.keep_part(args.part.0, args.part.1);
    let bar = Bar::default();
    let shown = bar.clone();
    let tell: Tell = Arc::new(move |progress| shown.show(progress));
    let report = load::run(&ground, crew, &options, &tell).await;
    bar.0.finish_and_clear();
    ground.deserted().await;
    ground.stop().await;
    if let Some(dir) = dir.filter(|_| report.is_ok()) {
        std::fs::remove_dir_all(&dir).map_err(|error| CliError::io("remove the network's directory", &error))?;
    }
    Ok(report?)
}

/// `2/3`: the second of three.
fn part(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    parsed.filter(|(part, of)| (1..=*of).contains(part)).ok_or_else(|| "expected 1/1, 1/2, 2/2, ...".into())
}

/// Writes a line of JSON.
pub(super) fn write(path: &Path, json: &str) -> Result<(), CliError> {
    std::fs::write(path, format!("{json}\n"))
        .map_err(|error| CliError::io(&format!("write {}", path.display()), &error))
}

/// Makes a directory for what is found.
pub(super) fn make(dir: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(dir).map_err(|error| CliError::io(&format!("make {}", dir.display()), &error))
}

/// A new directory of this user's alone.
pub(super) fn temporary() -> Result<PathBuf, CliError> {
    let mut bytes = [0; 4];
    os_csprng().fill_bytes(&mut bytes);
    let dir = std::env::temp_dir().join(format!("mixload-{}", to_hex(&bytes)));
    let made = DirBuilder::new().mode(0o700).create(&dir);
    made.map_err(|error| CliError::io(&format!("make {}", dir.display()), &error))?;
    Ok(dir)
}

/// How far a measurement is, on a terminal.
#[derive(Clone)]
pub(super) struct Bar(pub(super) ProgressBar);

impl Default for Bar {
    fn default() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg:<20} {wide_bar} {pos}/{len} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }
}

impl Bar {
    /// One of a series.
    pub(super) fn step(&self, done: u64, of: u64, what: &str) {
        self.0.set_message(what.to_owned());
        self.0.set_length(of);
        self.0.set_position(done);
    }

    pub(super) fn show(&self, progress: Progress) {
        self.0.set_message(match progress.stage {
            Stage::Connect => "connecting",
            Stage::Build => "building rounds",
            Stage::Run => "letters",
            Stage::Check => "opening letters",
        });
        self.0.set_length(progress.of);
        self.0.set_position(progress.done);
    }
}

fn show(report: &Report) -> Result<(), CliError> {
    let sealed = if report.sealed { "sealed" } else { "not sealed" };
    let mut text = format!(
        "{} clients, {} connections, {} packets each a round of {} bytes, {} rounds, {sealed}
sent {}, delivered {}, lost {}, in {:.2} s: {:.0} messages/s
latency: {:.1} ms for half, {:.1} for 90 %, {:.1} for 99 %, {:.1} at most
building a packet: {:.0} us; this program: {:.2} s of processor, {} MiB",
        report.clients,
        report.connections,
        report.packets_per_client,
        report.payload,
        report.rounds,
        report.sent,
        report.delivered,
        report.lost,
        report.seconds,
        report.messages_per_s,
        report.latency_ms.quantile_ms(0.5),
        report.latency_ms.quantile_ms(0.9),
        report.latency_ms.quantile_ms(0.99),
        report.latency_ms.quantile_ms(1.0),
        report.build_us,
        report.load_cpu_s,
        report.load_rss_kb >> 10,
    );
    if report.warm_up.rounds > 0 {
        let WarmUp { rounds, sent, delivered } = report.warm_up;
        text += &format!("\nbefore that, not counted: {rounds} rounds, {delivered} of {sent} delivered");
    }
    for hop in &report.hop {
        let known = |value: Option<f64>, digits: usize| value.map_or("?".into(), |value| format!("{value:.digits$}"));
        text += &format!(
            "\n{}: {} packets/s, {} s of processor, {} MiB, {} without its store's file",
            hop.mix,
            known(hop.packets_per_s, 0),
            known(hop.cpu_s, 2),
            known(hop.rss_kb.map(|kb| kb as f64 / 1024.0), 0),
            known(hop.anon_kb.map(|kb| kb as f64 / 1024.0), 0),
        );
    }
    for (error, count) in &report.errors {
        text += &format!("\n{count} times: {error}");
    }
    output::line(&text)
}
