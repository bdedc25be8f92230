//! BLAKE3 of many short messages of one length: side by side where the processor can, one by one elsewhere.

#[cfg_attr(not(target_arch = "x86_64"), path = "absent.rs")]
mod lanes;
#[cfg(test)]
mod tests;

use std::ops::Range;

use blake3::hazmat::HasherExt;
use zeroize::Zeroize;

use lanes::Lanes;

/// Messages side by side.
pub(super) const LANES: usize = 16;
/// The library fills as many lanes with the chunks of one message that is longer.
const MOST_BYTES: usize = 16 << 10;
/// A group costs about three times what one message costs alone, however many are in it.
const WORTH_A_GROUP: usize = 4;

/// What the hash is used as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// A pseudo-random function under a secret key.
    Keyed,
    /// `derive_key`, under the key that its context makes. `secret` if the material or what is derived from it is.
    Derive { secret: bool },
}

impl Mode {
    fn flag(self) -> u32 {
        match self {
            Mode::Keyed => 1 << 4,
            Mode::Derive { .. } => 1 << 6,
        }
    }

    fn is_secret(self) -> bool {
        self != Mode::Derive { secret: false }
    }
}

/// Under which keys.
#[derive(Clone, Copy)]
pub(super) enum Keys<'a> {
    /// One for all.
    Shared(&'a [u8; 32]),
    /// Each message's own: as many as messages.
    Each(&'a [&'a [u8; 32]]),
}

impl<'a> Keys<'a> {
    fn of(self, range: Range<usize>) -> Self {
        match self {
            Keys::Shared(_) => self,
            Keys::Each(all) => Keys::Each(&all[range]),
        }
    }

    fn at(self, i: usize) -> &'a [u8; 32] {
        match self {
            Keys::Shared(key) => key,
            Keys::Each(keys) => keys[i],
        }
    }
}

/// The first N bytes of each message's output into the same place of `out`.
///
/// # Panics
/// If there is not one output for each message, and one key where each has its own.
pub(super) fn hash_each<const N: usize>(mode: Mode, keys: Keys<'_>, messages: &[&[u8]], out: &mut [[u8; N]]) {
    assert_eq!(messages.len(), out.len(), "one output a message");
    let length = messages.first().map_or(0, |message| message.len());
    let fit = length <= MOST_BYTES && messages.iter().all(|message| message.len() == length);
    let mut done = 0;
    if let Some(lanes) = Lanes::detect().filter(|_| fit) {
        let rest = messages.len() % LANES;
        done = messages.len() - if rest < WORTH_A_GROUP { rest } else { 0 };
        lanes.hash(mode, keys.of(0..done), &messages[..done], &mut out[..done]);
    }
    for (i, (message, out)) in messages.iter().zip(out).enumerate().skip(done) {
        hash(mode, keys.at(i), message, out);
    }
}

fn hash<const N: usize>(mode: Mode, key: &[u8; 32], message: &[u8], out: &mut [u8; N]) {
    let mut hasher = match mode {
        Mode::Keyed => blake3::Hasher::new_keyed(key),
        Mode::Derive { .. } => blake3::Hasher::new_from_context_key(key),
    };
    hasher.update(message).finalize_xof().fill(out);
    if mode.is_secret() {
        hasher.zeroize();
    }
}
