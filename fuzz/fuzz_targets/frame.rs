//! A stream of frames as a peer sends it: prefix, length, message, whatever follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mixnet::wire::codec::{Decode, Encode, MAX_MESSAGE};
use mixnet::wire::frame::{self, PREFIX_BYTES};
use mixnet::wire::{PeerMessage, Reply, Request};

fuzz_target!(|data: &[u8]| {
    let Some((kind, mut stream)) = data.split_first() else { return };
    while let Some(prefix) = stream.first_chunk::<PREFIX_BYTES>() {
        let Ok(length) = frame::length(*prefix) else {
            assert!(!(1..=MAX_MESSAGE).contains(&(u32::from_le_bytes(*prefix) as usize)));
            return;
        };
        let Some((whole, rest)) = stream.split_at_checked(PREFIX_BYTES + length) else {
            assert!(frame::read::<Request>(stream).is_err(), "a frame that is cut off is no frame");
            return;
        };
        match kind % 3 {
            0 => read::<Request>(whole),
            1 => read::<Reply>(whole),
            _ => read::<PeerMessage>(whole),
        }
        stream = rest;
    }
});

/// What is read is exactly what would be written.
fn read<T: Decode<()> + Encode>(whole: &[u8]) {
    if let Ok(message) = frame::read::<T>(whole) {
        assert_eq!(frame::write(&message), whole);
    }
}
