//! Agreeing on an epoch: call, keys, commitments, openings, proposal, signatures, complete document.
//!
//! The entry leads; every mix draws fresh keys at its call, signs at most one document of a number - on disk before
//! it is sent - and adopts the complete one. A document that one mix does not sign is nothing.

use crate::crypto::{Csprng, Digest, Identity, IdentityKey, Signature};
use crate::threshold::{Scheme, Window, WindowError};
use crate::wire::{
    EpochCall, EpochDocument, EpochRefusalReason, MixKeys, Network, PeerMessage, Record, SignedEpoch, SubShares,
};

use super::making::{Making, WrongDealing};
use super::{EpochKeys, Epochs};

/// What an agreement asks of the mix that takes part in it.
pub enum Step {
    /// Send this to the entry, or from the entry to every other mix.
    Say(PeerMessage),
    /// Send this to the mix at this place of the cascade.
    Tell(usize, PeerMessage),
    /// Put this on disk, then tell the agreement.
    Persist(Record),
    /// A mix is guilty; the attempt is void.
    Convict(Box<WrongDealing>),
}

/// The entry's side: one attempt at one epoch.
pub struct Proposal {
    call: EpochCall,
    members: u32,
    proposed_at_ms: u64,
    /// Until the attempt has succeeded.
    making: Option<Making>,
    contributions: Vec<Option<MixKeys>>,
    openings: Vec<Option<Vec<u8>>>,
    signatures: Vec<Option<Signature>>,
    document: Option<EpochDocument>,
    /// The document is being signed: everything that it needs was there.
    signing: bool,
}

/// How far an attempt has come after a message.
pub enum Proposed {
    /// Wait for more.
    Waiting,
    /// Do this.
    Steps(Vec<Step>),
    /// Sign this on disk, which spends the epoch's number.
    Sign(Record),
    /// Every mix has signed: adopt it with these keys.
    Complete(Box<SignedEpoch>, EpochKeys),
    /// A mix sent what no honest mix sends; the attempt is over.
    Failed,
    /// The same, and what it sent convicts it.
    Wrong(Box<WrongDealing>),
}

impl Proposal {
    /// Calls for `call.epoch` with the entry's own fresh keys. `proposed_at_ms` is shown and never compared.
    ///
    /// # Errors
    /// If the call is for no epoch of this network.
    pub fn new(
        rng: &mut Csprng,
        network: &Network,
        call: EpochCall,
        boot: [u8; 16],
        members: u32,
        proposed_at_ms: u64,
    ) -> Result<(Self, Step), WindowError> {
        let making = Making::new(rng, window(network, &call)?, 0, boot);
        let others = network.mixes() - 1;
        let say = Step::Say(PeerMessage::EpochCall(call.clone()));
        let proposal = Self {
            call,
            members,
            proposed_at_ms,
            contributions: [Some(making.public().clone())].into_iter().chain(vec![None; others]).collect(),
            making: Some(making),
            openings: vec![None; others + 1],
            signatures: vec![None; others + 1],
            document: None,
            signing: false,
        };
        Ok((proposal, say))
    }

    /// The epoch called for.
    pub fn epoch(&self) -> u64 {
        self.call.epoch
    }

    /// A mix's keys. With the last of them everybody has committed to its part of the joint keys.
    pub fn keys(&mut self, from: usize, epoch: u64, keys: MixKeys, key: &IdentityKey) -> Proposed {
        let making = self.making.as_mut().filter(|making| epoch == making.epoch() && making.told().is_none());
        let Some(making) = making else { return Proposed::Waiting };
        self.contributions[from] = Some(keys);
        let dealings: Option<Vec<_>> =
            self.contributions.iter().map(|keys| keys.as_ref().map(|keys| keys.dealing)).collect();
        let Some(dealings) = dealings else { return Proposed::Waiting };
        if !making.commit(dealings.clone()) {
            return Proposed::Failed;
        }
        self.openings[0] = making.opening();
        let mut steps = vec![Step::Say(PeerMessage::EpochCommitments { epoch, dealings })];
        steps.extend(tell(making.sub_shares(key)));
        Proposed::Steps(steps)
    }

    /// What a mix committed to. With the last opening the document is made.
    pub fn opening(&mut self, epochs: &Epochs, from: usize, epoch: u64, opening: Vec<u8>) -> Proposed {
        let making = self.making.as_mut().filter(|making| epoch == making.epoch() && making.told().is_some());
        let Some(making) = making.filter(|_| self.document.is_none()) else { return Proposed::Waiting };
        self.openings[from] = Some(opening);
        let Some(openings) = self.openings.iter().cloned().collect::<Option<Vec<_>>>() else {
            return Proposed::Waiting;
        };
        let Some(mixes) = self.contributions.iter().cloned().collect::<Option<Vec<_>>>() else {
            return Proposed::Waiting;
        };
        let Ok(envelope_keys) = making.join(openings, epochs.network().defences) else { return Proposed::Failed };
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
            envelope_keys,
        };
        if document.check(network).is_err() {
            return Proposed::Failed;
        }
        self.document = Some(document);
        self.sign_if_whole()
    }

    /// What a mix dealt to the entry.
    pub fn sub_shares(&mut self, identity: &Identity, from: usize, sub_shares: SubShares) -> Proposed {
        let making = self.making.as_mut().filter(|making| sub_shares.epoch == making.epoch());
        let Some(making) = making else { return Proposed::Waiting };
        if making.receive(from, identity, sub_shares) { self.sign_if_whole() } else { Proposed::Failed }
    }

    fn sign_if_whole(&mut self) -> Proposed {
        let document = self.document.as_ref().filter(|_| !self.signing);
        let (Some(document), Some(making)) = (document, self.making.as_mut()) else { return Proposed::Waiting };
        match making.is_whole() {
            Ok(true) => {
                self.signing = true;
                Proposed::Sign(Record::EpochSigned { epoch: document.epoch, digest: document.digest() })
            }
            Ok(false) => Proposed::Waiting,
            Err(error) => {
                making.wrong_dealing(error).map_or(Proposed::Failed, |wrong| Proposed::Wrong(Box::new(wrong)))
            }
        }
    }

    /// The entry's own signature is on disk: it may go out with the proposal.
    pub fn persisted(&mut self, key: &IdentityKey) -> Option<Step> {
        let document = self.document.as_ref()?;
        self.signatures[0] = Some(document.sign(key));
        let openings = self.openings.iter().cloned().collect::<Option<_>>()?;
        Some(Step::Say(PeerMessage::EpochProposal { document: document.clone(), openings }))
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
        match (self.document.take(), self.making.take()) {
            (Some(document), Some(making)) => {
                Proposed::Complete(Box::new(SignedEpoch { document, signatures }), making.finish())
            }
            _ => Proposed::Waiting,
        }
    }
}

/// What joint keys for the epoch called for are bound to.
fn window(network: &Network, call: &EpochCall) -> Result<Window, WindowError> {
    let threshold = u8::try_from(network.parameters.threshold).unwrap_or(0);
    let scheme = Scheme::new(threshold, u8::try_from(network.mixes()).unwrap_or(0))?;
    Window::new(network.id(), call.epoch, call.first_round, call.rounds, scheme)
}

fn tell(sub_shares: Vec<(usize, SubShares)>) -> impl Iterator<Item = Step> {
    sub_shares.into_iter().map(|(to, sub_shares)| Step::Tell(to, PeerMessage::EpochSubShares(sub_shares)))
}

/// Epoch numbers that may be skipped at once; a million years of one-second rounds remain.
const LONGEST_SKIP: u64 = 1 << 40;

/// Every other mix's side.
#[derive(Default)]
pub struct Assent {
    making: Option<Making>,
    /// A document that is in order, and waits for what the others have to deal.
    proposed: Option<EpochDocument>,
    signing: Option<EpochDocument>,
    highest_signed: u64,
}

impl Assent {
    /// `highest_signed` is the number of the last document signed, from disk.
    pub fn new(highest_signed: u64) -> Self {
        Self { highest_signed, ..Self::default() }
    }

    /// The entry calls: answer with fresh keys, or refuse. Documents the mix has missed come with the call.
    pub fn call(
        &mut self,
        rng: &mut Csprng,
        epochs: &mut Epochs,
        call: EpochCall,
        boot: [u8; 16],
        own: usize,
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
        let Ok(window) = window(epochs.network(), &call) else {
            steps.extend(refuse(EpochRefusalReason::Document, None));
            return steps;
        };
        let making = Making::new(rng, window, own, boot);
        steps.push(Step::Say(PeerMessage::EpochKeys { epoch: call.epoch, keys: making.public().clone() }));
        self.making = Some(making);
        self.proposed = None;
        steps
    }

    /// Everybody has committed: the own part may be shown. What is of another attempt is passed over.
    pub fn commitments(&mut self, key: &IdentityKey, epoch: u64, dealings: Vec<Digest>) -> Vec<Step> {
        let Some(making) = self.making.as_mut().filter(|making| making.epoch() == epoch) else { return Vec::new() };
        if !making.commit(dealings) {
            return Vec::new();
        }
        let opening = making.opening().map(|opening| Step::Say(PeerMessage::EpochOpening { epoch, opening }));
        opening.into_iter().chain(tell(making.sub_shares(key))).collect()
    }

    /// What another mix dealt to this one. Nothing follows if it is of another attempt, or more is to come.
    pub fn sub_shares(&mut self, identity: &Identity, from: usize, sub_shares: SubShares) -> Vec<Step> {
        let epoch = sub_shares.epoch;
        let making = self.making.as_mut().filter(|making| making.epoch() == epoch);
        let Some(making) = making else { return Vec::new() };
        if making.receive(from, identity, sub_shares) { self.sign_if_whole() } else { vec![refusal(epoch)] }
    }

    /// The entry proposes: sign what was called for and holds the own keys, once, when everything dealt has come.
    pub fn proposal(
        &mut self,
        epochs: &Epochs,
        own: usize,
        document: EpochDocument,
        openings: Vec<Vec<u8>>,
    ) -> Vec<Step> {
        let epoch = document.epoch;
        let refuse = |reason| vec![Step::Say(PeerMessage::EpochRefusal { epoch, reason, newest: None })];
        if document.check(epochs.network()).is_err() {
            return refuse(EpochRefusalReason::Parameters);
        }
        let making = self.making.as_mut().filter(|making| making.epoch() == epoch);
        let making = making.filter(|making| *making.public() == document.mixes[own]);
        let Some(making) = making.filter(|_| document.previous == epochs.latest_digest()) else {
            return refuse(EpochRefusalReason::Document);
        };
        if epoch <= self.highest_signed {
            return refuse(EpochRefusalReason::Signed);
        }
        let dealings = document.mixes.iter().map(|mix| &mix.dealing);
        let as_told = making.told().is_some_and(|told| told.iter().eq(dealings));
        // The keys are what the openings add up to, and these what everybody had committed to before any was shown.
        let joined = as_told.then(|| making.join(openings, epochs.network().defences).ok()).flatten();
        if joined.as_ref() != Some(&document.envelope_keys) {
            return vec![refusal(epoch)];
        }
        self.proposed = Some(document);
        self.sign_if_whole()
    }

    fn sign_if_whole(&mut self) -> Vec<Step> {
        let (Some(document), Some(making)) = (self.proposed.as_ref(), self.making.as_mut()) else { return Vec::new() };
        let epoch = document.epoch;
        match making.is_whole() {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(error) => {
                let wrong = making.wrong_dealing(error).map(|wrong| Step::Convict(Box::new(wrong)));
                return [refusal(epoch)].into_iter().chain(wrong).collect();
            }
        }
        self.highest_signed = epoch;
        let record = Record::EpochSigned { epoch, digest: document.digest() };
        self.signing = self.proposed.take();
        vec![Step::Persist(record)]
    }

    /// The record of `epoch` is on disk: the signature may go out.
    pub fn persisted(&mut self, epoch: u64, key: &IdentityKey) -> Option<Step> {
        let document = self.signing.take_if(|document| document.epoch == epoch)?;
        let (epoch, digest, signature) = (document.epoch, document.digest(), document.sign(key));
        Some(Step::Say(PeerMessage::EpochSignature { epoch, digest, signature }))
    }

    /// The document is complete: the keys drawn for it, if this process drew them.
    pub fn complete(&mut self, own: usize, document: &EpochDocument) -> Option<EpochKeys> {
        let own_keys = document.mixes.get(own);
        let made = |making: &mut Making| making.epoch() == document.epoch && Some(making.public()) == own_keys;
        self.making.take_if(made).map(Making::finish)
    }
}

fn refusal(epoch: u64) -> Step {
    Step::Say(PeerMessage::EpochRefusal { epoch, reason: EpochRefusalReason::Dealing, newest: None })
}
