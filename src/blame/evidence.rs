//! Evidence: a claim with all that is needed to believe it, and nothing else.

use crate::crypto::{Digest, Signature};
use crate::packet::PeelError;
use crate::threshold::{Opening, Window};
use crate::wire::codec::{CodecError, Decode, Encode, decode_file, encode_file};
use crate::wire::{
    ClientRecords, Confirm, DocumentError, EpochDocument, Grounds, ListRecord, Network, SignedBatchHeader, SignedEpoch,
    Slot, SubShares, onion_digest,
};

use super::promised::{ConfirmProof, ShareProof, SubShareProof};
use super::proof::{ClientProof, HeaderProof, Proof, Round};
use super::taken::Source;
use super::{Finding, Guilty, Offence, SignedStatement};

/// The longest evidence file, in bytes: the longest onion, 4 MiB, with records, hashes and echoes of half a million packets,
/// 116 bytes each. Of a larger round only what a client or two statements prove fits.
pub const MAX_EVIDENCE: usize = 64 << 20;

/// What every evidence file begins with.
const MAGIC: &[u8; 19] = b"mixnet v1 evidence\0";

/// Proof that somebody signed what no honest party signs. It verifies from itself and the network file alone.
///
/// Of a client it holds the records and the one packet that convict it; of a mix one packet as that mix received it, the
/// signed headers it stands under, and the hashes or echoes that they announce. Never another packet.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Evidence {
    claim: Claim,
}

#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
enum Claim {
    /// One signer, one slot, two statements.
    Equivocation {
        /// For headers, which name it by its digest: the epoch document. For others none.
        document: Option<EpochDocument>,
        statements: [SignedStatement; 2],
    },
    /// Of one round.
    Round { document: SignedEpoch, round: u64, proof: Proof },
    /// Of keys that were being made.
    SubShare(SubShareProof),
}

/// Why evidence proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EvidenceFault {
    /// It is no evidence file, or a damaged one.
    #[error("this is no evidence file: {0}")]
    Codec(#[from] CodecError),
    /// It rests on an epoch document that is not one of this network.
    #[error("its epoch document does not hold: {0}")]
    Document(#[from] DocumentError),
    /// A statement in it is of another network, epoch or round, or of another place in the cascade.
    #[error("a statement in it is of another network, round or mix")]
    Slot,
    /// A mix's signature in it does not hold.
    #[error("a mix's signature in it does not hold")]
    Signature,
    /// The client's signature over its records does not hold: anybody may have made them.
    #[error("the client's signature over its records does not hold")]
    ClientSignature,
    /// The records in it are not those of one client of the roster.
    #[error("its records are not those of one client")]
    Records,
    /// A key in it is not that of the epoch document.
    #[error("a published key in it is not the one of the epoch document")]
    Key,
    /// Hashes, echoes or records in it are not those that a signed statement names.
    #[error("what it shows is not what the signed statement names")]
    Digest,
    /// The packet in it is not the one that is named.
    #[error("its packet is not the one that is named")]
    Packet,
    /// A layer does not open that would have to, for what it claims.
    #[error("its packet does not open where it has to: {0}")]
    Layer(PeelError),
    /// Everything that it shows is as it must be.
    #[error("everything that it shows is right")]
    Innocent,
}

impl Evidence {
    /// The evidence in two statements of one signer for one slot that differ; `None` if they are not that. `document` is the
    /// epoch document that headers of batches and echoes name by its digest. Signatures are the caller's to check first:
    /// [`Evidence::verify`] does.
    pub fn equivocation(document: Option<&EpochDocument>, a: SignedStatement, b: SignedStatement) -> Option<Self> {
        let document = match a.document() {
            Some(digest) => Some(document.filter(|document| document.digest() == digest)?.clone()),
            None => None,
        };
        let conflict = a.place() == b.place() && !a.says_the_same(&b);
        conflict.then_some(Self { claim: Claim::Equivocation { document, statements: [a, b] } })
    }

    /// The evidence in a batch header whose numbers cannot be: of themselves, or of what its mix took in, if that is known, the
    /// hash of each packet. `None` if they can be. `document` is the one that serves its round.
    pub fn false_header(
        network: &Network,
        document: &SignedEpoch,
        header: &SignedBatchHeader,
        taken: Option<&[Digest]>,
    ) -> Option<Self> {
        let from = taken.map(|hashes| Source::Batch(hashes.to_vec()));
        let proof = Proof::Header(HeaderProof { header: header.clone(), from });
        let evidence = Self::of_round(document, header.header.round, proof);
        evidence.verify(network).is_ok().then_some(evidence)
    }

    pub(super) fn of_round(document: &SignedEpoch, round: u64, proof: Proof) -> Self {
        Self { claim: Claim::Round { document: document.clone(), round, proof } }
    }

    /// The evidence in a confirm of the mix at `hop` and what it shows for it; `None` if that makes the transcript that it confirms,
    /// all of it signed. `document` is the one that serves its round.
    pub fn false_confirm(
        network: &Network,
        document: &SignedEpoch,
        hop: u8,
        (confirm, grounds, signature): (&Confirm, &Grounds, Signature),
    ) -> Option<Self> {
        let (confirm, grounds) = (confirm.clone(), grounds.clone());
        let round = confirm.slot.round;
        let proof = Proof::Confirm(Box::new(ConfirmProof { hop, confirm, signature, grounds }));
        let evidence = Self::of_round(document, round, proof);
        evidence.verify(network).is_ok().then_some(evidence)
    }

    /// Evidence that the mix at `hop` has released a share of `round` that is not its own, with the transcript and the signature
    /// that it came with, and the openings that show it ([`crate::threshold::is_owed_share`]).
    pub fn of_share(
        document: &SignedEpoch,
        (round, hop): (u64, u8),
        (transcript, share, signature): (Digest, [u8; 32], Signature),
        openings: &[Opening],
    ) -> Self {
        let openings = openings.iter().map(|opening| opening.as_bytes().to_vec()).collect();
        let proof = ShareProof { hop, transcript, share, signature, openings };
        Self::of_round(document, round, Proof::Share(proof))
    }

    /// Evidence that a dealer has signed sub-shares for a receiver, both named by their numbers from 1, of which that of `round`
    /// contradicts the dealer's opening for the window ([`crate::threshold::is_owed_sub_share`]).
    pub fn of_sub_share(
        window: &Window,
        dealer_and_receiver: (u8, u8),
        round: u64,
        opening: &Opening,
        dealt: SubShares,
    ) -> Self {
        Self { claim: Claim::SubShare(SubShareProof::new(window, dealer_and_receiver, round, opening, dealt)) }
    }

    /// Evidence that a submission does not open at the entry: of the client at `client`, its onions, the records behind them, which
    /// onion it is and the entry's onion key of the round. `None` if these are no records.
    pub fn of_submission(
        document: &SignedEpoch,
        (round, client): (u64, u32),
        onions: &[&[u8]],
        records: &[u8],
        (which, key): (u32, [u8; 32]),
    ) -> Option<Self> {
        let digests: Vec<Digest> = onions.iter().map(|onion| onion_digest(onion)).collect();
        let parsed = ClientRecords::parse(records, client, &digests, document.document.mixes.len()).ok()?;
        let records = parsed.records().iter().map(ListRecord::to_bytes).collect();
        let (signature, onion) = (*parsed.signature(), onions.get(which as usize)?.to_vec());
        let proof = ClientProof { records, signature, which, onion, keys: vec![key] };
        Some(Self::of_round(document, round, Proof::Client(proof)))
    }

    /// Who is guilty of what. It believes nothing: every signature, digest and key is checked, against the network file
    /// and each other.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn verify(&self, network: &Network) -> Result<Finding, EvidenceFault> {
        match &self.claim {
            Claim::Equivocation { document, statements: [a, b] } => equivocation(network, document.as_ref(), a, b),
            Claim::Round { document, round, proof } => {
                let (guilty, offence) = proof.verify(&Round::new(network, document, *round)?)?;
                let slot = Slot { network: network.id(), epoch: document.document.epoch, round: *round };
                Ok(Finding { slot, guilty, offence })
            }
            Claim::SubShare(proof) => proof.verify(network),
        }
    }

    /// The bytes of its file.
    pub fn to_file(&self) -> Vec<u8> {
        [MAGIC.as_slice(), &encode_file(self)].concat()
    }

    /// Reads a file's bytes, at most [`MAX_EVIDENCE`]; one evidence has one form.
    ///
    /// # Errors
    /// Which rule the bytes break.
    pub fn from_file(bytes: &[u8]) -> Result<Self, EvidenceFault> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(CodecError::Malformed)?;
        Ok(decode_file::<Self, MAX_EVIDENCE>(rest)?)
    }

    #[cfg(test)]
    pub(super) fn proof_mut(&mut self) -> Option<&mut Proof> {
        match &mut self.claim {
            Claim::Round { proof, .. } => Some(proof),
            Claim::Equivocation { .. } | Claim::SubShare(_) => None,
        }
    }
}

fn equivocation(
    network: &Network,
    document: Option<&EpochDocument>,
    a: &SignedStatement,
    b: &SignedStatement,
) -> Result<Finding, EvidenceFault> {
    let place = a.place();
    if place != b.place() || place.network != network.id() {
        return Err(EvidenceFault::Slot);
    }
    let digest = document.map(EpochDocument::digest);
    if digest != a.document() {
        return Err(EvidenceFault::Digest);
    }
    let identity = mix(network, place.hop)?;
    if !a.is_signed_by(identity) || !b.is_signed_by(identity) {
        return Err(EvidenceFault::Signature);
    }
    if a.says_the_same(b) {
        return Err(EvidenceFault::Innocent);
    }
    let epoch = a.epoch().or(document.map(|document| document.epoch)).ok_or(EvidenceFault::Slot)?;
    let slot = Slot { network: place.network, epoch, round: place.round };
    Ok(Finding { slot, guilty: Guilty::Mix(place.hop), offence: Offence::Equivocation })
}

/// The identity of the mix at `hop`, from 1.
pub(super) fn mix(network: &Network, hop: u8) -> Result<&crate::crypto::Identity, EvidenceFault> {
    let mix = network.roster.mixes.get(usize::from(hop).wrapping_sub(1)).ok_or(EvidenceFault::Slot)?;
    Ok(&mix.identity)
}

/// Unless `found` is what a statement names.
pub(super) fn same(found: Digest, named: Digest) -> Result<(), EvidenceFault> {
    if found == named { Ok(()) } else { Err(EvidenceFault::Digest) }
}
