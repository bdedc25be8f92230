//! A client's inbox: fragments arrive in any order and any number of times, messages come out exactly once.

mod row;

use std::io::Write;

use crate::crypto::MailboxId;
use crate::wire::codec::{Decode, Encode};

pub(super) use self::row::count_bytes;
use self::row::{EntryRow, Partial, Totals, piece_key, read_totals};
use super::kv::{field, key};
use super::step::{Step, collect};
use super::{MessageName, Store, StoreError, Table};

/// Fragments that a commit deletes beyond as many as it brings, until the limit is kept; the last message deleted goes
/// whole, whatever it has.
const TRIMMED: usize = 64;

/// The messages that a client receives.
pub struct Inbox {
    store: Store,
    limits: InboxLimits,
}

/// What an inbox takes.
#[derive(Clone, Copy, Debug)]
pub struct InboxLimits {
    /// Bytes of each fragment but the last, at least 1.
    pub payload: usize,
    /// Bytes of a message.
    pub max_message: u64,
    /// Incomplete messages of one named sender, and of all anonymous ones together.
    pub partials: u32,
    /// Bytes that these will have when they are complete: a message that is let in has room to its end.
    pub partial_bytes: u64,
    /// Epochs for which a message may be on its way.
    pub retention: u64,
    /// Bytes of complete messages, [`FRAGMENT_OVERHEAD`](super::FRAGMENT_OVERHEAD) for each fragment included, beyond which
    /// the oldest that are read are deleted; those that are unread stay.
    pub bytes: u64,
}

/// A fragment as it came out of a letter.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The message.
    pub message: MessageName,
    /// Which fragment, from 0.
    pub index: u32,
    /// How many the message has.
    pub count: u32,
    /// The last epoch in which the message may arrive.
    pub expiry: u64,
    /// The sender's mailbox, if it named itself and its tag held.
    pub sender: Option<MailboxId>,
    /// The letter's epoch.
    pub epoch: u64,
    /// The letter's round.
    pub round: u64,
    /// The bytes.
    pub data: Vec<u8>,
}

/// What became of the fragments of one answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Delivery {
    /// The messages that are now complete, in the order in which they became so.
    pub completed: Vec<MessageName>,
    /// Fragments that had come before, or whose message had.
    pub duplicates: u32,
    /// Fragments that are too long or too short, of too long a message, or out of their time.
    pub invalid: u32,
    /// Fragments whose count, sender or expiry is not that of the message's first.
    pub contradictory: u32,
    /// Messages for which the sender had no room left; their further fragments count as duplicates.
    pub refused: u32,
}

/// A complete message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its name.
    pub message: MessageName,
    /// The sender's mailbox; `None` is anonymous.
    pub sender: Option<MailboxId>,
    /// Its length.
    pub bytes: u64,
    /// The round whose letter completed it.
    pub round: u64,
    /// Whether it is marked read.
    pub read: bool,
}

/// How many messages are there.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub struct InboxCounts {
    /// Complete and not read.
    pub unread: u64,
    /// Complete.
    pub total: u64,
    /// Incomplete.
    pub partial: u64,
}

/// What became of one fragment.
enum Fate {
    Kept,
    Completed,
    Duplicate,
    Invalid,
    Contradictory,
    Refused,
}

impl Inbox {
    /// The inbox in `store`.
    pub fn new(store: Store, limits: InboxLimits) -> Self {
        Self { store, limits }
    }

    /// Takes the fragments of one poll's answer, as one commit; afterwards the answer may be acknowledged. Beyond the limit
    /// of bytes the oldest messages that are read go in the same commit; their names stay known until their expiry.
    ///
    /// # Errors
    /// If the store is full or fails: then the answer must not be acknowledged, and comes again.
    pub fn deliver(&self, current_epoch: u64, arrivals: Vec<Arrival>) -> Result<Delivery, StoreError> {
        self.store.step(|step| {
            row::forget(step, current_epoch)?;
            let mut delivery = Delivery::default();
            let arrived = arrivals.len();
            for arrival in arrivals {
                let message = arrival.message;
                match self.take(step, current_epoch, arrival)? {
                    Fate::Kept => {}
                    Fate::Completed => delivery.completed.push(message),
                    Fate::Duplicate => delivery.duplicates += 1,
                    Fate::Invalid => delivery.invalid += 1,
                    Fate::Contradictory => delivery.contradictory += 1,
                    Fate::Refused => delivery.refused += 1,
                }
            }
            // More goes than comes, so that the disk is steady whatever the messages' sizes are.
            row::trim(step, self.limits.bytes, arrived.saturating_add(TRIMMED))?;
            Ok(delivery)
        })
    }

    /// Forgets incomplete messages whose expiry is before `epoch`, and the names of all others whose is; returns how
    /// many incomplete ones.
    ///
    /// # Errors
    /// If the store fails.
    pub fn expire(&self, epoch: u64) -> Result<u64, StoreError> {
        self.store.step(|step| row::forget(step, epoch))
    }

    /// Writes a message's content to `out`, piece by piece, and returns its length.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] if it is not there or is deleted meanwhile; [`StoreError::Io`] if `out` fails.
    pub fn read(&self, message: &MessageName, out: &mut dyn Write) -> Result<u64, StoreError> {
        let row: EntryRow = self.store.record(Table::Entries, message)?.ok_or(StoreError::NoMessage)?;
        for index in 0..row.count {
            // Each piece in a read of its own: a slow `out` must not hold up what the database may reuse.
            let piece = self.store.kv().get(Table::Pieces, &piece_key(message, index))?;
            out.write_all(&piece.ok_or(StoreError::NoMessage)?)?;
        }
        Ok(row.bytes)
    }

    /// The messages not marked read, by the round that completed them; those of one named sender and round by their
    /// names, which ascend as it sent them, the others of a round as they became complete.
    ///
    /// # Errors
    /// If the store fails.
    pub fn unread(&self) -> Result<Vec<Entry>, StoreError> {
        let names =
            collect(self.store.kv(), Table::Unread, &[], |_, value| Some(field::<16>(Table::Unread, value, 0)))?;
        let mut rows = Vec::with_capacity(names.len());
        for name in names {
            // Gone if it was deleted since.
            rows.extend(self.store.record(Table::Entries, &name)?.map(|row| (name, row)));
        }
        Ok(in_order(rows))
    }

    /// All messages, in the order of [`Inbox::unread`].
    ///
    /// # Errors
    /// If the store fails.
    pub fn all(&self) -> Result<Vec<Entry>, StoreError> {
        Ok(in_order(row::entries(self.store.kv())?))
    }

    /// Marks messages read; those that are not there are passed over. Beyond the limit of bytes they may be deleted at once.
    ///
    /// # Errors
    /// If the store fails.
    pub fn mark_read(&self, messages: &[MessageName]) -> Result<(), StoreError> {
        self.store.step(|step| {
            let mut totals = read_totals(step)?;
            for message in messages {
                if let Some(row) = step.record::<EntryRow>(Table::Entries, message)?.filter(|row| !row.read) {
                    totals.mark_read(step, message, row);
                }
            }
            totals.write(step);
            row::trim(step, self.limits.bytes, TRIMMED)
        })
    }

    /// Deletes a message; its name stays known until its expiry.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] if it is not there.
    pub fn delete(&self, message: &MessageName) -> Result<(), StoreError> {
        self.store.step(|step| {
            let row: EntryRow = step.record(Table::Entries, message)?.ok_or(StoreError::NoMessage)?;
            let mut totals = read_totals(step)?;
            totals.remove(step, message, &row);
            totals.write(step);
            Ok(())
        })
    }

    /// How many messages are there.
    ///
    /// # Errors
    /// If the store fails.
    pub fn counts(&self) -> Result<InboxCounts, StoreError> {
        let totals: Option<Totals> = self.store.record(Table::Meta, row::TOTALS)?;
        Ok(totals.unwrap_or_default().counts)
    }

    fn take(&self, step: &mut Step<'_>, epoch: u64, arrival: Arrival) -> Result<Fate, StoreError> {
        if !self.is_valid(epoch, &arrival) {
            return Ok(Fate::Invalid);
        }
        let message = arrival.message;
        if step.get(Table::Seen, &message)?.is_some() || step.get(Table::Entries, &message)?.is_some() {
            return Ok(Fate::Duplicate);
        }
        let mut partial = match step.record::<Partial>(Table::Partials, &message)? {
            Some(partial) if !partial.fits(&arrival) => return Ok(Fate::Contradictory),
            Some(partial) => partial,
            None => {
                let expiry = key(&[&arrival.expiry.to_be_bytes(), &message]);
                step.put(Table::Expiries, &expiry, Vec::new());
                // A message of one fragment is never incomplete and needs no room among those that are.
                if arrival.count > 1 && !self.admit(step, &arrival)? {
                    step.put(Table::Seen, &message, Vec::new());
                    return Ok(Fate::Refused);
                }
                Partial::new(&arrival, self.room(arrival.count))
            }
        };
        let piece = piece_key(&message, arrival.index);
        if partial.received > 0 && step.get(Table::Pieces, &piece)?.is_some() {
            return Ok(Fate::Duplicate);
        }
        partial.received += 1;
        partial.bytes += arrival.data.len() as u64;
        step.put(Table::Pieces, &piece, arrival.data);
        if partial.received < partial.count {
            step.put_record(Table::Partials, &message, &partial);
            return Ok(Fate::Kept);
        }
        if partial.count > 1 {
            row::release(step, &message, &partial)?;
        }
        row::complete(step, &message, &partial, arrival.round)?;
        Ok(Fate::Completed)
    }

    /// The rules that need no look at the store.
    fn is_valid(&self, epoch: u64, arrival: &Arrival) -> bool {
        let payload = self.limits.payload.max(1);
        let most = self.limits.max_message.div_ceil(payload as u64).max(1);
        // The sender's epoch may be ahead of ours; twice the retention still bounds what is remembered.
        let last = epoch.saturating_add(self.limits.retention.saturating_mul(2));
        let is_last = arrival.index.checked_add(1) == Some(arrival.count);
        let length = if is_last {
            arrival.data.len() <= payload && (arrival.count == 1 || !arrival.data.is_empty())
        } else {
            arrival.data.len() == payload
        };
        length
            && arrival.index < arrival.count
            && u64::from(arrival.count) <= most
            && (epoch.max(arrival.epoch)..=last).contains(&arrival.expiry)
    }

    /// Bytes of a message of `count` fragments, at most.
    fn room(&self, count: u32) -> u64 {
        u64::from(count).saturating_mul(self.limits.payload as u64)
    }

    /// Takes room for an incomplete message from its class of senders, if there is.
    fn admit(&self, step: &mut Step<'_>, arrival: &Arrival) -> Result<bool, StoreError> {
        let class = row::class_key(arrival.sender);
        let mut held = row::class(step, &class)?;
        held.partials += 1;
        held.bytes += self.room(arrival.count);
        if held.partials > self.limits.partials || held.bytes > self.limits.partial_bytes {
            return Ok(false);
        }
        step.put_record(Table::Senders, &class, &held);
        let mut totals = read_totals(step)?;
        totals.counts.partial += 1;
        totals.write(step);
        Ok(true)
    }
}

/// Whatever order letters came in, it is that of shuffles: a sender's own order is in the names.
fn in_order(mut rows: Vec<(MessageName, EntryRow)>) -> Vec<Entry> {
    rows.sort_by_key(|(name, row)| (row.round, row.sender, row.sender.map(|_| *name), row.order));
    rows.into_iter().map(|(name, row)| row.show(name)).collect()
}
