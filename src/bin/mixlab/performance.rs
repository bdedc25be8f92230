//! `performance`: runs the benches and writes `docs/performance.md` with its raw data.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mixnet::sim::Performance;

/// Arguments of `performance`.
#[derive(Args)]
#[command(
    after_help = "Runs `cargo bench` for each bench, about ten minutes once all is built, and needs a checkout. Exit 1 if a bound is not met, which the
document says too; 4 if a bench fails or a file cannot be written: then the document is as it was."
)]
pub(super) struct PerformanceArgs {
    /// The checkout
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Where performance.md and performance/*.json go
    #[arg(long, value_name = "DIR", default_value = "docs")]
    out: PathBuf,
    /// Write the document from the raw data that is there
    #[arg(long)]
    no_run: bool,
}

/// Measures and writes.
pub(super) fn run(args: &PerformanceArgs) -> ExitCode {
    let performance = Performance { root: args.root.clone(), out: args.out.clone() };
    let measured = if args.no_run { Ok(()) } else { performance.measure() };
    match measured.and_then(|()| performance.write()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("not every bound is met: see {}", args.out.join("performance.md").display());
            ExitCode::from(1)
        }
        Err(error) => super::broken(&error.to_string()),
    }
}
