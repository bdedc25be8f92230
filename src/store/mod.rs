//! Everything durable: what a mix has signed, its mailboxes, a client's outbox, inbox and epochs.
//!
//! The rules are written once, over [`Kv`], a table of bytes with atomic commits; [`Lmdb`] keeps it on a disk,
//! [`Memory`] in a test. Each operation here is one [`Kv::commit`], durable when it returns, or it changes nothing.
//! All calls block on the disk: an async caller runs them on a thread that may wait.

mod bundle;
mod decisions;
mod epochs;
mod inbox;
mod kv;
mod lmdb;
mod mailbox;
mod memory;
mod outbox;
mod pages;
mod step;

use std::io;
use std::path::PathBuf;

pub use decisions::Decisions;
pub use epochs::{EPOCHS_KEPT, Epochs};
pub use inbox::{Arrival, Delivery, Entry, Inbox, InboxCounts, InboxLimits};
pub use kv::{Change, Kv, Table, Value, Visit};
pub use lmdb::{Lmdb, MapLimits};
pub use mailbox::{HeldLetter, Mailbox, MailboxLosses, MailboxTotals};
pub use memory::Memory;
pub use outbox::{
    Accepted, Draft, FRAGMENT_OVERHEAD, Fragment, HISTORY_KEPT, MAX_RESENDS, MAX_RESERVED, MessageState, NewMessage,
    Outbox, OutboxCounts, OutboxMessage, ROUNDS_KEPT, Settled,
};
pub use step::Store;

/// The 16 random bytes that name a message, as in its fragments' bodies.
pub type MessageName = [u8; 16];

/// Why the store did not do what it was asked to; nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory is locked.
    #[error("another process uses the store in {}; stop it first", .0.display())]
    InUse(PathBuf),
    /// Others than the owner have rights on the directory or on a file in it.
    #[error("other users may access {path}; run `chmod go= {path}`", path = .0.display())]
    Permissions(PathBuf),
    /// A program newer than this one wrote the store, or one older than this one reads.
    #[error("the store has format {found}, this program reads {oldest} to {newest}; run the program that wrote it")]
    Version {
        /// In the store.
        found: u32,
        /// The oldest that this program reads.
        oldest: u32,
        /// The newest.
        newest: u32,
    },
    /// The network file's payload has changed.
    #[error(
        "the store holds packets with a payload of {found}, the network file says {wanted}; put {found} back, or move the \
         store away if nothing in it is needed"
    )]
    Payload {
        /// In the store.
        found: u32,
        /// In the network file.
        wanted: u32,
    },
    /// The map's limit is reached, or the disk is full.
    #[error("the store is full; free space on its disk or raise its limit")]
    Full,
    /// The directory or a file in it may only be read.
    #[error(
        "cannot write in {}: {source}; give this user the right to, or mount its disk for writing, then start again",
        path.display()
    )]
    Unwritable {
        /// The directory or the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system failed.
    #[error("the store's files cannot be used: {0}; check the disk, then start again")]
    Io(#[from] io::Error),
    /// LMDB failed.
    #[error("the store's database failed: {0}; check the disk, then start again")]
    Database(#[source] heed::Error),
    /// The file is not whole. It is left as it is.
    #[error(
        "{} is damaged: {what}; restore the directory from a copy, or move it away to begin with an empty store: what it held is lost then",
        path.display()
    )]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: &'static str,
    },
    /// Letters were deleted while an answer with them was under way.
    #[error("letters have gone while they were read; poll again")]
    Gone,
    /// A value is not what this program writes.
    #[error(
        "the store's {0} table is damaged; restore its directory from a copy, or move it away to begin with an empty store: what it held is lost then"
    )]
    Damaged(Table),
    /// Another document or verdict of this number has been signed, or one so old that it is forgotten.
    #[error("another one of number {0} has been signed already")]
    AlreadySigned(u64),
    /// The round's number is spent.
    #[error("round {0} is used already")]
    RoundUsed(u64),
    /// The outbox's limit is reached.
    #[error("the outbox is full; wait until messages are stored, drop some, or raise `outbox_bytes`")]
    OutboxFull,
    /// A message of this name is in the outbox.
    #[error("a message of this name is in the outbox already")]
    MessageExists,
    /// There is no message of this name, or not in the state that the call needs.
    #[error("there is no such message")]
    NoMessage,
    /// A part of the message is delivered and its recipient no longer waits for the rest.
    #[error("the message expired half delivered; drop it and send it again")]
    Expired,
}

#[cfg(test)]
mod tests;
