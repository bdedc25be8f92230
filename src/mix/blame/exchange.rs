//! What the replay of a burnt round needs, fetched from whoever knows it.
//!
//! A mix asks for each piece and gets it as an answer, so that no link carries more than is asked for, a link that breaks costs
//! a question, and who does not answer is known. Onions come a segment at a time: the next is asked for when the last is
//! replayed.

use std::sync::Arc;
use std::time::Duration;

use crate::blame::{Case, CaseFault, Evidence, Ruling};
use crate::crypto::{Digest, Signature};
use crate::packet::Slots;
use crate::round::{Job, Pieces, piece};
use crate::wire::{Exhibit, Headers, PeerMessage, Piece};

use super::super::sealing::Sealing;
use super::super::{Action, Mix};
use super::Blame;
use super::exhibits::Extent;

/// Pause before something is asked for again.
const AGAIN: Duration = Duration::from_millis(500);
/// A mix that has not shown something for so long owes it: twenty times asked, and longer than a link takes to come back.
const OWES: Duration = Duration::from_secs(10);
/// A burn that not all have joined by then never will: a mix has lost its keys, or gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who owes what was signed and is not shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owing {
    /// Of which round.
    pub round: u64,
    /// Places in the cascade: each of them could show it.
    pub mixes: Vec<usize>,
}

impl Mix {
    /// The rounds that burn and are not replayed.
    pub(in crate::mix) fn burning(&self) -> Vec<u64> {
        let burns = |sealing: &Sealing| sealing.blame.as_ref().is_some_and(|blame| !blame.done);
        self.sealings.iter().filter(|(_, sealing)| burns(sealing)).map(|(round, _)| *round).collect()
    }

    pub(in crate::mix) fn blame_wakes_at(&self) -> Option<Duration> {
        let wakes = |sealing: &Sealing, blame: &Blame| match sealing.all_keys() && !blame.done {
            false => blame.since.map(|since| since + PATIENCE),
            true => Some(blame.ask_at).filter(|_| !blame.working && blame.unexplained.is_none()),
        };
        self.sealings.values().filter_map(|sealing| wakes(sealing, sealing.blame.as_deref()?)).min()
    }

    /// Does what has become due in rounds that burn.
    pub(in crate::mix) fn blame_due(&mut self, now: Duration) {
        let burnt = self.sealings.iter().filter(|(_, sealing)| sealing.blame.is_some()).map(|(round, _)| *round);
        burnt.collect::<Vec<_>>().into_iter().for_each(|round| self.pursue(now, round));
    }

    fn pursue(&mut self, now: Duration, round: u64) {
        let own = self.own;
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        let (all_keys, extent) = (sealing.all_keys(), Extent::of(sealing));
        let Some(blame) = sealing.blame.as_mut() else { return };
        let since = *blame.since.get_or_insert(now);
        if !all_keys || blame.done {
            let (done, over) = (blame.done, now >= since + PATIENCE);
            if over && !done {
                self.reject("burn_unfinished", 1);
            }
            if over {
                self.forget_blame(round);
            }
            return;
        }
        if blame.working {
            return;
        }
        if blame.unexplained.is_some() {
            if self.convicts.has_stopped() {
                self.blame_over(round);
            }
            return;
        }
        // Of a list that not all have signed there is nothing to replay.
        let Some(extent) = extent else { return self.blame_over(round) };
        if let Some(case) = blame.case.clone() {
            if blame.replayed == case.len() {
                return self.close(now, round, &extent, case);
            }
            return match own {
                0 => self.replay_own(round, &extent),
                _ => self.ask(now, round, &extent),
            };
        }
        let missing = self.missing(round, &extent);
        if !missing.is_empty() {
            return self.ask(now, round, &extent);
        }
        let Some(shown) = self.shown(round, &extent).map(Box::new) else { return self.blame_over(round) };
        let network = self.network.clone();
        self.works(round);
        self.actions.push_back(Action::Work(Job::Case { round, network, shown }));
    }

    /// This mix has replayed a round, or never will.
    pub(in crate::mix) fn blame_over(&mut self, round: u64) {
        if let Some(blame) = self.blame(round) {
            (blame.done, blame.case) = (true, None);
            blame.coming.clear();
        }
    }

    fn works(&mut self, round: u64) {
        if let Some(blame) = self.blame(round) {
            (blame.working, blame.stalled) = (true, None);
        }
    }

    fn blame(&mut self, round: u64) -> Option<&mut Blame> {
        self.sealings.get_mut(&round)?.blame.as_deref_mut()
    }

    fn ask(&mut self, now: Duration, round: u64, extent: &Extent) {
        let missing = self.missing(round, extent);
        let Some(blame) = self.blame(round).filter(|blame| now >= blame.ask_at) else { return };
        blame.ask_at = now + AGAIN;
        blame.stalled.get_or_insert(now);
        for exhibit in missing {
            let length = self.length(round, extent, exhibit);
            for from in self.sources(exhibit) {
                let Some(blame) = self.blame(round).filter(|_| length > 0) else { continue };
                let coming = blame.coming.entry((exhibit, from)).or_insert_with(|| Pieces::new(length));
                for number in coming.missing().to_vec() {
                    self.send(from, PeerMessage::Ask { round, exhibit, number });
                }
            }
        }
    }

    /// Another mix asks for what this one knows of a burnt round.
    pub(in crate::mix) fn asked(&mut self, from: usize, round: u64, exhibit: Exhibit, number: u32) {
        let Some(bytes) = self.content(round, exhibit) else { return };
        match piece(&bytes, number) {
            Some(piece) => self.send(from, PeerMessage::Show { round, exhibit, piece }),
            None => self.reject("bad_exhibit", 1),
        }
    }

    /// Another mix shows what was asked for.
    pub(in crate::mix) fn shown_by(&mut self, now: Duration, from: usize, round: u64, exhibit: Exhibit, piece: &Piece) {
        let packet = self.geometry.packet();
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        let Some(blame) = sealing.blame.as_mut() else { return };
        let Some(coming) = blame.coming.get_mut(&(exhibit, from)) else { return };
        let whole = match coming.take(piece) {
            Ok(None) => return,
            Ok(Some(whole)) => whole,
            Err(_) => return self.reject("bad_exhibit", 1),
        };
        blame.coming.remove(&(exhibit, from));
        let good = match exhibit {
            Exhibit::Batch { hop } => sealing.take_hashes(hop, &whole),
            Exhibit::Echoes { hop } => sealing.take_echoes(hop, &whole),
            Exhibit::Signatures => {
                let signatures = whole.as_chunks().0.iter().map(|bytes| Signature(*bytes));
                blame.signatures = Some(signatures.collect());
                true
            }
            Exhibit::Onions { segment } => {
                let first = segment as usize * self.packets_a_segment();
                return self.replay(round, first, &whole);
            }
            Exhibit::Noise { hop } => sealing.take_noise(hop, whole, packet),
            Exhibit::Submission { .. } => false,
        };
        if !good {
            return self.reject("bad_exhibit", 1);
        }
        if let Some(blame) = self.blame(round) {
            blame.coming.retain(|(known, _), _| *known != exhibit);
            (blame.stalled, blame.ask_at) = (None, now);
        }
    }

    fn replay(&mut self, round: u64, first: usize, onions: &[u8]) {
        let geometry = self.geometry;
        let Some(blame) = self.blame(round).filter(|blame| blame.replayed == first && !blame.working) else { return };
        let (Some(case), Some(onions)) = (blame.case.clone(), Slots::from_packets(geometry, onions)) else { return };
        blame.coming.clear();
        self.works(round);
        self.actions.push_back(Action::Work(Job::Replay { round, case, first, onions }));
    }

    /// Every client's packet is right: what is left are the mixes' own, and the accusers.
    fn close(&mut self, now: Duration, round: u64, extent: &Extent, case: Arc<Case>) {
        let own = self.own as u8 + 1;
        if let Some(sealing) = self.sealings.get_mut(&round)
            && let Some(blame) = sealing.blame.as_mut()
            && case.needs_noise(own)
        {
            blame.noise.entry(own).or_insert_with(|| sealing.kept.noise.1.to_vec());
        }
        if !self.missing(round, extent).is_empty() {
            return self.ask(now, round, extent);
        }
        let Some(blame) = self.blame(round) else { return };
        let noise = std::mem::take(&mut blame.noise);
        self.works(round);
        self.actions.push_back(Action::Work(Job::Close { round, case, noise }));
    }

    pub(in crate::mix) fn closed(&mut self, now: Duration, round: u64, ruling: Option<Box<Evidence>>) {
        let Some(blame) = self.blame(round) else { return };
        (blame.working, blame.ask_at) = (false, now);
        match ruling {
            Some(evidence) => self.found(*evidence),
            None => self.reject("blameless", 1),
        }
        self.blame_over(round);
    }

    /// At the entry.
    fn replay_own(&mut self, round: u64, extent: &Extent) {
        let first = self.blame(round).map_or(0, |blame| blame.replayed);
        let segment = (first / self.packets_a_segment()) as u32;
        let wanted = self.length(round, extent, Exhibit::Onions { segment });
        if let Some(onions) = self.content(round, Exhibit::Onions { segment }).filter(|onions| onions.len() == wanted) {
            self.replay(round, first, &onions);
        }
    }

    /// At the entry, with its key: the onions as they came.
    pub(in crate::mix) fn restore_onions(&mut self, round: u64) {
        let peeler = self.epochs.peeler(round).map(Box::new);
        let batch = self.sealings.get_mut(&round).and_then(|sealing| sealing.kept.batch.take());
        if let (Some(peeler), Some(batch)) = (peeler, batch) {
            self.actions.push_back(Action::Work(Job::Restore { round, batch, peeler }));
        }
    }

    pub(in crate::mix) fn onions_restored(&mut self, round: u64, onions: Vec<u8>) {
        if let Some(blame) = self.blame(round) {
            blame.onions = Some(onions);
        }
    }

    pub(in crate::mix) fn case_made(
        &mut self,
        now: Duration,
        round: u64,
        result: Result<Arc<Case>, Result<Box<Evidence>, CaseFault>>,
    ) {
        let Some(blame) = self.blame(round) else { return };
        (blame.working, blame.ask_at) = (false, now);
        match result {
            Ok(case) => blame.case = Some(case),
            Err(Ok(evidence)) => {
                self.found(*evidence);
                self.blame_over(round);
            }
            Err(Err(CaseFault::Input { hop } | CaseFault::EchoInput { hop })) => {
                // It has to show the header that it was sent.
                (blame.unexplained, blame.stalled) = (Some(hop), Some(now));
            }
            Err(Err(_)) => {
                self.reject("case_fault", 1);
                self.blame_over(round);
            }
        }
    }

    pub(in crate::mix) fn replayed(&mut self, now: Duration, round: u64, until: usize, ruling: Option<Ruling>) {
        let Some(blame) = self.blame(round) else { return };
        (blame.working, blame.ask_at) = (false, now);
        match ruling {
            None => blame.replayed = until,
            Some(Ruling::Guilty(evidence)) => {
                self.found(*evidence);
                self.blame_over(round);
            }
            Some(Ruling::NotShown { .. }) => {
                (blame.stalled, blame.ask_at) = (blame.stalled.or(Some(now)), now + AGAIN);
                self.reject("onion_not_shown", 1);
            }
            Some(Ruling::Unsigned { .. }) => {
                // Only the entry could know, from the link. From now on it does.
                self.reject("unsigned_client", 1);
                self.verified_epoch = self.epochs.document(round).map(|document| document.epoch);
                self.blame_over(round);
            }
        }
    }

    /// Another mix tells which signed headers it has seen.
    pub(in crate::mix) fn headers_shown(&mut self, headers: Headers) {
        let round = headers.round;
        let mixes = self.network.mixes();
        let Some(document) = self.epochs.document(round).cloned() else { return };
        if headers.batches.len() > mixes || headers.echoes.len() > mixes {
            return self.reject("bad_headers", 1);
        }
        let identity = |hop: u8| self.identities.get(usize::from(hop).wrapping_sub(1)).copied();
        let digest = document.digest();
        let own = |network: Digest, epoch: Digest, of: u64| (network, epoch, of) == (document.network, digest, round);
        let batches = headers.batches.into_iter().filter(|signed| {
            let header = &signed.header;
            own(header.network, header.epoch, header.round)
                && usize::from(header.hop) < mixes
                && self.can_be(header)
                && identity(header.hop).is_some_and(|mix| signed.is_signed_by(&mix))
        });
        let echoes = headers.echoes.into_iter().filter(|signed| {
            let header = &signed.header;
            own(header.network, header.epoch, header.round)
                && identity(header.hop).is_some_and(|mix| signed.is_signed_by(&mix))
        });
        let headers = Headers { round, batches: batches.collect(), echoes: echoes.collect() };
        let Some(sealing) = self.sealings.get_mut(&round) else { return };
        for signed in &headers.batches {
            sealing.batches[usize::from(signed.header.hop) - 1].get_or_insert_with(|| signed.clone());
        }
        for signed in &headers.echoes {
            sealing.echoes[usize::from(signed.header.hop) - 1].get_or_insert_with(|| signed.clone());
        }
        let pairs = sealing.contradictions(&headers);
        pairs.into_iter().for_each(|[known, told]| self.compare(Some(document.clone()), known, told));
    }

    /// Who owes what was signed, and has not shown it for long.
    pub(in crate::mix) fn owing(&self) -> Vec<Owing> {
        let owes = |round: u64| {
            let sealing = self.sealings.get(&round)?;
            let blame = sealing.blame.as_ref()?;
            blame.stalled.filter(|since| self.now >= *since + OWES)?;
            let mut mixes: Vec<usize> = match blame.unexplained {
                Some(hop) => vec![usize::from(hop) - 1],
                None => {
                    let missing = self.missing(round, &Extent::of(sealing)?);
                    missing.into_iter().flat_map(|exhibit| self.sources(exhibit)).collect()
                }
            };
            mixes.sort_unstable();
            mixes.dedup();
            Some(Owing { round, mixes })
        };
        self.burning().into_iter().filter_map(owes).collect()
    }

    /// Whether this mix signs the list of a round: not while somebody owes something of a round of the same epoch.
    pub(in crate::mix) fn may_list(&self, round: u64) -> bool {
        let epoch = |round: u64| self.epochs.document(round).map(|document| document.epoch);
        self.goes_on() && self.owing().iter().all(|owing| epoch(owing.round) != epoch(round))
    }
}
