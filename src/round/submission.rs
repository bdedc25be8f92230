//! A client's submission at the entry: its bytes, and whether they are taken.

use std::sync::Arc;

use crate::crypto::{Digest, Label, derive_parts};
use crate::packet::{Geometry, PeelError, Peeler, Slots};
use crate::wire::{ClientRecords, ListKeys, onion_digests};

use super::{Inadmissible, ListRules};

/// What a client sends behind [`crate::wire::Request::Submit`] or [`crate::wire::Request::HandOver`].
pub struct Submission {
    /// Its packets, not yet peeled.
    pub packets: Slots,
    /// The bytes behind them: [`crate::wire::Network::records_length`].
    pub records: Vec<u8>,
}

impl Submission {
    /// Its packets and the bytes behind them, as they came.
    pub fn to_bytes(&self) -> Vec<u8> {
        let packets = (0..self.packets.len()).flat_map(|i| self.packets.received(i));
        packets.chain(&self.records).copied().collect()
    }

    /// The submission of `count` packets whose bytes these are; `None` if they are too few.
    pub fn from_bytes(geometry: Geometry, count: usize, bytes: &[u8]) -> Option<Self> {
        let (packets, records) = bytes.split_at_checked(count * geometry.packet())?;
        Some(Self { packets: Slots::from_packets(geometry, packets)?, records: records.to_vec() })
    }
}

/// The records behind the packets of `client`, of which nothing is checked but the length.
pub(super) fn parse(client: u32, submission: &Submission, mixes: usize) -> Result<ClientRecords, SubmissionFault> {
    let Submission { packets, records } = submission;
    let onions = onion_digests(packets.all_received());
    ClientRecords::parse(records, client, &onions, mixes).map_err(|_| SubmissionFault::Length)
}

/// What the entry holds the records of a sealed round against, on any thread.
pub struct Admission {
    rules: ListRules,
    keys: Arc<ListKeys>,
}

/// A client's one attempt of a round, with all that is needed to judge it on any thread.
pub struct Attempt {
    peeler: Arc<Peeler>,
    /// `None` if the round is not sealed.
    admission: Option<Arc<Admission>>,
    /// It is taken by its signature.
    by_signature: bool,
}

/// A submission that has been judged.
pub struct Judged {
    /// The digest of the packets as they came.
    pub digest: Digest,
    /// The packets; peeled if the submission is taken.
    pub slots: Slots,
    /// The client's records if the round is sealed, or why the submission is not taken.
    pub result: Result<Option<ClientRecords>, SubmissionFault>,
}

/// Why the entry does not take a submission: all of it, or nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SubmissionFault {
    /// What follows the packets is not as long as records are.
    #[error("there are too few or too many bytes behind the packets")]
    Length,
    /// The entry does not take its records.
    #[error(transparent)]
    Records(#[from] Inadmissible),
    /// One of its packets does not peel.
    #[error("packet {which} does not open: {error}")]
    Packets {
        /// The first of them, from 0.
        which: u32,
        /// Why.
        error: PeelError,
    },
    /// Two of its onions have one key.
    #[error("a packet comes twice")]
    Replay,
}

impl SubmissionFault {
    /// The word it is counted under.
    pub fn reason(self) -> &'static str {
        match self {
            SubmissionFault::Length | SubmissionFault::Packets { error: PeelError::Malformed, .. } => "malformed",
            SubmissionFault::Records(Inadmissible::Mac) => "bad_mac",
            SubmissionFault::Records(Inadmissible::Signature) => "bad_client_signature",
            SubmissionFault::Packets { error: PeelError::LowOrder, .. } => "low_order",
            SubmissionFault::Packets { error: PeelError::BadTag, .. } => "bad_tag",
            SubmissionFault::Replay => "replay",
        }
    }
}

impl Admission {
    /// For the round of `rules`; `keys` are the entry's towards all clients in its epoch.
    pub fn new(rules: ListRules, keys: Arc<ListKeys>) -> Self {
        Self { rules, keys }
    }

    fn admit(
        &self,
        client: u32,
        by_signature: bool,
        submission: &Submission,
    ) -> Result<ClientRecords, SubmissionFault> {
        let records = parse(client, submission, self.rules.network.mixes())?;
        self.rules.admit(&self.keys, by_signature, &records)?;
        Ok(records)
    }
}

impl Attempt {
    /// `admission` is that of a sealed round; `by_signature` says whether only the client's signature counts.
    pub(super) fn new(peeler: Arc<Peeler>, admission: Option<Arc<Admission>>, by_signature: bool) -> Self {
        Self { peeler, admission, by_signature }
    }

    /// Judges what `client` has sent. Records come first: they name the packets as they came, which peeling overwrites, and
    /// cost next to nothing beside it.
    pub(super) fn judge(&self, client: u32, submission: Submission) -> Judged {
        let mut judged = Self::judge_together(vec![(self, client, submission)]);
        judged.pop().expect("one submission, one judgement")
    }

    /// As [`Attempt::judge`] of several, in order. Those of one round are peeled together, so that small ones fill lanes.
    pub(super) fn judge_together(submissions: Vec<(&Self, u32, Submission)>) -> Vec<Judged> {
        let mut judged = Vec::with_capacity(submissions.len());
        let mut together: Vec<(&Arc<Peeler>, Vec<usize>)> = Vec::new();
        let mut clients = Vec::with_capacity(submissions.len());
        for (number, (attempt, client, submission)) in submissions.into_iter().enumerate() {
            let examined = attempt.examine(client, submission);
            if examined.result.is_ok() {
                match together.iter_mut().find(|(peeler, _)| Arc::ptr_eq(peeler, &attempt.peeler)) {
                    Some((_, numbers)) => numbers.push(number),
                    None => together.push((&attempt.peeler, vec![number])),
                }
            }
            clients.push(client);
            judged.push(examined);
        }
        for (peeler, numbers) in together {
            let take = |number: &usize| {
                let Judged { slots, .. } = &mut judged[*number];
                (std::mem::replace(slots, Slots::zeroed(peeler.geometry(), 0)), clients[*number])
            };
            let mut slots: Vec<(Slots, u32)> = numbers.iter().map(take).collect();
            let results = peeler.peel_together(&mut slots);
            for ((number, (slots, _)), result) in numbers.into_iter().zip(slots).zip(results) {
                judged[number].slots = slots;
                if let Err((which, error)) = result {
                    judged[number].result = Err(SubmissionFault::Packets { which: which as u32, error });
                }
            }
        }
        judged
    }

    /// Everything but the packets' layers.
    fn examine(&self, client: u32, submission: Submission) -> Judged {
        let packets = &submission.packets;
        let received: Vec<&[u8]> = (0..packets.len()).map(|i| packets.received(i)).collect();
        let digest = derive_parts(Label::Submission, &received);
        let result = match &self.admission {
            Some(admission) => admission.admit(client, self.by_signature, &submission).map(Some),
            None if submission.records.is_empty() => Ok(None),
            None => Err(SubmissionFault::Length),
        };
        Judged { digest, slots: submission.packets, result }
    }
}
