//! `anonymity`: the laboratory that attacks what is claimed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use clap::builder::PossibleValuesParser;
use mixnet::load::commit;
use mixnet::sim::anonymity::{Captures, Extent, Laboratory, Outcome, PAYLOAD, ROUND_SECONDS, Report, SIMULATED};
use mixnet::testnet::Programs;

/// Arguments of `anonymity`.
#[derive(Args)]
#[command(
    after_help = "Writes report.json, report.md and pictures into --out, and of T3 what a classifier sees of each round: samples.csv.
Exit 0 only if every statistic is within its bounds and every control is red; 1 if not; 4 if an experiment could not be made.

Examples:
  mixlab anonymity --out anonymity
  mixlab anonymity --out /tmp/t6 --only T6 --quick
  mixlab anonymity --out large --only T3 --payload 131072 --round 0.5 --clients 4"
)]
pub(super) struct AnonymityArgs {
    /// Where the report goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only these experiments; T5 comes with T4, T11 with T3
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = PossibleValuesParser::new(all()))]
    only: Vec<String>,
    /// Fewer rounds: minutes
    #[arg(long)]
    quick: bool,
    /// Everything random in simulations follows from it
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Seconds of a round of T3, 0.1 to 60
    #[arg(long, value_name = "SECONDS", default_value_t = ROUND_SECONDS, value_parser = seconds)]
    round: f64,
    /// User bytes of a packet of T3; the largest file takes eight packets
    #[arg(long, value_name = "BYTES", default_value_t = PAYLOAD)]
    payload: u64,
    /// Clients of T3, 3 at least
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u64).range(3..=64))]
    clients: u64,
    /// Simulated experiments that run at a time; T3 runs alone, on real processes
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    threads: usize,
}

/// Rounds that have a schedule, which those back to back have not.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.1..=60.0).contains(&seconds) { Ok(seconds) } else { Err("write 0.1 to 60".into()) }
}

/// The experiment on the datagrams of real processes.
const CAPTURED: &str = "T3";

fn all() -> impl Iterator<Item = &'static str> {
    SIMULATED.into_iter().chain([CAPTURED])
}

/// Runs the experiments and writes the report.
pub(super) fn run(args: &AnonymityArgs, runtime: &tokio::runtime::Runtime) -> ExitCode {
    let extent = if args.quick { Extent::Quick } else { Extent::Full };
    let laboratory = Laboratory { extent, seed: args.seed };
    let wanted = |id: &&str| args.only.is_empty() || args.only.iter().any(|only| only == id);
    let simulated: Vec<_> = SIMULATED.into_iter().filter(wanted).collect();
    let began = Instant::now();
    let mut outcomes = laboratory.run_all(&simulated, args.threads, |outcome| tell(outcome, began));
    if wanted(&CAPTURED) {
        match runtime.block_on(captured(args)) {
            Ok(found) => outcomes.extend(found),
            Err(error) => return super::broken(&format!("{error:#}")),
        }
    }
    outcomes.sort_by_key(|outcome| outcome.id[1..].parse().unwrap_or(0u32));
    let report = Report { outcomes, commit: commit(), command: command() };
    if let Err(error) = report.write(&args.out) {
        return super::broken(&error.to_string());
    }
    if report.passes() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A network of real daemons, of which 1,000 rounds are captured.
async fn captured(args: &AnonymityArgs) -> anyhow::Result<Vec<Outcome>> {
    let began = Instant::now();
    std::fs::create_dir_all(&args.out)?;
    let captures = Captures {
        client_rounds: args.clients as usize * if args.quick { 50 } else { 500 },
        clients: args.clients as usize,
        round_seconds: args.round,
        payload: args.payload,
        seed: args.seed,
        dir: std::env::temp_dir().join(format!("mixlab-anonymity-{}", std::process::id())),
        samples: args.out.join("samples.csv"),
        programs: Programs::neighbours()?,
    };
    let outcomes = captures.run(|word| eprintln!("{CAPTURED}: {word}")).await;
    remove(&captures.dir);
    let outcomes = outcomes?;
    outcomes.iter().for_each(|outcome| tell(outcome, began));
    Ok(outcomes)
}

/// What lies there is of no use any more.
fn remove(dir: &Path) {
    if let Err(error) = std::fs::remove_dir_all(dir) {
        eprintln!("{} stays: {error}", dir.display());
    }
}

fn tell(outcome: &Outcome, began: Instant) {
    eprintln!("{} {}: after {:.0} s", outcome.id, outcome.title, began.elapsed().as_secs_f64());
    outcome.findings.iter().for_each(|finding| println!("{}", finding.json()));
}

/// What was typed, with the program's own name only.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("mixlab {}", arguments.join(" "))
}
