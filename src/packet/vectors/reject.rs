//! What must be refused: at which hop, and why.

use super::*;

#[derive(Deserialize, Serialize)]
struct Rejects {
    /// The packet that every case starts from.
    honest: Vector,
    cases: Vec<Case>,
    bodies: Vec<BodyCase>,
}

/// How a refused packet came about; what is not given is as in the honest packet.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Forgery {
    name: String,
    /// The honest packet as this hop receives it (254: the envelope, 255: the letter) is what is changed.
    base: u8,
    /// `base` without its last 48 bytes, sealed to hop 1 by another client.
    #[serde(skip_serializing_if = "Option::is_none")]
    outer: Option<Outer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<Patch>,
    /// Then cut or filled up with zeros to this length.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    /// The hop that it is handed to, if not to `base`.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u8>,
    /// The client that hands it in at hop 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// The context of whoever receives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u64>,
    /// Whether the first hop has peeled the honest packet before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    seen: bool,
}

#[derive(Deserialize, Serialize)]
struct Outer {
    ephemeral: Hex,
    index: u32,
}

#[derive(Deserialize, Serialize)]
struct Patch {
    at: usize,
    bytes: Hex,
}

#[derive(Deserialize, Serialize)]
struct Case {
    forgery: Forgery,
    packet: Hex,
    refused_at: u8,
    error: String,
    /// The AEAD key that the refusing hop derives; none if it does not come to that.
    k: Option<Hex>,
}

/// A body that opened and is still refused.
#[derive(Deserialize, Serialize)]
struct BodyCase {
    name: String,
    patches: Vec<Patch>,
    body: Hex,
    error: String,
}

impl Forgery {
    /// The honest packet as `hop` receives it, handed to that hop.
    fn of(name: impl Into<String>, hop: u8) -> Self {
        Self { name: name.into(), base: hop, ..Self::default() }
    }

    fn patched(self, at: usize, bytes: &[u8]) -> Self {
        Self { patches: vec![Patch { at, bytes: Hex::of(bytes) }], ..self }
    }

    fn packet(&self, honest: &Vector) -> Vec<u8> {
        let mut packet = honest.at(self.base).to_vec();
        if let Some(outer) = &self.outer {
            packet = self.covered(honest, outer, &packet);
        }
        apply(&mut packet, &self.patches);
        packet.resize(self.length.unwrap_or(packet.len()), 0);
        packet
    }

    /// A proper layer for hop 1 around what fits of an inner packet.
    fn covered(&self, honest: &Vector, outer: &Outer, inner: &[u8]) -> Vec<u8> {
        let ephemeral = secret(&outer.ephemeral).prepare(Backend::Dalek);
        let onion_key = honest.inputs.onion_secret(1).public_key();
        let shared = ephemeral.agree(&onion_key).expect("honest keys");
        let place = Place { hop: 1, extra: outer.index };
        let keys = HopKeys::derive(&shared, &honest.inputs.context(), place, &ephemeral.public_key(), &onion_key);
        let mut message = inner[..inner.len() - SEAL_BYTES].to_vec();
        let tag = keys.aead().seal(Backend::Dalek, &mut message);
        [ephemeral.public_key().0.as_slice(), &tag, &message].concat()
    }

    /// Hands the packet on from hop to hop until one refuses it.
    fn judge(self, honest: &Vector) -> Case {
        let start = Hex(self.packet(honest));
        let geometry = honest.inputs.geometry();
        let context = RoundContext {
            network: Digest(self.network.as_ref().unwrap_or(&honest.inputs.network).array()),
            epoch: self.epoch.unwrap_or(honest.inputs.epoch),
            round: self.round.unwrap_or(honest.inputs.round),
        };
        let index = self.index.or(honest.inputs.index).expect("a client's packet");
        let from = self.from.unwrap_or(self.base);
        let mut packet = start.0.clone();
        let mut hop = from;
        let (error, own) = loop {
            let mut replays = ReplaySet::default();
            if self.seen && hop == from {
                assert!(replays.insert(honest.at(hop)[..32].try_into().expect("32 bytes")));
            }
            match hop {
                ENVELOPE_HOP => {
                    let own = secret(&honest.inputs.envelope_secret);
                    match EnvelopeKey::new(context, &own, Backend::default()).open(geometry, &mut packet) {
                        Ok(opened) => packet = opened.letter.to_vec(),
                        Err(error) => break (name(error), own),
                    }
                    hop = LETTER_HOP;
                }
                LETTER_HOP => {
                    let own = secret(&honest.inputs.letter_secret);
                    let opened = open_letter(geometry, &context, &own.prepare(Backend::default()), &mut packet);
                    match opened.expect_err("a forgery is refused somewhere") {
                        LetterError::Seal(error) => break (name(error), own),
                        LetterError::Body(error) => panic!("{error}"),
                    }
                }
                _ => {
                    let own = honest.inputs.onion_secret(hop);
                    let Some(mut slots) = one_packet(geometry, &packet) else { break ("malformed", own) };
                    let peeler = Peeler::new(geometry, context, hop, &own, Backend::default());
                    if let Err((_, error)) = peeler.peel(&mut slots, index) {
                        break (name(error), own);
                    }
                    if !replays.insert(slots.ephemeral(0)) {
                        break ("replay", own);
                    }
                    packet = slots.peeled(0).to_vec();
                    hop = if usize::from(hop) < geometry.mixes() { hop + 1 } else { ENVELOPE_HOP };
                }
            }
        };
        let place = Place { hop, extra: if hop == 1 { index } else { NO_EXTRA } };
        let k = derived_key(&context, &own, place, &packet).filter(|_| error == "bad_tag" || error == "replay");
        Case { forgery: self, packet: start, refused_at: hop, error: error.into(), k }
    }
}

fn one_packet(geometry: Geometry, packet: &[u8]) -> Option<Slots> {
    Slots::from_packets(geometry, packet).filter(|slots| slots.len() == 1)
}

fn derived_key(context: &RoundContext, own: &SecretKey, place: Place, packet: &[u8]) -> Option<Hex> {
    let agreement = own.prepare(Backend::Dalek);
    let ephemeral = PublicKey(packet[..32].try_into().expect("longer than a key"));
    let keys = HopKeys::receive(&agreement, &agreement.public_key(), context, place, &ephemeral).ok()?;
    Some(Hex::of(&keys.expose()[..32]))
}

fn name(error: PeelError) -> &'static str {
    match error {
        PeelError::Malformed => "malformed",
        PeelError::LowOrder => "low_order",
        PeelError::BadTag => "bad_tag",
    }
}

fn apply(bytes: &mut [u8], patches: &[Patch]) {
    for patch in patches {
        bytes[patch.at..][..patch.bytes.0.len()].copy_from_slice(&patch.bytes.0);
    }
}

/// 32 bytes, little-endian, that differ from `middle` only at their ends: small numbers and those around p.
fn point(low: u8, middle: u8, high: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = low;
    bytes[31] = high;
    bytes
}

/// The canonical points of low order, as the specification lists them.
fn low_order() -> [[u8; 32]; 5] {
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ]
    .map(|text| crate::crypto::from_hex(text).expect("hex"));
    [point(0, 0, 0), point(1, 0, 0), point(0xec, 0xff, 0x7f), order_8[0], order_8[1]]
}

fn forgeries(honest: &Vector) -> Vec<Forgery> {
    let mut all = flips(honest);
    all.extend(bad_points(honest));
    all.extend(misdirected(honest));
    all
}

/// One changed bit in every region, at every hop.
fn flips(honest: &Vector) -> Vec<Forgery> {
    let w = honest.sizes.packet;
    let layer = [
        (0, "key"),
        (31, "end of the key"),
        (32, "tag"),
        (47, "end of the tag"),
        (48, "next key"),
        (80, "next tag"),
        (w / 2, "middle"),
        (w - 48, "filler"),
        (w - 1, "last byte"),
    ];
    let envelope = [
        (0, "key"),
        (32, "tag"),
        (48, "mailbox"),
        (64, "capability"),
        (96, "letter"),
        (honest.sizes.envelope - 1, "end"),
    ];
    let letter = [(0, "key"), (32, "tag"), (48, "body"), (honest.sizes.letter - 1, "end")];
    let hops = (1..=honest.inputs.mixes as u8).flat_map(|hop| layer.map(|region| (hop, region)));
    hops.chain(envelope.map(|region| (ENVELOPE_HOP, region)))
        .chain(letter.map(|region| (LETTER_HOP, region)))
        .map(|(hop, (at, region))| {
            let flipped = honest.at(hop)[at] ^ 1;
            Forgery::of(format!("hop {hop}: flipped {region}"), hop).patched(at, &[flipped])
        })
        .collect()
}

fn bad_points(honest: &Vector) -> Vec<Forgery> {
    let mut points: Vec<(String, [u8; 32])> = Vec::new();
    for add in [0, 1, 2, 18] {
        points.push((format!("p + {add}"), point(0xed + add, 0xff, 0x7f)));
    }
    points.push(("2^256 - 1".into(), [0xff; 32]));
    for mut low in low_order() {
        let text = crate::crypto::to_hex(&low);
        points.push((format!("low order {text}"), low));
        low[31] |= 0x80;
        points.push((format!("low order {text} with the top bit"), low));
    }
    let mut all: Vec<Forgery> =
        points.iter().map(|(name, key)| Forgery::of(format!("hop 1: key {name}"), 1).patched(0, key)).collect();
    for hop in [1, 2, 3, ENVELOPE_HOP, LETTER_HOP] {
        let top = honest.at(hop)[31] | 0x80;
        all.push(Forgery::of(format!("hop {hop}: top bit of the key"), hop).patched(31, &[top]));
        if hop != 1 {
            let name = format!("hop {hop}: key of order 8");
            all.push(Forgery::of(name, hop).patched(0, &low_order()[3]));
            let name = format!("hop {hop}: key p + 2");
            all.push(Forgery::of(name, hop).patched(0, &point(0xef, 0xff, 0x7f)));
        }
    }
    all
}

/// Honest bytes in a wrong place.
fn misdirected(honest: &Vector) -> Vec<Forgery> {
    let mut all = Vec::new();
    for hop in [1, 2, 3, ENVELOPE_HOP, LETTER_HOP] {
        let case = |what: &str| Forgery::of(format!("hop {hop}: of another {what}"), hop);
        let network = Hex::of(derive(Label::Network, b"another").0);
        all.push(Forgery { network: Some(network), ..case("network") });
        all.push(Forgery { epoch: Some(honest.inputs.epoch + 1), ..case("epoch") });
        all.push(Forgery { round: Some(honest.inputs.round + 1), ..case("round") });
    }
    for (base, from) in [(1, 2), (2, 1), (2, 3), (3, 2)] {
        let case = Forgery::of(format!("hop {base}'s packet handed to hop {from}"), base);
        all.push(Forgery { from: Some(from), ..case });
    }
    let index = honest.inputs.index.expect("a client's packet") + 1;
    all.push(Forgery { index: Some(index), ..Forgery::of("hop 1: submitted by another client", 1) });
    let ephemeral = Hex(vec![0x42; 32]);
    all.push(Forgery {
        outer: Some(Outer { ephemeral, index }),
        from: Some(1),
        index: Some(index),
        ..Forgery::of("an inner packet under another client's outer layer", 2)
    });
    for hop in [1, 2, 3] {
        all.push(Forgery { seen: true, ..Forgery::of(format!("hop {hop}: replay"), hop) });
        let tag = honest.at(hop)[32] ^ 1;
        let forged = Forgery::of(format!("hop {hop}: forged under a key that was peeled"), hop);
        all.push(Forgery { seen: true, ..forged.patched(32, &[tag]) });
    }
    let w = honest.sizes.packet;
    all.push(Forgery { length: Some(w - 1), ..Forgery::of("one byte short", 1) });
    all.push(Forgery { length: Some(w + 1), ..Forgery::of("one byte long", 1) });
    all
}

impl BodyCase {
    fn judge(name: String, patches: Vec<Patch>, honest: &Vector) -> Self {
        let mut body = honest.body.0.clone();
        apply(&mut body, &patches);
        let error = match Body::parse(honest.inputs.geometry(), &body).expect_err("a broken body is refused") {
            BodyError::Kind => "kind",
            BodyError::Index => "index",
            BodyError::Length => "length",
            BodyError::Padding => "padding",
        };
        Self { name, patches, body: Hex(body), error: error.into() }
    }
}

#[test]
fn forgeries_are_refused_where_and_why_the_vectors_say() {
    let fresh = || {
        let honest = Vector::compute("honest".into(), inputs(900, 3, 1, body(1, 0, 2, b"honest"), false));
        let cases = forgeries(&honest).into_iter().map(|forgery| forgery.judge(&honest)).collect();
        let last = honest.body.0.len() - 1;
        let bodies = [
            ("unknown kind", 0, vec![2]),
            ("reserved byte", 1, vec![1]),
            ("index equals count", 20, vec![2]),
            ("no fragments", 24, vec![0]),
            ("length above the payload", 28, vec![1, 1, 0, 0]),
            ("length that wraps", 28, vec![0xff; 4]),
            ("data behind the length", 28, vec![5]),
            ("padding", last, vec![1]),
        ]
        .map(|(name, at, bytes)| BodyCase::judge(name.into(), vec![Patch { at, bytes: Hex(bytes) }], &honest))
        .into();
        Rejects { honest, cases, bodies }
    };
    check("reject.json", fresh, |file: Rejects| {
        let honest = file.honest.recompute();
        let cases = file.cases.into_iter().map(|case| case.forgery.judge(&honest)).collect();
        let bodies = file.bodies.into_iter().map(|case| BodyCase::judge(case.name, case.patches, &honest)).collect();
        Rejects { honest, cases, bodies }
    });
}
