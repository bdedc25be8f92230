//! What the user gets when mixes have signed two things of which one can be true: evidence against each of them that did, in
//! files that anybody can verify.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::blame::{Evidence, Guilty, SignedStatement};
use crate::config::replace;
use crate::session::Contradiction;
use crate::wire::Network;

/// Writes an evidence file into `directory` for each mix that is guilty, and says so in the log. Waits for the disk.
pub(super) fn tell(network: &Network, directory: &Path, contradiction: &Contradiction) {
    for evidence in evidence(network, contradiction) {
        let Ok(finding) = evidence.verify(network) else { continue };
        let Guilty::Mix(hop) = finding.guilty else { continue };
        let mix = network.roster.mixes.get(usize::from(hop) - 1).map_or("?", |mix| mix.id.as_str());
        let (epoch, round) = (finding.slot.epoch, finding.slot.round);
        let path = directory.join(format!("epoch-{epoch}-round-{round}-{mix}-{}.evidence", finding.offence.name()));
        // One of that name proves as much.
        let written = path.exists() || {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.is_ok() && replace(&path, 0o600, &evidence.to_file()).is_ok()
        };
        let advice =
            if written { "give its evidence file to the operators" } else { "its evidence file cannot be written" };
        tracing::error!(evidence = %path.display(), "mix {mix} is guilty: {}; {advice}", finding.offence);
    }
}

/// Against each mix whose signature is under both.
pub fn evidence(network: &Network, contradiction: &Contradiction) -> Vec<Evidence> {
    let hops = 1..=network.mixes() as u8;
    let pairs = hops.filter_map(|hop| {
        let place = usize::from(hop) - 1;
        let [a, b] = match contradiction {
            Contradiction::Documents(both) => both.each_ref().map(|signed| {
                let (document, signature) = (signed.document.clone(), *signed.signatures.get(place)?);
                Some(SignedStatement::Document { hop, document, signature })
            }),
            Contradiction::Verdicts(both) => both.each_ref().map(|signed| {
                let (verdict, signature) = (signed.verdict.clone(), *signed.signatures.get(place)?);
                Some(SignedStatement::Verdict { hop, verdict, signature })
            }),
        };
        Evidence::equivocation(None, a?, b?)
    });
    pairs.filter(|evidence| evidence.verify(network).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Plan;
    use crate::wire::{Members, Outcome, SignedVerdict, Verdict};

    #[test]
    fn two_verdicts_convict_whoever_signed_both_and_nobody_else() {
        let (network, keys, _) = Plan::default().network();
        let signed = |outcome, signers: &[usize]| {
            let verdict = Verdict { network: network.id(), epoch: 1, round: 7, members: Members::none(4), outcome };
            // Whoever does not sign it has signed something else.
            let other = Verdict { round: 8, ..verdict.clone() };
            let sign =
                |(mix, key): (usize, _)| if signers.contains(&mix) { verdict.sign(key) } else { other.sign(key) };
            let signatures = keys.iter().map(AsRef::as_ref).enumerate().map(sign).collect();
            SignedVerdict { verdict, signatures }
        };
        let both = [signed(Outcome::Stored { refused: 0 }, &[0, 1, 2]), signed(Outcome::OpenedNotStored, &[0, 2])];
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("evidence");
        (0..2).for_each(|_| tell(&network, &directory, &Contradiction::Verdicts(Box::new(both.clone()))));
        let mut names = Vec::new();
        for file in std::fs::read_dir(&directory).expect("made").flatten() {
            let bytes = std::fs::read(file.path()).expect("written");
            let finding =
                Evidence::from_file(&bytes).and_then(|evidence| evidence.verify(&network)).expect("it proves");
            names.push((file.file_name().into_string().expect("a word"), finding.guilty));
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let name = |mix: &str| format!("epoch-1-round-7-{mix}-equivocation.evidence");
        assert_eq!(names, [(name("mix-1"), Guilty::Mix(1)), (name("mix-3"), Guilty::Mix(3))]);
    }
}
