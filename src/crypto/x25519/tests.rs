//! All backends against each other, the standard, and Wycheproof.

use rand::{Rng, SeedableRng};

use super::*;
use crate::crypto::{Csprng, from_hex};

#[test]
fn backends_agree_with_each_other() {
    let mut rng = Csprng::seed_from_u64(1);
    for _ in 0..200 {
        let (a, b) = (SecretKey::random(&mut rng), SecretKey::random(&mut rng));
        let publics: Vec<_> = Backend::ALL.iter().map(|k| a.prepare(*k).public_key()).collect();
        assert!(publics.windows(2).all(|pair| pair[0] == pair[1]));
        let secrets: Vec<_> =
            Backend::ALL.iter().map(|k| b.prepare(*k).agree(&publics[0]).expect("random point").0).collect();
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(a.prepare(Backend::Dalek).agree(&b.public_key()).expect("random point").0, secrets[0]);
    }
}

#[test]
fn rfc_7748_section_5_2() {
    let scalar = from_hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4").expect("hex");
    let point = from_hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c").expect("hex");
    let out = from_hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552").expect("hex");
    for backend in Backend::ALL {
        let secret = SecretKey::from_bytes(scalar).prepare(backend).agree(&PublicKey(point));
        assert_eq!(secret.expect("a point of large order").0, out);
    }
}

#[test]
fn every_refused_point_is_refused_for_its_reason() {
    for mut point in LOW_ORDER {
        assert_eq!(PublicKey(point).check(), Err(PointError::LowOrder));
        for backend in Backend::ALL {
            assert!(SecretKey::from_bytes([5; 32]).prepare(backend).agree(&PublicKey(point)).is_none());
        }
        point[31] |= 0x80;
        assert_eq!(PublicKey(point).check(), Err(PointError::NonCanonical));
    }
    for add in 0..19u8 {
        let mut point = FIELD_PRIME;
        point[0] += add;
        assert_eq!(PublicKey(point).check(), Err(PointError::NonCanonical), "p + {add}");
    }
    assert_eq!(PublicKey([2; 32]).check(), Ok(()));
}

/// Those of this processor.
fn available() -> impl Iterator<Item = Backend> {
    Backend::ALL.into_iter().filter(|backend| backend.is_available())
}

fn draw<T>(count: usize, seed: u64, mut make: impl FnMut(&mut Csprng) -> T) -> Vec<T> {
    let mut rng = Csprng::seed_from_u64(seed);
    (0..count).map(|_| make(&mut rng)).collect()
}

fn points(count: usize, seed: u64) -> Vec<PublicKey> {
    draw(count, seed, |rng| {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        bytes[31] &= 0x7f;
        PublicKey(bytes)
    })
}

fn product(backend: Backend, scalars: Scalars<'_>, points: &[PublicKey]) -> Vec<[u8; 32]> {
    let mut out = vec![[0xaa; 32]; points.len()];
    multiply(backend, scalars, points, &mut out);
    out
}

#[test]
fn wycheproof_in_every_lane() {
    let text = include_str!("../../../tests/wycheproof/x25519.txt");
    let mut vectors: Vec<(SecretKey, PublicKey, [u8; 32])> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let hex: Vec<[u8; 32]> = line.split(' ').skip(1).map(|word| from_hex(word).expect("hex")).collect();
            (SecretKey::from_bytes(hex[0]), PublicKey(hex[1]), hex[2])
        })
        .collect();
    assert_eq!(vectors.len(), 518);
    for backend in available() {
        for _lane in 0..8 {
            vectors.rotate_left(1);
            let own: Vec<&SecretKey> = vectors.iter().map(|(own, ..)| own).collect();
            let points: Vec<PublicKey> = vectors.iter().map(|(_, point, _)| *point).collect();
            let expected: Vec<[u8; 32]> = vectors.iter().map(|(.., shared)| *shared).collect();
            assert_eq!(product(backend, Scalars::Each(&own), &points), expected, "{backend}");

            let mut secrets: Vec<Option<SharedSecret>> = vectors.iter().map(|_| None).collect();
            agree_each(backend, &own, &points, &mut secrets);
            for ((_, point, shared), secret) in vectors.iter().zip(secrets) {
                let expected = (point.check().is_ok() && *shared != [0; 32]).then_some(*shared);
                assert_eq!(secret.map(|secret| *secret.expose()), expected, "{backend}");
            }
        }
    }
}

#[test]
fn rfc_7748_iterations() {
    let base = BASE_FOR_TESTS.0;
    for backend in available() {
        let (mut k, mut u) = (base, base);
        for i in 1..=1000 {
            let own = SecretKey::from_bytes(k);
            (k, u) = (product(backend, Scalars::Shared(&own), &[PublicKey(u)])[0], k);
            let expected = match i {
                1 => "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
                1000 => "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
                _ => continue,
            };
            assert_eq!(k, from_hex(expected).expect("hex"), "{backend}, {i}");
        }
    }
}

const BASE_FOR_TESTS: PublicKey = PublicKey({
    let mut u = [0; 32];
    u[0] = 9;
    u
});

#[test]
fn batches_of_every_length_are_what_single_agreements_are() {
    let peers = points(1040, 2);
    let secrets = draw(1040, 3, SecretKey::random);
    let own: Vec<&SecretKey> = secrets.iter().collect();
    let reference: Vec<[u8; 32]> = own
        .iter()
        .zip(&peers)
        .map(|(own, peer)| *own.prepare(Backend::AwsLc).agree(peer).expect("random").expose())
        .collect();
    let shared = own[0].prepare(Backend::AwsLc);
    let shared_reference: Vec<[u8; 32]> =
        peers.iter().map(|peer| *shared.agree(peer).expect("random").expose()).collect();
    let exposed = |secrets: &[Option<SharedSecret>]| -> Vec<[u8; 32]> {
        secrets.iter().map(|secret| *secret.as_ref().expect("random").expose()).collect()
    };
    let lengths = (0..=33).chain(505..=521).chain([1023, 1024, 1025, 1040]);
    for (count, backend) in lengths.flat_map(|count| available().map(move |backend| (count, backend))) {
        if backend == Backend::Dalek && count > 33 {
            continue;
        }
        let mut secrets: Vec<Option<SharedSecret>> = (0..count).map(|_| None).collect();
        agree_each(backend, &own[..count], &peers[..count], &mut secrets);
        assert_eq!(exposed(&secrets), reference[..count], "{backend}, {count} keys");
        own[0].prepare(backend).agree_all(&peers[..count], &mut secrets);
        assert_eq!(exposed(&secrets), shared_reference[..count], "{backend}, one key, {count} peers");
        let mut publics = vec![PublicKey([0; 32]); count];
        public_keys(backend, &own[..count], &mut publics);
        for (own, public) in own.iter().zip(&publics).step_by(7) {
            assert_eq!(own.public_key(), *public, "{backend}, {count} public keys");
        }
    }
}

/// Every encoding of a point of low order, the non-canonical ones too: each is worth zero.
fn worthless() -> Vec<PublicKey> {
    let mut found = LOW_ORDER.to_vec();
    for add in [0, 1] {
        let mut above = FIELD_PRIME;
        above[0] += add;
        found.push(above);
    }
    for i in 0..found.len() {
        let mut high = found[i];
        high[31] |= 0x80;
        found.push(high);
    }
    found.into_iter().map(PublicKey).collect()
}

#[test]
fn a_worthless_point_harms_no_neighbour() {
    let own = SecretKey::from_bytes([7; 32]);
    // Three vectors, or six: neighbours in the same one, and in the same lane before and behind, that share its inversion.
    let honest = points(24, 4);
    let expected = product(Backend::Dalek, Scalars::Shared(&own), &honest);
    for bad in worthless() {
        for place in 0..24 {
            let (mut peers, mut expected) = (honest.clone(), expected.clone());
            (peers[place], expected[place]) = (bad, [0; 32]);
            for backend in available() {
                assert_eq!(product(backend, Scalars::Shared(&own), &peers), expected, "{backend}: {bad:?} at {place}");
                let mut secrets: [Option<SharedSecret>; 24] = [const { None }; 24];
                own.prepare(backend).agree_all(&peers, &mut secrets);
                for (i, (secret, expected)) in secrets.iter().zip(&expected).enumerate() {
                    let expected = (i != place).then_some(expected);
                    assert_eq!(
                        secret.as_ref().map(SharedSecret::expose),
                        expected,
                        "{backend}: {bad:?} at {place}, {i}"
                    );
                }
            }
        }
    }
}

#[test]
fn worthless_points_alone_and_together_are_zero() {
    let own = SecretKey::from_bytes([7; 32]);
    let all = worthless();
    for backend in available() {
        assert_eq!(product(backend, Scalars::Shared(&own), &all), vec![[0; 32]; all.len()], "{backend}");
    }
}

#[test]
fn a_point_that_is_not_canonical_is_refused_alone() {
    let own = SecretKey::from_bytes([7; 32]);
    let honest = points(11, 5);
    for place in 0..11 {
        let mut peers = honest.clone();
        peers[place].0[31] |= 0x80;
        for backend in available() {
            let mut secrets: [Option<SharedSecret>; 11] = [const { None }; 11];
            own.prepare(backend).agree_all(&peers, &mut secrets);
            assert!(secrets.iter().enumerate().all(|(i, secret)| secret.is_none() == (i == place)), "{backend}");
        }
    }
}

#[test]
fn points_at_the_ends_of_the_range_and_with_limbs_at_their_bounds() {
    let mut peers = Vec::new();
    for near in 0..40 {
        for high in [0x7f, 0xff] {
            let mut below = [0xff; 32];
            (below[0], below[31]) = (0xff - near, high);
            peers.push(PublicKey(below));
        }
        let mut above = [0; 32];
        above[0] = near;
        peers.push(PublicKey(above));
    }
    let bounds = [0u64, 1, (1 << 50) - 1, 1 << 50, (1 << 51) - 1];
    for choice in 0..5usize.pow(5) {
        let limb = |i: u32| bounds[choice / 5usize.pow(i) % 5];
        let words = [
            limb(0) | limb(1) << 51,
            limb(1) >> 13 | limb(2) << 38,
            limb(2) >> 26 | limb(3) << 25,
            limb(3) >> 39 | limb(4) << 12,
        ];
        let mut bytes = [0; 32];
        bytes.chunks_exact_mut(8).zip(words).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
        peers.push(PublicKey(bytes));
    }
    let mut random = [0; 32];
    Csprng::seed_from_u64(6).fill_bytes(&mut random);
    for scalar in [[0; 32], [0xff; 32], random] {
        let own = SecretKey::from_bytes(scalar);
        let expected = product(Backend::AwsLc, Scalars::Shared(&own), &peers);
        for backend in available() {
            let step = if backend == Backend::Dalek { 11 } else { 1 };
            let some: Vec<PublicKey> = peers.iter().copied().step_by(step).collect();
            let expected: Vec<[u8; 32]> = expected.iter().copied().step_by(step).collect();
            assert!(product(backend, Scalars::Shared(&own), &some) == expected, "{backend}");
        }
    }
}

#[test]
fn a_backend_is_known_by_its_name() {
    assert_eq!(Backend::ALL.map(|backend| backend.to_string()), ["ifma", "lanes", "lanes4", "aws-lc", "dalek"]);
    assert!(Backend::default().is_available());
    assert_ne!(Backend::default(), Backend::Dalek);
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn nothing_stays_on_the_stack_below_the_lanes() {
    use std::os::unix::fs::FileExt;

    use crate::crypto::STACK;

    const DEEP: usize = 256 << 10;
    const PAINT: u8 = 0x5a;

    #[inline(never)]
    fn paint() -> u64 {
        let mut stack = [PAINT; DEEP];
        std::hint::black_box(&mut stack).as_ptr() as u64
    }

    let memory = std::fs::File::open("/proc/self/mem").expect("our own");
    let (own, peers) = (SecretKey::from_bytes([7; 32]), points(64, 7));
    let (mut out, mut stack) = (vec![[0; 32]; peers.len()], vec![0; DEEP]);
    for backend in Backend::IN_LANES.into_iter().filter(|backend| backend.is_available()) {
        let bottom = paint();
        multiply(backend, Scalars::Shared(&own), &peers, &mut out);
        memory.read_exact_at(&mut stack, bottom).expect("our own");
        let deepest = stack.iter().position(|byte| *byte != PAINT).expect("it was used");
        assert!(deepest > 0, "{backend}: the paint is not deep enough");
        // Nobody has been deeper than what clears it, and since then nobody so deep.
        let spare = &stack[deepest..][..STACK / 4];
        assert!(spare.iter().all(|byte| *byte == 0), "{backend}: what is cleared is not deep enough");
    }
}
