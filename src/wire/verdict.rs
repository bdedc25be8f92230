//! The verdict: how a round ended, signed by every mix at most once.

use crate::crypto::{Digest, Identity, IdentityKey, Signature};

use super::codec::{Decode, Encode};
use super::{Layout, Members};

/// Why a round was aborted.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
pub enum AbortReason {
    /// Fewer clients than `min_clients` or `min_share`.
    TooFewClients,
    /// A batch could not be handed on in time.
    LinkDown,
    /// A mix restarted and its round keys are gone.
    Lost,
    /// A layer behind the entry did not open: its author, a client or a mix, or the mix before is to blame.
    BadLayer,
    /// Two packets of a batch behind the entry were the same onion.
    Replay,
    /// A mix named two different batches for one round.
    SecondBatch,
    /// A batch did not match its signed header.
    BadBatch,
    /// No verdict came in time.
    Timeout,
    /// The entry was told to stop.
    Stopping,
    /// A mix released a share that is not its own.
    WrongShare,
    /// The round's list is not one that a mix may sign.
    BadList,
    /// A client's packet, or a mix's own, did not come through.
    BadEcho,
    /// Mixes confirm different transcripts, or one of them signed two.
    Transcript,
    /// The round's list lacks a client that had handed its submission to a mix.
    LeftOut,
}

impl AbortReason {
    /// The word in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            AbortReason::TooFewClients => "too_few_clients",
            AbortReason::LinkDown => "link_down",
            AbortReason::Lost => "lost",
            AbortReason::BadLayer => "bad_layer",
            AbortReason::Replay => "replay",
            AbortReason::SecondBatch => "second_batch",
            AbortReason::BadBatch => "bad_batch",
            AbortReason::Timeout => "timeout",
            AbortReason::Stopping => "stopping",
            AbortReason::WrongShare => "wrong_share",
            AbortReason::BadList => "bad_list",
            AbortReason::BadEcho => "bad_echo",
            AbortReason::Transcript => "transcript",
            AbortReason::LeftOut => "left_out",
        }
    }
}

/// How a round ended.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub enum Outcome {
    /// Every letter is on the exit's disk, but for `refused` that were over a mailbox's quota.
    Stored {
        /// Letters refused.
        refused: u32,
    },
    /// Nothing was opened; contents go again.
    Aborted(AbortReason),
    /// The envelopes were opened and could not be stored; contents go again.
    OpenedNotStored,
}

impl Outcome {
    /// Whether contents carried in the round are safe.
    pub fn is_stored(self) -> bool {
        matches!(self, Outcome::Stored { .. })
    }
}

/// How a round ended, for whom.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Verdict {
    /// The network's identifier.
    pub network: Digest,
    /// The round's epoch.
    pub epoch: u64,
    /// The round.
    pub round: u64,
    /// The clients in it; none if it was aborted before it had a list.
    pub members: Members,
    /// How it ended.
    pub outcome: Outcome,
}

impl Verdict {
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let (kind, detail) = match self.outcome {
            Outcome::Stored { refused } => (0, refused),
            Outcome::Aborted(reason) => (1, reason as u32),
            Outcome::OpenedNotStored => (2, 0),
        };
        Layout::new("mixnet v1 verdict")
            .digest(&self.network)
            .u64(self.epoch)
            .u64(self.round)
            .digest(&self.members.digest())
            .u32(self.members.count())
            .u8(kind)
            .u32(detail)
            .finish()
    }

    /// Whether what client `index` carried in this round is safe at the exit. If not, and only then, it goes again.
    pub fn settles(&self, index: u32) -> bool {
        self.outcome.is_stored() && self.members.contains(index)
    }

    /// A mix's signature; on disk before it is sent.
    pub fn sign(&self, key: &IdentityKey) -> Signature {
        key.sign(&self.signed_bytes())
    }

    /// Whether `signature` is `identity`'s over this verdict.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity, signature: &Signature) -> bool {
        identity.verify(&self.signed_bytes(), signature)
    }
}

/// A verdict with the signatures of all mixes in cascade order.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SignedVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// One signature per mix.
    pub signatures: Vec<Signature>,
}

impl SignedVerdict {
    /// Whether every mix has signed.
    #[must_use]
    pub fn verify(&self, mixes: &[Identity]) -> bool {
        let signed = self.verdict.signed_bytes();
        self.signatures.len() == mixes.len()
            && mixes.iter().zip(&self.signatures).all(|(mix, signature)| mix.verify(&signed, signature))
    }
}
