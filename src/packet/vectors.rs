//! Test vectors of packets: `packet.json`, `noise.json` and `reject.json`.
//!
//! A vector holds every secret that went into a packet and everything that comes out on the way; the test recomputes
//! the whole from the secrets. The independent decoder in `tests/decoder` does the same.

mod reject;

use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::seal::{HopKeys, Place};
use super::*;
use crate::crypto::vectors::{Hex, check};
use crate::crypto::{AeadKey, Backend, Csprng, Digest, Label, MailboxId, PrfKey, PublicKey, SecretKey, derive, prf};

/// Everything that goes into a packet.
#[derive(Deserialize, Serialize)]
struct Inputs {
    mixes: usize,
    payload: usize,
    /// 1 for a client's packet, j + 1 for noise of mix j.
    first: u8,
    /// The client's roster index; none for noise.
    index: Option<u32>,
    network: Hex,
    epoch: u64,
    round: u64,
    /// Of the hops from `first` to L.
    onion_secrets: Vec<Hex>,
    envelope_secret: Hex,
    letter_secret: Hex,
    sender_secret: Option<Hex>,
    mailbox: Hex,
    body: BodyFields,
    letter_ephemeral: Hex,
    envelope_ephemeral: Hex,
    capability: Hex,
    layer_ephemerals: Vec<Hex>,
    /// The 48 (first - 1) random bytes that T begins with.
    tail: Hex,
}

#[derive(Deserialize, Serialize)]
struct BodyFields {
    kind: u8,
    message: Hex,
    index: u32,
    count: u32,
    expiry: u64,
    sender: Option<Hex>,
    data: Hex,
}

/// A packet with all that the specification computes on its way.
#[derive(Deserialize, Serialize)]
struct Vector {
    name: String,
    inputs: Inputs,
    sizes: Sizes,
    /// The body with its sender tag, as sealed.
    body: Hex,
    letter: Sealed,
    envelope: Sealed,
    /// From `first` to L.
    hops: Vec<Hop>,
    /// What the last mix is left with: the envelope and bytes without meaning.
    peeled: Hex,
    echo: Hex,
    commitment: Option<Hex>,
}

#[derive(Deserialize, Serialize)]
struct Sizes {
    body: usize,
    letter: usize,
    envelope: usize,
    packet: usize,
}

#[derive(Deserialize, Serialize)]
struct Sealed {
    recipient_key: Hex,
    ephemeral_key: Hex,
    shared_secret: Hex,
    kdf: Hex,
    bytes: Hex,
}

#[derive(Deserialize, Serialize)]
struct Hop {
    hop: u8,
    onion_key: Hex,
    ephemeral_key: Hex,
    shared_secret: Hex,
    kdf: Hex,
    k: Hex,
    ek: Hex,
    rk: Hex,
    filler: Hex,
    /// T behind this hop's step.
    tail: Hex,
    /// The packet as this hop receives it.
    packet: Hex,
    /// x behind this hop's step towards the client.
    echo: Hex,
}

impl Inputs {
    fn geometry(&self) -> Geometry {
        Geometry::new(self.mixes, self.payload).expect("a vector's parameters are valid")
    }

    fn context(&self) -> RoundContext {
        RoundContext { network: Digest(self.network.array()), epoch: self.epoch, round: self.round }
    }

    fn place(&self, hop: u8) -> Place {
        Place { hop, extra: if hop == 1 { self.index.expect("a client's packet") } else { NO_EXTRA } }
    }

    fn onion_secret(&self, hop: u8) -> SecretKey {
        secret(&self.onion_secrets[usize::from(hop - self.first)])
    }

    /// The packet, by the code that clients run, and its echo.
    fn build(&self) -> (Vec<u8>, [u8; 16]) {
        let network = Digest(self.network.array());
        let to =
            Address { mailbox: MailboxId(self.mailbox.array()), letter_key: secret(&self.letter_secret).public_key() };
        let correspondent = self.sender_secret.as_ref().map(|own| {
            Correspondent::new(&network, &secret(own), &to.letter_key, true).expect("the letter key is a point")
        });
        let body = Body {
            kind: if self.body.kind == 0 { Kind::Dummy } else { Kind::Fragment },
            message: MessageId(self.body.message.array()),
            index: self.body.index,
            count: self.body.count,
            expiry: self.body.expiry,
            sender: self.body.sender.as_ref().map(|sender| MailboxId(sender.array())),
            data: &self.body.data.0,
        };
        let ephemerals = Ephemerals {
            letter: secret(&self.letter_ephemeral),
            envelope: secret(&self.envelope_ephemeral),
            capability: self.capability.array(),
            layers: self.layer_ephemerals.iter().map(secret).collect(),
            tail: self.tail.0.clone(),
        };
        // No key of a hop before `first` is used.
        let envelope_key = secret(&self.envelope_secret).public_key();
        let mut onion_keys = vec![envelope_key; usize::from(self.first) - 1];
        onion_keys.extend(self.onion_secrets.iter().map(|key| secret(key).public_key()));
        let builder = Builder::new(self.geometry(), self.context(), Backend::default(), onion_keys, envelope_key);
        let mut packet = Vec::new();
        let recipe = Recipe { to, body, sender: correspondent.as_ref() };
        let echo = builder.build(&ephemerals, self.first, self.index.unwrap_or(NO_EXTRA), &recipe, &mut packet);
        (packet, echo)
    }
}

impl Vector {
    /// Builds the packet as a client does and takes it apart as mixes, exit and recipient do.
    fn compute(name: String, inputs: Inputs) -> Self {
        let (geometry, context) = (inputs.geometry(), inputs.context());
        let (mut packet, echo) = inputs.build();
        let mut hops = Vec::new();
        let mut tail = inputs.tail.0.clone();
        for hop in inputs.first..=inputs.mixes as u8 {
            let own = inputs.onion_secret(hop);
            let seal = Sealed::received(&inputs, &own, inputs.place(hop), &packet);
            let kdf: [u8; 144] = seal.kdf.array();
            let key = AeadKey::from_bytes(kdf[..32].try_into().expect("32 bytes"));
            key.apply_keystream(geometry.packet() - SEAL_BYTES - tail.len(), &mut tail);
            tail.extend_from_slice(&kdf[96..]);

            let mut slots = Slots::from_packets(geometry, &packet).expect("one packet");
            let peeler = Peeler::new(geometry, context, hop, &own, Backend::Dalek);
            peeler.peel(&mut slots, inputs.index.unwrap_or(NO_EXTRA)).expect("an honest packet peels");
            assert_eq!(slots.echo_keys()[0].0, kdf[32..64], "peeling keeps ek");
            hops.push(Hop {
                hop,
                onion_key: seal.recipient_key,
                ephemeral_key: seal.ephemeral_key,
                shared_secret: seal.shared_secret,
                k: Hex::of(&kdf[..32]),
                ek: Hex::of(&kdf[32..64]),
                rk: Hex::of(&kdf[64..96]),
                filler: Hex::of(&kdf[96..]),
                kdf: seal.kdf,
                tail: Hex::of(&tail),
                packet: Hex(packet),
                echo: Hex(Vec::new()),
            });
            packet = slots.peeled(0).to_vec();
        }

        let envelope_bytes = Hex::of(&packet[..geometry.envelope()]);
        let mut x = [context.round.to_le_bytes().as_slice(), &derive(Label::Envelope, &envelope_bytes.0).0].concat();
        for hop in hops.iter_mut().rev() {
            x = prf(&PrfKey::from_bytes(hop.ek.array()), &[&x]).to_vec();
            hop.echo = Hex::of(&x);
        }
        assert_eq!(x, echo, "the echo that the builder foretold");

        let peeled = Hex::of(&packet);
        let own = secret(&inputs.envelope_secret);
        let envelope = Sealed::received(&inputs, &own, Place::inner(ENVELOPE_HOP), &envelope_bytes.0);
        let opener = EnvelopeKey::new(context, &own, Backend::Dalek);
        let mut letter_bytes = opener.open(geometry, &mut packet).expect("an honest envelope opens").letter.to_vec();
        let own = secret(&inputs.letter_secret);
        let letter = Sealed::received(&inputs, &own, Place::inner(LETTER_HOP), &letter_bytes);
        open_letter(geometry, &context, &own.prepare(Backend::Dalek), &mut letter_bytes).expect("a letter opens");
        let commitment = inputs.index.map(|index| Hex::of(commitment(&context, index, &echo)));
        let sizes = Sizes {
            body: geometry.body(),
            letter: geometry.letter(),
            envelope: geometry.envelope(),
            packet: geometry.packet(),
        };
        let body = Hex::of(&letter_bytes[SEAL_BYTES..]);
        Self { name, inputs, sizes, body, letter, envelope, hops, peeled, echo: Hex::of(echo), commitment }
    }

    fn recompute(self) -> Self {
        Self::compute(self.name, self.inputs)
    }

    /// The packet as `hop` receives it; for 254 the envelope, for 255 the letter.
    fn at(&self, hop: u8) -> &[u8] {
        match hop {
            ENVELOPE_HOP => &self.envelope.bytes.0,
            LETTER_HOP => &self.letter.bytes.0,
            _ => &self.hops.iter().find(|at| at.hop == hop).expect("a hop on the way").packet.0,
        }
    }
}

impl Sealed {
    /// A seal as the holder of `own` sees it.
    fn received(inputs: &Inputs, own: &SecretKey, place: Place, bytes: &[u8]) -> Self {
        let ephemeral = PublicKey(bytes[..32].try_into().expect("a seal begins with its key"));
        let agreement = own.prepare(Backend::Dalek);
        let public = agreement.public_key();
        let keys = HopKeys::receive(&agreement, &public, &inputs.context(), place, &ephemeral).expect("honest keys");
        Self {
            recipient_key: Hex::of(public.0),
            ephemeral_key: Hex::of(ephemeral.0),
            shared_secret: Hex::of(agreement.agree(&ephemeral).expect("honest keys").expose()),
            kdf: Hex::of(keys.expose()),
            bytes: Hex::of(bytes),
        }
    }
}

fn secret(bytes: &Hex) -> SecretKey {
    SecretKey::from_bytes(bytes.array())
}

/// Inputs drawn from `seed`; the body is for the caller to choose.
fn inputs(seed: u64, mixes: usize, first: u8, body: BodyFields, named: bool) -> Inputs {
    let mut rng = Csprng::seed_from_u64(seed);
    let mut draw = |n: usize| {
        let mut bytes = vec![0; n];
        rng.fill_bytes(&mut bytes);
        Hex(bytes)
    };
    let before = usize::from(first) - 1;
    Inputs {
        mixes,
        payload: 256,
        first,
        index: (first == 1).then_some(seed as u32 % 1000),
        network: Hex::of(derive(Label::Network, b"vectors").0),
        epoch: 3 + seed,
        round: 1000 * seed + 7,
        onion_secrets: (before..mixes).map(|_| draw(32)).collect(),
        envelope_secret: draw(32),
        letter_secret: draw(32),
        sender_secret: named.then(|| draw(32)),
        mailbox: draw(16),
        body: BodyFields { message: draw(16), sender: named.then(|| draw(16)), ..body },
        letter_ephemeral: draw(32),
        envelope_ephemeral: draw(32),
        capability: draw(32),
        layer_ephemerals: (before..mixes).map(|_| draw(32)).collect(),
        tail: draw(SEAL_BYTES * before),
    }
}

fn body(kind: u8, index: u32, count: u32, data: &[u8]) -> BodyFields {
    let expiry = 1 << 40;
    BodyFields { kind, message: Hex(Vec::new()), index, count, expiry, sender: None, data: Hex::of(data) }
}

#[test]
fn packets_are_those_of_the_vectors() {
    let fresh = || {
        let full: Vec<u8> = (0..=255).collect();
        let text = b"\x01\x00\x00hello";
        [
            ("two mixes, a text from a named sender", inputs(201, 2, 1, body(1, 0, 1, text), true)),
            ("three mixes, a full fragment", inputs(301, 3, 1, body(1, 1, 3, &full), false)),
            ("five mixes, a dummy", inputs(501, 5, 1, body(0, 0, 1, b"dummy"), false)),
            ("seven mixes, an empty text", inputs(701, 7, 1, body(1, 0, 1, &text[..3]), false)),
        ]
        .map(|(name, inputs)| Vector::compute(name.into(), inputs))
        .into()
    };
    check("packet.json", fresh, |vectors: Vec<Vector>| vectors.into_iter().map(Vector::recompute).collect());
}

#[test]
fn noise_is_that_of_the_vectors() {
    let fresh = || {
        [2, 3, 5, 7]
            .into_iter()
            .flat_map(|mixes| (2..=mixes as u8).map(move |first| (mixes, first)))
            .map(|(mixes, first)| {
                let seed = 1000 * mixes as u64 + u64::from(first);
                let name = format!("{mixes} mixes, noise of the mix at hop {}", first - 1);
                Vector::compute(name, inputs(seed, mixes, first, body(0, 0, 1, b""), false))
            })
            .collect()
    };
    check("noise.json", fresh, |vectors: Vec<Vector>| vectors.into_iter().map(Vector::recompute).collect());
}
