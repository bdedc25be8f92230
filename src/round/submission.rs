//! A client's submission at the entry: its bytes, and whether they are taken.

use std::sync::Arc;

use crate::crypto::Digest;
use crate::packet::{Geometry, PeelError, Peeler, Slots};
use crate::wire::{ClientRecords, ListKeys, onion_digests, submission_digest};

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

/// The records behind the packets of `client` whose digests are `onions`; nothing is checked but the length.
pub(super) fn parse(
    client: u32,
    records: &[u8],
    onions: &[Digest],
    mixes: usize,
) -> Result<ClientRecords, SubmissionFault> {
    ClientRecords::parse(records, client, onions, mixes).map_err(|_| SubmissionFault::Length)
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
    /// [`submission_digest`] of the packets as they came.
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

/// A submission on its way to be judged.
struct Examined {
    client: u32,
    by_signature: bool,
    judged: Judged,
}

impl Admission {
    /// For the round of `rules`; `keys` are the entry's towards all clients in its epoch.
    pub fn new(rules: ListRules, keys: Arc<ListKeys>) -> Self {
        Self { rules, keys }
    }

    /// Refuses those whose records the entry does not take.
    fn admit(&self, examined: &mut [Examined]) {
        let clients: Vec<(&ClientRecords, bool)> = examined
            .iter()
            .filter_map(|it| Some((it.judged.result.as_ref().ok()?.as_ref()?, it.by_signature)))
            .collect();
        let admitted = self.rules.admit_each(&self.keys, &clients);
        for (it, admitted) in examined.iter_mut().filter(|it| matches!(it.judged.result, Ok(Some(_)))).zip(admitted) {
            if let Err(fault) = admitted {
                it.judged.result = Err(fault.into());
            }
        }
    }
}

impl Attempt {
    /// `admission` is that of a sealed round; `by_signature` says whether only the client's signature counts.
    pub(super) fn new(peeler: Arc<Peeler>, admission: Option<Arc<Admission>>, by_signature: bool) -> Self {
        Self { peeler, admission, by_signature }
    }

    /// Judges what `client` has sent.
    pub(super) fn judge(&self, client: u32, submission: Submission) -> Judged {
        let mut judged = Self::judge_together(vec![(self, client, submission)]);
        judged.pop().expect("one submission, one judgement")
    }

    /// As [`Attempt::judge`] of several, in order. Those of one round that follow one another share each step, so that small ones
    /// fill lanes.
    pub(super) fn judge_together(submissions: Vec<(&Self, u32, Submission)>) -> Vec<Judged> {
        let mut judged = Vec::with_capacity(submissions.len());
        let mut submissions = submissions.into_iter().peekable();
        while let Some(first) = submissions.next() {
            let peeler = &first.0.peeler;
            let mut of_round = vec![first];
            while let Some(next) = submissions.next_if(|(next, ..)| Arc::ptr_eq(&next.peeler, peeler)) {
                of_round.push(next);
            }
            judged.extend(Self::judge_round(peeler, of_round));
        }
        judged
    }

    /// Of one round. Records come first: they name the packets as they came, which peeling overwrites, and cost next to nothing
    /// beside it.
    fn judge_round(peeler: &Peeler, submissions: Vec<(&Self, u32, Submission)>) -> Vec<Judged> {
        let admission = submissions.first().and_then(|(attempt, ..)| attempt.admission.clone());
        let mut examined = Self::read(submissions);
        if let Some(admission) = admission {
            admission.admit(&mut examined);
        }
        let mut admitted: Vec<_> = examined.iter_mut().filter(|it| it.judged.result.is_ok()).collect();
        let peeled = peeler.peel_together(admitted.iter_mut().map(|it| (&mut it.judged.slots, it.client)).collect());
        for (it, peeled) in admitted.into_iter().zip(peeled) {
            if let Err((which, error)) = peeled {
                it.judged.result = Err(SubmissionFault::Packets { which: which as u32, error });
            }
        }
        examined.into_iter().map(|it| it.judged).collect()
    }

    /// Each with its digest and its records, neither records nor packets checked.
    fn read(submissions: Vec<(&Self, u32, Submission)>) -> Vec<Examined> {
        let onions = onion_digests(submissions.iter().flat_map(|(_, _, sent)| sent.packets.all_received()));
        let mut onions = onions.as_slice();
        let read = |(attempt, client, sent): (&Self, u32, Submission)| {
            let own = onions.split_off(..sent.packets.len()).expect("one digest a packet");
            let result = match &attempt.admission {
                Some(admission) => parse(client, &sent.records, own, admission.rules.network.mixes()).map(Some),
                None if sent.records.is_empty() => Ok(None),
                None => Err(SubmissionFault::Length),
            };
            let judged = Judged { digest: submission_digest(own), slots: sent.packets, result };
            Examined { client, by_signature: attempt.by_signature, judged }
        };
        submissions.into_iter().map(read).collect()
    }
}
