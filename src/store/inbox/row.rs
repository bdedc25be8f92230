//! The rows of the inbox and how they change.

use crate::crypto::MailboxId;
use crate::wire::codec::{Decode, Encode};

use super::super::kv::{behind, field, key};
use super::super::step::{Step, collect};
use super::super::{MessageName, StoreError, Table};
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
    pub(super) fn show(self, message: MessageName) -> Entry {
        Entry { message, sender: self.sender, bytes: self.bytes, round: self.round, read: self.read }
    }
}

impl Totals {
    pub(super) fn write(&self, step: &mut Step<'_>) {
        step.put_record(Table::Meta, TOTALS, self);
    }

    /// The message that was completed at `order` is no longer unread.
    pub(super) fn read(&mut self, step: &mut Step<'_>, order: u64) {
        self.counts.unread = self.counts.unread.saturating_sub(1);
        step.delete(Table::Unread, &order.to_be_bytes());
    }
}

pub(super) fn read_totals(step: &Step<'_>) -> Result<Totals, StoreError> {
    Ok(step.record(Table::Meta, TOTALS)?.unwrap_or_default())
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
    step.put_record(Table::Entries, message, &EntryRow { order, sender, bytes, count, round, read: false });
    step.put(Table::Unread, &order.to_be_bytes(), message.to_vec());
    step.put(Table::Seen, message, Vec::new());
    totals.order += 1;
    totals.counts.total += 1;
    totals.counts.unread += 1;
    totals.write(step);
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
