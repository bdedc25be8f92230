//! X25519 for many points at once: Montgomery ladders side by side in the 64-bit lanes of vector registers, eight of
//! AVX-512's, as integers (`ifma`) or doubles (`eight`), or four of AVX2's (`four`).
//!
//! `field.rs` of each has the arithmetic, with its bounds there or in `bounds.rs`, `ladder.rs` the ladder. What they have in common is here: points
//! (`bytes.rs`) and scalars (`masks.rs`) into lanes, one inversion for all (Montgomery's trick: invert the product of all Z,
//! then take them apart again), and canonical bytes out. Nothing here branches on a secret or uses one as an index.
//! Whatever rests in memory is cleared, and the stack below, where the compiler may have spilled registers, is written over.

mod bytes;
mod masks;
#[cfg(test)]
mod reference;
mod vectors;

use super::batch::Scalars;
use super::{Backend, PublicKey};

/// Shows that the processor can run lanes, and which.
#[derive(Clone, Copy)]
pub(super) enum Lanes {
    Ifma(ifma::Detected),
    Eight(eight::Detected),
    Four(four::Detected),
}

impl Lanes {
    /// Those that `backend` names; `None` if it names none, or if the processor, or the system's handling of its registers,
    /// lacks them.
    pub(super) fn of(backend: Backend) -> Option<Self> {
        match backend {
            Backend::Ifma => ifma::Detected::new().map(Self::Ifma),
            Backend::Lanes => eight::Detected::new().map(Self::Eight),
            Backend::Lanes4 => four::Detected::new().map(Self::Four),
            Backend::AwsLc | Backend::Dalek => None,
        }
    }

    /// Ladders side by side.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Ifma(_) => ifma::LANES,
            Self::Eight(_) => eight::LANES,
            Self::Four(_) => four::LANES,
        }
    }

    /// X25519 of RFC 7748 for each point into the same place of `out`; all zero where that is the result. Any 32 bytes are
    /// a point; all values of one are taken alike, and no lane's result depends on another's point.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(super) fn multiply(self, scalars: Scalars<'_>, points: &[PublicKey], out: &mut [[u8; 32]]) {
        assert_eq!(points.len(), out.len(), "one result a point");
        if let Scalars::Each(scalars) = scalars {
            assert_eq!(scalars.len(), points.len(), "one scalar a point");
        }
        match self {
            Self::Ifma(detected) => detected.multiply(scalars, points, out),
            Self::Eight(detected) => detected.multiply(scalars, points, out),
            Self::Four(detected) => detected.multiply(scalars, points, out),
        }
    }
}

/// How many products of limbs a_i b_j there are with i + j = k.
const fn terms(k: usize) -> u64 {
    match k {
        0..=4 => k as u64 + 1,
        5..=8 => 9 - k as u64,
        _ => 0,
    }
}

/// Batches in the lanes of one kind of registers, whose `field` and `ladder` are beside it. The text of all is the same; a
/// function that needs a processor's features cannot be generic over which.
macro_rules! batches {
    ($lanes:literal lanes with $($feature:tt)+) => {
        use zeroize::{Zeroize, ZeroizeOnDrop};

        use super::bytes::{freeze, from_bytes, to_bytes};
        use super::masks::Masks;
        use crate::crypto::x25519::batch::{BATCH, Scalars};
        use crate::crypto::{PublicKey, clear_stack};
        use field::{Element, Limbs};
        use ladder::ladder;

        /// Ladders side by side.
        pub(super) const LANES: usize = $lanes;
        /// Vectors of a batch: those that share an inversion.
        const VECTORS: usize = BATCH / LANES;
        const NO_LIMBS: Limbs = [[0; LANES]; 5];

        /// Shows that the processor can run these lanes.
        #[derive(Clone, Copy)]
        pub(in crate::crypto::x25519) struct Detected(());

        impl Detected {
            /// `Some` if it can.
            pub(super) fn new() -> Option<Self> {
                ($(is_x86_feature_detected!($feature))&&+).then_some(Self(()))
            }

            /// As [`super::Lanes::multiply`], which has looked at the lengths.
            pub(super) fn multiply(self, scalars: Scalars<'_>, points: &[PublicKey], out: &mut [[u8; 32]]) {
                let mut chain = Chain { x: [NO_LIMBS; VECTORS], z: [NO_LIMBS; VECTORS], product: [NO_LIMBS; VECTORS] };
                for (i, (points, out)) in points.chunks(BATCH).zip(out.chunks_mut(BATCH)).enumerate() {
                    let from = i * BATCH;
                    self.batch(scalars.of(from..from + points.len()), points, &mut chain, out);
                    clear_stack();
                }
            }

            #[expect(unsafe_code, reason = "the compiler cannot know what the processor has; this value does")]
            fn batch(self, scalars: Scalars<'_>, points: &[PublicKey], chain: &mut Chain, out: &mut [[u8; 32]]) {
                // SAFETY: the function is safe but for its target features; `new`, which alone makes a `Detected`, has found
                // each of them on this machine.
                unsafe { batch(scalars, points, chain, out) }
            }
        }

        /// What a batch keeps between its ladders and its inversion, cleared when done.
        #[derive(Zeroize, ZeroizeOnDrop)]
        struct Chain {
            x: [Limbs; VECTORS],
            z: [Limbs; VECTORS],
            /// Of all z so far.
            product: [Limbs; VECTORS],
        }

        /// At most [`BATCH`] points.
        #[inline(never)]
        $(#[target_feature(enable = $feature)])+
        fn batch(scalars: Scalars<'_>, points: &[PublicKey], chain: &mut Chain, out: &mut [[u8; 32]]) {
            let vectors = points.len().div_ceil(LANES);
            let mut masks = match scalars {
                Scalars::Shared(scalar) => Masks::shared(scalar),
                Scalars::Each(_) => Masks::none(),
            };
            // Bit l of mask v: the result of lane l in vector v is zero.
            let mut zero = [0u8; VECTORS];
            let mut product = Element::one();
            for (v, points) in points.chunks(LANES).enumerate() {
                if let Scalars::Each(all) = scalars {
                    masks.set(&all[v * LANES..][..points.len()]);
                }
                let (x, z) = ladder(&masks, load(points));
                // Z = 0 would make the product, and so everybody's inverse in this lane, 0.
                z.to_limbs(&mut chain.z[v]);
                zero[v] = zeros(&chain.z[v]);
                let z = z.blend(Element::one(), zero[v]);
                x.to_limbs(&mut chain.x[v]);
                z.to_limbs(&mut chain.z[v]);
                product = product.mul(z);
                product.to_limbs(&mut chain.product[v]);
            }
            let mut inverse = invert(product);
            for v in (0..vectors).rev() {
                let before = if v == 0 { Element::one() } else { Element::from_limbs(&chain.product[v - 1]) };
                let u = Element::from_limbs(&chain.x[v]).mul(inverse.mul(before));
                inverse = inverse.mul(Element::from_limbs(&chain.z[v]));
                u.blend(Element::zero(), zero[v]).to_limbs(&mut chain.x[v]);
                for (lane, out) in out[v * LANES..].iter_mut().take(LANES).enumerate() {
                    *out = to_bytes(&lane_of(&chain.x[v], lane));
                }
            }
            zero.zeroize();
        }

        /// At most as many points as lanes; lanes without one get the base point.
        $(#[target_feature(enable = $feature)])+
        fn load(points: &[PublicKey]) -> Element {
            let mut limbs = NO_LIMBS;
            limbs[0] = [9; LANES];
            for (lane, point) in points.iter().enumerate() {
                for (limb, value) in limbs.iter_mut().zip(from_bytes(&point.0)) {
                    limb[lane] = value;
                }
            }
            Element::from_limbs(&limbs)
        }

        fn lane_of(limbs: &Limbs, lane: usize) -> [i64; 5] {
            limbs.map(|limb| limb[lane])
        }

        /// The lanes whose value is 0 modulo p.
        fn zeros(limbs: &Limbs) -> u8 {
            let mut mask = 0;
            for lane in 0..LANES {
                let any = freeze(&lane_of(limbs, lane)).into_iter().fold(0, |any, limb| any | limb);
                // Limbs are below 2^51: only of 0 does the predecessor have a sign.
                mask |= (((any - 1) >> 63) as u8 & 1) << lane;
            }
            mask
        }

        /// 1 / z in each lane, as z^(p - 2) = z^(2^255 - 21); 0 of 0.
        $(#[target_feature(enable = $feature)])+
        fn invert(z: Element) -> Element {
            // z_n is z^(2^n - 1).
            let z2 = z.square();
            let z9 = z2.square_times(2).mul(z);
            let z11 = z9.mul(z2);
            let z_5 = z11.square().mul(z9);
            let z_10 = z_5.square_times(5).mul(z_5);
            let z_20 = z_10.square_times(10).mul(z_10);
            let z_40 = z_20.square_times(20).mul(z_20);
            let z_50 = z_40.square_times(10).mul(z_10);
            let z_100 = z_50.square_times(50).mul(z_50);
            let z_200 = z_100.square_times(100).mul(z_100);
            let z_250 = z_200.square_times(50).mul(z_50);
            z_250.square_times(5).mul(z11)
        }
    };
}

mod ifma {
    //! Eight ladders, with AVX-512's multiply-adds of 52-bit integers.

    mod bounds;
    mod field;
    mod ladder;
    #[cfg(test)]
    mod tests;

    batches!(8 lanes with "avx512f" "avx512dq" "avx512ifma");
}

mod eight {
    //! Eight ladders, with AVX-512 F and DQ.

    mod field;
    mod ladder;

    batches!(8 lanes with "avx512f" "avx512dq");
}

mod four {
    //! Four ladders, with AVX2 and fused multiply-adds.

    mod bounds;
    mod field;
    mod ladder;
    #[cfg(test)]
    mod tests;

    batches!(4 lanes with "avx2" "fma");
}
