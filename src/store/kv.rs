//! The key-value interface that both backends have.

use std::fmt;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::StoreError;

/// A table of bytes, ordered by key, that changes only in whole durable commits. Keys are at most 64 bytes.
pub trait Kv: Send + Sync {
    /// The value of `key`.
    ///
    /// # Errors
    /// If the backend fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows `visit` every entry of `table` from `from` on, in the order of keys, until it breaks. `visit` must not
    /// call back into the store.
    ///
    /// # Errors
    /// If the backend fails.
    fn scan(&self, table: Table, from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Makes all changes, in order, as one durable transaction: when it returns they have survived a crash, and if it
    /// fails none has happened.
    ///
    /// # Errors
    /// If there is no room or the backend fails.
    fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError>;
}

/// What [`Kv::scan`] calls with a key and its value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// One change of a commit.
#[derive(Clone, Debug)]
pub enum Change {
    /// Sets a value.
    Put {
        /// Where.
        table: Table,
        /// Its key.
        key: Vec<u8>,
        /// Its new value.
        value: Value,
    },
    /// Removes a value, if it is there.
    Delete {
        /// Where.
        table: Table,
        /// Its key.
        key: Vec<u8>,
    },
    /// Removes all values of `from <= key < to`.
    DeleteRange {
        /// Where.
        table: Table,
        /// The first key.
        from: Vec<u8>,
        /// The key behind the last.
        to: Vec<u8>,
    },
}

/// A value on its way into the store, in pieces: what is large need not be copied to stand behind its header.
#[derive(Clone, Debug, Default)]
pub struct Value {
    head: Vec<u8>,
    body: Vec<Bytes>,
}

impl Value {
    /// The pieces of `body` behind `head`.
    pub fn new(head: Vec<u8>, body: Vec<Bytes>) -> Self {
        Self { head, body }
    }

    /// All pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.head[..]).chain(self.body.iter().map(|piece| &piece[..]))
    }

    /// The bytes of all.
    pub fn bytes(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// A copy in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.bytes());
        self.pieces().for_each(|piece| whole.extend_from_slice(piece));
        whole
    }
}

impl From<Vec<u8>> for Value {
    fn from(head: Vec<u8>) -> Self {
        Self::new(head, Vec::new())
    }
}

/// The tables; their numbers are on disk and never change. Integers in keys are big-endian, so that order holds.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Table {
    /// A few single values by name.
    Meta = 0,
    /// epoch 8: a complete document.
    Chain = 1,
    /// round 8: the verdict signed or decided.
    Signed = 2,
    /// round 8: the complete verdict.
    Complete = 3,
    /// mailbox 16 | sequence of the last 8 | how many 2: epoch 8 | round 8 | letters of one size whose sequences follow one
    /// another. Of a row older than format 4 the key ends in front of the number: it has one.
    Letters = 4,
    /// mailbox 16: how much is in it, and up to which sequence its letters are gone; absent when empty.
    Mailboxes = 5,
    /// message 16: a message of the outbox.
    Messages = 6,
    /// message 16 | index 4: a fragment's bytes, until it is stored at the exit.
    Fragments = 7,
    /// order of acceptance 8 | index 4: the message of a fragment that waits.
    Queue = 8,
    /// round 8: the fragments that are in flight in a round without a verdict.
    Rounds = 9,
    /// order of storing 8: the message.
    History = 10,
    /// message 16: a message of which some fragments have arrived.
    Partials = 11,
    /// message 16 | index 4: bytes of an incoming message, complete or not.
    Pieces = 12,
    /// 0, or 1 | sender 16: what partial messages of one class of senders take up; absent when nothing.
    Senders = 13,
    /// message 16: the expiry of a message that is complete or refused.
    Seen = 14,
    /// expiry 8 | message 16: what a new epoch makes stale.
    Expiries = 15,
    /// message 16: a complete message of the inbox.
    Entries = 16,
    /// order of completion 8: an unread message.
    Unread = 17,
    /// order of completion 8: a message that is read.
    Read = 18,
}

impl Table {
    /// Every table, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Meta,
        Self::Chain,
        Self::Signed,
        Self::Complete,
        Self::Letters,
        Self::Mailboxes,
        Self::Messages,
        Self::Fragments,
        Self::Queue,
        Self::Rounds,
        Self::History,
        Self::Partials,
        Self::Pieces,
        Self::Senders,
        Self::Seen,
        Self::Expiries,
        Self::Entries,
        Self::Unread,
        Self::Read,
    ];

    /// Whether it holds what users write: such values may not take the room kept for verdicts and deletions.
    pub fn holds_content(self) -> bool {
        matches!(self, Table::Letters | Table::Fragments | Table::Pieces)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A key made of fixed-size parts.
pub(super) fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A key behind every key that begins with `prefix`: no key has 16 further bytes of 0xff.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    key(&[prefix, &[0xff; 16]])
}

/// `N` bytes of a key or value of `table`.
pub(super) fn field<const N: usize>(table: Table, bytes: &[u8], at: usize) -> Result<[u8; N], StoreError> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(StoreError::Damaged(table))
}
