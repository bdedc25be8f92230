//! The rows of the inbox and how they change.

use crate::crypto::MailboxId;
use crate::wire::codec::{Decode, Encode};

use super::super::kv::{behind, field, key};
use super::super::step::{Step, collect, parse};
use super::super::{FRAGMENT_OVERHEAD, Kv, MessageName, StoreError, Table};
use super::{Arrival, Entry, InboxCounts};

pub(super) const TOTALS: &[u8] = b"inbox totals";

/// A row of [`Table::Partials`].
#[derive(Decode, Encode)]
pub(super) struct Partial {
    pub count: u32,
    pub expiry: u64,
    pub sender: Option<MailboxId>,
    pub received: u32,
    pub bytes: u64,
    /// What it takes of its sender's room.
    pub room: u64,
}

/// A row of [`Table::Senders`].
#[derive(Decode, Default, Encode)]
pub(super) struct Class {
    pub partials: u32,
    pub bytes: u64,
}

/// A row of [`Table::Entries`].
#[derive(Decode, Encode)]
pub(super) struct EntryRow {
    pub order: u64,
    pub sender: Option<MailboxId>,
    pub bytes: u64,
    pub count: u32,
    pub round: u64,
    pub read: bool,
}

/// The row in [`Table::Meta`].
#[derive(Decode, Default, Encode)]
pub(super) struct Totals {
    /// The next message's place in the order of completion.
    pub order: u64,
    pub counts: InboxCounts,
    /// What all complete messages count against the limit.
    pub bytes: u64,
}

/// [`Totals`] in stores of format 1.
#[derive(Decode, Encode)]
struct TotalsBefore {
    order: u64,
    counts: InboxCounts,
}

impl Partial {
    pub(super) fn new(arrival: &Arrival, room: u64) -> Self {
        let Arrival { count, expiry, sender, .. } = *arrival;
        Self { count, expiry, sender, received: 0, bytes: 0, room }
    }

    /// Whether a fragment says of the message what its first one said.
    pub(super) fn fits(&self, arrival: &Arrival) -> bool {
        (self.count, self.expiry, self.sender) == (arrival.count, arrival.expiry, arrival.sender)
    }
}

impl EntryRow {
    /// What it counts against the limit.
    fn charge(&self) -> u64 {
        self.bytes.saturating_add(u64::from(self.count) * FRAGMENT_OVERHEAD)
    }

    pub(super) fn show(self, message: MessageName) -> Entry {
        Entry { message, sender: self.sender, bytes: self.bytes, round: self.round, read: self.read }
    }
}

impl Totals {
    pub(super) fn write(&self, step: &mut Step<'_>) {
        step.put_record(Table::Meta, TOTALS, self);
    }

    /// A message that is unread becomes one that is read.
    pub(super) fn mark_read(&mut self, step: &mut Step<'_>, message: &MessageName, mut row: EntryRow) {
        self.counts.unread = self.counts.unread.saturating_sub(1);
        step.delete(Table::Unread, &row.order.to_be_bytes());
        step.put(Table::Read, &row.order.to_be_bytes(), message.to_vec());
        row.read = true;
        step.put_record(Table::Entries, message, &row);
    }

    /// A message goes, all but its name.
    pub(super) fn remove(&mut self, step: &mut Step<'_>, message: &MessageName, row: &EntryRow) {
        self.counts.unread = self.counts.unread.saturating_sub(u64::from(!row.read));
        self.counts.total = self.counts.total.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(row.charge());
        step.delete(if row.read { Table::Read } else { Table::Unread }, &row.order.to_be_bytes());
        step.delete(Table::Entries, message);
        step.delete_range(Table::Pieces, message, &behind(message));
    }
}

pub(super) fn read_totals(step: &Step<'_>) -> Result<Totals, StoreError> {
    Ok(step.record(Table::Meta, TOTALS)?.unwrap_or_default())
}

/// All complete messages.
pub(super) fn entries(kv: &dyn Kv) -> Result<Vec<(MessageName, EntryRow)>, StoreError> {
    collect(kv, Table::Entries, &[], |key, value| {
        Some(field(Table::Entries, key, 0).and_then(|name| Ok((name, parse(Table::Entries, value)?))))
    })
}

pub(super) fn class(step: &Step<'_>, class: &[u8]) -> Result<Class, StoreError> {
    Ok(step.record(Table::Senders, class)?.unwrap_or_default())
}

/// An incomplete message ends and gives its room back.
pub(super) fn release(step: &mut Step<'_>, message: &MessageName, partial: &Partial) -> Result<(), StoreError> {
    step.delete(Table::Partials, message);
    let key = class_key(partial.sender);
    let mut held = class(step, &key)?;
    held.partials = held.partials.saturating_sub(1);
    held.bytes = held.bytes.saturating_sub(partial.room);
    if held.partials == 0 {
        step.delete(Table::Senders, &key);
    } else {
        step.put_record(Table::Senders, &key, &held);
    }
    let mut totals = read_totals(step)?;
    totals.counts.partial = totals.counts.partial.saturating_sub(1);
    totals.write(step);
    Ok(())
}

/// A message, whose pieces are all there, becomes an entry.
pub(super) fn complete(
    step: &mut Step<'_>,
    message: &MessageName,
    partial: &Partial,
    round: u64,
) -> Result<(), StoreError> {
    let mut totals = read_totals(step)?;
    let order = totals.order;
    let Partial { sender, bytes, count, .. } = *partial;
    let row = EntryRow { order, sender, bytes, count, round, read: false };
    step.put_record(Table::Entries, message, &row);
    step.put(Table::Unread, &order.to_be_bytes(), message.to_vec());
    step.put(Table::Seen, message, Vec::new());
    totals.order += 1;
    totals.counts.total += 1;
    totals.counts.unread += 1;
    totals.bytes = totals.bytes.saturating_add(row.charge());
    totals.write(step);
    Ok(())
}

/// While the complete messages exceed `limit`, deletes the oldest that are read, until `fragments` or more are gone.
pub(super) fn trim(step: &mut Step<'_>, limit: u64, fragments: usize) -> Result<(), StoreError> {
    let mut totals = read_totals(step)?;
    if totals.bytes <= limit {
        return Ok(());
    }
    let mut gone = 0;
    // Every message has a fragment.
    for name in step.first(Table::Read, fragments)? {
        if totals.bytes <= limit || gone >= fragments {
            break;
        }
        let message = field::<16>(Table::Read, &name, 0)?;
        let row: EntryRow = step.record(Table::Entries, &message)?.ok_or(StoreError::Damaged(Table::Read))?;
        gone += row.count as usize;
        totals.remove(step, &message, &row);
    }
    if gone > 0 {
        totals.write(step);
    }
    Ok(())
}

/// From format 1 to 2: what the messages take up is counted, and those that are read are in the order of completion.
pub(in crate::store) fn count_bytes(step: &mut Step<'_>) -> Result<(), StoreError> {
    let Some(TotalsBefore { order, counts }) = step.record(Table::Meta, TOTALS)? else { return Ok(()) };
    let mut bytes = 0_u64;
    for (name, row) in entries(step.committed())? {
        bytes = bytes.saturating_add(row.charge());
        if row.read {
            step.put(Table::Read, &row.order.to_be_bytes(), name.to_vec());
        }
    }
    Totals { order, counts, bytes }.write(step);
    Ok(())
}

/// Forgets what expired before `epoch`; returns how many messages were incomplete.
pub(super) fn forget(step: &mut Step<'_>, epoch: u64) -> Result<u64, StoreError> {
    let stale = collect(step.committed(), Table::Expiries, &[], |key, _| {
        let expired = key < &epoch.to_be_bytes()[..];
        expired.then(|| Ok((key.to_vec(), field::<16>(Table::Expiries, key, 8)?)))
    })?;
    let mut incomplete = 0;
    for (expiry, message) in stale {
        step.delete(Table::Expiries, &expiry);
        step.delete(Table::Seen, &message);
        if let Some(partial) = step.record::<Partial>(Table::Partials, &message)? {
            release(step, &message, &partial)?;
            step.delete_range(Table::Pieces, &message, &behind(&message));
            incomplete += 1;
        }
    }
    Ok(incomplete)
}

/// Named senders have a class each, anonymous ones share one.
pub(super) fn class_key(sender: Option<MailboxId>) -> Vec<u8> {
    sender.map_or_else(|| vec![0], |sender| key(&[&[1], &sender.0]))
}

pub(super) fn piece_key(message: &MessageName, index: u32) -> Vec<u8> {
    key(&[message, &index.to_be_bytes()])
}
