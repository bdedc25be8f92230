//! What mixes sign when they seal a round: confirm, release, or accuse, burn and publish.
//!
//! Each mix signs at most one statement of a kind for a round; [`crate::round::Seal`] says which and when. Their
//! order of travel and every byte stand in `wire-spec.md`, sections 7.11 and 8.8.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::{Digest, Identity, IdentityKey, Label, PublicKey, SecretKey, Signature, derive};

use super::codec::{Decode, Encode};
use super::{BatchHeader, Layout};

/// A statement that a mix signs about one round.
pub trait Statement {
    /// The fixed layout that is signed. A released share stands in it, so that it is cleared.
    fn signed_bytes(&self) -> Zeroizing<Vec<u8>>;

    /// A mix's signature.
    fn sign(&self, key: &IdentityKey) -> Signature {
        key.sign(&self.signed_bytes())
    }

    /// Whether `signature` is `identity`'s over this statement.
    #[must_use]
    fn is_signed_by(&self, identity: &Identity, signature: &Signature) -> bool {
        identity.verify(&self.signed_bytes(), signature)
    }
}

/// The round that a statement is about.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
pub struct Slot {
    /// The network's identifier.
    pub network: Digest,
    /// The round's epoch.
    pub epoch: u64,
    /// The round.
    pub round: u64,
}

impl Slot {
    fn layout(&self, label: &str) -> Layout {
        Layout::new(label).digest(&self.network).u64(self.epoch).u64(self.round)
    }
}

/// The digest of all that was signed on a round's way: the epoch document, the list's root, the batch headers from hop 1 to
/// L - 1, and the signed bytes of the echo headers from hop L to 1.
///
/// Of headers it takes what was signed and not the signatures: whoever signs one header twice, in two ways, cannot make
/// honest mixes differ.
pub fn transcript(document: &Digest, list: &Digest, batches: &[BatchHeader], echoes: &[Vec<u8>]) -> Digest {
    let count = |n: usize| u8::try_from(n).expect("a cascade has at most 7 mixes");
    let start = Layout::new("mixnet v1 transcript").digest(document).digest(list).u8(count(batches.len()));
    let batches = batches.iter().fold(start, |layout, header| layout.variable(&header.signed_bytes()));
    let all = echoes.iter().fold(batches.u8(count(echoes.len())), |layout, signed| layout.variable(signed));
    derive(Label::Transcript, &all.finish())
}

/// A mix has checked all echoes of the round and found every client's packet accounted for.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Confirm {
    /// The round.
    pub slot: Slot,
    /// Of what was signed on its way.
    pub transcript: Digest,
    /// [`super::Grounds::digest`] of what is shown for it.
    pub grounds: Digest,
}

impl Confirm {
    /// How an accusation names it.
    pub fn subject(&self) -> Digest {
        derive(Label::Subject, &self.signed_bytes())
    }
}

impl Statement for Confirm {
    fn signed_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.slot.layout("mixnet v1 confirm").digest(&self.transcript).digest(&self.grounds).finish())
    }
}

/// A mix's share of the round's envelope key, for the exit alone: with the others' it opens every envelope of the round.
///
/// A secret in transit: no `Debug`, no `Clone`, cleared on drop. Encoded forms of it are the caller's to clear.
#[derive(Decode, Encode)]
pub struct Release {
    /// The round.
    pub slot: Slot,
    /// The transcript that all mixes have confirmed.
    pub transcript: Digest,
    /// The share.
    pub share: ReleasedShare,
}

impl Statement for Release {
    fn signed_bytes(&self) -> Zeroizing<Vec<u8>> {
        // The share goes last: what is written before it may move while it grows.
        let layout = self.slot.layout("mixnet v1 release").digest(&self.transcript);
        Zeroizing::new(layout.fixed(self.share.expose()).finish())
    }
}

/// The 32 bytes of a share on its way; whether they are right is found when they are checked against the mix's point.
#[derive(Decode, Encode, Zeroize, ZeroizeOnDrop)]
pub struct ReleasedShare([u8; 32]);

impl ReleasedShare {
    /// Takes the bytes of a share.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the exit's check and for its message.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A mix has found that what others signed does not fit together: every mix that has not released burns the round.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Accusation {
    /// The round.
    pub slot: Slot,
    /// What does not fit.
    pub mismatch: Mismatch,
    /// The statement that it is about, as its accuser saw it: so nobody shown another one can be held to this.
    pub subject: Digest,
}

impl Statement for Accusation {
    fn signed_bytes(&self) -> Zeroizing<Vec<u8>> {
        let (kind, hop, index) = self.mismatch.fields();
        let layout = self.slot.layout("mixnet v1 accusation").u8(kind).u8(hop).u32(index);
        Zeroizing::new(layout.digest(&self.subject).finish())
    }
}

/// What an accuser has found, and where. Hops count from 1; places in a batch and records of a list from 0.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
pub enum Mismatch {
    /// A packet of the batch that `hop` handed on did not open.
    Layer {
        /// Whose signed batch it was in.
        hop: u8,
        /// Its place there.
        place: u32,
    },
    /// A packet of the batch that `hop` handed on is, byte by byte, an earlier one.
    Replay {
        /// Whose signed batch it was in.
        hop: u8,
        /// Its place there.
        place: u32,
    },
    /// The echo of the accuser's own noise, as `hop` returned it, is not what that noise causes.
    Noise {
        /// Whose signed echoes they were.
        hop: u8,
        /// The noise's place in the accuser's output.
        place: u32,
    },
    /// A published echo does not match its record's commitment.
    Echo {
        /// The record's place in the list.
        place: u32,
    },
    /// `hop` has signed two different headers or confirms for one slot.
    Equivocation {
        /// Who signed both.
        hop: u8,
    },
    /// `hop` has confirmed another transcript than the accuser.
    Transcript {
        /// Whose confirm it is.
        hop: u8,
    },
    /// The numbers in the batch header of `hop` do not follow from those of the hop before.
    Header {
        /// Whose header it is, from 2.
        hop: u8,
    },
}

impl Mismatch {
    /// Kind, hop and place as they are signed; zero for what a kind does not have.
    fn fields(self) -> (u8, u8, u32) {
        match self {
            Mismatch::Layer { hop, place } => (0, hop, place),
            Mismatch::Replay { hop, place } => (1, hop, place),
            Mismatch::Noise { hop, place } => (2, hop, place),
            Mismatch::Echo { place } => (3, 0, place),
            Mismatch::Equivocation { hop } => (4, hop, 0),
            Mismatch::Transcript { hop } => (5, hop, 0),
            Mismatch::Header { hop } => (6, hop, 0),
        }
    }

    /// The word in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Mismatch::Layer { .. } => "layer",
            Mismatch::Replay { .. } => "replay",
            Mismatch::Noise { .. } => "noise",
            Mismatch::Echo { .. } => "echo",
            Mismatch::Equivocation { .. } => "equivocation",
            Mismatch::Transcript { .. } => "transcript",
            Mismatch::Header { .. } => "header",
        }
    }
}

/// A mix has erased its share of the round's envelope key, and all it was made from, without ever having sent it.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Burnt {
    /// The round.
    pub slot: Slot,
}

impl Statement for Burnt {
    fn signed_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.slot.layout("mixnet v1 burnt").finish())
    }
}

/// A mix's onion key of a burnt round, published, with what it has added to the round: anybody can replay what it did.
///
/// Public from the moment it is made, hence printed and compared like any public value. It is made only of a round that
/// every mix has burnt.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct OnionKey {
    /// The round.
    pub slot: Slot,
    /// The private key, X25519.
    pub key: [u8; 32],
    /// Which packets of the batch that it handed on were its own noise: their places there, ascending. What else is in that
    /// batch it says that it took in.
    pub noise: Vec<u32>,
}

impl OnionKey {
    /// Whether it is the private half of `public`, the mix's onion key of the round in the epoch document.
    #[must_use]
    pub fn belongs_to(&self, public: &PublicKey) -> bool {
        SecretKey::from_bytes(self.key).public_key() == *public
    }
}

impl Statement for OnionKey {
    fn signed_bytes(&self) -> Zeroizing<Vec<u8>> {
        let layout = self.slot.layout("mixnet v1 onion key").fixed(&self.key).u32(self.noise.len() as u32);
        Zeroizing::new(self.noise.iter().fold(layout, |layout, place| layout.u32(*place)).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::{decode, encode};

    fn slot() -> Slot {
        Slot { network: Digest([1; 32]), epoch: 7, round: 300 }
    }

    #[test]
    fn no_statement_is_signed_for_another() {
        let key = IdentityKey::from_seed(&[5; 32]);
        let digest = Digest([2; 32]);
        let release = |transcript, share| Release { slot: slot(), transcript, share: ReleasedShare([share; 32]) };
        let accusation = |mismatch| Accusation { slot: slot(), mismatch, subject: digest };
        let other = Slot { round: 301, ..slot() };
        let all: Vec<Box<dyn Statement>> = vec![
            Box::new(Confirm { slot: slot(), transcript: digest, grounds: digest }),
            Box::new(Confirm { slot: slot(), transcript: digest, grounds: Digest([3; 32]) }),
            Box::new(Confirm { slot: slot(), transcript: Digest([3; 32]), grounds: digest }),
            Box::new(Confirm { slot: other, transcript: digest, grounds: digest }),
            Box::new(release(digest, 4)),
            Box::new(release(digest, 5)),
            Box::new(release(Digest([3; 32]), 4)),
            Box::new(accusation(Mismatch::Layer { hop: 1, place: 2 })),
            Box::new(accusation(Mismatch::Replay { hop: 1, place: 2 })),
            Box::new(accusation(Mismatch::Noise { hop: 1, place: 2 })),
            Box::new(accusation(Mismatch::Echo { place: 2 })),
            Box::new(accusation(Mismatch::Echo { place: 3 })),
            Box::new(accusation(Mismatch::Equivocation { hop: 1 })),
            Box::new(accusation(Mismatch::Transcript { hop: 1 })),
            Box::new(accusation(Mismatch::Transcript { hop: 2 })),
            Box::new(accusation(Mismatch::Header { hop: 2 })),
            Box::new(Accusation { subject: Digest([3; 32]), ..accusation(Mismatch::Echo { place: 2 }) }),
            Box::new(Burnt { slot: slot() }),
            Box::new(Burnt { slot: other }),
            Box::new(OnionKey { slot: slot(), key: [4; 32], noise: vec![] }),
            Box::new(OnionKey { slot: slot(), key: [4; 32], noise: vec![0] }),
            Box::new(OnionKey { slot: slot(), key: [4; 32], noise: vec![0, 1] }),
        ];
        for (at, statement) in all.iter().enumerate() {
            let signature = statement.sign(&key);
            for (other, checked) in all.iter().enumerate() {
                assert_eq!(checked.is_signed_by(&key.identity(), &signature), at == other, "{at} and {other}");
            }
        }
    }

    #[test]
    fn every_part_of_a_transcript_counts_and_its_place_too() {
        let [a, b] = [[1; 32], [2; 32]].map(Digest);
        let bytes = |text: &[&[u8]]| text.iter().map(|part| part.to_vec()).collect::<Vec<_>>();
        let header = |hop| BatchHeader {
            network: a,
            epoch: a,
            round: 300,
            hop,
            count: 1,
            noise: 0,
            members: crate::wire::Members::none(8),
            input: a,
            output: b,
        };
        let mut all = vec![
            transcript(&a, &b, &[], &[]),
            transcript(&b, &a, &[], &[]),
            transcript(&a, &b, &[header(1)], &[]),
            transcript(&a, &b, &[header(1), header(2)], &[]),
            transcript(&a, &b, &[header(2), header(1)], &[]),
            transcript(&a, &b, &[], &[header(1).signed_bytes()]),
            transcript(&a, &b, &[], &bytes(&[b"ab", b"c"])),
            transcript(&a, &b, &[], &bytes(&[b"a", b"bc"])),
            transcript(&a, &b, &[], &bytes(&[b"abc"])),
        ];
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_published_key_is_the_documents_or_it_is_nothing() {
        let published = OnionKey { slot: slot(), key: [9; 32], noise: vec![] };
        assert!(published.belongs_to(&SecretKey::from_bytes([9; 32]).public_key()));
        assert!(!published.belongs_to(&SecretKey::from_bytes([8; 32]).public_key()));
    }

    #[test]
    fn statements_come_back_from_the_codec() {
        let confirm = Confirm { slot: slot(), transcript: Digest([2; 32]), grounds: Digest([3; 32]) };
        assert_eq!(decode(&encode(&confirm)), Ok(confirm));
        let mismatch = Mismatch::Noise { hop: 3, place: 70_000 };
        let accusation = Accusation { slot: slot(), mismatch, subject: Digest([2; 32]) };
        assert_eq!(decode(&encode(&accusation)), Ok(accusation));
        let burnt = Burnt { slot: slot() };
        assert_eq!(decode(&encode(&burnt)), Ok(burnt));
        let key = OnionKey { slot: slot(), key: [9; 32], noise: vec![3, 70_000] };
        assert_eq!(decode(&encode(&key)), Ok(key));
        let release = Release { slot: slot(), transcript: Digest([2; 32]), share: ReleasedShare([6; 32]) };
        let Ok(again) = decode::<Release>(&encode(&release)) else { panic!("it decodes") };
        assert_eq!(again.signed_bytes(), release.signed_bytes());
    }
}
