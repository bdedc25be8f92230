//! Blame: who broke a round, and evidence of it that verifies from nothing but itself and the network file.
//!
//! A [`Case`] is a burnt round as its parties have shown it. It is replayed with the onion keys of all mixes, record by
//! record, and the first fault decides; what comes out is [`Evidence`], which anybody can [`Evidence::verify`]. Of a
//! round that never burnt two signed statements can be enough ([`Evidence::equivocation`]). All is pure: jobs for the
//! thread pool. `wire-spec.md`, sections 7.12, 8.9 and 8.10, has the rules.

mod accused;
mod case;
mod evidence;
mod exhibits;
mod finding;
mod noise;
mod promised;
mod proof;
mod said;
mod taken;

pub use case::{Case, Ruling};
pub use evidence::{Evidence, EvidenceFault, MAX_EVIDENCE};
pub use exhibits::{CaseFault, Exhibits};
pub use finding::{Finding, Guilty, Offence};
pub use said::SignedStatement;

#[cfg(test)]
mod tests;
