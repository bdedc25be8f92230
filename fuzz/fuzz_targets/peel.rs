//! Packets, envelopes, letters and bodies from anybody.
//!
//! The first byte chooses how the rest is used (raw bytes, changes to something valid, or a body that a hostile sender
//! seals correctly) and at which place of the way.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mixnet::crypto::{AeadKey, Agreement, Backend, Digest, Label, MailboxId, PublicKey, SecretKey, derive_into};
use mixnet::packet::{
    Address, Body, Builder, Correspondent, EnvelopeKey, Ephemerals, Geometry, Kind, LETTER_HOP, LetterError, MessageId,
    NO_EXTRA, Peeler, Recipe, RoundContext, SEAL_BYTES, SUITE, Slots, open_letter,
};
use mixnet::session::content::{Content, MAX_SAFE_NAME_BYTES, safe_name};

const CONTEXT: RoundContext = RoundContext { network: Digest([9; 32]), epoch: 3, round: 77 };
const INDEX: u32 = 5;
const HOPS: usize = 3;
const ENVELOPE: usize = HOPS;
const LETTER: usize = HOPS + 1;

/// One round with all its secrets, and one packet at every place of its way.
struct Round {
    geometry: Geometry,
    peelers: Vec<Peeler>,
    envelope: EnvelopeKey,
    recipient: Agreement,
    sender: Correspondent,
    /// As each hop receives it, then the envelope, then the letter.
    valid: Vec<Vec<u8>>,
}

static ROUND: LazyLock<Round> = LazyLock::new(Round::new);

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let place = usize::from(choice / 3) % (LETTER + 1);
    match choice % 3 {
        0 => ROUND.raw(place, rest),
        1 => ROUND.changed(place, rest),
        _ => ROUND.hostile_body(rest),
    }
});

impl Round {
    fn new() -> Self {
        let geometry = Geometry::new(HOPS, 256).expect("in range");
        let secret = |seed: u8| SecretKey::from_bytes([seed; 32]);
        let secrets: Vec<SecretKey> = (1..=HOPS as u8).map(secret).collect();
        let keys = secrets.iter().map(SecretKey::public_key).collect();
        let backend = Backend::default();
        let builder = Builder::new(geometry, CONTEXT, backend, keys, secret(50).public_key());
        let network = CONTEXT.network;
        let sender = Correspondent::new(&network, &secret(61), &secret(60).public_key(), true).expect("usable");
        let body = Body {
            kind: Kind::Fragment,
            message: MessageId([4; 16]),
            index: 0,
            count: 1,
            expiry: 10,
            sender: Some(MailboxId([7; 16])),
            data: b"\x01\0\0hello",
        };
        let to = Address { mailbox: MailboxId([8; 16]), letter_key: secret(60).public_key() };
        let mut packet = Vec::new();
        let ephemerals = Ephemerals {
            letter: secret(70),
            envelope: secret(71),
            capability: [0; 32],
            layers: (72..72 + HOPS as u8).map(secret).collect(),
            tail: Vec::new(),
        };
        builder.build(&ephemerals, 1, INDEX, &Recipe { to, body, sender: Some(&sender) }, &mut packet);
        let peeler = |(secret, hop): (&SecretKey, u8)| Peeler::new(geometry, CONTEXT, hop, secret, backend);
        let mut round = Self {
            geometry,
            peelers: secrets.iter().zip(1..).map(peeler).collect(),
            envelope: EnvelopeKey::new(CONTEXT, &secret(50), backend),
            recipient: secret(60).prepare(backend),
            sender,
            valid: vec![packet],
        };
        for place in 0..=ENVELOPE {
            let next = round.step(place, &round.valid[place]).expect("it is valid");
            round.valid.push(next);
        }
        round
    }

    /// How many bytes arrive at a place.
    fn size(&self, place: usize) -> usize {
        if place == LETTER { self.geometry.letter() } else { self.geometry.packet() }
    }

    /// What a place makes of what arrives there; the letter's data at the last.
    fn step(&self, place: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        match place {
            ENVELOPE => {
                let mut packet = bytes.to_vec();
                let opened = self.envelope.open(self.geometry, &mut packet).ok()?;
                Some(opened.letter.to_vec())
            }
            LETTER => {
                let mut letter = bytes.to_vec();
                let opened = open_letter(self.geometry, &CONTEXT, &self.recipient, &mut letter).ok()?;
                opened.is_from(&self.sender).then(|| opened.body.data.to_vec())
            }
            hop => {
                let mut slots = Slots::from_packets(self.geometry, bytes).expect("a whole packet");
                let index = if hop == 0 { INDEX } else { NO_EXTRA };
                self.peelers[hop].peel(&mut slots, index).ok()?;
                Some(slots.peeled(0).to_vec())
            }
        }
    }

    /// Whatever bytes arrive.
    fn raw(&self, place: usize, bytes: &[u8]) {
        let mut packet = bytes.to_vec();
        packet.resize(self.size(place), 0);
        assert_eq!(Slots::from_packets(self.geometry, bytes).is_some(), bytes.len() % self.geometry.packet() == 0);
        if self.step(place, &packet).is_some() {
            let read = if place == ENVELOPE { self.geometry.envelope() } else { packet.len() };
            assert_eq!(packet[..read], self.valid[place][..read], "nobody else can have sealed it");
        }
    }

    /// Something valid with some of its bytes changed: three bytes of input say where and how.
    fn changed(&self, place: usize, changes: &[u8]) {
        let valid = &self.valid[place];
        let mut packet = valid.clone();
        for change in changes.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % packet.len();
            packet[at] ^= change[2];
        }
        let read = if place == ENVELOPE { self.geometry.envelope() } else { packet.len() };
        let touched = packet[..read] != valid[..read];
        assert_eq!(self.step(place, &packet).is_none(), touched, "every byte that is read is sealed, no other matters");
    }

    /// A letter that its recipient opens, with any body in it.
    fn hostile_body(&self, bytes: &[u8]) {
        let mut body = bytes.to_vec();
        body.resize(self.geometry.body(), 0);
        let mut letter = seal(&self.recipient.public_key(), &mut body);
        match open_letter(self.geometry, &CONTEXT, &self.recipient, &mut letter) {
            Err(LetterError::Seal(error)) => panic!("it is sealed as it should be: {error}"),
            Err(LetterError::Body(_)) => {}
            Ok(opened) => {
                assert!(opened.body.index < opened.body.count && opened.body.data.len() <= self.geometry.payload());
                assert!(!opened.is_from(&self.sender), "its tag is not the sender's");
                if let Ok(content) = Content::decode(opened.body.data) {
                    assert_eq!(content.encode().as_deref(), Ok(opened.body.data));
                    if let Content::File { name, .. } = content {
                        let safe = safe_name(name);
                        assert!((1..=MAX_SAFE_NAME_BYTES).contains(&safe.len()) && !safe.contains(['/', '\\', '\0']));
                    }
                }
            }
        }
    }
}

/// The specification's seal of a letter, written out: what any sender can do.
fn seal(recipient: &PublicKey, body: &mut [u8]) -> Vec<u8> {
    let ephemeral = SecretKey::from_bytes([99; 32]).prepare(Backend::default());
    let secret = ephemeral.agree(recipient).expect("usable");
    let key = ephemeral.public_key();
    let mut input = secret.expose().to_vec();
    input.push(SUITE);
    input.extend(CONTEXT.network.0);
    input.extend(CONTEXT.epoch.to_le_bytes());
    input.extend(CONTEXT.round.to_le_bytes());
    input.push(LETTER_HOP);
    input.extend(key.0);
    input.extend(recipient.0);
    input.extend(NO_EXTRA.to_le_bytes());
    let mut derived = [0; 144];
    derive_into(Label::Hop, &input, &mut derived);
    let aead = AeadKey::from_bytes(*derived.first_chunk().expect("144 bytes"));
    let tag = aead.seal(Backend::default(), body);
    debug_assert_eq!(key.0.len() + tag.len(), SEAL_BYTES);
    [&key.0, tag.as_slice(), body].concat()
}
