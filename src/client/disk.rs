//! A client's disk: the outbox, the inbox and the epochs it has accepted, in the session's terms.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::config::{INBOX_BYTES, OUTBOX_BYTES};
use crate::packet::{Address, MessageId};
use crate::session::{Action, AlreadyUsed, Arrival, Event, Fragment, RequestId, Seat, content};
use crate::store::{self, Epochs, Inbox, InboxLimits, Outbox, Store, StoreError};
use crate::wire::{Parameters, SignedEpoch};

use super::gate::Gate;

/// Incomplete messages of one named sender, and of all anonymous ones together.
const PARTIALS: u32 = 1024;
/// The largest messages that one sender may have on their way at once.
const PARTIAL_MESSAGES: u64 = 4;

/// How much a client keeps, in bytes, [`store::FRAGMENT_OVERHEAD`] for each fragment included; by default
/// [`OUTBOX_BYTES`] and [`INBOX_BYTES`].
#[derive(Clone, Copy, Debug)]
pub struct DiskLimits {
    /// Messages to send: beyond it none is accepted.
    pub outbox_bytes: u64,
    /// Messages received: beyond it the oldest that were read are forgotten.
    pub inbox_bytes: u64,
}

impl Default for DiskLimits {
    fn default() -> Self {
        Self { outbox_bytes: OUTBOX_BYTES, inbox_bytes: INBOX_BYTES }
    }
}

/// What a client keeps. Every call blocks on the disk.
pub struct Disk {
    /// Messages to send.
    pub outbox: Outbox,
    /// Messages received.
    pub inbox: Inbox,
    epochs: Epochs,
    gate: Gate,
    /// A session has begun and reserved no round yet.
    begins: AtomicBool,
    /// Why it did not take what was last asked of the outbox, and of the inbox.
    trouble: Mutex<[Option<String>; 2]>,
}

impl Disk {
    /// The disk in `store`.
    pub fn new(store: Store, parameters: &Parameters, limits: DiskLimits) -> Self {
        let DiskLimits { outbox_bytes, inbox_bytes } = limits;
        let inbox = InboxLimits {
            payload: parameters.payload as usize,
            // The name of a file travels in front of its bytes.
            max_message: parameters.max_message + content::MAX_HEADER_BYTES as u64,
            partials: PARTIALS,
            partial_bytes: PARTIAL_MESSAGES * parameters.max_message,
            retention: parameters.retention_epochs.into(),
            bytes: inbox_bytes,
        };
        Self {
            outbox: Outbox::new(store.clone(), outbox_bytes),
            inbox: Inbox::new(store.clone(), inbox),
            epochs: Epochs::new(store),
            gate: Gate::default(),
            begins: AtomicBool::new(true),
            trouble: Mutex::default(),
        }
    }

    /// The same, whose messages wait before they leave: a number of rounds that is geometric, `rounds` on average.
    pub fn with_wait(self, rounds: u64) -> Self {
        Self { gate: Gate::new(rounds), ..self }
    }

    /// Why it does not take what a session asks of it; `None` if it does.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().next().cloned()
    }

    /// The newest documents accepted, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn epochs(&self) -> Result<Vec<SignedEpoch>, StoreError> {
        self.epochs.all()
    }

    /// The rounds used and not settled, for a session that begins: the first round that it reserves carries nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub fn unsettled(&self) -> Result<Vec<u64>, StoreError> {
        self.begins.store(true, Ordering::Relaxed);
        self.outbox.unsettled()
    }

    /// The places on the roster that verdicts may name this client by, the present one, `index`, last.
    ///
    /// # Errors
    /// If the store fails.
    pub fn seats(&self, index: u32) -> Result<Vec<Seat>, StoreError> {
        let seats = self.outbox.sit(index)?;
        Ok(seats.into_iter().map(|(first_round, index)| Seat { first_round, index }).collect())
    }

    /// Does what a session asks of its disk, and says what to tell it. Other actions are no business of the disk's.
    ///
    /// A round is reserved whatever the disk is like: else whoever watches would see a client fall silent whose disk is
    /// full, and could fill it to find out whose it is. A disk that does not take the round's number gives nothing to
    /// carry, so the client sends dummies, and a verdict on them changes nothing. Only a run that dies in that very
    /// round could use its number once more, with content that the first submission's verdict would settle; so the
    /// first round of every session carries nothing either.
    ///
    /// # Errors
    /// If the store fails: nothing has changed, and it may be tried again.
    pub fn carry_out(&self, action: &Action) -> Result<Option<Event>, StoreError> {
        let done = match action {
            Action::Reserve { round, expiry, count } => return Ok(Some(self.reserve(*round, *expiry, *count))),
            Action::Settle { round, carried } => {
                self.outbox.settle(*round, *carried).map(|_| Some(Event::Settled { round: *round }))
            }
            Action::Abandon { round } => self.outbox.abandon(*round).map(|_| None),
            Action::RememberEpoch(signed) => self.remember(signed).map(|()| None),
            Action::Deliver { id, epoch, arrivals } => self.deliver(*id, *epoch, arrivals).map(Some),
            _ => return Ok(None),
        };
        self.note(usize::from(matches!(action, Action::Deliver { .. })), done.as_ref().err());
        done
    }

    /// Spends a round's number and hands out what it will carry.
    fn reserve(&self, round: u64, expiry: u64, count: u32) -> Event {
        let count = if self.begins.swap(false, Ordering::Relaxed) { 0 } else { count as usize };
        // Drawn in every round, whatever waits.
        let ripe = self.gate.ripe(|| self.outbox.accepted());
        let reserved = self.outbox.reserve(round, expiry, count, ripe);
        self.note(0, reserved.as_ref().err().filter(|error| !matches!(error, StoreError::RoundUsed(_))));
        let result = match reserved {
            Ok(fragments) => Ok(fragments.into_iter().map(fragment).collect()),
            Err(StoreError::RoundUsed(_)) => Err(AlreadyUsed),
            // A disk that fails in the last moment may have taken it: then the content is in flight.
            Err(_) if self.outbox.is_used(round).is_ok_and(|used| !used) => Ok(Vec::new()),
            Err(_) => Err(AlreadyUsed),
        };
        Event::Reserved { round, result }
    }

    fn remember(&self, signed: &SignedEpoch) -> Result<(), StoreError> {
        self.outbox.hold_expired(signed.document.epoch)?;
        self.epochs.remember(signed)
    }

    /// Says in the log when a part of the disk begins to fail and when it is well again.
    fn note(&self, part: usize, error: Option<&StoreError>) {
        let trouble = &mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner)[part];
        match (trouble.is_some(), error) {
            (false, Some(error)) => tracing::error!(%error, "the disk does not take it; trying again"),
            (true, None) => tracing::info!("the disk takes it again"),
            _ => {}
        }
        *trouble = error.map(ToString::to_string);
    }

    /// Puts what arrived into the inbox.
    fn deliver(&self, id: RequestId, epoch: u64, arrivals: &[Arrival]) -> Result<Event, StoreError> {
        let arrivals = arrivals.iter().map(|arrival| arrived(epoch, arrival)).collect();
        self.inbox.deliver(epoch, arrivals)?;
        Ok(Event::Delivered { id })
    }
}

fn fragment(stored: store::Fragment) -> Fragment {
    let (mailbox, letter_key) = stored.to;
    Fragment {
        message: MessageId(stored.message),
        index: stored.index,
        count: stored.count,
        expiry: stored.expiry,
        to: Address { mailbox, letter_key },
        named: stored.named,
        data: stored.data,
    }
}

fn arrived(epoch: u64, arrival: &Arrival) -> store::Arrival {
    store::Arrival {
        message: arrival.message.0,
        index: arrival.index,
        count: arrival.count,
        expiry: arrival.expiry,
        sender: arrival.sender,
        epoch,
        round: arrival.round,
        data: arrival.data.clone(),
    }
}
