//! Elements of one lane: limbs of 51 bits, from bytes, canonical, and to bytes. Nothing here branches on a value.

const MASK: i64 = (1 << 51) - 1;

/// The lowest 255 bits, in balanced limbs: within 2^50 each, the lowest within 2^50 + 19.
pub(super) fn from_bytes(bytes: &[u8; 32]) -> [i64; 5] {
    let word = |at: usize| i64::from_le_bytes(*bytes[at..].first_chunk().expect("a word ends within 32 bytes"));
    let limb = |at: usize, shift: u32| (word(at) >> shift) & MASK;
    let mut limbs = [limb(0, 0), limb(6, 3), limb(12, 6), limb(19, 1), limb(24, 12)];
    let mut carried = 0;
    for limb in &mut limbs {
        *limb += carried;
        carried = (*limb + (1 << 50)) >> 51;
        *limb -= carried << 51;
    }
    limbs[0] += 19 * carried;
    limbs
}

/// The canonical limbs, in [0, 2^51) and below p in all, of limbs within 2^52.
pub(super) fn freeze(limbs: &[i64; 5]) -> [i64; 5] {
    // 4 p on top makes every limb positive, and below 2^54.
    let mut t = *limbs;
    for (i, limb) in t.iter_mut().enumerate() {
        *limb += 4 * if i == 0 { MASK - 18 } else { MASK };
    }
    // After the first pass limbs 1 to 4 are below 2^51 and limb 0 below 2^51 + 19 8. In the second a carry goes on only
    // through full limbs and leaves zeros, so that 19 times the last carry, at most 1, does not fill limb 0.
    for _ in 0..2 {
        let carried = pass(&mut t);
        t[0] += 19 * carried;
    }
    // The value is below 2^255 < 2 p, and at least p if and only if 19 more would be 2^255 at least.
    let mut more = t;
    more[0] += 19;
    let above = pass(&mut more);
    t[0] += 19 * above;
    pass(&mut t);
    t
}

/// Carries each limb's bits above 51 into the next; returns those of the last.
fn pass(limbs: &mut [i64; 5]) -> i64 {
    let mut carried = 0;
    for limb in limbs {
        *limb += carried;
        carried = *limb >> 51;
        *limb &= MASK;
    }
    carried
}

/// Canonical bytes.
pub(super) fn to_bytes(limbs: &[i64; 5]) -> [u8; 32] {
    let t = freeze(limbs).map(|limb| limb as u64);
    let words = [t[0] | t[1] << 51, t[1] >> 13 | t[2] << 38, t[2] >> 26 | t[3] << 25, t[3] >> 39 | t[4] << 12];
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
