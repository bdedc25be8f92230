//! Agreeing on an epoch: call, keys, proposal, signatures, complete document.
//!
//! The entry leads; every mix draws fresh keys at its call, signs at most one document of a number - on disk before
//! it is sent - and adopts the complete one. A document that one mix does not sign is nothing.

use crate::crypto::{Csprng, Identity, IdentityKey, Signature};
use crate::wire::{EpochCall, EpochDocument, EpochRefusalReason, MixKeys, Network, PeerMessage, Record, SignedEpoch};

use super::{EpochKeys, Epochs};

/// What an agreement asks of the mix that takes part in it.
pub enum Step {
    /// Send this to the entry, or from the entry to every other mix.
    Say(PeerMessage),
    /// Put this on disk, then tell the agreement.
    Persist(Record),
}

/// The entry's side: one attempt at one epoch.
pub struct Proposal {
    call: EpochCall,
    members: u32,
    proposed_at_ms: u64,
    keys: Option<EpochKeys>,
    contributions: Vec<Option<MixKeys>>,
    signatures: Vec<Option<Signature>>,
    document: Option<EpochDocument>,
}

/// How far an attempt has come after a message.
pub enum Proposed {
    /// Wait for more.
    Waiting,
    /// Do this.
    Step(Step),
    /// Every mix has signed: adopt it with these keys.
    Complete(Box<SignedEpoch>, EpochKeys),
    /// A mix sent what no honest mix sends; the attempt is over.
    Failed,
}

impl Proposal {
    /// Calls for `call.epoch` with the entry's own fresh keys. `proposed_at_ms` is shown and never compared.
    pub fn new(
        rng: &mut Csprng,
        network: &Network,
        call: EpochCall,
        boot: [u8; 16],
        members: u32,
        proposed_at_ms: u64,
    ) -> (Self, Step) {
        let keys = EpochKeys::draw(rng, call.epoch, call.rounds, boot, false);
        let mut contributions = vec![None; network.mixes()];
        contributions[0] = Some(keys.public().clone());
        let signatures = vec![None; network.mixes()];
        let say = Step::Say(PeerMessage::EpochCall(call.clone()));
        let proposal =
            Self { call, members, proposed_at_ms, keys: Some(keys), contributions, signatures, document: None };
        (proposal, say)
    }

    /// The epoch called for.
    pub fn epoch(&self) -> u64 {
        self.call.epoch
    }

    /// A mix's keys. With the last of them the document is made, for the entry to sign first.
    pub fn keys(&mut self, epochs: &Epochs, from: usize, epoch: u64, keys: MixKeys) -> Proposed {
        if epoch != self.call.epoch || self.document.is_some() {
            return Proposed::Waiting;
        }
        self.contributions[from] = Some(keys);
        let Some(mixes) = self.contributions.iter().cloned().collect::<Option<Vec<_>>>() else {
            return Proposed::Waiting;
        };
        let network = epochs.network();
        let document = EpochDocument {
            network: network.id(),
            epoch: self.call.epoch,
            previous: epochs.latest_digest(),
            first_round: self.call.first_round,
            rounds: self.call.rounds,
            members: self.members,
            parameters: network.parameters.digest(),
            roster: network.roster.digest(),
            mailboxes: network.roster.mailboxes_digest(),
            proposed_at_ms: self.proposed_at_ms,
            mixes,
        };
        if document.check(network).is_err() {
            return Proposed::Failed;
        }
        let record = Record::EpochSigned { epoch: document.epoch, digest: document.digest() };
        self.document = Some(document);
        Proposed::Step(Step::Persist(record))
    }

    /// The entry's own signature is on disk: it may go out with the proposal.
    pub fn persisted(&mut self, key: &IdentityKey) -> Option<Step> {
        let document = self.document.as_ref()?;
        self.signatures[0] = Some(document.sign(key));
        Some(Step::Say(PeerMessage::EpochProposal(document.clone())))
    }

    /// A mix's signature.
    pub fn signature(&mut self, identity: &Identity, from: usize, epoch: u64, signature: Signature) -> Proposed {
        let Some(document) = self.document.as_ref().filter(|_| epoch == self.call.epoch) else {
            return Proposed::Waiting;
        };
        if !document.is_signed_by(identity, &signature) {
            return Proposed::Failed;
        }
        self.signatures[from] = Some(signature);
        let Some(signatures) = self.signatures.iter().copied().collect::<Option<Vec<_>>>() else {
            return Proposed::Waiting;
        };
        match (self.document.take(), self.keys.take()) {
            (Some(document), Some(keys)) => Proposed::Complete(Box::new(SignedEpoch { document, signatures }), keys),
            _ => Proposed::Waiting,
        }
    }
}

/// Epoch numbers that may be skipped at once; a million years of one-second rounds remain.
const LONGEST_SKIP: u64 = 1 << 40;

/// Every other mix's side.
#[derive(Default)]
pub struct Assent {
    keys: Option<EpochKeys>,
    signing: Option<EpochDocument>,
    highest_signed: u64,
}

impl Assent {
    /// `highest_signed` is the number of the last document signed, from disk.
    pub fn new(highest_signed: u64) -> Self {
        Self { keys: None, signing: None, highest_signed }
    }

    /// The entry calls: answer with fresh keys, or refuse. Documents the mix has missed come with the call.
    pub fn call(
        &mut self,
        rng: &mut Csprng,
        epochs: &mut Epochs,
        call: EpochCall,
        boot: [u8; 16],
        is_exit: bool,
    ) -> Vec<Step> {
        let refuse = |reason, newest| vec![Step::Say(PeerMessage::EpochRefusal { epoch: call.epoch, reason, newest })];
        let mut steps = Vec::new();
        let known = epochs.latest_epoch();
        match call.previous {
            Some(ref previous) if previous.document.epoch > known => {
                if previous.verify(epochs.network()).is_err() {
                    return refuse(EpochRefusalReason::Parameters, None);
                }
                steps.push(Step::Persist(Record::Epoch(previous.clone())));
                epochs.adopt(previous.clone(), None);
            }
            ref previous => {
                let told = previous.as_ref().map_or(0, |signed| signed.document.epoch);
                if told < known {
                    return refuse(EpochRefusalReason::Stale, epochs.latest().cloned());
                }
            }
        }
        let latest = epochs.latest().map(|signed| &signed.document);
        let parameters = &epochs.network().parameters;
        // Nobody may jump to the end of the numbers, from where no epoch could follow.
        let fits = call.rounds == parameters.epoch_rounds
            && call.first_round > 0
            && latest.is_none_or(|latest| {
                (latest.first_round + 1..=latest.last_round() + 1).contains(&call.first_round)
                    && call.epoch > latest.epoch
                    && call.epoch - latest.epoch <= LONGEST_SKIP
            })
            && (latest.is_some() || call.epoch <= LONGEST_SKIP && call.first_round <= LONGEST_SKIP);
        if !fits {
            steps.extend(refuse(EpochRefusalReason::Document, None));
            return steps;
        }
        if call.epoch <= self.highest_signed {
            steps.extend(refuse(EpochRefusalReason::Signed, None));
            return steps;
        }
        let keys = EpochKeys::draw(rng, call.epoch, call.rounds, boot, is_exit);
        let message = PeerMessage::EpochKeys { epoch: call.epoch, keys: keys.public().clone() };
        self.keys = Some(keys);
        steps.push(Step::Say(message));
        steps
    }

    /// The entry proposes: sign what was called for and holds the own keys, once.
    pub fn proposal(&mut self, epochs: &Epochs, own: usize, document: EpochDocument) -> Step {
        let epoch = document.epoch;
        let refuse = |reason| Step::Say(PeerMessage::EpochRefusal { epoch, reason, newest: None });
        if document.check(epochs.network()).is_err() {
            return refuse(EpochRefusalReason::Parameters);
        }
        let honest = document.previous == epochs.latest_digest()
            && self.keys.as_ref().is_some_and(|keys| keys.epoch() == epoch && *keys.public() == document.mixes[own]);
        if !honest {
            return refuse(EpochRefusalReason::Document);
        }
        if epoch <= self.highest_signed {
            return refuse(EpochRefusalReason::Signed);
        }
        self.highest_signed = epoch;
        let record = Record::EpochSigned { epoch, digest: document.digest() };
        self.signing = Some(document);
        Step::Persist(record)
    }

    /// The record of `epoch` is on disk: the signature may go out.
    pub fn persisted(&mut self, epoch: u64, key: &IdentityKey) -> Option<Step> {
        let document = self.signing.take_if(|document| document.epoch == epoch)?;
        let (epoch, digest, signature) = (document.epoch, document.digest(), document.sign(key));
        Some(Step::Say(PeerMessage::EpochSignature { epoch, digest, signature }))
    }

    /// The document is complete: the keys drawn for it, if this process drew them.
    pub fn complete(&mut self, own: usize, document: &EpochDocument) -> Option<EpochKeys> {
        self.keys.take_if(|keys| keys.epoch() == document.epoch && *keys.public() == document.mixes[own])
    }
}
