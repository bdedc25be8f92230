//! What is on its way.

use std::cmp::Ordering;
use std::time::Duration;

use crate::mix;
use crate::packet::Slots;
use crate::round::Submission;
use crate::session;
use crate::wire::{PeerMessage, Reply, Request, SignedBatchHeader};

use super::adversary::Deed;

/// Somebody in the network.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Party {
    /// A mix, by its place in the cascade.
    Mix(usize),
    /// A client, by its roster index.
    Client(usize),
}

/// Something that reaches a party.
pub(super) enum Parcel {
    /// From one mix to another.
    Peer(PeerMessage),
    /// A batch begins.
    Batch { stream: u64, header: Box<SignedBatchHeader> },
    /// Packets of a batch.
    Segment { stream: u64, round: u64, slots: Slots },
    /// From a client to a mix.
    Request { id: session::RequestId, request: Request, submission: Option<Submission> },
    /// From a mix to a client.
    Reply { id: session::RequestId, reply: Reply, letters: Vec<u8> },
}

/// What will happen.
#[expect(clippy::large_enum_variant, reason = "most incidents are arrivals, the largest")]
pub(super) enum Incident {
    /// A parcel arrives, if its link is still the one it was sent on.
    Arrival { from: Party, to: Party, link: u64, parcel: Parcel },
    /// A link is made.
    Connect { a: Party, b: Party },
    /// A party notices that a link is gone, unless it has met its peer again since.
    Down { at: Party, peer: Party },
    /// A mix's own event: work or disk.
    Mix { mix: usize, run: u64, event: Box<mix::Event> },
    /// A client's own event.
    Client { client: usize, run: u64, event: Box<session::Event> },
    /// A timer may be due.
    Wake { party: Party, run: u64 },
    /// A malicious mix does what it has put off.
    Deeds { mix: usize, deeds: Vec<Deed> },
    /// A party's disk has done a commit.
    Disk { party: Party, run: u64 },
}

/// What happens to a party that does not run at the moment.
pub(super) enum Deferred {
    /// An event for a mix.
    Mix(Box<mix::Event>),
    /// An event for a client.
    Client(Box<session::Event>),
    /// A turn of its disk.
    Disk,
}

/// An incident and its moment, ordered earliest first and by sequence at the same moment.
pub(super) struct Scheduled {
    pub at: Duration,
    pub sequence: u64,
    pub incident: Incident,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Scheduled {}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
