//! Epochs at a mix: the chain of documents, the mix's own round keys, and how mixes agree on a next epoch.
//!
//! [`Epochs`] answers which document and which keys belong to a round and erases keys. [`Proposal`] is the entry's
//! side of an agreement, [`Assent`] every other mix's. All are plain state: messages in, messages out.

mod agreement;
mod keys;
mod making;

pub use agreement::{Assent, Proposal, Proposed, Step};
pub use keys::{EpochKeys, Epochs};
pub use making::WrongDealing;
