//! Key derivation and domain separation: every label of the protocol stands in [`LABELS`].
//!
//! All of them are BLAKE3 `derive_key` contexts ("BLAKE3: one function, fast everywhere", section
//! 2.3), so two uses with different labels are independent functions.

use std::sync::LazyLock;

use blake3::hazmat::HasherExt;

use super::Digest;
use super::blake3_lanes::{Keys, Mode, hash_each};

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $context:literal;)*) => {
        /// What a derived value is for; each variant is one BLAKE3 `derive_key` context.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Label {
            $($(#[$doc])* $name,)*
        }

        /// Every label with its context string, as `wire-spec.md` lists them.
        pub const LABELS: &[(Label, &str)] = &[$((Label::$name, $context),)*];

        /// The contexts' keys: hashing a context costs as much as a derivation.
        static CONTEXTS: LazyLock<Vec<blake3::hazmat::ContextKey>> =
            LazyLock::new(|| vec![$(blake3::hazmat::hash_derive_key_context($context),)*]);
    };
}

labels! {
    /// Keys of one seal: a mix layer, an envelope or a letter.
    Hop = "mixnet v1 hop";
    /// A network's 32-byte identifier from its name.
    Network = "mixnet v1 network";
    /// A mailbox id from the owner's capability.
    Mailbox = "mixnet v1 mailbox";
    /// The key of a named sender's tag.
    Sender = "mixnet v1 sender";
    /// The digest of an envelope that starts the echo chain.
    Envelope = "mixnet v1 envelope";
    /// A client's commitment to its echo.
    Commit = "mixnet v1 commit";
    /// The digest of all parameters of a network file.
    Parameters = "mixnet v1 parameters";
    /// The digest of the ordered client list.
    Roster = "mixnet v1 roster";
    /// The digest of the ordered list of mailboxes.
    Mailboxes = "mixnet v1 mailboxes";
    /// The digest of an epoch document, which its successor and all signatures name.
    Epoch = "mixnet v1 epoch";
    /// The digest of a batch, over those of its packets in order.
    Batch = "mixnet v1 batch";
    /// The digest of the set of clients in a round.
    Members = "mixnet v1 members";
    /// The digest of one submission.
    Submission = "mixnet v1 submission";
    /// A mix's commitment to its part of an epoch's joint round keys.
    Dealing = "mixnet v1 dealing";
    /// The challenge of a proof that a mix knows its part of a joint round key.
    Possession = "mixnet v1 possession";
    /// The digest of the sub-shares that a mix deals to another.
    SubShares = "mixnet v1 sub-shares";
    /// The digest of the echoes that one hop hands back, in order.
    Echoes = "mixnet v1 echoes";
    /// The digest of a packet as a mix or the entry receives it.
    Onion = "mixnet v1 onion";
    /// The digest of the statement that an accusation is about.
    Subject = "mixnet v1 subject";
    /// The root of a round's list.
    List = "mixnet v1 list";
    /// The key of a client's MACs towards one mix in one epoch.
    ListMac = "mixnet v1 list mac";
    /// The digest of all that was signed on a round's way, which the mixes confirm.
    Transcript = "mixnet v1 transcript";
    /// The digest of what a confirm rests on.
    Grounds = "mixnet v1 grounds";
}

/// Derives a 32-byte digest from `material` under `label`.
pub fn derive(label: Label, material: &[u8]) -> Digest {
    derive_parts(label, &[material])
}

/// As [`derive()`], of the concatenation of `parts`. The caller keeps the layout unambiguous.
pub fn derive_parts(label: Label, parts: &[&[u8]]) -> Digest {
    let mut hasher = hasher(label);
    for part in parts {
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// Fills `out` from `material` under `label` (BLAKE3 extendable output).
pub fn derive_into(label: Label, material: &[u8], out: &mut [u8]) {
    let mut hasher = hasher(label);
    hasher.update(material);
    hasher.finalize_xof().fill(out);
    zeroize::Zeroize::zeroize(&mut hasher);
}

/// [`derive()`] of each of `messages`, in order. Those of one length are hashed side by side where the processor can.
pub fn derive_each(label: Label, messages: &[&[u8]]) -> Vec<Digest> {
    let mut digests = vec![[0; 32]; messages.len()];
    hash_each(Mode::Derive { secret: false }, Keys::Shared(&CONTEXTS[label as usize]), messages, &mut digests);
    digests.into_iter().map(Digest).collect()
}

/// [`derive_into`] of each of `materials` into the same place of `out`, as [`derive_each`]. Nothing of them stays behind.
///
/// # Panics
/// If the lengths differ.
pub fn derive_each_into<const N: usize>(label: Label, materials: &[&[u8]], out: &mut [[u8; N]]) {
    hash_each(Mode::Derive { secret: true }, Keys::Shared(&CONTEXTS[label as usize]), materials, out);
}

pub(super) fn hasher(label: Label) -> blake3::Hasher {
    blake3::Hasher::new_from_context_key(&CONTEXTS[label as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_its_own_function() {
        let mut digests: Vec<_> = LABELS.iter().map(|(label, _)| derive(*label, b"x").0).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), LABELS.len());
        for (label, context) in LABELS {
            assert_eq!(derive(*label, b"x").0, blake3::derive_key(context, b"x"));
        }
    }
}
