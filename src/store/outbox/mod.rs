//! A client's outbox: contents wait here, on disk, until the signed verdict of the round that carried them.

mod draft;
mod row;
mod seat;
mod view;

use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::crypto::{MailboxId, PublicKey};

pub use self::draft::Draft;
use self::row::{
    InFlight, Message, Totals, admit, carry, fail, fragment_key, hold, message, messages, queue_key, read_queued,
    read_totals, take, unqueue,
};
use super::kv::{behind, field};
use super::step::{collect, parse};
use super::{MessageName, Store, StoreError, Table};

/// Bytes that a fragment counts against the limits of outbox and inbox beside its content: its rows and their keys.
pub const FRAGMENT_OVERHEAD: u64 = 128;
/// Times that a message goes again by itself; after the next failure its user is asked.
pub const MAX_RESENDS: u32 = 3;
/// Stored messages that are remembered.
pub const HISTORY_KEPT: u64 = 1000;
/// Rounds of one message that are remembered, the newest: 2.3 kB.
pub const ROUNDS_KEPT: usize = 256;
/// Fragments that one round takes at most; their row stays below half a message of the codec.
pub const MAX_RESERVED: usize = 16_384;

/// The messages that a client sends.
pub struct Outbox {
    store: Store,
    limit: u64,
}

/// A message to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// The recipient's mailbox and letter key.
    pub to: (MailboxId, PublicKey),
    /// Whether the sender names itself.
    pub named: bool,
    /// The content, of any length.
    pub content: &'a [u8],
}

/// A message is durable in the outbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// In how many packets it will travel.
    pub packets: u32,
}

/// A fragment to be sent in a round.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fragment {
    /// The message.
    pub message: MessageName,
    /// Which fragment, from 0.
    pub index: u32,
    /// How many the message has.
    pub count: u32,
    /// The recipient's mailbox and letter key.
    pub to: (MailboxId, PublicKey),
    /// Whether the sender names itself.
    pub named: bool,
    /// The last epoch in which the message may arrive, fixed when its first fragment was reserved.
    pub expiry: u64,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageState {
    /// It waits.
    Queued,
    /// Some fragment is in a round without a verdict.
    InFlight,
    /// All of it is stored at the exit.
    Stored,
    /// It is not sent until [`Outbox::retry`]: it has failed too often, or it has expired.
    Held,
}

/// A message as the outbox shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OutboxMessage {
    /// Its name.
    pub message: MessageName,
    /// The recipient's mailbox.
    pub to: MailboxId,
    /// Its length.
    pub bytes: u64,
    /// In how many packets it travels.
    pub packets: u32,
    /// Where it is.
    pub state: MessageState,
    /// How often it went again.
    pub resends: u32,
    /// The rounds that stored parts of it, the newest [`ROUNDS_KEPT`].
    pub rounds: Vec<u64>,
}

/// A message that a verdict was about, and where it is now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settled {
    /// The message.
    pub message: MessageName,
    /// Where it is now.
    pub state: MessageState,
}

/// How many messages are where.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OutboxCounts {
    /// They wait.
    pub queued: u64,
    /// Some fragment is in a round without a verdict.
    pub in_flight: u64,
    /// Stored since the outbox exists.
    pub stored: u64,
    /// Of all since the outbox exists, those that went again at least once.
    pub resent: u64,
    /// They wait for the user.
    pub held: u64,
}

/// How a round ended for what it carried.
#[derive(Clone, Copy)]
enum Ending {
    Carried,
    Failed,
    Unknown,
}

impl Outbox {
    /// The outbox in `store`, for messages of `limit` bytes together, [`FRAGMENT_OVERHEAD`] for each fragment included.
    pub fn new(store: Store, limit: u64) -> Self {
        Self { store, limit }
    }

    /// Takes a message in fragments of `payload` bytes, at least 1; an empty one is one empty fragment. `name` is drawn
    /// at random.
    ///
    /// # Errors
    /// [`StoreError::OutboxFull`] beyond the limit, [`StoreError::MessageExists`] for a name that is known.
    pub fn accept(&self, name: MessageName, message: &NewMessage<'_>, payload: usize) -> Result<Accepted, StoreError> {
        let payload = payload.max(1);
        let count =
            u32::try_from(message.content.len().div_ceil(payload).max(1)).map_err(|_| StoreError::OutboxFull)?;
        self.store.step(|step| {
            if step.get(Table::Messages, &name)?.is_some() {
                return Err(StoreError::MessageExists);
            }
            let accepted = admit(step, &name, message, (message.content.len() as u64, count), self.limit)?;
            for index in 0..count {
                let start = index as usize * payload;
                let data = &message.content[start..message.content.len().min(start + payload)];
                step.put(Table::Fragments, &fragment_key(&name, index), data.to_vec());
            }
            Ok(accepted)
        })
    }

    /// How many messages have been accepted since the outbox exists.
    ///
    /// # Errors
    /// If the store fails.
    pub fn accepted(&self) -> Result<u64, StoreError> {
        Ok(self.store.record::<Totals>(Table::Meta, row::TOTALS)?.map_or(0, |totals| totals.order))
    }

    /// Spends `round` and assigns to it the first fragments, at most `count`, of the oldest messages: of those that have
    /// begun to leave, and of the first `ripe` that were ever accepted. A message that is reserved for the first time
    /// expires with epoch `expiry`. Rounds are spent in increasing order.
    ///
    /// # Errors
    /// [`StoreError::RoundUsed`] unless the round is above every one spent before.
    pub fn reserve(&self, round: u64, expiry: u64, count: usize, ripe: u64) -> Result<Vec<Fragment>, StoreError> {
        self.store.step(|step| {
            let mut totals = read_totals(step)?;
            if round < totals.next_round {
                return Err(StoreError::RoundUsed(round));
            }
            totals.next_round = round.checked_add(1).ok_or(StoreError::RoundUsed(round))?;
            let mut left = count.min(MAX_RESERVED);
            let mut assigned = collect(step.committed(), Table::Queue, &[], |key, value| {
                left = left.checked_sub(1)?;
                Some(read_queued(key, value))
            })?;
            // None overtakes an older one: the first that has to wait makes all behind it wait.
            for at in 0..assigned.len() {
                let place = &assigned[at];
                if place.order >= ripe && message(step, &place.message)?.expiry.is_none() {
                    assigned.truncate(at);
                    break;
                }
            }
            let fragments = assigned.iter().map(|place| take(step, place, expiry)).collect::<Result<_, _>>()?;
            step.put_record(Table::Rounds, &round.to_be_bytes(), &assigned);
            totals.write(step);
            Ok(fragments)
        })
    }

    /// The verdict of `round` is known. If it `carried` our packets to the exit's disk their fragments are done; if not
    /// they wait again. A round that is not open changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub fn settle(&self, round: u64, carried: bool) -> Result<Vec<Settled>, StoreError> {
        self.end(round, if carried { Ending::Carried } else { Ending::Failed })
    }

    /// The verdict of `round` will never be known: its messages may have arrived or not, and are held for their user.
    ///
    /// # Errors
    /// If the store fails.
    pub fn abandon(&self, round: u64) -> Result<Vec<Settled>, StoreError> {
        self.end(round, Ending::Unknown)
    }

    fn end(&self, round: u64, ending: Ending) -> Result<Vec<Settled>, StoreError> {
        self.store.step(|step| {
            let Some(assigned) = step.record::<Vec<InFlight>>(Table::Rounds, &round.to_be_bytes())? else {
                return Ok(Vec::new());
            };
            step.delete(Table::Rounds, &round.to_be_bytes());
            let mut totals = read_totals(step)?;
            let mut settled = Vec::new();
            for fragments in assigned.chunk_by(|a, b| a.message == b.message) {
                let message = fragments[0].message;
                // Not there, or another one, if it was dropped meanwhile.
                let row = step.record::<Message>(Table::Messages, &message)?;
                let Some(mut row) = row.filter(|row| row.order == fragments[0].order) else { continue };
                row.land(fragments.len())?;
                match ending {
                    Ending::Carried => carry(step, &mut totals, &mut row, round, fragments)?,
                    Ending::Failed => fail(step, &mut totals, &mut row, round, fragments),
                    Ending::Unknown => hold(step, &mut row),
                }
                step.put_record(Table::Messages, &message, &row);
                settled.push(Settled { message, state: row.state() });
            }
            totals.write(step);
            Ok(settled)
        })
    }

    /// The earliest round that is spent and has no verdict yet.
    ///
    /// # Errors
    /// If the store fails.
    pub fn oldest_unsettled(&self) -> Result<Option<u64>, StoreError> {
        let mut first = None;
        self.store.kv().scan(Table::Rounds, &[], &mut |key, _| {
            first = Some(field(Table::Rounds, key, 0).map(u64::from_be_bytes));
            ControlFlow::Break(())
        })?;
        first.transpose()
    }

    /// Every round that is spent and has no verdict yet, in order.
    ///
    /// # Errors
    /// If the store fails.
    pub fn unsettled(&self) -> Result<Vec<u64>, StoreError> {
        collect(self.store.kv(), Table::Rounds, &[], |key, _| {
            Some(field(Table::Rounds, key, 0).map(u64::from_be_bytes))
        })
    }

    /// Whether `round`, or a later one, is spent.
    ///
    /// # Errors
    /// If the store fails.
    pub fn is_used(&self, round: u64) -> Result<bool, StoreError> {
        Ok(self.store.record::<Totals>(Table::Meta, row::TOTALS)?.is_some_and(|totals| round < totals.next_round))
    }

    /// Sends a held message again, under a new expiry if nothing of it is stored.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] if it is not held; [`StoreError::Expired`] if part of it is stored and its expiry is
    /// before `epoch`.
    pub fn retry(&self, name: &MessageName, epoch: u64) -> Result<(), StoreError> {
        self.store.step(|step| {
            let mut row = message(step, name)?;
            if !row.held {
                return Err(StoreError::NoMessage);
            }
            if row.done == 0 && row.in_flight == 0 {
                row.expiry = None;
            }
            if row.expiry.is_some_and(|expiry| expiry < epoch) {
                return Err(StoreError::Expired);
            }
            let rounds = collect(step.committed(), Table::Rounds, &[], |_, value| {
                Some(parse::<Vec<InFlight>>(Table::Rounds, value))
            })?;
            let flying: HashSet<u32> = rounds
                .iter()
                .flatten()
                .filter(|f| f.message == *name && f.order == row.order)
                .map(|f| f.index)
                .collect();
            let waiting = collect(step.committed(), Table::Fragments, name, |key, _| {
                key.starts_with(name).then(|| field(Table::Fragments, key, name.len()).map(u32::from_be_bytes))
            })?;
            for index in waiting.into_iter().filter(|index| !flying.contains(index)) {
                step.put(Table::Queue, &queue_key(row.order, index), name.to_vec());
            }
            row.held = false;
            row.resends = 0;
            row.counted_below = read_totals(step)?.next_round;
            step.put_record(Table::Messages, name, &row);
            Ok(())
        })
    }

    /// Removes a message that is not stored. Fragments in flight may still arrive.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] if there is none.
    pub fn drop_message(&self, name: &MessageName) -> Result<(), StoreError> {
        self.store.step(|step| {
            let row = message(step, name)?;
            if row.done == row.count {
                return Err(StoreError::NoMessage);
            }
            let mut totals = read_totals(step)?;
            totals.release(&row)?;
            totals.write(step);
            step.delete(Table::Messages, name);
            step.delete_range(Table::Fragments, name, &behind(name));
            unqueue(step, &row);
            Ok(())
        })
    }

    /// Holds the messages whose expiry is before `epoch`, as their recipients no longer take them, and says which.
    ///
    /// # Errors
    /// If the store fails.
    pub fn hold_expired(&self, epoch: u64) -> Result<Vec<MessageName>, StoreError> {
        self.store.step(|step| {
            let mut names = Vec::new();
            let is_late = |row: &Message| row.expiry.is_some_and(|expiry| expiry < epoch);
            let waits = |row: &Message| !row.held && row.done < row.count;
            for (name, mut row) in messages(step.committed(), |row| waits(row) && is_late(row))? {
                row.held = true;
                unqueue(step, &row);
                step.put_record(Table::Messages, &name, &row);
                names.push(name);
            }
            Ok(names)
        })
    }
}
