//! Building a packet: body, letter, envelope, and one layer per mix, all in the output buffer.

use rand::Rng;
use zeroize::Zeroizing;

use crate::crypto::{Backend, Csprng, MailboxId, PrfKey, PublicKey, SecretKey, SharedSecret, agree_each, public_keys};

use super::body::TAG_AT;
use super::echo::foretold;
use super::seal::{ENVELOPE_HOP, HopKeys, LETTER_HOP, Place};
use super::{Body, Correspondent, Echo, Geometry, NO_EXTRA, RoundContext, SEAL_BYTES};

/// Where a letter goes and whom it is sealed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its owner's letter key.
    pub letter_key: PublicKey,
}

/// What goes into one packet.
pub struct Recipe<'a> {
    /// The recipient.
    pub to: Address,
    /// The body.
    pub body: Body<'a>,
    /// The tag key. A tag is made with it in any case and stands only in a body that names its sender, so that one which does not
    /// can cost as much.
    pub sender: Option<&'a Correspondent>,
}

/// Everything random in a packet; fixed in test vectors, drawn otherwise.
pub struct Ephemerals {
    /// Of the letter's seal.
    pub letter: SecretKey,
    /// Of the envelope's seal.
    pub envelope: SecretKey,
    /// The unused capability field.
    pub capability: [u8; 32],
    /// Of the layers, outermost first: one for every hop from `first` to L.
    pub layers: Vec<SecretKey>,
    /// 48 (first - 1) bytes that stand for the fillers of the hops before a noise packet's maker.
    pub tail: Vec<u8>,
}

impl Ephemerals {
    /// Draws all for an onion that begins at hop `first`.
    pub fn draw(rng: &mut Csprng, geometry: Geometry, first: u8) -> Self {
        let before = usize::from(first) - 1;
        let mut capability = [0; 32];
        rng.fill_bytes(&mut capability);
        let mut tail = vec![0; SEAL_BYTES * before];
        rng.fill_bytes(&mut tail);
        Self {
            letter: SecretKey::random(rng),
            envelope: SecretKey::random(rng),
            capability,
            layers: (before..geometry.mixes()).map(|_| SecretKey::random(rng)).collect(),
            tail,
        }
    }
}

/// One packet to be built.
pub struct Order<'a> {
    /// Everything random in it.
    pub ephemerals: Ephemerals,
    /// What goes into it.
    pub recipe: Recipe<'a>,
}

/// One seal to be made: its ephemeral public key and what that shares with the recipient.
struct Agreed {
    ephemeral: PublicKey,
    recipient: PublicKey,
    secret: SharedSecret,
}

/// The public keys of one round: all that is needed to build its packets.
pub struct Builder {
    geometry: Geometry,
    context: RoundContext,
    backend: Backend,
    onion_keys: Vec<PublicKey>,
    envelope_key: PublicKey,
}

impl Builder {
    /// A builder for the round of `context`; `onion_keys` are the mixes' in cascade order.
    ///
    /// # Panics
    /// If there is not one onion key per mix.
    pub fn new(
        geometry: Geometry,
        context: RoundContext,
        backend: Backend,
        onion_keys: Vec<PublicKey>,
        envelope_key: PublicKey,
    ) -> Self {
        assert_eq!(onion_keys.len(), geometry.mixes(), "one onion key per mix");
        Self { geometry, context, backend, onion_keys, envelope_key }
    }

    /// The packets' shape.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// What the packets are bound to.
    pub fn context(&self) -> &RoundContext {
        &self.context
    }

    /// Appends a client's packet to `out` (W bytes) and returns the echo it must cause. `index` is the client's
    /// roster index.
    pub fn client_packet(&self, rng: &mut Csprng, index: u32, recipe: &Recipe<'_>, out: &mut Vec<u8>) -> Echo {
        self.build(&Ephemerals::draw(rng, self.geometry, 1), 1, index, recipe, out)
    }

    /// As [`Builder::client_packet`] of several recipes, in order, whose key agreements are made together.
    pub fn client_packets<'a>(
        &self,
        rng: &mut Csprng,
        index: u32,
        recipes: impl Iterator<Item = Recipe<'a>>,
        out: &mut Vec<u8>,
    ) -> Vec<Echo> {
        let order = |recipe| Order { ephemerals: Ephemerals::draw(rng, self.geometry, 1), recipe };
        self.build_all(&recipes.map(order).collect::<Vec<_>>(), 1, index, out)
    }

    /// Appends a noise packet (W bytes) that the mix at hop `first - 1` feeds to hop `first`, and returns the echo that
    /// hop `first` must hand back for it.
    pub fn noise_packet(&self, rng: &mut Csprng, first: u8, recipe: &Recipe<'_>, out: &mut Vec<u8>) -> Echo {
        self.build(&Ephemerals::draw(rng, self.geometry, first), first, NO_EXTRA, recipe, out)
    }

    /// As [`Builder::build`] of each of `orders`, in order. All key agreements are made together, so that lanes fill.
    ///
    /// # Panics
    /// As there.
    pub fn build_all(&self, orders: &[Order<'_>], first: u8, index: u32, out: &mut Vec<u8>) -> Vec<Echo> {
        let seals = orders.iter().map(|order| self.seals(&order.ephemerals, &order.recipe, first));
        let agreed = self.agree(seals.flatten());
        let seals = self.geometry.mixes() + 3 - usize::from(first);
        let each = orders.iter().zip(agreed.chunks_exact(seals));
        each.map(|(order, agreed)| self.build_with(agreed, &order.ephemerals, first, index, &order.recipe, out))
            .collect()
    }

    /// The algorithm of the specification with everything random given.
    ///
    /// # Panics
    /// If one of the network's own keys is not a usable point: epoch documents with such keys are refused.
    pub fn build(
        &self,
        ephemerals: &Ephemerals,
        first: u8,
        index: u32,
        recipe: &Recipe<'_>,
        out: &mut Vec<u8>,
    ) -> Echo {
        let agreed = self.agree(self.seals(ephemerals, recipe, first));
        self.build_with(&agreed, ephemerals, first, index, recipe, out)
    }

    /// `agreed` is of [`Builder::seals`].
    fn build_with(
        &self,
        agreed: &[Agreed],
        ephemerals: &Ephemerals,
        first: u8,
        index: u32,
        recipe: &Recipe<'_>,
        out: &mut Vec<u8>,
    ) -> Echo {
        let w = self.geometry.packet();
        let (inner, outer) = agreed.split_at(2);
        let keys = self.layer_keys(outer, first, index);
        let tail = self.tail(ephemerals, first, &keys);

        // The innermost plaintext ends the buffer; each layer's packet begins 48 bytes before its plaintext and is,
        // without its last 48 bytes, the next plaintext: nothing moves, and the outermost begins at `start`.
        let start = out.len();
        let layers = keys.len();
        out.resize(start + SEAL_BYTES * layers + w - SEAL_BYTES, 0);
        let buffer = &mut out[start..];
        let (envelope, filler) = buffer[SEAL_BYTES * layers..].split_at_mut(self.geometry.envelope());
        self.write_envelope(inner, &ephemerals.capability, recipe, envelope);
        filler.copy_from_slice(&tail[..tail.len() - SEAL_BYTES]);
        let echo_keys: Vec<PrfKey> = keys.iter().map(HopKeys::echo).collect();
        let echo = foretold(&echo_keys, self.context.round, envelope);

        for (layer, key) in keys.iter().enumerate().rev() {
            let packet = &mut buffer[SEAL_BYTES * layer..][..w];
            let (head, message) = packet.split_at_mut(SEAL_BYTES);
            let tag = key.aead().seal(self.backend, message);
            head[..32].copy_from_slice(&outer[layer].ephemeral.0);
            head[32..].copy_from_slice(&tag);
            debug_assert!(
                layer == 0 || packet[w - SEAL_BYTES..] == keys[layer - 1].filler(),
                "a packet's tail is the filler of the hop before"
            );
        }
        out.truncate(start + w);
        echo
    }

    /// Layers for the hops before `hop` around anything: what a malicious client can make. `inner` is what that hop is meant
    /// to get, but for its last 48 (`hop` - 1) bytes: these follow from the fillers.
    #[cfg(any(test, feature = "sim"))]
    pub fn wrap(&self, rng: &mut Csprng, hop: u8, index: u32, inner: &[u8]) -> Vec<u8> {
        let (w, layers) = (self.geometry.packet(), usize::from(hop) - 1);
        let mut ephemerals = Ephemerals::draw(rng, self.geometry, 1);
        ephemerals.layers.truncate(layers);
        let agreed = self.agree(ephemerals.layers.iter().zip(self.onion_keys.iter().copied()));
        let keys = self.layer_keys(&agreed, 1, index);
        let tail = self.tail(&ephemerals, 1, &keys);
        let mut packet = inner.to_vec();
        for (layer, key) in keys.iter().enumerate().rev() {
            packet.truncate(w - SEAL_BYTES);
            if layer + 1 == layers {
                let fixed = &tail[..SEAL_BYTES * layer];
                packet[w - SEAL_BYTES - fixed.len()..].copy_from_slice(fixed);
            }
            let tag = key.aead().seal(self.backend, &mut packet);
            packet.splice(..0, agreed[layer].ephemeral.0.into_iter().chain(tag));
        }
        packet
    }

    /// The ephemeral secret and the recipient of every seal of a packet: letter, envelope, layers from `first` on.
    fn seals<'a>(
        &'a self,
        ephemerals: &'a Ephemerals,
        recipe: &Recipe<'_>,
        first: u8,
    ) -> impl Iterator<Item = (&'a SecretKey, PublicKey)> + use<'a> {
        let inner = [(&ephemerals.letter, recipe.to.letter_key), (&ephemerals.envelope, self.envelope_key)];
        let onion_keys = self.onion_keys[usize::from(first) - 1..].iter().copied();
        inner.into_iter().chain(ephemerals.layers.iter().zip(onion_keys))
    }

    /// The public keys of the ephemeral secrets and what they share with the recipients.
    fn agree<'a>(&self, seals: impl Iterator<Item = (&'a SecretKey, PublicKey)>) -> Vec<Agreed> {
        let (own, recipients): (Vec<&SecretKey>, Vec<PublicKey>) = seals.unzip();
        let mut publics = vec![PublicKey([0; 32]); own.len()];
        public_keys(self.backend, &own, &mut publics);
        let mut secrets: Vec<Option<SharedSecret>> = own.iter().map(|_| None).collect();
        agree_each(self.backend, &own, &recipients, &mut secrets);
        let agreed = publics.into_iter().zip(recipients).zip(secrets);
        agreed
            .map(|((ephemeral, recipient), secret)| {
                let secret = secret.expect("keys of low order are refused with their document");
                Agreed { ephemeral, recipient, secret }
            })
            .collect()
    }

    /// Step 2: the keys of every hop from `first` on.
    fn layer_keys(&self, agreed: &[Agreed], first: u8, index: u32) -> Vec<HopKeys> {
        let hops = (first..).zip(agreed);
        hops.map(|(hop, agreed)| {
            let place = Place { hop, extra: if hop == 1 { index } else { NO_EXTRA } };
            self.seal_keys(agreed, place)
        })
        .collect()
    }

    /// Steps 1 and 3: T, what the fillers of all hops will have become.
    fn tail(&self, ephemerals: &Ephemerals, first: u8, keys: &[HopKeys]) -> Vec<u8> {
        let body = self.geometry.packet() - SEAL_BYTES;
        let mut tail = ephemerals.tail.clone();
        for (hop, key) in (usize::from(first)..).zip(keys) {
            let n = SEAL_BYTES * (hop - 1);
            debug_assert_eq!(tail.len(), n);
            key.aead().apply_keystream(body - n, &mut tail);
            tail.extend_from_slice(&key.filler());
        }
        tail
    }

    /// `agreed` has the letter's and the envelope's.
    fn write_envelope(&self, agreed: &[Agreed], capability: &[u8; 32], recipe: &Recipe<'_>, envelope: &mut [u8]) {
        let (head, inner) = envelope.split_at_mut(SEAL_BYTES);
        let (address, letter) = inner.split_at_mut(48);
        address[..16].copy_from_slice(&recipe.to.mailbox.0);
        address[16..].copy_from_slice(capability);

        let (letter_head, body) = letter.split_at_mut(SEAL_BYTES);
        recipe.body.write(body);
        if let Some(correspondent) = recipe.sender {
            let tag = correspondent.tag(&agreed[0].ephemeral, body);
            if recipe.body.sender.is_some() {
                body[TAG_AT..][..16].copy_from_slice(&tag);
            }
        }
        self.seal(&agreed[0], LETTER_HOP, letter_head, body);
        self.seal(&agreed[1], ENVELOPE_HOP, head, inner);
    }

    fn seal(&self, agreed: &Agreed, hop: u8, head: &mut [u8], message: &mut [u8]) {
        let keys = self.seal_keys(agreed, Place::inner(hop));
        let tag = keys.aead().seal(self.backend, message);
        head[..32].copy_from_slice(&agreed.ephemeral.0);
        head[32..].copy_from_slice(&tag);
    }

    fn seal_keys(&self, agreed: &Agreed, place: Place) -> HopKeys {
        HopKeys::derive(&agreed.secret, &self.context, place, &agreed.ephemeral, &agreed.recipient)
    }
}

// `Zeroizing` fields would hide the layout of a test vector; the secrets clear themselves, the rest is public
// once the packet is on the wire but for the tail.
impl Drop for Ephemerals {
    fn drop(&mut self) {
        drop(Zeroizing::new(std::mem::take(&mut self.tail)));
    }
}
