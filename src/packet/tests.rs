use rand::{Rng, SeedableRng};

use super::*;
use crate::crypto::{Backend, Csprng, Digest, MailboxId, PublicKey, SecretKey};

/// One round of a cascade of `mixes`, with all its secrets.
struct Round {
    geometry: Geometry,
    context: RoundContext,
    secrets: Vec<SecretKey>,
    envelope: SecretKey,
    recipient: SecretKey,
    rng: Csprng,
}

impl Round {
    fn new(mixes: usize, payload: usize) -> Self {
        let mut rng = Csprng::seed_from_u64(mixes as u64);
        let geometry = Geometry::new(mixes, payload).expect("valid");
        let context = RoundContext { network: Digest([9; 32]), epoch: 3, round: 77 };
        let secrets = (0..mixes).map(|_| SecretKey::random(&mut rng)).collect();
        let (envelope, recipient) = (SecretKey::random(&mut rng), SecretKey::random(&mut rng));
        Self { geometry, context, secrets, envelope, recipient, rng }
    }

    fn builder(&self) -> Builder {
        let keys = self.secrets.iter().map(SecretKey::public_key).collect();
        Builder::new(self.geometry, self.context, Backend::default(), keys, self.envelope.public_key())
    }

    fn peeler(&self, hop: u8) -> Peeler {
        Peeler::new(self.geometry, self.context, hop, &self.secrets[usize::from(hop) - 1], Backend::default())
    }

    fn packet(&mut self, first: u8, data: &[u8]) -> Vec<u8> {
        let body = Body {
            kind: Kind::Fragment,
            message: MessageId([4; 16]),
            index: 0,
            count: 1,
            expiry: 10,
            sender: None,
            data,
        };
        let to = Address { mailbox: MailboxId([8; 16]), letter_key: self.recipient.public_key() };
        let recipe = Recipe { to, body, sender: None };
        let mut out = Vec::new();
        let builder = self.builder();
        if first == 1 {
            builder.client_packet(&mut self.rng, 5, &recipe, &mut out);
        } else {
            builder.noise_packet(&mut self.rng, first, &recipe, &mut out);
        }
        out
    }

    /// Peels from hop `first` to L and opens everything; the data, or the hop that refused.
    fn travel(&self, packet: &[u8], first: u8) -> Result<Vec<u8>, (u8, PeelError)> {
        let mut packet = packet.to_vec();
        for hop in first..=self.geometry.mixes() as u8 {
            let mut slots = Slots::from_packets(self.geometry, &packet).expect("whole packets");
            self.peeler(hop).peel(&mut slots, 5).map_err(|(_, error)| (hop, error))?;
            packet = slots.peeled(0).to_vec();
        }
        let envelope = EnvelopeKey::new(self.context, &self.envelope, Backend::default());
        let opened = envelope.open(self.geometry, &mut packet).map_err(|error| (ENVELOPE_HOP, error))?;
        assert_eq!(opened.mailbox, MailboxId([8; 16]));
        let mut letter = opened.letter.to_vec();
        let own = self.recipient.prepare(Backend::Dalek);
        let letter = open_letter(self.geometry, &self.context, &own, &mut letter).expect("opens");
        Ok(letter.body.data.to_vec())
    }
}

#[test]
fn a_packet_keeps_its_size_and_arrives_at_every_length_of_cascade() {
    for mixes in [2, 3, 5, 7] {
        let mut round = Round::new(mixes, 256);
        for first in 1..=mixes as u8 {
            let packet = round.packet(first, b"hello");
            assert_eq!(packet.len(), round.geometry.packet());
            assert_eq!(round.travel(&packet, first), Ok(b"hello".to_vec()));
        }
    }
}

#[test]
fn every_flipped_byte_dies_at_the_next_hop_wherever_it_is_flipped() {
    let mut round = Round::new(3, 256);
    let mut packet = round.packet(1, &[1; 256]);
    for hop in 1..=3u8 {
        for at in 0..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 1 << (at % 8);
            let mut slots = Slots::from_packets(round.geometry, &forged).expect("whole");
            assert!(round.peeler(hop).peel(&mut slots, 5).is_err(), "hop {hop}, byte {at}");
        }
        let mut slots = Slots::from_packets(round.geometry, &packet).expect("whole");
        round.peeler(hop).peel(&mut slots, 5).expect("the untouched packet peels");
        packet = slots.peeled(0).to_vec();
    }
}

#[test]
fn an_inner_layer_under_another_clients_outer_layer_dies_at_the_first_honest_mix() {
    let mut round = Round::new(3, 256);
    let packet = round.packet(1, b"copied");
    let mut slots = Slots::from_packets(round.geometry, &packet).expect("whole");
    assert_eq!(round.peeler(1).peel(&mut slots, 6), Err((0, PeelError::BadTag)), "another member's onion");
}

#[test]
fn a_seal_is_bound_to_network_epoch_round_and_hop() {
    let mut round = Round::new(3, 256);
    let packet = round.packet(1, b"bound");
    let contexts = [
        RoundContext { network: Digest([8; 32]), ..round.context },
        RoundContext { epoch: 4, ..round.context },
        RoundContext { round: 78, ..round.context },
    ];
    for context in contexts {
        let peeler = Peeler::new(round.geometry, context, 1, &round.secrets[0], Backend::Dalek);
        let mut slots = Slots::from_packets(round.geometry, &packet).expect("whole");
        assert_eq!(peeler.peel(&mut slots, 5), Err((0, PeelError::BadTag)));
    }
    let wrong_hop = Peeler::new(round.geometry, round.context, 2, &round.secrets[0], Backend::Dalek);
    let mut slots = Slots::from_packets(round.geometry, &packet).expect("whole");
    assert_eq!(wrong_hop.peel(&mut slots, 5), Err((0, PeelError::BadTag)));
}

#[test]
fn bad_points_are_refused_before_the_key_agreement() {
    let mut round = Round::new(2, 256);
    let packet = round.packet(1, b"");
    let refused = |key: [u8; 32]| {
        let mut forged = packet.clone();
        forged[..32].copy_from_slice(&key);
        let mut slots = Slots::from_packets(round.geometry, &forged).expect("whole");
        round.peeler(1).peel(&mut slots, 5).expect_err("refused").1
    };
    let mut flipped: [u8; 32] = packet[..32].try_into().expect("32 bytes");
    flipped[31] |= 0x80;
    assert_eq!(refused(flipped), PeelError::Malformed);
    assert_eq!(refused([0; 32]), PeelError::LowOrder);
    assert_eq!(refused([0xff; 32]), PeelError::Malformed);
}

#[test]
fn a_sender_is_known_by_its_tag_and_by_nobody_elses() {
    let mut round = Round::new(2, 256);
    let sender = SecretKey::random(&mut round.rng);
    let stranger = SecretKey::random(&mut round.rng);
    let to = Address { mailbox: MailboxId([8; 16]), letter_key: round.recipient.public_key() };
    let outgoing = Correspondent::new(&round.context.network, &sender, &to.letter_key, true).expect("points");
    let body = Body {
        kind: Kind::Fragment,
        message: MessageId([1; 16]),
        index: 0,
        count: 1,
        expiry: 1,
        sender: Some(MailboxId([2; 16])),
        data: b"signed",
    };
    let mut packet = Vec::new();
    let recipe = Recipe { to, body, sender: Some(&outgoing) };
    round.builder().client_packet(&mut round.rng, 5, &recipe, &mut packet);
    for hop in 1..=2 {
        let mut slots = Slots::from_packets(round.geometry, &packet).expect("whole");
        round.peeler(hop).peel(&mut slots, 5).expect("peels");
        packet = slots.peeled(0).to_vec();
    }
    let envelope = EnvelopeKey::new(round.context, &round.envelope, Backend::default());
    let mut letter = envelope.open(round.geometry, &mut packet).expect("opens").letter.to_vec();
    let own = round.recipient.prepare(Backend::default());
    let letter = open_letter(round.geometry, &round.context, &own, &mut letter).expect("opens");
    let from =
        |key: &PublicKey| Correspondent::new(&round.context.network, &round.recipient, key, false).expect("a point");
    assert!(letter.is_from(&from(&sender.public_key())));
    assert!(!letter.is_from(&from(&stranger.public_key())));
}

#[test]
fn the_keys_that_peeling_keeps_give_the_echo_that_was_foretold() {
    let mut round = Round::new(5, 256);
    let to = Address { mailbox: MailboxId([8; 16]), letter_key: round.recipient.public_key() };
    let recipe = Recipe { to, body: Body::dummy(MessageId([4; 16]), 10, b""), sender: None };
    for first in 1..=5 {
        let mut packets = Vec::new();
        let builder = round.builder();
        let mut build = || match first {
            1 => builder.client_packet(&mut round.rng, 5, &recipe, &mut packets),
            _ => builder.noise_packet(&mut round.rng, first, &recipe, &mut packets),
        };
        let foretold = [build(), build()];
        assert_ne!(foretold[0], foretold[1]);
        let mut path = Vec::new();
        for hop in first..=5 {
            let mut slots = Slots::from_packets(round.geometry, &packets).expect("whole packets");
            round.peeler(hop).peel(&mut slots, 5).expect("peels");
            packets = (0..2).flat_map(|i| slots.peeled(i).to_vec()).collect();
            path.push(slots.take_echo_keys());
        }
        let w = round.geometry.packet();
        let (exit, before) = path.split_last().expect("at least one hop");
        for (i, foretold) in foretold.iter().enumerate() {
            let first = first_echo(&exit[i], round.geometry, round.context.round, &packets[i * w..][..w]);
            let echo = before.iter().rev().fold(first, |echo, keys| next_echo(&keys[i], &echo));
            assert_eq!(echo, *foretold);
        }
    }
}

#[test]
fn a_commitment_is_bound_to_everything_it_names() {
    let context = Round::new(2, 256).context;
    let honest = commitment(&context, 5, &[1; 16]);
    let others = [
        commitment(&RoundContext { network: Digest([8; 32]), ..context }, 5, &[1; 16]),
        commitment(&RoundContext { epoch: 4, ..context }, 5, &[1; 16]),
        commitment(&RoundContext { round: 78, ..context }, 5, &[1; 16]),
        commitment(&context, 6, &[1; 16]),
        commitment(&context, 5, &[2; 16]),
    ];
    assert!(!others.contains(&honest));
}

#[test]
fn a_body_must_be_canonical() {
    let geometry = Geometry::new(2, 256).expect("valid");
    let body = Body {
        kind: Kind::Dummy,
        message: MessageId([0; 16]),
        index: 0,
        count: 1,
        expiry: 0,
        sender: None,
        data: b"x",
    };
    let mut bytes = vec![0; geometry.body()];
    body.write(&mut bytes);
    assert_eq!(Body::parse(geometry, &bytes).expect("canonical").0, body);
    for (at, value, error) in [
        (0, 2, BodyError::Kind),
        (1, 1, BodyError::Padding),
        (20, 1, BodyError::Index),
        (30, 9, BodyError::Length),
        (BODY_HEADER_BYTES + 1, 1, BodyError::Padding),
        (geometry.body() - 1, 0x80, BodyError::Padding),
    ] {
        let mut broken = bytes.clone();
        broken[at] = value;
        assert_eq!(Body::parse(geometry, &broken), Err(error));
    }
}

#[test]
fn a_tag_stands_only_in_a_letter_that_names_its_sender() {
    let round = Round::new(3, 256);
    let own = SecretKey::from_bytes([7; 32]);
    let peer = round.recipient.public_key();
    let correspondent = Correspondent::new(&round.context.network, &own, &peer, true).expect("a usable key");
    let packet = |name: Option<MailboxId>, sender: Option<&Correspondent>| {
        let body = Body {
            kind: Kind::Dummy,
            message: MessageId([4; 16]),
            index: 0,
            count: 1,
            expiry: 10,
            sender: name,
            data: b"x",
        };
        let recipe = Recipe { to: Address { mailbox: MailboxId([8; 16]), letter_key: peer }, body, sender };
        let mut out = Vec::new();
        round.builder().client_packet(&mut Csprng::seed_from_u64(1), 5, &recipe, &mut out);
        out
    };
    let (name, tag) = (Some(MailboxId([3; 16])), Some(&correspondent));
    assert_eq!(packet(None, tag), packet(None, None));
    assert_ne!(packet(name, tag), packet(name, None));
}

#[test]
fn the_replay_set_is_exact() {
    let mut rng = Csprng::seed_from_u64(1);
    let mut set = ReplaySet::default();
    let mut key = [0; 32];
    for _ in 0..1000 {
        rng.fill_bytes(&mut key);
        assert!(!set.contains(&key));
        assert!(set.insert(key));
        assert!(!set.insert(key));
    }
}

#[test]
fn a_permutation_holds_every_index_once() {
    let mut order = permutation(&mut Csprng::seed_from_u64(2), 1000);
    assert_ne!(order, (0..1000).collect::<Vec<u32>>());
    order.sort_unstable();
    assert_eq!(order, (0..1000).collect::<Vec<u32>>());
}

#[test]
fn a_peeled_slot_is_sealed_again_to_the_very_bytes_that_came() {
    for (mixes, payload) in [(2, 256), (3, 1024), (7, 65_536)] {
        let mut round = Round::new(mixes, payload);
        let mut packets: Vec<u8> = (0..3).flat_map(|i| round.packet(1, &[i; 200])).collect();
        for hop in 1..=mixes as u8 {
            let mut slots = Slots::from_packets(round.geometry, &packets).expect("whole packets");
            round.peeler(hop).peel(&mut slots, 5).expect("honest packets peel");
            // As it is when the batch has left.
            slots.take_echo_keys();
            for backend in Backend::ALL {
                let secret = &round.secrets[usize::from(hop) - 1];
                let peeler = Peeler::new(round.geometry, round.context, hop, secret, backend);
                let restored = peeler.restore(&slots, 5).expect("its own");
                let again: Vec<u8> = (0..3).flat_map(|i| restored.received(i).to_vec()).collect();
                assert_eq!(again, packets, "hop {hop} of {mixes}, {backend}");
            }
            packets = (0..3).flat_map(|i| slots.peeled(i).to_vec()).collect();
        }
    }
}

#[test]
fn a_slot_that_has_changed_is_not_sealed_again() {
    let mut round = Round::new(2, 256);
    let packets = [round.packet(1, b"one"), round.packet(1, b"two")].concat();
    let mut slots = Slots::from_packets(round.geometry, &packets).expect("whole packets");
    round.peeler(1).peel(&mut slots, 5).expect("honest packets peel");
    assert_eq!(round.peeler(1).restore(&slots, 6).err(), Some((0, PeelError::BadTag)), "another client's");
    assert_eq!(round.peeler(2).restore(&slots, 5).err(), Some((0, PeelError::BadTag)), "another hop's key");
    slots.peeled_mut(1)[9] ^= 1;
    assert_eq!(round.peeler(1).restore(&slots, 5).err(), Some((1, PeelError::BadTag)));
}

#[test]
fn a_trace_is_the_way_that_a_packet_takes() {
    for mixes in [2, 3, 7] {
        let mut round = Round::new(mixes, 256);
        let (builder, mut onion) = (round.builder(), Vec::new());
        let to = Address { mailbox: MailboxId([8; 16]), letter_key: round.recipient.public_key() };
        let recipe = Recipe { to, body: Body::dummy(MessageId([4; 16]), 10, b""), sender: None };
        let echo = builder.client_packet(&mut round.rng, 5, &recipe, &mut onion);
        let peelers: Vec<Peeler> = (1..=mixes as u8).map(|hop| round.peeler(hop)).collect();
        let trace = Trace::new(&peelers, 5, &onion, &mut Vec::new());
        assert_eq!((trace.failed, trace.echoes.first()), (None, Some(&echo)));
        let mut packet = onion.clone();
        for (i, peeler) in peelers.iter().enumerate() {
            assert_eq!(trace.packets[i], crate::wire::onion_digest(&packet));
            assert_eq!(Trace::packet_at(&peelers, 5, &onion, i as u8 + 1).as_ref(), Some(&packet));
            let mut slots = Slots::from_packets(round.geometry, &packet).expect("a whole packet");
            peeler.peel(&mut slots, 5).expect("it peels");
            assert_eq!(trace.echo_keys[i].0, slots.echo_keys()[0].0);
            packet = slots.peeled(0).to_vec();
            if let Some(next) = trace.echoes.get(i + 1) {
                assert_eq!(trace.echoes[i], next_echo(&trace.echo_keys[i], next));
            }
        }
        for hop in 1..=mixes as u8 {
            let mut inner = vec![7; round.geometry.packet()];
            inner[..32].copy_from_slice(&SecretKey::from_bytes([hop; 32]).public_key().0);
            let wrapped = builder.wrap(&mut round.rng, hop, 5, &inner);
            let trace = Trace::new(&peelers, 5, &wrapped, &mut Vec::new());
            assert_eq!((trace.echo_keys.len(), trace.failed), (usize::from(hop) - 1, Some(PeelError::BadTag)));
            assert_eq!((trace.packets.len(), trace.echoes.len()), (usize::from(hop), 0));
            assert_eq!(Trace::packet_at(&peelers, 5, &wrapped, hop + 1), None);
        }
    }
}
