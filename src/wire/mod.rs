//! What travels: message types, the codec, frames, and the plain data that mixes sign.
//!
//! Bytes on the wire are length-prefixed frames of bincode "standard" messages; packets follow their
//! frame raw. Bytes that are *signed* are fixed layouts written by [`Layout`], never an encoder's
//! output. `wire-spec.md`, sections 5 to 8, gives every one.

mod batch;
pub mod codec;
mod cover;
mod echo;
mod epoch;
mod exhibit;
pub mod frame;
mod layout;
mod list;
mod members;
mod messages;
mod network;
mod piece;
mod receipt;
mod record;
mod refusal;
mod seal;
mod verdict;

pub use batch::{BatchHeader, NoiseError, SignedBatchHeader, batch_digest};
pub use cover::{DummyPolicy, NOWHERE, NoiseLaw};
pub use echo::{EchoHeader, EchoReader, EchoStreamError, SignedEchoHeader, echoes_digest};
pub use epoch::{DocumentError, EpochDocument, MAX_EPOCH_ROUNDS, MixKeys, SecretPart, SignedEpoch, SubShares};
pub use exhibit::{Exhibit, Grounds, Headers};
pub use layout::Layout;
pub use list::{
    COMMITMENT_BYTES, ClientRecords, ClientSignature, ListComplaint, ListComplete, ListContext, ListHeader, ListKey,
    ListKeys, ListRecord, ListRoot, ListRow, ListSecret, ListSignature, RECORD_BYTES, ROW_BYTES, RecordsError,
    SecondList, SignedListComplaint, SignedListHeader, onion_digest, onion_digests,
};
pub use members::Members;
pub use messages::{
    EpochCall, EpochRefusalReason, LETTER_HEADER_BYTES, PeerMessage, PollAnswer, Reply, Request, Start, Ticket,
};
pub use network::{ClientEntry, MailboxEntry, MixEntry, Network, Parameters, Roster};
pub use piece::{PIECE_BYTES, Piece};
pub use receipt::{Attachment, Receipt, receipt_bytes, submission_digest};
pub use record::{Bond, CHAIN_KEPT, EVIDENCE_KEPT, Record, Recovered, StoredLetter};
pub use refusal::Refusal;
pub use seal::{Accusation, Burnt, Confirm, Mismatch, OnionKey, Release, ReleasedShare, Slot, Statement, transcript};
pub use verdict::{AbortReason, Outcome, SignedVerdict, Verdict};

/// Protocol version, as in the TLS application protocol name.
pub const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
