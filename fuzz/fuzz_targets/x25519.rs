//! X25519 in batches: every backend computes the same of any scalars and points, and refuses the same points.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mixnet::crypto::{Backend, PublicKey, Scalars, SecretKey, SharedSecret, agree_each, multiply, public_keys};

/// Points of an input: some vectors of lanes and a rest.
const MOST: usize = 40;

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let words = data.chunks(32).map(|chunk| {
        let mut word = [0; 32];
        word[..chunk.len()].copy_from_slice(chunk);
        word
    });
    let words: Vec<[u8; 32]> = words.take(2 * MOST).collect();
    if words.is_empty() {
        return;
    }
    // One scalar and its points, or as many scalars as points.
    let shared = kind % 2 == 0;
    let (secrets, points) = words.split_at(if shared { 1 } else { words.len() / 2 });
    let points: Vec<PublicKey> = points.iter().copied().map(PublicKey).take(MOST).collect();
    let secrets: Vec<SecretKey> = secrets.iter().copied().map(SecretKey::from_bytes).collect();
    let own: Vec<&SecretKey> = (0..points.len()).filter_map(|i| secrets.get(i % secrets.len().max(1))).collect();
    if own.len() != points.len() {
        return;
    }
    let scalars = if shared { Scalars::Shared(&secrets[0]) } else { Scalars::Each(&own) };
    let all = Backend::ALL.into_iter().filter(|backend| backend.is_available()).map(|backend| {
        let mut products = vec![[0; 32]; points.len()];
        multiply(backend, scalars, &points, &mut products);
        let mut agreed: Vec<Option<SharedSecret>> = points.iter().map(|_| None).collect();
        if shared {
            secrets[0].prepare(backend).agree_all(&points, &mut agreed);
        } else {
            agree_each(backend, &own, &points, &mut agreed);
        }
        for ((point, product), agreed) in points.iter().zip(&products).zip(&agreed) {
            let expected = (point.check().is_ok() && *product != [0; 32]).then_some(product);
            assert_eq!(agreed.as_ref().map(SharedSecret::expose), expected, "{backend}");
        }
        let mut publics = vec![PublicKey([0; 32]); own.len()];
        public_keys(backend, &own, &mut publics);
        (products, publics)
    });
    let all: Vec<_> = all.collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "the backends differ");
});
