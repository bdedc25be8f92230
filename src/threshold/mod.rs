//! Joint round keys: letters of a round open when t of the L mixes release their shares, and not before.
//!
//! With t = L the shares add up: mix i draws a_i, and P = sum of the A_i = a_i B on edwards25519. With t < L each mix deals
//! its a_i to all with a polynomial of degree t - 1 and commitments to the coefficients (Feldman, "A practical scheme for
//! non-interactive verifiable secret sharing", 1987); the shares are points of the sum of these polynomials (Pedersen, "A
//! threshold cryptosystem without a trusted party", 1991). Either way a mix proves that it knows its a_i (Schnorr,
//! "Efficient signature generation by smart cards", 1991), for a mix that chose A_L = X - (the other A_i) would own the key
//! X (rogue keys; Ristenpart and Yilek, "The power of proofs-of-possession", 2007), and everybody commits before anybody
//! opens, so that nobody chooses after seeing the others (Gennaro, Jarecki, Krawczyk, Rabin, "Secure distributed key
//! generation for discrete-log based cryptosystems", 1999).
//!
//! P is published as an X25519 key; what the shares join to is an ordinary clamped X25519 secret ([`JointKeys::open`]).
//!
//! | step | who | with |
//! |---|---|---|
//! | draw | each mix | [`EpochShares::draw`]: the secrets, and the [`Opening`] to show later |
//! | commit | each mix | [`Opening::commitment`], told to all |
//! | open | everybody, once all commitments are there | [`Commitments::open`]: a checked [`Dealing`] of each mix |
//! | deal, if t < L | each mix to each | [`EpochShares::sub_share`], [`EpochShares::receive`]; any [`Fault`] voids the attempt |
//! | publish | everybody | [`JointKeys::public_key`] |
//! | release | each mix, once | [`EpochShares::share`] |
//! | join | the exit | [`JointKeys::open`], which names whoever released a wrong share |
//! | erase | each mix | [`EpochShares::erase`] |
//!
//! Neither I/O nor signatures: the caller carries messages, encrypts sub-shares and has their dealer sign them, and decides
//! on disk that a round is released or burnt, never both.

mod dealing;
mod fault;
mod joint;
mod judge;
mod point;
mod possession;
mod scalar;
mod shares;
#[cfg(test)]
mod tests;
mod window;

pub use dealing::{Commitments, Dealing, Opening};
pub use fault::{Fault, FaultCause, JointKeyError};
pub use joint::JointKeys;
pub use judge::{is_owed_share, is_owed_sub_share};
pub use point::PointFault;
pub use scalar::{Share, SubShare};
pub use shares::EpochShares;
pub use window::{MAX_MIXES, MIN_MIXES, Scheme, Window, WindowError};
