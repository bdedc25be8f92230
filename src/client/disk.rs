//! A client's disk: the outbox, the inbox and the epochs it has accepted, in the session's terms.

use crate::packet::{Address, MessageId};
use crate::session::{AlreadyUsed, Arrival, Event, Fragment, RequestId};
use crate::store::{self, Epochs, Inbox, InboxLimits, Outbox, Store, StoreError};
use crate::wire::{Parameters, SignedEpoch};

/// Bytes that may wait in an outbox.
const OUTBOX_BYTES: u64 = 1 << 30;

/// What a client keeps. Every call blocks on the disk.
pub struct Disk {
    /// Messages to send.
    pub outbox: Outbox,
    /// Messages received.
    pub inbox: Inbox,
    epochs: Epochs,
}

impl Disk {
    /// The disk in `store`.
    pub fn new(store: Store, parameters: &Parameters) -> Self {
        let limits = InboxLimits::new(parameters.payload as usize, parameters.max_message);
        Self {
            outbox: Outbox::new(store.clone(), OUTBOX_BYTES),
            inbox: Inbox::new(store.clone(), limits),
            epochs: Epochs::new(store),
        }
    }

    /// The newest documents accepted, oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub fn epochs(&self) -> Result<Vec<SignedEpoch>, StoreError> {
        self.epochs.all()
    }

    /// Keeps a document that the session has verified.
    ///
    /// # Errors
    /// If the store fails.
    pub fn remember(&self, signed: &SignedEpoch) -> Result<(), StoreError> {
        self.epochs.remember(signed)
    }

    /// Spends a round's number and hands out what it will carry.
    ///
    /// # Errors
    /// If the store fails.
    pub fn reserve(&self, round: u64, expiry: u64, count: u32) -> Result<Event, StoreError> {
        let result = match self.outbox.reserve(round, expiry, count as usize) {
            Ok(fragments) => Ok(fragments.into_iter().map(fragment).collect()),
            Err(StoreError::RoundUsed(_)) => Err(AlreadyUsed),
            Err(error) => return Err(error),
        };
        Ok(Event::Reserved { round, result })
    }

    /// Carries out a verdict: what was carried is done, the rest goes back.
    ///
    /// # Errors
    /// If the store fails.
    pub fn settle(&self, round: u64, carried: bool) -> Result<Event, StoreError> {
        self.outbox.settle(round, carried)?;
        Ok(Event::Settled { round })
    }

    /// Puts what arrived into the inbox.
    ///
    /// # Errors
    /// If the store fails.
    pub fn deliver(&self, id: RequestId, epoch: u64, arrivals: Vec<Arrival>) -> Result<Event, StoreError> {
        let arrivals = arrivals.into_iter().map(|arrival| arrived(epoch, arrival)).collect();
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

fn arrived(epoch: u64, arrival: Arrival) -> store::Arrival {
    store::Arrival {
        message: arrival.message.0,
        index: arrival.index,
        count: arrival.count,
        expiry: arrival.expiry,
        sender: arrival.sender,
        epoch,
        round: arrival.round,
        data: arrival.data,
    }
}
