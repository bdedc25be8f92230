//! The rows of the outbox and how they change.

use std::ops::ControlFlow;

use crate::crypto::{MailboxId, PublicKey};
use crate::wire::codec::{Decode, Encode};

use super::super::kv::{behind, field, key};
use super::super::step::{Step, parse};
use super::super::{Kv, MessageName, StoreError, Table};
use super::{
    Accepted, FRAGMENT_OVERHEAD, Fragment, HISTORY_KEPT, MAX_RESENDS, MessageState, NewMessage, OutboxMessage,
    ROUNDS_KEPT,
};

pub(super) const TOTALS: &[u8] = b"outbox totals";

/// A row of [`Table::Messages`].
#[derive(Decode, Encode)]
pub(super) struct Message {
    pub order: u64,
    pub to: (MailboxId, PublicKey),
    pub named: bool,
    pub bytes: u64,
    pub count: u32,
    pub done: u32,
    pub in_flight: u32,
    pub resends: u32,
    /// Failures of rounds below belong to a resend that is counted already: one incident that aborts several rounds
    /// at once is one resend of a message that travels in all of them.
    pub counted_below: u64,
    pub expiry: Option<u64>,
    pub held: bool,
    pub rounds: Vec<u64>,
}

/// The row in [`Table::Meta`].
#[derive(Decode, Default, Encode)]
pub(super) struct Totals {
    /// The next message's place in the order of acceptance.
    pub order: u64,
    /// Rounds below are spent.
    pub next_round: u64,
    /// What unsettled messages count against the limit.
    pub bytes: u64,
    pub stored: u64,
    pub resent: u64,
}

/// A fragment in flight, in a row of [`Table::Rounds`].
#[derive(Decode, Encode)]
pub(super) struct InFlight {
    pub message: MessageName,
    pub order: u64,
    pub index: u32,
}

impl Message {
    fn new(order: u64, message: &NewMessage<'_>, bytes: u64, count: u32) -> Self {
        Self {
            order,
            to: message.to,
            named: message.named,
            bytes,
            count,
            done: 0,
            in_flight: 0,
            resends: 0,
            counted_below: 0,
            expiry: None,
            held: false,
            rounds: Vec::new(),
        }
    }

    fn charge(&self) -> u64 {
        charge(self.bytes, self.count)
    }

    pub(super) fn state(&self) -> MessageState {
        if self.done == self.count {
            MessageState::Stored
        } else if self.held {
            MessageState::Held
        } else if self.in_flight > 0 {
            MessageState::InFlight
        } else {
            MessageState::Queued
        }
    }

    /// `fragments` have come back from a round.
    pub(super) fn land(&mut self, fragments: usize) -> Result<(), StoreError> {
        let landed = u32::try_from(fragments).ok().and_then(|n| self.in_flight.checked_sub(n));
        self.in_flight = landed.ok_or(StoreError::Damaged(Table::Messages))?;
        Ok(())
    }

    pub(super) fn show(self, message: MessageName) -> OutboxMessage {
        OutboxMessage {
            message,
            to: self.to.0,
            bytes: self.bytes,
            packets: self.count,
            state: self.state(),
            resends: self.resends,
            rounds: self.rounds,
        }
    }
}

impl Totals {
    pub(super) fn write(&self, step: &mut Step<'_>) {
        step.put_record(Table::Meta, TOTALS, self);
    }

    /// A message no longer counts against the limit.
    pub(super) fn release(&mut self, message: &Message) -> Result<(), StoreError> {
        self.bytes = self.bytes.checked_sub(message.charge()).ok_or(StoreError::Damaged(Table::Meta))?;
        Ok(())
    }
}

/// What a message counts against the limit.
pub(super) fn charge(bytes: u64, count: u32) -> u64 {
    bytes + u64::from(count) * FRAGMENT_OVERHEAD
}

/// Makes a message of fragments, `count` with `bytes` bytes, that are on the disk or in this step.
pub(super) fn admit(
    step: &mut Step<'_>,
    name: &MessageName,
    message: &NewMessage<'_>,
    (bytes, count): (u64, u32),
    limit: u64,
) -> Result<Accepted, StoreError> {
    let mut totals = read_totals(step)?;
    let row = Message::new(totals.order, message, bytes, count);
    totals.order += 1;
    totals.bytes += row.charge();
    if totals.bytes > limit {
        return Err(StoreError::OutboxFull);
    }
    for index in 0..count {
        step.put(Table::Queue, &queue_key(row.order, index), name.to_vec());
    }
    step.put_record(Table::Messages, name, &row);
    totals.write(step);
    Ok(Accepted { packets: count })
}

pub(super) fn read_totals(step: &Step<'_>) -> Result<Totals, StoreError> {
    Ok(step.record(Table::Meta, TOTALS)?.unwrap_or_default())
}

pub(super) fn message(step: &Step<'_>, name: &MessageName) -> Result<Message, StoreError> {
    step.record(Table::Messages, name)?.ok_or(StoreError::NoMessage)
}

/// The messages that `wanted` is true of.
pub(super) fn messages(
    kv: &dyn Kv,
    mut wanted: impl FnMut(&Message) -> bool,
) -> Result<Vec<(MessageName, Message)>, StoreError> {
    let mut found = Vec::new();
    let mut failed = None;
    kv.scan(Table::Messages, &[], &mut |key, value| {
        match field(Table::Messages, key, 0).and_then(|name| Ok((name, parse(Table::Messages, value)?))) {
            Ok((name, row)) => found.extend(wanted(&row).then_some((name, row))),
            Err(error) => failed = Some(error),
        }
        if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failed.map_or(Ok(found), Err)
}

/// Takes a waiting fragment out of the queue.
pub(super) fn take(step: &mut Step<'_>, place: &InFlight, expiry: u64) -> Result<Fragment, StoreError> {
    let mut row: Message = step.record(Table::Messages, &place.message)?.ok_or(StoreError::Damaged(Table::Messages))?;
    let data = step
        .get(Table::Fragments, &fragment_key(&place.message, place.index))?
        .ok_or(StoreError::Damaged(Table::Fragments))?;
    let expiry = *row.expiry.get_or_insert(expiry);
    row.in_flight += 1;
    step.delete(Table::Queue, &queue_key(place.order, place.index));
    step.put_record(Table::Messages, &place.message, &row);
    let (message, index) = (place.message, place.index);
    Ok(Fragment { message, index, count: row.count, to: row.to, named: row.named, expiry, data })
}

/// Fragments of a message are stored at the exit.
pub(super) fn carry(
    step: &mut Step<'_>,
    totals: &mut Totals,
    row: &mut Message,
    round: u64,
    fragments: &[InFlight],
) -> Result<(), StoreError> {
    for fragment in fragments {
        row.done += 1;
        step.delete(Table::Fragments, &fragment_key(&fragment.message, fragment.index));
    }
    if row.rounds.len() == ROUNDS_KEPT {
        row.rounds.remove(0);
    }
    row.rounds.push(round);
    if row.done < row.count {
        return Ok(());
    }
    totals.release(row)?;
    step.put(Table::History, &totals.stored.to_be_bytes(), fragments[0].message.to_vec());
    if let Some(stale) = totals.stored.checked_sub(HISTORY_KEPT) {
        let name = step.get(Table::History, &stale.to_be_bytes())?.ok_or(StoreError::Damaged(Table::History))?;
        step.delete(Table::History, &stale.to_be_bytes());
        step.delete(Table::Messages, &name);
    }
    totals.stored += 1;
    Ok(())
}

/// Fragments of a message go again, unless the message has gone again too often.
pub(super) fn fail(step: &mut Step<'_>, totals: &mut Totals, row: &mut Message, round: u64, fragments: &[InFlight]) {
    if row.held {
        return;
    }
    if round >= row.counted_below {
        if row.resends == MAX_RESENDS {
            return hold(step, row);
        }
        totals.resent += u64::from(row.resends == 0);
        row.resends += 1;
        row.counted_below = totals.next_round;
    }
    for fragment in fragments {
        step.put(Table::Queue, &queue_key(row.order, fragment.index), fragment.message.to_vec());
    }
}

/// A message waits for its user.
pub(super) fn hold(step: &mut Step<'_>, row: &mut Message) {
    row.held = true;
    unqueue(step, row);
}

/// Takes all of a message out of the queue.
pub(super) fn unqueue(step: &mut Step<'_>, row: &Message) {
    let order = row.order.to_be_bytes();
    step.delete_range(Table::Queue, &order, &behind(&order));
}

pub(super) fn fragment_key(name: &MessageName, index: u32) -> Vec<u8> {
    key(&[name, &index.to_be_bytes()])
}

pub(super) fn queue_key(order: u64, index: u32) -> Vec<u8> {
    key(&[&order.to_be_bytes(), &index.to_be_bytes()])
}

pub(super) fn read_queued(key: &[u8], value: &[u8]) -> Result<InFlight, StoreError> {
    let order = u64::from_be_bytes(field(Table::Queue, key, 0)?);
    let index = u32::from_be_bytes(field(Table::Queue, key, 8)?);
    Ok(InFlight { message: field(Table::Queue, value, 0)?, order, index })
}
