//! `check`: what would go wrong, before it does.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::config::{ConfigError, Finding, Home, NetworkFile, Role, check_home, check_network};

use super::args::SettingArgs;
use super::error::{CliError, Exit};
use super::noise::NoiseShown;
use super::{Ending, output};

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// A network file, to check that alone
    #[arg(value_name = "NETWORK_FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
}

#[derive(Serialize)]
struct Checked<'a> {
    ok: bool,
    findings: Vec<Shown<'a>>,
    /// Null if the file breaks rules.
    noise: Option<NoiseShown>,
}

#[derive(Serialize)]
struct Shown<'a> {
    what: &'a str,
    what_to_do: &'a str,
}

/// Prints what is wrong and ends with 1 if anything is; with 3 if the configuration cannot even be read.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn run(
    args: &CheckArgs,
    role: Role,
    home: impl FnOnce() -> Result<PathBuf, CliError>,
    json: bool,
) -> Result<(), Ending> {
    let (network, found) = match &args.file {
        Some(file) => (readable(file)?, check_network(file)),
        None => {
            let (dir, overrides) = (home()?, args.settings.overrides());
            let network = readable(&Home::open(&dir, overrides.clone())?.network)?;
            (network, check_home(&dir, role, overrides))
        }
    };
    show(&found, network.as_ref().and_then(NoiseShown::of), json)?;
    if found.is_empty() { Ok(()) } else { Err(Ending::Said(Exit::Failed)) }
}

/// A network file that breaks rules can be read; the rules are findings.
fn readable(file: &Path) -> Result<Option<NetworkFile>, CliError> {
    match NetworkFile::read(file) {
        Ok(network) => Ok(Some(network)),
        Err(ConfigError::Invalid(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn show(found: &[Finding], noise: Option<NoiseShown>, json: bool) -> Result<(), CliError> {
    if json {
        let findings = found.iter().map(|finding| Shown { what: what(finding), what_to_do: &finding.what_to_do });
        return output::line(&output::json(&Checked { ok: found.is_empty(), findings: findings.collect(), noise }));
    }
    if found.is_empty() {
        output::line("nothing is wrong")?;
    }
    for finding in found {
        output::line(&format!("error: {}\nhelp: {}", what(finding), finding.what_to_do))?;
    }
    noise.iter().flat_map(NoiseShown::lines).try_for_each(|line| output::line(&line))
}

/// Broken rules come as a compiler's messages, others without the first word.
fn what(finding: &Finding) -> &str {
    finding.what.strip_prefix("error: ").unwrap_or(&finding.what)
}
