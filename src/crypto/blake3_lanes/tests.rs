//! Every path against the library's one.

use proptest::prelude::*;

use super::*;

const MODES: [Mode; 3] = [Mode::Keyed, Mode::Derive { secret: true }, Mode::Derive { secret: false }];

/// `count` different messages of `length` bytes.
fn messages(count: usize, length: usize, seed: u8) -> Vec<Vec<u8>> {
    (0..count).map(|lane| (0..length).map(|at| (at * 31 + lane * 7) as u8 ^ seed).collect()).collect()
}

/// Whether both ways agree on messages of these lengths, under one key and under one each, for a short and a long output.
fn agrees(messages: &[Vec<u8>], seed: u8) {
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let own: Vec<[u8; 32]> = (0..messages.len()).map(|lane| [seed ^ lane as u8; 32]).collect();
    let own: Vec<&[u8; 32]> = own.iter().collect();
    for mode in MODES {
        for keys in [Keys::Shared(&[seed; 32]), Keys::Each(&own)] {
            let (mut short, mut long) = (vec![[0; 16]; messages.len()], vec![[0; 144]; messages.len()]);
            hash_each(mode, keys, &messages, &mut short);
            hash_each(mode, keys, &messages, &mut long);
            for (i, message) in messages.iter().enumerate() {
                let mut expected = [0; 144];
                hash(mode, keys.at(i), message, &mut expected);
                assert_eq!(long[i], expected, "{mode:?}, message {i} of {} bytes", message.len());
                assert_eq!(short[i], expected[..16]);
            }
        }
    }
}

#[test]
fn lanes_agree_with_the_library_at_the_bounds_of_blocks_and_chunks() {
    for length in [0, 1, 63, 64, 65, 128, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4096, 5000, 7 << 10, 8 << 10, 9000]
    {
        agrees(&messages(LANES, length, length as u8), 5);
    }
    for length in [MOST_BYTES - 1024, MOST_BYTES - 1, MOST_BYTES, MOST_BYTES + 1] {
        agrees(&messages(LANES + 1, length, 3), 9);
    }
}

#[test]
fn any_number_and_mixed_lengths_are_hashed() {
    for count in 0..=2 * LANES + 5 {
        agrees(&messages(count, 150, count as u8), 1);
    }
    let mut mixed = messages(LANES, 100, 2);
    mixed[7].push(1);
    agrees(&mixed, 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn lanes_agree_with_the_library(count in 1usize..40, length in 0usize..6000, seed: u8) {
        agrees(&messages(count, length, seed), seed);
    }
}
