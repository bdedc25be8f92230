//! What the tests of the field hold it against.

/// a b in plain integers: limbs within 2^52, the same value modulo p as any other way to carry.
pub(super) fn reference(a: &[i64; 5], b: &[i64; 5]) -> [i64; 5] {
    let mut columns = [0i128; 5];
    for (i, a) in a.iter().enumerate() {
        for (j, b) in b.iter().enumerate() {
            let weight = if i + j < 5 { 1 } else { 19 };
            columns[(i + j) % 5] += weight * i128::from(*a) * i128::from(*b);
        }
    }
    for _ in 0..3 {
        let mut carried = 0;
        for column in &mut columns {
            *column += carried;
            carried = *column >> 51;
            *column &= (1 << 51) - 1;
        }
        columns[0] += 19 * carried;
    }
    columns.map(|column| column as i64)
}

/// Limbs of which every combination of signs and sizes at the bound occurs, by number.
pub(super) fn limbs<const LANES: usize>(number: usize, bound: i64) -> [[i64; LANES]; 5] {
    let choices = [bound, -bound, bound - 1, 0, 1, -1, 1 - bound, bound.min((1 << 50) + 12_345)];
    let mut limbs = [[0; LANES]; 5];
    for (i, limb) in limbs.iter_mut().enumerate() {
        for (lane, limb) in limb.iter_mut().enumerate() {
            // A walk through all of them, another in each lane.
            *limb = choices[(number >> (3 * i)) % 8] * if lane % 2 == 0 { 1 } else { -1 };
            *limb = limb.saturating_sub(lane as i64 / 2 * limb.signum());
        }
    }
    limbs
}
