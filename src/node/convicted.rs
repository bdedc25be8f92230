//! What an operator gets when somebody is proven guilty: a file that anybody can verify, and a line in the log.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::blame::{Evidence, Finding, Guilty};
use crate::wire::Network;

/// Writes the evidence into `directory`, if there is one, and says in the log who is guilty and where it is. Waits for the
/// disk.
pub(super) fn tell(network: &Network, directory: Option<&Path>, finding: &Finding, evidence: &Evidence) {
    let (name, advice) = match finding.guilty {
        Guilty::Client(_) => ("client", "it is out until `mixnode readmit`"),
        Guilty::Mix(_) => ("mix", "the network stands still until operators act, then `mixnode resume`"),
    };
    let guilty = party(network, finding.guilty);
    let round = finding.slot.round;
    match directory.map(|directory| write(directory, &file_name(finding, guilty), &evidence.to_file())) {
        Some(Ok(path)) => {
            tracing::error!(round, evidence = %path.display(), "{name} {guilty} is guilty: {}; {advice}", finding.offence);
        }
        Some(Err(error)) => {
            tracing::error!(round, %error, "{name} {guilty} is guilty: {}; its evidence file cannot be written; {advice}", finding.offence);
        }
        None => tracing::error!(round, "{name} {guilty} is guilty: {}; {advice}", finding.offence),
    }
}

/// The party's name in the network file.
fn party(network: &Network, guilty: Guilty) -> &str {
    let roster = &network.roster;
    let name = match guilty {
        Guilty::Client(index) => roster.clients.get(index as usize).map(|client| client.id.as_str()),
        Guilty::Mix(hop) => roster.mixes.get(usize::from(hop).wrapping_sub(1)).map(|mix| mix.id.as_str()),
    };
    name.unwrap_or("?")
}

/// Names of parties are words without separators: the network file is refused otherwise.
fn file_name(finding: &Finding, guilty: &str) -> String {
    let slot = &finding.slot;
    format!("epoch-{}-round-{}-{guilty}-{}.evidence", slot.epoch, slot.round, finding.offence.name())
}

/// A whole file or none, its owner's alone; one of that name stays as it is.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = directory.join(name);
    if path.exists() {
        return Ok(path);
    }
    let draft = directory.join(format!(".{name}"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    fs::File::open(directory)?.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn evidence_is_a_whole_file_for_its_owner_and_stays_as_it_is() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("evidence");
        let path = write(&directory, "a.evidence", b"first").expect("written");
        assert_eq!(write(&directory, "a.evidence", b"second").expect("there"), path);
        assert_eq!(fs::read(&path).expect("read"), b"first");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&directory)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&directory).expect("read").count(), 1, "no draft is left");
    }
}
