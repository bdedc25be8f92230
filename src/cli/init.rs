//! `init`: a home.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::config::{Home, Role};

use super::error::CliError;
use super::output;

/// Arguments of `init`.
#[derive(Args, Debug)]
pub(super) struct InitArgs {
    /// The name under which the network file lists this daemon
    #[arg(value_name = "NAME")]
    id: String,
    /// The network file [default: network.yaml in the home, or else beside it]
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made<'a> {
    id: &'a str,
    home: String,
    network: String,
}

/// Makes a home, or completes it.
///
/// # Errors
/// If the directory is somebody else's, or cannot be written.
pub(super) fn run(args: &InitArgs, role: Role, dir: &Path, json: bool) -> Result<(), CliError> {
    let home = Home::init(dir, role, &args.id, args.network.as_deref())?;
    if json {
        let (dir, network) = (home.dir.display().to_string(), home.network.display().to_string());
        return output::line(&output::json(&Made { id: &home.id, home: dir, network }));
    }
    let program = match role {
        Role::Mix => "mixnode",
        Role::Client => "mixclient",
    };
    let dir = home.dir.display();
    output::line(&format!(
        "{dir} is the home of {}\nits settings are in {dir}/config.yaml, its network file is {}\nnext: {program} run --home {dir}",
        home.id,
        home.network.display()
    ))
}
