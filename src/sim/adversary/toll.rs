//! What was done to honest clients' packets, and what came of it: seen from outside, by what goes over links.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::Digest;
use crate::round::Job;
use crate::wire::{Exhibit, Members, PeerMessage, SignedBatchHeader};

use super::super::Party;
use super::super::traffic::Parcel;

/// Counts for one network.
#[derive(Default)]
pub(in crate::sim) struct Toll {
    /// Mixes that somebody has taken over, once they are.
    pub(super) malicious: BTreeSet<usize>,
    /// Whether each batch that a malicious mix sent lacks a packet that it should hold, by round and digest.
    sent: BTreeMap<(u64, Digest), bool>,
    /// Rounds of which an honest mix has taken such a batch as its own, and others of which one was sent.
    taken: BTreeSet<u64>,
    offered: BTreeSet<u64>,
    /// Clients whose packets a malicious entry has replaced.
    forged: BTreeMap<u64, BTreeSet<u32>>,
    members: BTreeMap<u64, Members>,
    /// Rounds of which an honest mix's share has left it, or that an honest exit opens.
    released: BTreeSet<u64>,
    /// What each honest mix has handed on.
    handed: BTreeMap<(usize, u64), Digest>,
    /// What must not be seen of an honest mix's shuffle.
    pub(super) leaks: BTreeSet<&'static str>,
}

impl Toll {
    /// Whether an honest client's packet was touched on its way to an honest mix.
    pub(super) fn touched(&self) -> bool {
        !self.offered.is_empty() || !self.forged.is_empty()
    }

    /// Whether a round that holds such a packet in place of an honest one can be opened.
    pub(super) fn opened(&self) -> bool {
        let forged = |round: &u64| {
            let (forged, members) = (self.forged.get(round), self.members.get(round));
            forged.zip(members).is_some_and(|(forged, members)| forged.iter().any(|client| members.contains(*client)))
        };
        self.released.iter().any(|round| self.taken.contains(round) || forged(round))
    }

    /// A malicious mix sends a batch in place of its engine's.
    pub(in crate::sim) fn sends(&mut self, honest: &[Vec<u8>], header: &SignedBatchHeader, packets: &[Vec<u8>]) {
        let sent: BTreeSet<_> = packets.iter().collect();
        let lacks = honest.iter().any(|packet| !sent.contains(packet));
        if lacks {
            self.offered.insert(header.header.round);
        }
        self.sent.insert((header.header.round, header.header.output), lacks);
    }

    /// A malicious entry gives its engine another submission than a client's.
    pub(in crate::sim) fn forges(&mut self, round: u64, client: u32) {
        self.forged.entry(round).or_default().insert(client);
    }

    /// An honest mix hands on a batch.
    pub(in crate::sim) fn hands_on(&mut self, mix: usize, header: &SignedBatchHeader, packets: &[Vec<u8>]) {
        let header = &header.header;
        self.members.insert(header.round, header.members.clone());
        if *self.handed.entry((mix, header.round)).or_insert(header.output) != header.output {
            self.leaks.insert("shuffled_twice");
        }
        let different: BTreeSet<_> = packets.iter().collect();
        if different.len() < packets.len() {
            self.leaks.insert("same_packet_twice");
        }
    }

    /// A mix does a job.
    pub(in crate::sim) fn works(&mut self, mix: usize, malicious: bool, job: &Job) {
        if let Job::Open { round, .. } = job
            && !malicious
            && !self.malicious.contains(&mix)
        {
            self.released.insert(*round);
        }
    }

    /// Something goes over a link.
    pub(in crate::sim) fn posted(&mut self, from: Party, _to: Party, parcel: &Parcel) {
        let (Party::Mix(from), Parcel::Peer(message)) = (from, parcel) else { return };
        match message {
            PeerMessage::BatchHeader(signed) => {
                self.members.insert(signed.header.round, signed.header.members.clone());
            }
            // What the entry asks for it has refused itself: the client's own packets are in, by way of this mix.
            PeerMessage::Show { round, exhibit: Exhibit::Submission { client }, .. } => {
                if let Some(forged) = self.forged.get_mut(round) {
                    forged.remove(client);
                }
            }
            PeerMessage::Release { round, .. } if !self.malicious.contains(&from) => {
                self.released.insert(*round);
            }
            PeerMessage::BatchAccepted { round, digest }
                if !self.malicious.contains(&from) && self.sent.get(&(*round, *digest)) == Some(&true) =>
            {
                self.taken.insert(*round);
            }
            _ => {}
        }
    }
}
