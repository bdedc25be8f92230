//! Peeling: what a mix does to a packet, and opening: what the exit does to an envelope.

use crate::crypto::{Agreement, Backend, MailboxId, PointError, PrfKey, PublicKey, SecretKey, TAG_BYTES, Tag};

use super::seal::{ENVELOPE_HOP, HopKeys, Place, Seal, keys_in_groups};
use super::{Geometry, NO_EXTRA, RoundContext, SEAL_BYTES, Slots};

/// Why a packet is refused at a hop. What it means for the round is the engine's business: at hop 1 the
/// submission is refused, behind it the round is void.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PeelError {
    /// The ephemeral key is not canonical.
    #[error("malformed ephemeral key")]
    Malformed,
    /// The ephemeral key has low order.
    #[error("low-order ephemeral key")]
    LowOrder,
    /// The tag does not hold: forged, damaged, or meant for another round, hop or client.
    #[error("bad tag")]
    BadTag,
}

impl From<PointError> for PeelError {
    fn from(error: PointError) -> Self {
        match error {
            PointError::NonCanonical => PeelError::Malformed,
            PointError::LowOrder => PeelError::LowOrder,
        }
    }
}

/// A mix's onion key for one round, ready to peel.
pub struct Peeler {
    geometry: Geometry,
    context: RoundContext,
    hop: u8,
    agreement: Agreement,
    public: PublicKey,
}

impl Peeler {
    /// The peeler of hop `hop` (1 to L) with that hop's secret for the round.
    pub fn new(geometry: Geometry, context: RoundContext, hop: u8, secret: &SecretKey, backend: Backend) -> Self {
        let agreement = secret.prepare(backend);
        let public = agreement.public_key();
        Self { geometry, context, hop, agreement, public }
    }

    /// The packets' shape.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// What the packets are bound to.
    pub fn context(&self) -> &RoundContext {
        &self.context
    }

    /// The public key that layers for this hop are sealed to.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Peels every slot in place and leaves its echo key beside it. `index` is the submitting client's roster index at
    /// hop 1, [`NO_EXTRA`] elsewhere.
    ///
    /// # Errors
    /// The first slot that does not peel, and why; the slots behind it are then not peeled.
    pub fn peel(&self, slots: &mut Slots, index: u32) -> Result<(), (usize, PeelError)> {
        let mut result = [Ok(())];
        self.peel_into(&mut result, [(slots, index)].into_iter());
        let [result] = result;
        result
    }

    /// As [`Peeler::peel`] of each of several submissions, which share groups: so small ones fill lanes too. The results
    /// are in their order.
    pub fn peel_together(&self, submissions: Vec<(&mut Slots, u32)>) -> Vec<Result<(), (usize, PeelError)>> {
        let mut results = vec![Ok(()); submissions.len()];
        self.peel_into(&mut results, submissions.into_iter());
        results
    }

    /// Each of `results` is `Ok` and becomes that of the slots in the same place.
    fn peel_into<'a>(
        &self,
        results: &mut [Result<(), (usize, PeelError)>],
        submissions: impl Iterator<Item = (&'a mut Slots, u32)>,
    ) {
        let slots = submissions.enumerate().flat_map(|(number, (slots, index))| {
            debug_assert_eq!(slots.geometry(), self.geometry);
            slots.iter_mut().enumerate().map(move |(i, place)| (number, i, index, place))
        });
        let seals = slots.map(|slot| {
            let (_, _, index, (bytes, _)) = &slot;
            let (ephemeral, place) = (parse_head(&bytes[..SEAL_BYTES]).0, self.place(*index));
            Seal { ephemeral, context: self.context, place, of: slot }
        });
        keys_in_groups(&self.agreement, &self.public, seals, |_, (number, i, _, (slot, echo_key)), keys| {
            let result = &mut results[number];
            if result.is_err() {
                return;
            }
            match keys.and_then(|keys| self.peel_with(&keys, slot)) {
                Ok(key) => *echo_key = key,
                Err(error) => *result = Err((i, error)),
            }
        });
    }

    /// Peels one slot of [`Geometry::stride`] bytes: key 32 | tag 16 | body W - 48 | room 48 becomes
    /// (spent) 48 | packet W. Returns the layer's echo key.
    ///
    /// # Errors
    /// Why it does not peel; the slot's content is then not to be used.
    pub fn peel_slot(&self, slot: &mut [u8], index: u32) -> Result<PrfKey, PeelError> {
        let (ephemeral, _) = parse_head(&slot[..SEAL_BYTES]);
        let keys = HopKeys::receive(&self.agreement, &self.public, &self.context, self.place(index), &ephemeral)?;
        self.peel_with(&keys, slot)
    }

    fn peel_with(&self, keys: &HopKeys, slot: &mut [u8]) -> Result<PrfKey, PeelError> {
        let (packet, filler) = slot.split_at_mut(self.geometry.packet());
        let (head, body) = packet.split_at_mut(SEAL_BYTES);
        let (_, tag) = parse_head(head);
        keys.open(self.agreement.backend(), &tag, body)?;
        filler.copy_from_slice(&keys.filler());
        Ok(keys.echo())
    }

    fn place(&self, index: u32) -> Place {
        Place { hop: self.hop, extra: if self.hop == 1 { index } else { NO_EXTRA } }
    }

    /// The packets as they were received, from slots that have been peeled with this key: a slot keeps the key and the
    /// tag of its layer, and under them the same plaintext has one ciphertext. `index` as in [`Peeler::peel`].
    ///
    /// # Errors
    /// The first slot whose layer this is not: not peeled with this key, or changed since.
    pub fn restore(&self, slots: &Slots, index: u32) -> Result<Slots, (usize, PeelError)> {
        let mut restored = Slots::zeroed(self.geometry, slots.len());
        for i in 0..slots.len() {
            let packet = restored.received_mut(i);
            packet[..SEAL_BYTES].copy_from_slice(&slots.received(i)[..SEAL_BYTES]);
            packet[SEAL_BYTES..].copy_from_slice(&slots.peeled(i)[..self.geometry.packet() - SEAL_BYTES]);
            self.seal_again(packet, index).map_err(|error| (i, error))?;
        }
        Ok(restored)
    }

    /// key 32 | tag 16 | plaintext W - 48 becomes the packet that peels to it.
    fn seal_again(&self, packet: &mut [u8], index: u32) -> Result<(), PeelError> {
        let (head, body) = packet.split_at_mut(SEAL_BYTES);
        let (ephemeral, tag) = parse_head(head);
        let keys = HopKeys::receive(&self.agreement, &self.public, &self.context, self.place(index), &ephemeral)?;
        let again = keys.aead().seal(self.agreement.backend(), body);
        if again == tag { Ok(()) } else { Err(PeelError::BadTag) }
    }
}

/// The exit's second key of a round: the one envelopes are sealed to.
pub struct EnvelopeKey {
    context: RoundContext,
    agreement: Agreement,
    public: PublicKey,
}

/// What an envelope held; the letter is borrowed from the buffer it was opened in.
#[derive(Debug, Eq, PartialEq)]
pub struct OpenedEnvelope<'a> {
    /// Where the letter goes.
    pub mailbox: MailboxId,
    /// A poll capability; unused so far, random.
    pub capability: [u8; 32],
    /// The letter, [`Geometry::letter`] bytes.
    pub letter: &'a [u8],
}

impl EnvelopeKey {
    /// The opener with the round's envelope secret.
    pub fn new(context: RoundContext, secret: &SecretKey, backend: Backend) -> Self {
        let agreement = secret.prepare(backend);
        let public = agreement.public_key();
        Self { context, agreement, public }
    }

    /// What the round's seals are bound to.
    pub fn context(&self) -> &RoundContext {
        &self.context
    }

    /// Opens the envelope at the start of `packet`, in place; the rest is what fillers left and stays unread.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn open<'a>(&self, geometry: Geometry, packet: &'a mut [u8]) -> Result<OpenedEnvelope<'a>, PeelError> {
        let (ephemeral, _) = parse_head(&packet[..SEAL_BYTES]);
        let place = Place::inner(ENVELOPE_HOP);
        let keys = HopKeys::receive(&self.agreement, &self.public, &self.context, place, &ephemeral)?;
        self.open_with(&keys, geometry, packet)
    }

    /// As [`EnvelopeKey::open`] of each of `packets`, in groups that fill the lanes; `each` gets what it held, in order.
    pub fn open_all<'a>(
        &self,
        geometry: Geometry,
        packets: impl Iterator<Item = &'a mut [u8]>,
        mut each: impl FnMut(Result<OpenedEnvelope<'_>, PeelError>),
    ) {
        let seals = packets.map(|packet| {
            let (ephemeral, place) = (parse_head(&packet[..SEAL_BYTES]).0, Place::inner(ENVELOPE_HOP));
            Seal { ephemeral, context: self.context, place, of: packet }
        });
        keys_in_groups(&self.agreement, &self.public, seals, |_, packet, keys| {
            each(keys.and_then(|keys| self.open_with(&keys, geometry, packet)));
        });
    }

    fn open_with<'a>(
        &self,
        keys: &HopKeys,
        geometry: Geometry,
        packet: &'a mut [u8],
    ) -> Result<OpenedEnvelope<'a>, PeelError> {
        let (head, inner) = packet[..geometry.envelope()].split_at_mut(SEAL_BYTES);
        let (_, tag) = parse_head(head);
        keys.open(self.agreement.backend(), &tag, inner)?;
        let (mailbox, rest) = inner.split_first_chunk().expect("an envelope holds a mailbox id");
        let (capability, letter) = rest.split_first_chunk().expect("an envelope holds a capability");
        Ok(OpenedEnvelope { mailbox: MailboxId(*mailbox), capability: *capability, letter })
    }
}

/// key 32 | tag 16.
pub(super) fn parse_head(head: &[u8]) -> (PublicKey, Tag) {
    let (key, tag) = head.split_first_chunk::<32>().expect("a seal begins with 48 bytes");
    (PublicKey(*key), *tag.first_chunk::<TAG_BYTES>().expect("a seal begins with 48 bytes"))
}
