//! Letters: what a recipient opens, and the tag by which a named sender is known.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::{Agreement, Backend, Digest, Label, MailboxId, PrfKey, PublicKey, SecretKey, derive_into, prf};

use super::body::TAG_AT;
use super::peel::parse_head;
use super::seal::{HopKeys, LETTER_HOP, Place, Seal, keys_in_groups};
use super::{BODY_HEADER_BYTES, Body, BodyError, Geometry, PeelError, RoundContext, SEAL_BYTES};

/// The two static keys of a pair of correspondents, from one side: enough to make and to check sender tags.
pub struct Correspondent {
    key: PrfKey,
}

impl Correspondent {
    /// The key that `own`, as the sender or the recipient, shares with `peer`: derived from the static-static
    /// agreement and from both letter keys, the sender's first. Either side could have made a tag, so it convinces
    /// the recipient and nobody else.
    ///
    /// # Errors
    /// If the peer's letter key is not a usable point.
    pub fn new(network: &Digest, own: &SecretKey, peer: &PublicKey, own_is_sender: bool) -> Result<Self, PeelError> {
        peer.check()?;
        let secret = own.prepare(Backend::default()).agree(peer).ok_or(PeelError::LowOrder)?;
        let own_public = own.public_key();
        let (sender, recipient) = if own_is_sender { (&own_public, peer) } else { (peer, &own_public) };
        let material = Zeroizing::new([*secret.expose(), network.0, sender.0, recipient.0].concat());
        let mut key = Zeroizing::new([0; 32]);
        derive_into(Label::Sender, &material, key.as_mut_slice());
        Ok(Self { key: PrfKey::from_bytes(*key) })
    }

    /// The tag over the letter's ephemeral key and its body with a tag of zero.
    pub(super) fn tag(&self, ephemeral: &PublicKey, body: &[u8]) -> [u8; 16] {
        let (before, rest) = body.split_at(TAG_AT);
        prf(&self.key, &[&ephemeral.0, before, &[0; 16], &rest[16..]])
    }
}

/// Why a letter does not open, or opens to nonsense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LetterError {
    /// The seal does not hold.
    #[error("the letter does not open: {0}")]
    Seal(#[from] PeelError),
    /// The body breaks a rule.
    #[error("the letter's body is malformed: {0}")]
    Body(#[from] BodyError),
}

/// An opened letter.
#[derive(Debug)]
pub struct OpenedLetter<'a> {
    /// The body; its `sender` is a claim until [`OpenedLetter::is_from`] says otherwise.
    pub body: Body<'a>,
    ephemeral: PublicKey,
    tag: [u8; 16],
    bytes: &'a [u8],
}

impl OpenedLetter<'_> {
    /// Whether the correspondent (or we ourselves) made this letter. Compared in constant time.
    #[must_use]
    pub fn is_from(&self, correspondent: &Correspondent) -> bool {
        correspondent.tag(&self.ephemeral, self.bytes).ct_eq(&self.tag).into()
    }

    /// The data with the zeros behind it: as long in every letter.
    pub fn padded(&self) -> &[u8] {
        &self.bytes[BODY_HEADER_BYTES..]
    }

    /// The sender the body claims.
    pub fn claimed_sender(&self) -> Option<MailboxId> {
        self.body.sender
    }
}

/// Opens a letter of [`Geometry::letter`] bytes in place with the recipient's letter key.
///
/// # Errors
/// Why it is not a letter to this key, sealed in this round.
pub fn open_letter<'a>(
    geometry: Geometry,
    context: &RoundContext,
    own: &Agreement,
    letter: &'a mut [u8],
) -> Result<OpenedLetter<'a>, LetterError> {
    let (ephemeral, _) = parse_head(&letter[..SEAL_BYTES]);
    let keys = HopKeys::receive(own, &own.public_key(), context, Place::inner(LETTER_HOP), &ephemeral)?;
    open_with(&keys, geometry, own.backend(), &ephemeral, letter)
}

/// As [`open_letter`] of each letter under its round's context, in groups that fill the lanes; `each` gets what it held,
/// in order.
pub fn open_letters<'a>(
    geometry: Geometry,
    own: &Agreement,
    letters: impl Iterator<Item = (RoundContext, &'a mut [u8])>,
    mut each: impl FnMut(&RoundContext, Result<OpenedLetter<'_>, LetterError>),
) {
    let public = own.public_key();
    let seals = letters.map(|(context, letter)| {
        let (ephemeral, place) = (parse_head(&letter[..SEAL_BYTES]).0, Place::inner(LETTER_HOP));
        Seal { ephemeral, context, place, of: (context, letter) }
    });
    keys_in_groups(own, &public, seals, |ephemeral, (context, letter), keys| {
        let opened = keys.map_err(LetterError::from);
        each(&context, opened.and_then(|keys| open_with(&keys, geometry, own.backend(), ephemeral, letter)));
    });
}

fn open_with<'a>(
    keys: &HopKeys,
    geometry: Geometry,
    backend: Backend,
    ephemeral: &PublicKey,
    letter: &'a mut [u8],
) -> Result<OpenedLetter<'a>, LetterError> {
    debug_assert_eq!(letter.len(), geometry.letter());
    let (head, inner) = letter.split_at_mut(SEAL_BYTES);
    let (_, seal_tag) = parse_head(head);
    keys.open(backend, &seal_tag, inner)?;
    let bytes: &'a [u8] = inner;
    let (body, tag) = Body::parse(geometry, bytes)?;
    Ok(OpenedLetter { body, ephemeral: *ephemeral, tag, bytes })
}
