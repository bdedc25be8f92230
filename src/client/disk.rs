//! A client's disk: the outbox, the inbox and the epochs it has accepted, in the session's terms.

use crate::packet::{Address, MessageId};
use crate::session::{Action, AlreadyUsed, Arrival, Event, Fragment, RequestId, Seat, content};
use crate::store::{self, Epochs, Inbox, InboxLimits, Outbox, Store, StoreError};
use crate::wire::{Parameters, SignedEpoch};

/// Bytes that may wait in an outbox.
const OUTBOX_BYTES: u64 = 1 << 30;

/// Incomplete messages of one named sender, and of all anonymous ones together.
const PARTIALS: u32 = 1024;
/// The largest messages that one sender may have on their way at once.
const PARTIAL_MESSAGES: u64 = 4;

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
        let limits = InboxLimits {
            payload: parameters.payload as usize,
            // The name of a file travels in front of its bytes.
            max_message: parameters.max_message + content::MAX_HEADER_BYTES as u64,
            partials: PARTIALS,
            partial_bytes: PARTIAL_MESSAGES * parameters.max_message,
            retention: parameters.retention_epochs.into(),
        };
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

    /// The rounds used and not settled.
    ///
    /// # Errors
    /// If the store fails.
    pub fn unsettled(&self) -> Result<Vec<u64>, StoreError> {
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
    /// # Errors
    /// If the store fails: nothing has changed, and it may be tried again.
    pub fn carry_out(&self, action: &Action) -> Result<Option<Event>, StoreError> {
        match action {
            Action::Reserve { round, expiry, count } => self.reserve(*round, *expiry, *count).map(Some),
            Action::Settle { round, carried } => {
                self.outbox.settle(*round, *carried)?;
                Ok(Some(Event::Settled { round: *round }))
            }
            Action::Abandon { round } => {
                self.outbox.abandon(*round)?;
                Ok(None)
            }
            Action::RememberEpoch(signed) => {
                self.epochs.remember(signed)?;
                self.outbox.hold_expired(signed.document.epoch)?;
                Ok(None)
            }
            Action::Deliver { id, epoch, arrivals } => self.deliver(*id, *epoch, arrivals).map(Some),
            _ => Ok(None),
        }
    }

    /// Spends a round's number and hands out what it will carry.
    fn reserve(&self, round: u64, expiry: u64, count: u32) -> Result<Event, StoreError> {
        let result = match self.outbox.reserve(round, expiry, count as usize) {
            Ok(fragments) => Ok(fragments.into_iter().map(fragment).collect()),
            Err(StoreError::RoundUsed(_)) => Err(AlreadyUsed),
            Err(error) => return Err(error),
        };
        Ok(Event::Reserved { round, result })
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
