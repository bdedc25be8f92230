//! What mixes say to a list, and what the entry makes of it: a complaint, a signature, the second list, the whole.

use crate::crypto::{Digest, Identity, IdentityKey, Signature};
use crate::wire::Members;
use crate::wire::codec::{Decode, Encode};

use super::{ListContext, SignedListHeader};

/// A mix's word that the MACs of some clients of a first list are wrong. It makes at most one of a round.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct ListComplaint {
    /// The round.
    pub context: ListContext,
    /// The mix that complains, 2 to L.
    pub hop: u8,
    /// The root of the list.
    pub root: Digest,
    /// Whose: at least one client of the list, not all, none whose signature is in it.
    pub clients: Members,
}

impl ListComplaint {
    pub(in crate::wire) fn signed_bytes(&self) -> Vec<u8> {
        let layout = self.context.layout("mixnet v1 list complaint").u8(self.hop).digest(&self.root);
        layout.digest(&self.clients.digest()).u32(self.clients.count()).finish()
    }

    /// The complaint with its mix's signature.
    pub fn sign(self, key: &IdentityKey) -> SignedListComplaint {
        let signature = key.sign(&self.signed_bytes());
        SignedListComplaint { complaint: self, signature }
    }
}

/// A complaint and its mix's signature.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SignedListComplaint {
    /// The complaint.
    pub complaint: ListComplaint,
    /// Of the mix at `complaint.hop`.
    pub signature: Signature,
}

impl SignedListComplaint {
    /// Whether it is `identity`'s.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity) -> bool {
        identity.verify(&self.complaint.signed_bytes(), &self.signature)
    }
}

/// The list without every client that a mix has complained of, and the complaints for which they were left out.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct SecondList {
    /// With attempt 1; no rows follow, as every mix has them.
    pub header: SignedListHeader,
    /// All complaints about the first list, in ascending order of their mixes; at least one.
    pub complaints: Vec<SignedListComplaint>,
}

/// A mix's word that a list is good.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct ListSignature {
    /// The round.
    pub round: u64,
    /// The root of the list.
    pub root: Digest,
    /// The mix's over network, epoch, round and root.
    pub signature: Signature,
}

impl ListSignature {
    /// A mix's signature under the list with this root.
    pub fn sign(key: &IdentityKey, context: &ListContext, root: Digest) -> Self {
        Self { round: context.round, root, signature: key.sign(&signed_root(context, &root)) }
    }

    /// Whether `identity` has signed this in the round of `context`.
    #[must_use]
    pub fn is_signed_by(&self, identity: &Identity, context: &ListContext) -> bool {
        self.round == context.round && identity.verify(&signed_root(context, &self.root), &self.signature)
    }
}

/// A list with the signatures of all mixes in cascade order; batches move only with all of them.
#[derive(Clone, Debug, Decode, Encode, Eq, PartialEq)]
pub struct ListComplete {
    /// The round.
    pub round: u64,
    /// The root of the list.
    pub root: Digest,
    /// One signature per mix, the entry's first.
    pub signatures: Vec<Signature>,
}

impl ListComplete {
    /// Whether every mix has signed this in the round of `context`.
    #[must_use]
    pub fn verify(&self, mixes: &[Identity], context: &ListContext) -> bool {
        let signed = signed_root(context, &self.root);
        self.round == context.round
            && self.signatures.len() == mixes.len()
            && mixes.iter().zip(&self.signatures).all(|(mix, signature)| mix.verify(&signed, signature))
    }
}

/// What a mix signs under a list.
pub(in crate::wire) fn signed_root(context: &ListContext, root: &Digest) -> Vec<u8> {
    context.layout("mixnet v1 list signature").digest(root).finish()
}
