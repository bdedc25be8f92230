//! `rogue`: a daemon that somebody has taken over, for `adversary --processes`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mixnet::sim::Posing;

/// Arguments of `rogue`.
#[derive(Args)]
pub(super) struct RogueArgs {
    /// Whose home it runs from
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// What it does [default: nothing wrong; it dies where a trap is set]
    #[arg(long, value_name = "NAME")]
    behaviour: Option<String>,
    /// Hop of the malicious mix, or of the mix that a malicious client is after
    #[arg(long, value_name = "HOP", default_value_t = 1)]
    position: usize,
    /// Everything random in what it does follows from it
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// The daemon in whose place it runs, with its arguments
    #[arg(last = true, value_name = "DAEMON")]
    _daemon: Vec<String>,
}

/// Runs until its standard input ends.
pub(super) async fn run(args: RogueArgs) -> ExitCode {
    let RogueArgs { home, behaviour, position, seed, .. } = args;
    match (Posing { home, behaviour, position, seed }).run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::broken(&error.to_string()),
    }
}
