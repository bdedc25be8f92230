//! What the session asks of the disk, done in order, and kept while the disk does not take it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc as channel, watch};

use crate::session::{Action, Event};
use crate::store::EPOCHS_KEPT;

use super::Disk;

/// Pause before what the disk did not take is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Starts the thread that owns the disk; it ends with the sender that is returned. `changed` counts what it has done.
pub(super) fn start(
    disk: Arc<Disk>,
    results: channel::UnboundedSender<Event>,
    changed: watch::Sender<u64>,
) -> mpsc::Sender<Action> {
    let (sender, queue) = mpsc::channel();
    // A thread of its own: the runtime's pool for short waits has 512 places, and this one stays for good.
    std::thread::spawn(move || {
        let mut chores = Chores::new(disk);
        let mut tried = Instant::now();
        loop {
            let next = match chores.waiting.is_empty() {
                true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => queue.recv_timeout(AGAIN.saturating_sub(tried.elapsed())),
            };
            let events = match next {
                Ok(chore) => chores.take(chore).into_iter().collect(),
                Err(RecvTimeoutError::Timeout) => {
                    tried = Instant::now();
                    chores.again()
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            changed.send_modify(|count| *count += 1);
            for event in events {
                let _ended = results.send(event);
            }
        }
    });
    sender
}

/// What the session has asked of a disk that did not take it yet.
///
/// Arrivals are one line and the outbox's business another: a disk too full for letters still settles rounds, which
/// frees room. Reservations wait for nothing, for whoever watches must not see what the disk is like: see
/// [`Disk::carry_out`]. Bounded: the session has at most D + 2 answers in work; a round that waits to be settled has
/// content on the disk, and D + 2 rounds can; of epochs the newest [`EPOCHS_KEPT`] wait, as more are not kept on disk.
struct Chores {
    disk: Arc<Disk>,
    waiting: VecDeque<Action>,
}

impl Chores {
    fn new(disk: Arc<Disk>) -> Self {
        Self { disk, waiting: VecDeque::new() }
    }

    /// Does a chore, or keeps it; what to tell the session.
    fn take(&mut self, chore: Action) -> Option<Event> {
        let chore = match chore {
            Action::Reserve { round, expiry, count } => {
                let count = if self.may_send() { count } else { 0 };
                Action::Reserve { round, expiry, count }
            }
            chore if self.waiting.iter().any(|earlier| is_arrival(earlier) == is_arrival(&chore)) => {
                self.keep(chore);
                return None;
            }
            chore => chore,
        };
        match self.disk.carry_out(&chore) {
            Ok(event) => event,
            Err(_) => {
                self.keep(chore);
                None
            }
        }
    }

    /// Tries everything that waits, in order; what to tell the session.
    fn again(&mut self) -> Vec<Event> {
        let chores = std::mem::take(&mut self.waiting);
        chores.into_iter().filter_map(|chore| self.take(chore)).collect()
    }

    fn keep(&mut self, chore: Action) {
        let is_epoch = |chore: &Action| matches!(chore, Action::RememberEpoch(_));
        if is_epoch(&chore) && self.waiting.iter().filter(|chore| is_epoch(chore)).count() == EPOCHS_KEPT {
            self.waiting.remove(self.waiting.iter().position(is_epoch).expect("there are some"));
        }
        self.waiting.push_back(chore);
    }

    /// Messages whose expiry a waiting epoch has passed are held first: their recipients no longer take them.
    fn may_send(&self) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.all(|chore| match chore {
            Action::RememberEpoch(signed) => self.disk.outbox.hold_expired(signed.document.epoch).is_ok(),
            _ => true,
        })
    }
}

fn is_arrival(chore: &Action) -> bool {
    matches!(chore, Action::Deliver { .. })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::client::DiskLimits;
    use crate::crypto::{Digest, MailboxId, PublicKey};
    use crate::packet::MessageId;
    use crate::session::{Arrival, RequestId};
    use crate::sim::Plan;
    use crate::store::{Change, Kv, Memory, MessageState, NewMessage, Store, StoreError, Table};
    use crate::wire::{EpochDocument, SignedEpoch};

    /// Memory that takes everything (0), no contents (1), or nothing (2).
    #[derive(Clone, Default)]
    struct Failing {
        memory: Memory,
        mode: Arc<AtomicU8>,
    }

    impl Kv for Failing {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.memory.get(table, key)
        }

        fn scan(
            &self,
            table: Table,
            from: &[u8],
            visit: &mut (dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + '_),
        ) -> Result<(), StoreError> {
            self.memory.scan(table, from, visit)
        }

        fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
            let content = |change: &Change| matches!(change, Change::Put { table, .. } if table.holds_content());
            match self.mode.load(Ordering::SeqCst) {
                1 if changes.iter().any(content) => Err(StoreError::Full),
                2 => Err(StoreError::Io(std::io::ErrorKind::ReadOnlyFilesystem.into())),
                _ => self.memory.commit(changes),
            }
        }
    }

    const NAME: [u8; 16] = [7; 16];

    /// Chores of a session that has reserved round 1, over a disk that can be told to fail, with a message that waits.
    fn begun() -> (Chores, Arc<AtomicU8>) {
        let failing = Failing::default();
        let mode = failing.mode.clone();
        let store = Store::open(failing).expect("it takes everything yet");
        let (network, _, _) = Plan::default().network();
        let disk = Disk::new(store, &network.parameters, DiskLimits::default());
        let message = NewMessage { to: (MailboxId([1; 16]), PublicKey([9; 32])), named: false, content: b"hello" };
        disk.outbox.accept(NAME, &message, 256).expect("room");
        let mut chores = Chores::new(Arc::new(disk));
        assert_eq!(reserved(&mut chores, 1), Ok(0), "the first round of a session carries nothing");
        (chores, mode)
    }

    /// How many fragments a round gets.
    fn reserved(chores: &mut Chores, round: u64) -> Result<usize, ()> {
        match chores.take(Action::Reserve { round, expiry: 9, count: 2 }) {
            Some(Event::Reserved { result, .. }) => result.map(|fragments| fragments.len()).map_err(drop),
            _ => unreachable!("a reservation is answered at once"),
        }
    }

    fn arrival(number: u64) -> Action {
        let arrival = Arrival {
            message: MessageId([number as u8; 16]),
            index: 0,
            count: 1,
            expiry: 9,
            sender: None,
            round: number,
            data: vec![number as u8],
        };
        Action::Deliver { id: RequestId::of(number), epoch: 1, arrivals: vec![arrival] }
    }

    fn epoch(number: u64) -> Action {
        let document = EpochDocument::sample(number, Digest([2; 32]));
        Action::RememberEpoch(SignedEpoch { document, signatures: Vec::new() })
    }

    fn state(chores: &Chores) -> MessageState {
        chores.disk.outbox.state(&NAME).expect("it is there").state
    }

    fn delivered(events: &[Event]) -> Vec<RequestId> {
        events.iter().filter_map(|event| if let Event::Delivered { id } = event { Some(*id) } else { None }).collect()
    }

    #[test]
    fn a_message_waits_as_long_as_its_client_is_told_to() {
        for (wait, carried) in [(0, 1), (u64::MAX, 0)] {
            let (chores, _) = begun();
            let disk = Arc::into_inner(chores.disk).expect("nobody else's");
            let mut chores = Chores::new(Arc::new(disk.with_wait(wait)));
            // A gate that opens in one of 2^64 rounds.
            assert_eq!(reserved(&mut chores, 2), Ok(carried), "{wait}");
        }
    }

    #[test]
    fn a_disk_too_full_for_letters_still_sends_and_settles() {
        let (mut chores, mode) = begun();
        mode.store(1, Ordering::SeqCst);
        assert!(chores.take(arrival(1)).is_none() && chores.take(arrival(2)).is_none());
        assert!(chores.disk.trouble().expect("told").contains("full"));
        assert_eq!(reserved(&mut chores, 2), Ok(1));
        let settled = chores.take(Action::Settle { round: 2, carried: true });
        assert!(matches!(settled, Some(Event::Settled { round: 2 })));
        assert_eq!(state(&chores), MessageState::Stored);
        // Not acknowledged before it is on disk, and the second not before the first.
        assert!(delivered(&chores.again()).is_empty());
        mode.store(0, Ordering::SeqCst);
        assert!(chores.take(arrival(3)).is_none(), "it waits for its turn");
        assert_eq!(delivered(&chores.again()), [1, 2, 3].map(RequestId::of));
        assert_eq!(chores.disk.inbox.counts().expect("readable").total, 3);
        assert_eq!(chores.disk.trouble(), None);
    }

    #[test]
    fn a_disk_that_takes_nothing_sends_dummies_and_loses_nothing() {
        let (mut chores, mode) = begun();
        mode.store(2, Ordering::SeqCst);
        for round in 2..5 {
            assert_eq!(reserved(&mut chores, round), Ok(0));
        }
        // The verdicts on rounds that carried dummies say nothing of the message.
        let settled = chores.take(Action::Settle { round: 2, carried: true });
        assert!(matches!(settled, Some(Event::Settled { round: 2 })));
        assert_eq!(state(&chores), MessageState::Queued);
        mode.store(0, Ordering::SeqCst);
        assert_eq!(reserved(&mut chores, 5), Ok(1));
        mode.store(2, Ordering::SeqCst);
        assert!(chores.take(Action::Settle { round: 5, carried: true }).is_none());
        assert_eq!(reserved(&mut chores, 6), Ok(0), "a round that waits to be settled keeps none from being reserved");
        mode.store(0, Ordering::SeqCst);
        assert!(matches!(chores.again()[..], [Event::Settled { round: 5 }]));
        assert_eq!(state(&chores), MessageState::Stored);
    }

    #[test]
    fn epochs_that_wait_are_bounded_and_hold_what_they_make_stale() {
        let (mut chores, mode) = begun();
        // Reserved once and back: its expiry is fixed.
        assert_eq!(reserved(&mut chores, 2), Ok(1));
        chores.take(Action::Settle { round: 2, carried: false });
        mode.store(2, Ordering::SeqCst);
        for number in 1..30 {
            assert!(chores.take(epoch(number)).is_none());
        }
        assert_eq!(chores.waiting.len(), EPOCHS_KEPT);
        mode.store(0, Ordering::SeqCst);
        assert_eq!(reserved(&mut chores, 3), Ok(0), "its recipient would drop it");
        assert_eq!(state(&chores), MessageState::Held);
        chores.again();
        let kept: Vec<u64> =
            chores.disk.epochs().expect("readable").iter().map(|signed| signed.document.epoch).collect();
        assert_eq!(kept, (22..30).collect::<Vec<_>>());
    }
}
