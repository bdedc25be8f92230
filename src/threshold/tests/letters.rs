//! Letters sealed to a joint key by the code that clients seal with.

use proptest::prelude::*;

use super::*;
use crate::packet::{Address, Body, Builder, EnvelopeKey, Geometry, Kind, MessageId, Recipe, RoundContext, Slots};
use crate::packet::{Peeler, open_letter};

const GEOMETRY: (usize, usize) = (2, 256);

/// A packet of `round` whose envelope is sealed to `public`, as the exit has it: peeled.
struct Sealed {
    geometry: Geometry,
    context: RoundContext,
    recipient: SecretKey,
    packet: Vec<u8>,
}

impl Sealed {
    fn new(rng: &mut Csprng, round: u64, public: PublicKey) -> Self {
        let geometry = Geometry::new(GEOMETRY.0, GEOMETRY.1).expect("valid");
        let context = RoundContext { network: Digest([9; 32]), epoch: 3, round };
        let layers: Vec<SecretKey> = (0..GEOMETRY.0).map(|_| SecretKey::random(rng)).collect();
        let recipient = SecretKey::random(rng);
        let publics = layers.iter().map(SecretKey::public_key).collect();
        let builder = Builder::new(geometry, context, Backend::default(), publics, public);
        let body = Body {
            kind: Kind::Fragment,
            message: MessageId([4; 16]),
            index: 0,
            count: 1,
            expiry: 10,
            sender: None,
            data: b"at noon",
        };
        let to = Address { mailbox: crate::crypto::MailboxId([8; 16]), letter_key: recipient.public_key() };
        let mut packet = Vec::new();
        builder.client_packet(rng, 5, &Recipe { to, body, sender: None }, &mut packet);
        for (hop, secret) in (1..).zip(&layers) {
            let mut slots = Slots::from_packets(geometry, &packet).expect("whole packets");
            Peeler::new(geometry, context, hop, secret, Backend::default()).peel(&mut slots, 5).expect("honest");
            packet = slots.peeled(0).to_vec();
        }
        Self { geometry, context, recipient, packet }
    }

    /// Whether `key` opens the envelope, on both backends alike, and the right letter is in it.
    fn opens_with(&self, key: &SecretKey) -> bool {
        let opened = Backend::ALL.map(|backend| {
            let mut packet = self.packet.clone();
            let Ok(envelope) = EnvelopeKey::new(self.context, key, backend).open(self.geometry, &mut packet) else {
                return false;
            };
            let mut letter = envelope.letter.to_vec();
            let own = self.recipient.prepare(backend);
            let letter = open_letter(self.geometry, &self.context, &own, &mut letter).expect("the recipient's");
            assert_eq!(letter.body.data, b"at noon");
            true
        });
        assert_eq!(opened[0], opened[1]);
        opened[0]
    }
}

#[test]
fn any_t_open_a_letter_and_more_do_too() {
    let mut rng = Csprng::seed_from_u64(21);
    for (threshold, mixes) in SCHEMES {
        let (all, keys) = Mixes::ready(&mut rng, window(threshold, mixes, 2));
        for round in all.window.rounds() {
            let sealed = Sealed::new(&mut rng, round, keys.public_key(round).expect("in the window"));
            for size in threshold..=mixes {
                for mut set in sets(mixes, u32::from(size)) {
                    set.reverse();
                    let key = keys.open(round, &all.shares(round, &set)).expect("honest");
                    assert!(sealed.opens_with(&key), "{threshold} of {mixes}: {set:?}");
                }
            }
        }
        let other = keys.open(FIRST + 1, &all.shares(FIRST + 1, &(1..=mixes).collect::<Vec<_>>())).expect("honest");
        let sealed = Sealed::new(&mut rng, FIRST, keys.public_key(FIRST).expect("in the window"));
        assert!(!sealed.opens_with(&other), "a round's key opens that round only");
    }
}

/// Everything that a coalition can try to join: its shares as they are, with zero or a public or a random number in place of one
/// that it lacks, and every number that it knows alone; each joined both ways.
fn attempts(rng: &mut Csprng, all: &Mixes, coalition: &[u8], round: u64) -> Vec<SecretScalar> {
    let scheme = all.window.scheme();
    let held = |mixes: &[u8]| -> Vec<(u8, SecretScalar)> {
        let number = |share: Share| share.scalar().expect("canonical");
        all.shares(round, mixes).into_iter().map(|(mix, share)| (mix, number(share))).collect()
    };
    let mut found = Vec::new();
    for additive in [true, false] {
        for size in 1..=coalition.len() as u32 {
            for chosen in sets(scheme.mixes(), size).filter(|set| set.iter().all(|mix| coalition.contains(mix))) {
                found.push(join(&held(&chosen), additive));
            }
        }
        for absent in (1..=scheme.mixes()).filter(|mix| !coalition.contains(mix)) {
            let random = SecretScalar::random(rng).0;
            let mut guesses = vec![Scalar::ZERO, Scalar::ONE, random];
            guesses.extend(held(coalition).iter().map(|(_, share)| share.0));
            for guess in guesses {
                let mut shares = held(coalition);
                shares.push((absent, secret_of(guess)));
                found.push(join(&shares, additive));
            }
        }
    }
    if !scheme.is_additive() {
        // Its own constants, and what every other dealer dealt to it, joined dealer by dealer and added up.
        let mut sum = Scalar::ZERO;
        for dealer in 1..=scheme.mixes() {
            let secrets = &all.secrets[usize::from(dealer) - 1];
            let receivers =
                if coalition.contains(&dealer) { (1..=scheme.mixes()).collect() } else { coalition.to_vec() };
            let known: Vec<(u8, SecretScalar)> =
                receivers.into_iter().map(|to| number((to, secrets.sub_share(round, to).expect("drawn")))).collect();
            sum += join(&known, false).0;
        }
        found.push(secret_of(sum));
    }
    found
}

fn number((mix, sub_share): (u8, SubShare)) -> (u8, SecretScalar) {
    (mix, sub_share.scalar().expect("canonical"))
}

#[test]
fn no_set_of_fewer_opens_with_everything_it_holds() {
    let mut rng = Csprng::seed_from_u64(22);
    for (threshold, mixes) in SCHEMES {
        let (all, keys) = Mixes::ready(&mut rng, window(threshold, mixes, 1));
        let public = keys.public_key(FIRST).expect("in the window");
        let sealed = Sealed::new(&mut rng, FIRST, public);
        for coalition in sets(mixes, u32::from(threshold) - 1) {
            let given = coalition.len();
            let refused = outcome(keys.open(FIRST, &all.shares(FIRST, &coalition)));
            assert_eq!(refused, Err(JointKeyError::TooFewShares { given, needed: threshold }));
            let attempts = attempts(&mut rng, &all, &coalition, FIRST);
            for key in attempts.iter().filter_map(clamped) {
                assert!(!sealed.opens_with(&key), "{threshold} of {mixes}: {coalition:?}");
            }
        }
        // The same attempts with one mix more find the key: they are not idle.
        let coalition: Vec<u8> = (1..=threshold).collect();
        let attempts = attempts(&mut rng, &all, &coalition, FIRST);
        assert!(attempts.iter().filter_map(clamped).any(|key| sealed.opens_with(&key)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_windows_open_with_random_sets(
        seed: u64, mixes in 2u8..=7, t in 0u8..6, epoch: u64, first in 0..u64::MAX - 4, rounds in 1u32..4, pick: u64,
    ) {
        let mut rng = Csprng::seed_from_u64(seed);
        let scheme = Scheme::new(2 + t % (mixes - 1), mixes).expect("valid");
        let window = Window::new(Digest(rng.random()), epoch, first, rounds, scheme).expect("valid");
        let (all, keys) = Mixes::ready(&mut rng, window);
        let round = first + pick % u64::from(rounds);
        let mut set: Vec<u8> = (1..=mixes).collect();
        while set.len() > usize::from(scheme.threshold()) {
            set.remove(rng.random_range(0..set.len()));
        }
        let public = keys.public_key(round).expect("in the window");
        prop_assert_eq!(public.check(), Ok(()));
        let key = keys.open(round, &all.shares(round, &set)).expect("honest");
        prop_assert!(Backend::ALL.iter().all(|backend| key.prepare(*backend).public_key() == public));
        let sealed = Sealed::new(&mut rng, round, public);
        prop_assert!(sealed.opens_with(&key));
        let fewer = set.len() - 1;
        prop_assert!(keys.open(round, &all.shares(round, &set[..fewer])).is_err());
    }
}
