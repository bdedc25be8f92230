//! Letters that lie together in one row, so that a disk's pages are full and a round of many letters has few rows.

use bytes::Bytes;

use crate::crypto::MailboxId;
use crate::wire::StoredLetter;

use super::kv::{field, key};
use super::mailbox::HeldLetter;
use super::{StoreError, Table, Value};

/// In front of a bundle's letters: epoch 8 | round 8.
const HEADER_BYTES: usize = 16;
/// Letters of one bundle, all together, unless one alone is longer: with its header and LMDB's, 16 each, eight pages of 4 KiB, of
/// which letters of 2 KiB leave little empty, while each alone takes a whole one. The more pages, the longer LMDB looks for as
/// many in a row.
const BUNDLE_BYTES: usize = (8 << 12) - 2 * HEADER_BYTES;
/// Letters of a bundle at most: two bytes say how many.
const BUNDLE_LETTERS: usize = u16::MAX as usize;
/// A key before format 4, of one letter: mailbox 16 | sequence 8.
const OLD_KEY_BYTES: usize = MailboxId::BYTES + 8;

/// A row of [`Table::Letters`]: letters of one mailbox, round and size whose numbers follow one another. Its key has the number of
/// the last, so that a letter is in the first row whose key is not below its own number.
pub(super) struct Bundle<'a> {
    last: u64,
    epoch: u64,
    round: u64,
    /// How many letters.
    count: usize,
    /// Bytes of each.
    size: usize,
    bytes: &'a [u8],
}

impl<'a> Bundle<'a> {
    pub(super) fn read(key: &[u8], value: &'a [u8]) -> Result<Self, StoreError> {
        let last = u64::from_be_bytes(field(Table::Letters, key, MailboxId::BYTES)?);
        let count = match key.len() {
            OLD_KEY_BYTES => 1,
            _ => u16::from_be_bytes(field(Table::Letters, key, OLD_KEY_BYTES)?).into(),
        };
        let epoch = u64::from_be_bytes(field(Table::Letters, value, 0)?);
        let round = u64::from_be_bytes(field(Table::Letters, value, 8)?);
        let bytes = &value[HEADER_BYTES..];
        let size = bytes.len().checked_div(count).filter(|size| size * count == bytes.len() && last >= count as u64);
        let size = size.ok_or(StoreError::Damaged(Table::Letters))?;
        Ok(Self { last, epoch, round, count, size, bytes })
    }

    /// Those with numbers above `after`, in order.
    pub(super) fn letters_behind(&self, after: u64) -> impl Iterator<Item = HeldLetter<'a>> {
        let (bytes, size, epoch, round) = (self.bytes, self.size, self.epoch, self.round);
        let first = self.last - (self.count - 1) as u64;
        let letter = move |place: usize| &bytes[place * size..][..size];
        (0..self.count)
            .map(move |place| HeldLetter { number: first + place as u64, epoch, round, letter: letter(place) })
            .skip_while(move |letter| letter.number <= after)
    }
}

/// A bundle that is being filled.
#[derive(Default)]
pub(super) struct NewBundle(Vec<StoredLetter>);

impl NewBundle {
    /// Whether a letter can lie with those that are in.
    pub(super) fn takes(&self, letter: &StoredLetter) -> bool {
        let kind = |letter: &StoredLetter| (letter.epoch, letter.round, letter.letter.len());
        let count = self.0.len() + 1;
        let has_room = count <= BUNDLE_LETTERS && count * letter.letter.len() <= BUNDLE_BYTES;
        self.0.last().is_none_or(|last| has_room && kind(last) == kind(letter))
    }

    pub(super) fn push(&mut self, letter: StoredLetter) {
        self.0.push(letter);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its key and value, if it is not empty; `last` is the number of its last letter.
    pub(super) fn row(self, mailbox: &MailboxId, last: u64) -> Option<(Vec<u8>, Value)> {
        let header = self.0.first().map(|first| header(first.epoch, first.round))?;
        let key = row_key(mailbox, last, self.0.len());
        let letters: Vec<Bytes> = self.0.into_iter().map(|stored| stored.letter).collect();
        Some((key, Value::new(header, letters)))
    }
}

fn row_key(mailbox: &MailboxId, last: u64, count: usize) -> Vec<u8> {
    let count = u16::try_from(count).expect("a bundle has at most as many");
    key(&[&mailbox.0, &last.to_be_bytes(), &count.to_be_bytes()])
}

fn header(epoch: u64, round: u64) -> Vec<u8> {
    key(&[&epoch.to_be_bytes(), &round.to_be_bytes()])
}
