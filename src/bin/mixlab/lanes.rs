//! `lanes`: the vector X25519 against the library and the reference, for as many points as asked.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use mixnet::crypto::Backend;
use mixnet::sim::{DALEK_SHARE, Lanes};

/// Arguments of `lanes`.
#[derive(Args)]
#[command(
    after_help = "One thread. Every point with aws-lc, every 64th with x25519-dalek too; the points follow from the seed.
Exit 1 if a result differs: the scalar and the point are printed. Exit 4 on a processor without these lanes."
)]
pub(super) struct LanesArgs {
    /// How many points
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    points: u64,
    /// Which lanes: ifma, lanes or lanes4 [default: the fastest of this processor]
    #[arg(long, value_name = "BACKEND", value_parser = in_lanes)]
    backend: Option<Backend>,
    /// What the points follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

fn in_lanes(name: &str) -> Result<Backend, String> {
    let named = Backend::IN_LANES.into_iter().find(|backend| backend.to_string() == name);
    named.ok_or_else(|| "there are ifma, lanes and lanes4".into())
}

/// Points between two lines on standard error.
const TELL: u64 = 1_000_000;

/// Compares, and prints how many points were compared.
pub(super) fn run(args: &LanesArgs) -> ExitCode {
    let fastest = || Backend::IN_LANES.into_iter().find(|backend| backend.is_available());
    let backend = args.backend.or_else(fastest).unwrap_or(Backend::Lanes4);
    let Some(mut lanes) = Lanes::new(backend, args.seed) else {
        return super::broken(&format!("this processor does not have `{backend}`: there is nothing to compare"));
    };
    let began = Instant::now();
    let mut told = 0;
    while lanes.points < args.points {
        if let Err(difference) = lanes.batch() {
            eprintln!("after {} points: {difference}", lanes.points);
            return ExitCode::from(1);
        }
        if lanes.points / TELL > told {
            told = lanes.points / TELL;
            eprintln!("{} points, {:.0} s, no difference", lanes.points, began.elapsed().as_secs_f64());
        }
    }
    let json = serde_json::json!({
        "schema": 1,
        "backend": backend.to_string(),
        "seed": args.seed,
        "points": lanes.points,
        "aws_lc": lanes.points,
        "dalek": lanes.dalek,
        "dalek_share": DALEK_SHARE,
        "different": 0,
        "seconds": began.elapsed().as_secs_f64(),
    });
    println!("{json}");
    ExitCode::SUCCESS
}
