//! `verify-evidence`: who broke a round, from a file and the network file alone.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::blame::{Evidence, EvidenceFault, Finding, Guilty, MAX_EVIDENCE};
use crate::config::{Loading, NetworkFile};
use crate::wire::Network;

use super::error::{CliError, Exit};
use super::{Ending, output};

/// Arguments of `verify-evidence`.
#[derive(Args, Debug)]
pub(super) struct EvidenceArgs {
    /// The evidence
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The network file
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
}

#[derive(Serialize)]
struct Proven<'a> {
    proven: bool,
    /// `client` or `mix`.
    party: &'a str,
    name: &'a str,
    /// A client's roster index, from 0; a mix's hop, from 1.
    number: u32,
    offence: &'a str,
    why: String,
    epoch: u64,
    round: u64,
}

#[derive(Serialize)]
struct Unproven {
    proven: bool,
    why: String,
}

/// Prints who is guilty of what; ends with 1 if the file proves nothing.
///
/// # Errors
/// If a file cannot be read, or the network file is not complete.
pub(super) fn run(args: &EvidenceArgs, json: bool) -> Result<(), Ending> {
    let network = match NetworkFile::read(&args.network)?.load()? {
        Loading::Complete(network) => network,
        Loading::Missing(missing) => {
            let text = format!("{missing}\nhelp: put those public key files there, or the keys into the network file");
            return Err(CliError::new(Exit::Config, text).into());
        }
    };
    match verify(&read(&args.file)?, &network) {
        Ok(finding) => Ok(output::line(&proven(&network, &finding, json))?),
        Err(fault) => {
            let unproven = Unproven { proven: false, why: fault.to_string() };
            let line = if json { output::json(&unproven) } else { format!("it proves nothing: {}", unproven.why) };
            output::line(&line)?;
            Err(Ending::Said(Exit::Failed))
        }
    }
}

fn verify(bytes: &[u8], network: &Network) -> Result<Finding, EvidenceFault> {
    Evidence::from_file(bytes)?.verify(network)
}

/// A byte more than evidence can have is enough to refuse it.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_EVIDENCE as u64 + 64).read_to_end(&mut bytes));
    read.map_err(|error| CliError::io(&format!("read {}", path.display()), &error))?;
    Ok(bytes)
}

fn proven(network: &Network, finding: &Finding, json: bool) -> String {
    let roster = &network.roster;
    let (party, name, number) = match finding.guilty {
        Guilty::Client(index) => ("client", roster.clients.get(index as usize).map(|client| client.id.as_str()), index),
        Guilty::Mix(hop) => {
            let mix = roster.mixes.get(usize::from(hop).wrapping_sub(1));
            ("mix", mix.map(|mix| mix.id.as_str()), hop.into())
        }
    };
    let (name, offence, why) = (name.unwrap_or_default(), finding.offence.name(), finding.offence.to_string());
    let (epoch, round) = (finding.slot.epoch, finding.slot.round);
    if json {
        return output::json(&Proven { proven: true, party, name, number, offence, why, epoch, round });
    }
    let place = if party == "mix" { "hop" } else { "roster index" };
    format!("{name} ({party}, {place} {number}) is guilty: {why}\nin round {round} of epoch {epoch}")
}
