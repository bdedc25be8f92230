//! BLAKE3 of sixteen messages of one length at once: one message in each 32-bit lane of AVX-512 registers.
//!
//! The library fills its lanes with the chunks of one message, and a packet has two or three. Here every lane does the
//! same block of its own message, so lengths, counters and flags are those of all. The names are those of the BLAKE3 paper,
//! section 2. Nothing branches on a byte of a message or of a key.

use core::arch::x86_64::*;

use super::{Keys, LANES, MOST_BYTES, Mode};
use crate::crypto::clear_stack;

/// Shows that the processor can run the lanes.
#[derive(Clone, Copy)]
pub(in crate::crypto) struct Lanes(());

impl Lanes {
    /// `Some` if the processor, and the system's handling of its registers, has AVX-512 F.
    pub(in crate::crypto) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    /// The first N bytes of each message's output into the same place of `out`. Leaves nothing secret on the stack if
    /// the mode is one of secrets.
    ///
    /// # Panics
    /// If the messages are not of one length, longer than [`MOST_BYTES`], or there is not one output for each, and one key
    /// where each has its own.
    pub(super) fn hash<const N: usize>(self, mode: Mode, keys: Keys<'_>, messages: &[&[u8]], out: &mut [[u8; N]]) {
        assert_eq!(messages.len(), out.len(), "one output a message");
        if let Keys::Each(keys) = keys {
            assert_eq!(keys.len(), messages.len(), "one key a message");
        }
        let length = messages.first().map_or(0, |message| message.len());
        assert!(length <= MOST_BYTES && messages.iter().all(|message| message.len() == length), "one length");
        for (i, (messages, out)) in messages.chunks(LANES).zip(out.chunks_mut(LANES)).enumerate() {
            self.group(mode, keys.of(i * LANES..i * LANES + messages.len()), messages, out);
        }
        if mode.is_secret() {
            clear_stack();
        }
    }

    #[expect(unsafe_code, reason = "the compiler cannot know what the processor has; this value does")]
    fn group<const N: usize>(self, mode: Mode, keys: Keys<'_>, messages: &[&[u8]], out: &mut [[u8; N]]) {
        // SAFETY: the function is safe but for its target feature, avx512f; `detect`, which alone makes a `Lanes`, has
        // found it on this machine.
        unsafe { group(mode, keys, messages, out) }
    }
}

const BLOCK: usize = 64;
const CHUNK: usize = 1024;
/// Chaining values that wait for their right neighbours, at most: of 16 chunks.
const DEPTH: usize = (MOST_BYTES / CHUNK).ilog2() as usize;

const CHUNK_START: u32 = 1 << 0;
const CHUNK_END: u32 = 1 << 1;
const PARENT: u32 = 1 << 2;
const ROOT: u32 = 1 << 3;

const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Which word of the block each of a round's mixings takes: the permutation of the paper, applied once more every round.
const SCHEDULE: [[usize; 16]; 7] = {
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut schedule = [[0; 16]; 7];
    let (mut round, mut word) = (0, 0);
    while word < 16 {
        schedule[0][word] = word;
        word += 1;
    }
    while round < 6 {
        word = 0;
        while word < 16 {
            schedule[round + 1][word] = schedule[round][PERMUTATION[word]];
            word += 1;
        }
        round += 1;
    }
    schedule
};

/// One word of each lane.
type Word = __m512i;
/// A chaining value of each lane.
type Chaining = [Word; 8];

/// What a compression is of, its chaining value but for the last step: the root's is extended.
struct Node {
    chaining: Chaining,
    block: [Word; 16],
    counter: u64,
    length: u32,
    flags: u32,
}

/// At most [`LANES`] messages; lanes without one do the first's.
#[inline(never)]
#[target_feature(enable = "avx512f")]
fn group<const N: usize>(mode: Mode, keys: Keys<'_>, messages: &[&[u8]], out: &mut [[u8; N]]) {
    let Some(first) = messages.first() else { return };
    let key = load_keys(keys);
    let chunks = first.len().div_ceil(CHUNK).max(1);
    let mut waiting = [[_mm512_setzero_si512(); 8]; DEPTH];
    let mut depth = 0;
    for chunk in 0..chunks - 1 {
        let mut chaining = chunk_node(messages, chunk, &key, mode).chain();
        // As many whole subtrees end here as this chunk's number, counted from 1, has zeros at its end.
        for _ in 0..(chunk + 1).trailing_zeros() {
            depth -= 1;
            chaining = parent(&waiting[depth], &chaining, &key, mode).chain();
        }
        waiting[depth] = chaining;
        depth += 1;
    }
    let mut node = chunk_node(messages, chunks - 1, &key, mode);
    for left in waiting[..depth].iter().rev() {
        node = parent(left, &node.chain(), &key, mode);
    }
    node.flags |= ROOT;
    for part in 0..N.div_ceil(BLOCK) {
        node.counter = part as u64;
        let rows = rows(transpose(node.output()));
        let (from, to) = (part * BLOCK, N.min((part + 1) * BLOCK));
        for (out, row) in out.iter_mut().zip(&rows) {
            out[from..to].copy_from_slice(&row[..to - from]);
        }
    }
}

/// The chunk up to its last compression.
#[inline]
#[target_feature(enable = "avx512f")]
fn chunk_node(messages: &[&[u8]], chunk: usize, key: &Chaining, mode: Mode) -> Node {
    let length = messages[0].len();
    let (from, to) = (chunk * CHUNK, length.min((chunk + 1) * CHUNK));
    let blocks = (to - from).div_ceil(BLOCK).max(1);
    let mut chaining = *key;
    let mut start = CHUNK_START;
    for block in 0..blocks - 1 {
        let block = load(messages, from + block * BLOCK);
        chaining =
            Node { chaining, block, counter: chunk as u64, length: BLOCK as u32, flags: mode.flag() | start }.chain();
        start = 0;
    }
    let last = from + (blocks - 1) * BLOCK;
    let (block, length) = (load(messages, last), (to - last) as u32);
    Node { chaining, block, counter: chunk as u64, length, flags: mode.flag() | start | CHUNK_END }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn parent(left: &Chaining, right: &Chaining, key: &Chaining, mode: Mode) -> Node {
    let mut block = [_mm512_setzero_si512(); 16];
    block[..8].copy_from_slice(left);
    block[8..].copy_from_slice(right);
    Node { chaining: *key, block, counter: 0, length: BLOCK as u32, flags: mode.flag() | PARENT }
}

impl Node {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn chain(&self) -> Chaining {
        let state = self.rounds();
        core::array::from_fn(|i| _mm512_xor_si512(state[i], state[i + 8]))
    }

    /// The whole output of a root.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn output(&self) -> [Word; 16] {
        let state = self.rounds();
        core::array::from_fn(|i| match i {
            0..8 => _mm512_xor_si512(state[i], state[i + 8]),
            _ => _mm512_xor_si512(state[i], self.chaining[i - 8]),
        })
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rounds(&self) -> [Word; 16] {
        let every = |word: u32| _mm512_set1_epi32(word as i32);
        let [a, b, c, d, e, f, g, h] = self.chaining;
        let (low, high) = (self.counter as u32, (self.counter >> 32) as u32);
        let mut v = [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            every(IV[0]),
            every(IV[1]),
            every(IV[2]),
            every(IV[3]),
            every(low),
            every(high),
            every(self.length),
            every(self.flags),
        ];
        // Written out, so that every index is known and all words stay in registers.
        round(&mut v, &self.block, SCHEDULE[0]);
        round(&mut v, &self.block, SCHEDULE[1]);
        round(&mut v, &self.block, SCHEDULE[2]);
        round(&mut v, &self.block, SCHEDULE[3]);
        round(&mut v, &self.block, SCHEDULE[4]);
        round(&mut v, &self.block, SCHEDULE[5]);
        round(&mut v, &self.block, SCHEDULE[6]);
        v
    }
}

/// The columns, then the diagonals.
#[inline]
#[target_feature(enable = "avx512f")]
fn round(v: &mut [Word; 16], block: &[Word; 16], words: [usize; 16]) {
    mix(v, [0, 4, 8, 12], block[words[0]], block[words[1]]);
    mix(v, [1, 5, 9, 13], block[words[2]], block[words[3]]);
    mix(v, [2, 6, 10, 14], block[words[4]], block[words[5]]);
    mix(v, [3, 7, 11, 15], block[words[6]], block[words[7]]);
    mix(v, [0, 5, 10, 15], block[words[8]], block[words[9]]);
    mix(v, [1, 6, 11, 12], block[words[10]], block[words[11]]);
    mix(v, [2, 7, 8, 13], block[words[12]], block[words[13]]);
    mix(v, [3, 4, 9, 14], block[words[14]], block[words[15]]);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn mix(v: &mut [Word; 16], [a, b, c, d]: [usize; 4], x: Word, y: Word) {
    v[a] = _mm512_add_epi32(_mm512_add_epi32(v[a], x), v[b]);
    v[d] = _mm512_ror_epi32::<16>(_mm512_xor_si512(v[d], v[a]));
    v[c] = _mm512_add_epi32(v[c], v[d]);
    v[b] = _mm512_ror_epi32::<12>(_mm512_xor_si512(v[b], v[c]));
    v[a] = _mm512_add_epi32(_mm512_add_epi32(v[a], y), v[b]);
    v[d] = _mm512_ror_epi32::<8>(_mm512_xor_si512(v[d], v[a]));
    v[c] = _mm512_add_epi32(v[c], v[d]);
    v[b] = _mm512_ror_epi32::<7>(_mm512_xor_si512(v[b], v[c]));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_keys(keys: Keys<'_>) -> Chaining {
    match keys {
        Keys::Shared(key) => {
            let words = key.as_chunks::<4>().0;
            core::array::from_fn(|i| _mm512_set1_epi32(i32::from_le_bytes(words[i])))
        }
        Keys::Each(keys) => {
            let keys: [&[u8]; LANES] = core::array::from_fn(|lane| &keys[if lane < keys.len() { lane } else { 0 }][..]);
            let words = load(&keys, 0);
            core::array::from_fn(|i| words[i])
        }
    }
}

/// The block of each message that begins at byte `at`, padded with zeros.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(messages: &[&[u8]], at: usize) -> [Word; 16] {
    let mut rows = [_mm512_setzero_si512(); LANES];
    let whole = messages[0].len() - at >= BLOCK;
    for (lane, row) in rows.iter_mut().enumerate() {
        let rest = &messages[if lane < messages.len() { lane } else { 0 }][at..];
        *row = match rest.first_chunk() {
            Some(block) if whole => row_of(block),
            _ => {
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                row_of(&block)
            }
        };
    }
    transpose(rows)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn row_of(block: &[u8; BLOCK]) -> Word {
    let words = block.as_chunks::<8>().0;
    let [a, b, c, d, e, f, g, h] = core::array::from_fn(|i| i64::from_le_bytes(words[i]));
    _mm512_setr_epi64(a, b, c, d, e, f, g, h)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rows(lanes: [Word; 16]) -> [[u8; BLOCK]; LANES] {
    lanes.map(|row| {
        let mut bytes = [0; BLOCK];
        let quarters = [
            _mm512_extracti32x4_epi32::<0>(row),
            _mm512_extracti32x4_epi32::<1>(row),
            _mm512_extracti32x4_epi32::<2>(row),
            _mm512_extracti32x4_epi32::<3>(row),
        ];
        for (bytes, quarter) in bytes.as_chunks_mut::<16>().0.iter_mut().zip(quarters) {
            bytes[..8].copy_from_slice(&_mm_extract_epi64::<0>(quarter).to_le_bytes());
            bytes[8..].copy_from_slice(&_mm_extract_epi64::<1>(quarter).to_le_bytes());
        }
        bytes
    })
}

/// Sixteen rows of sixteen words become sixteen columns; its own inverse.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: [Word; 16]) -> [Word; 16] {
    let mut pairs = rows;
    for i in (0..16).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // Four words of four rows in each quarter of a vector.
    let mut fours = pairs;
    for i in (0..16).step_by(4) {
        fours[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
        fours[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
        fours[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
        fours[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
    }
    let mut columns = fours;
    for i in 0..4 {
        let even = [
            _mm512_shuffle_i32x4::<0x88>(fours[i], fours[i + 4]),
            _mm512_shuffle_i32x4::<0x88>(fours[i + 8], fours[i + 12]),
        ];
        let odd = [
            _mm512_shuffle_i32x4::<0xdd>(fours[i], fours[i + 4]),
            _mm512_shuffle_i32x4::<0xdd>(fours[i + 8], fours[i + 12]),
        ];
        columns[i] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        columns[i + 4] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        columns[i + 8] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        columns[i + 12] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    columns
}
