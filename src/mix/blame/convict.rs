//! Convictions: evidence is verified, put on disk, said, and acted upon until an operator says otherwise.

use std::collections::{BTreeSet, VecDeque};

use crate::blame::{Evidence, Finding, Guilty, SignedStatement};
use crate::crypto::Identity;
use crate::wire::{EVIDENCE_KEPT, EpochDocument, Network, PIECE_BYTES, PeerMessage, Record, Refusal};

use super::super::{Action, Mix, Persisting};

/// Who is out.
#[derive(Default)]
pub(in crate::mix) struct Convicts {
    parties: Vec<Identity>,
    /// Evidence of the newest, [`EVIDENCE_KEPT`] at most, for mixes that have missed it.
    files: VecDeque<(Identity, Vec<u8>)>,
    /// Clients among them, by roster index.
    evicted: BTreeSet<u32>,
    /// Mixes among them, from 0.
    mixes: BTreeSet<usize>,
    /// With t < L: this mix has burnt a round, and nobody will ever know whose fault it was.
    unexplained: bool,
}

impl Convicts {
    /// As the disk has it.
    pub(in crate::mix) fn new(network: &Network, convicted: Vec<(Identity, Vec<u8>)>) -> Self {
        let parties = convicted.iter().map(|(party, _)| *party).collect();
        let files = convicted.into_iter().filter(|(_, file)| !file.is_empty()).collect();
        let mut convicts = Self { parties, files, ..Self::default() };
        convicts.look_up(network);
        convicts
    }

    fn look_up(&mut self, network: &Network) {
        let is_out = |identity: &Identity| self.parties.contains(identity);
        let clients = (0..).zip(&network.roster.clients).filter(|(_, client)| is_out(&client.identity));
        self.evicted = clients.map(|(index, _)| index).collect();
        let mixes = (0..).zip(&network.roster.mixes).filter(|(_, mix)| is_out(&mix.identity));
        self.mixes = mixes.map(|(index, _)| index).collect();
    }

    /// Clients that are out, by roster index.
    pub(in crate::mix) fn evicted(&self) -> &BTreeSet<u32> {
        &self.evicted
    }

    /// Whether the mix at this place is out.
    pub(in crate::mix) fn has_mix(&self, mix: usize) -> bool {
        self.mixes.contains(&mix)
    }

    /// Whether the network stands still.
    pub(in crate::mix) fn has_stopped(&self) -> bool {
        self.unexplained || !self.mixes.is_empty()
    }

    /// Why it stands still, for its operator.
    pub(in crate::mix) fn words(&self, network: &Network) -> Option<String> {
        if self.unexplained {
            return Some(
                "a round did not fit what mixes signed; look at the logs of all mixes, then start again".into(),
            );
        }
        let mix = network.roster.mixes.get(*self.mixes.first()?)?;
        Some(format!("mix {} is proven to have broken a round; see its evidence file and act on that mix", mix.id))
    }
}

impl Mix {
    /// Two signed statements may contradict each other.
    pub(in crate::mix) fn compare(&mut self, document: Option<EpochDocument>, a: SignedStatement, b: SignedStatement) {
        if let Some(evidence) = Evidence::equivocation(document.as_ref(), a, b) {
            self.found(evidence);
        }
    }

    /// Evidence, this mix's or another's: believed once it is verified.
    pub(in crate::mix) fn found(&mut self, evidence: Evidence) {
        let Ok(finding) = evidence.verify(&self.network) else { return self.reject("bad_evidence", 1) };
        let Some(party) = self.party(finding.guilty).filter(|party| *party != self.identities[self.own]) else {
            // Who else has this mix's key needs no telling; its operator does.
            return self.reject("own_guilt", 1);
        };
        if self.convicts.parties.contains(&party) {
            return;
        }
        self.convicts.parties.push(party);
        self.convicts.look_up(&self.network);
        if let Guilty::Client(client) = finding.guilty {
            self.evict(client);
        }
        let file = evidence.to_file();
        if file.len() <= PIECE_BYTES {
            self.convicts.files.push_back((party, file.clone()));
            self.convicts.files.drain(..self.convicts.files.len().saturating_sub(EVIDENCE_KEPT));
        }
        // What is longer than a message is the driver's to keep: the store holds no more than who is out.
        let evidence_kept = if file.len() <= PIECE_BYTES { file } else { Vec::new() };
        let record = Record::Convicted { party, evidence: evidence_kept };
        self.persist(record, Persisting::Convicted(finding, Box::new(evidence)));
    }

    fn party(&self, guilty: Guilty) -> Option<Identity> {
        let roster = &self.network.roster;
        match guilty {
            Guilty::Client(client) => roster.clients.get(client as usize).map(|client| client.identity),
            Guilty::Mix(hop) => roster.mixes.get(usize::from(hop).checked_sub(1)?).map(|mix| mix.identity),
        }
    }

    pub(in crate::mix) fn conviction_on_disk(&mut self, finding: Finding, evidence: Evidence) {
        let file = evidence.to_file();
        if file.len() <= PIECE_BYTES {
            self.broadcast(&PeerMessage::Evidence { file });
        }
        self.actions.push_back(Action::Convicted { finding, evidence: Box::new(evidence) });
    }

    /// Another mix may have missed which clients are out, or lost its disk: it gets the evidence that is kept against them.
    pub(in crate::mix) fn show_who_is_out(&mut self, to: usize) {
        let roster = &self.network.roster.clients;
        let out: Vec<Identity> = self.convicts.evicted.iter().map(|client| roster[*client as usize].identity).collect();
        let files = self.convicts.files.iter().filter(|(party, _)| out.contains(party));
        for file in files.map(|(_, file)| file.clone()).collect::<Vec<_>>() {
            self.send(to, PeerMessage::Evidence { file });
        }
    }

    /// Another mix shows evidence.
    pub(in crate::mix) fn evidence_shown(&mut self, file: &[u8]) {
        match Evidence::from_file(file) {
            Ok(evidence) if file.len() <= PIECE_BYTES => self.found(evidence),
            _ => self.reject("bad_evidence", 1),
        }
    }

    /// A guilty client takes part in nothing from now on.
    fn evict(&mut self, client: u32) {
        let Some(entry) = self.entry.as_mut() else { return };
        let starts = entry.waiting_start.remove(&client).map(|(id, _)| id);
        let rounds = entry.waiting_round.remove(&client).map(|waiting| waiting.id);
        entry.registered.remove(&client);
        for id in starts.into_iter().chain(rounds) {
            self.refuse(id, Refusal::Evicted, "evicted");
        }
    }

    /// An operator lets a party in again.
    pub(in crate::mix) fn readmit(&mut self, party: Option<Identity>) {
        if let Some(party) = party.filter(|party| self.convicts.parties.contains(party)) {
            self.persist(Record::Readmitted { party }, Persisting::Readmitted(party));
        }
    }

    /// An operator lets a client in again.
    pub(in crate::mix) fn readmit_client(&mut self, client: u32) {
        self.readmit(self.party(Guilty::Client(client)));
    }

    /// An operator has acted on the mixes that were guilty.
    pub(in crate::mix) fn resume(&mut self) {
        self.convicts.unexplained = false;
        for mix in self.convicts.mixes.clone() {
            self.readmit(Some(self.identities[mix]));
        }
    }

    pub(in crate::mix) fn readmitted_on_disk(&mut self, party: Identity) {
        self.convicts.parties.retain(|known| *known != party);
        self.convicts.files.retain(|(known, _)| *known != party);
        self.convicts.look_up(&self.network);
    }

    /// With t < L: whose fault it was will never be known, so nothing goes on until an operator acts.
    pub(in crate::mix) fn stop_unexplained(&mut self) {
        self.reject("stopped", 1);
        self.convicts.unexplained = true;
    }

    /// Whether this mix signs anything that leads on: lists, confirms, epochs.
    pub(in crate::mix) fn goes_on(&self) -> bool {
        !self.convicts.has_stopped()
    }

    /// Clients that a round of an epoch with so many members needs: those who are out count for nothing.
    pub(in crate::mix) fn quorum(&self, members: u32) -> u32 {
        let out = u32::try_from(self.convicts.evicted.len()).unwrap_or(u32::MAX);
        self.network.parameters.quorum(members.saturating_sub(out))
    }
}
