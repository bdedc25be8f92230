//! A client's submission at the entry: its bytes, and whether they are taken.

use std::sync::Arc;

use crate::crypto::{Digest, Label, derive_parts};
use crate::packet::{PeelError, Peeler, Slots};
use crate::wire::{ClientRecords, ListKeys, onion_digest};

use super::{Inadmissible, ListRules};

/// What a client sends behind [`crate::wire::Request::Submit`].
pub struct Submission {
    /// Its packets, not yet peeled.
    pub packets: Slots,
    /// The bytes behind them: [`crate::wire::Network::records_length`].
    pub records: Vec<u8>,
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
    struck: bool,
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
    #[error(transparent)]
    Packets(#[from] PeelError),
    /// One of its onions is in the round already.
    #[error("a packet comes twice")]
    Replay,
}

impl SubmissionFault {
    /// The word it is counted under.
    pub fn reason(self) -> &'static str {
        match self {
            SubmissionFault::Length | SubmissionFault::Packets(PeelError::Malformed) => "malformed",
            SubmissionFault::Records(Inadmissible::Mac) => "bad_mac",
            SubmissionFault::Records(Inadmissible::Signature) => "bad_client_signature",
            SubmissionFault::Packets(PeelError::LowOrder) => "low_order",
            SubmissionFault::Packets(PeelError::BadTag) => "bad_tag",
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
        struck: bool,
        packets: &[&[u8]],
        records: &[u8],
    ) -> Result<ClientRecords, SubmissionFault> {
        let onions: Vec<Digest> = packets.iter().map(|packet| onion_digest(packet)).collect();
        let mixes = self.rules.network.mixes();
        let records = ClientRecords::parse(records, client, &onions, mixes).map_err(|_| SubmissionFault::Length)?;
        self.rules.admit(&self.keys, struck, &records)?;
        Ok(records)
    }
}

impl Attempt {
    /// `admission` is that of a sealed round; `struck` says whether the client has been struck out in its epoch.
    pub(super) fn new(peeler: Arc<Peeler>, admission: Option<Arc<Admission>>, struck: bool) -> Self {
        Self { peeler, admission, struck }
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
                if let Err((_, error)) = result {
                    judged[number].result = Err(error.into());
                }
            }
        }
        judged
    }

    /// Everything but the packets' layers.
    fn examine(&self, client: u32, submission: Submission) -> Judged {
        let Submission { packets: slots, records } = submission;
        let packets: Vec<&[u8]> = (0..slots.len()).map(|i| slots.received(i)).collect();
        let digest = derive_parts(Label::Submission, &packets);
        let result = match &self.admission {
            Some(admission) => admission.admit(client, self.struck, &packets, &records).map(Some),
            None if records.is_empty() => Ok(None),
            None => Err(SubmissionFault::Length),
        };
        Judged { digest, slots, result }
    }
}
