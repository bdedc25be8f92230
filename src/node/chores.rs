//! What a mix's disk does for its engine: records, answers to polls, letters that go.

use std::collections::BTreeMap;
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::crypto::MailboxId;
use crate::mix::Event;
use crate::wire::{Record, Refusal, Reply};

use super::answer::Answered;
use super::{Answer, Disk, Metrics};

/// A poll whose round is decided.
pub(super) struct Due {
    /// Who waits for the answer.
    pub(super) pending: oneshot::Sender<Answered>,
    pub(super) mailbox: MailboxId,
    /// Letters up to here are its client's, and go.
    pub(super) acknowledged: u64,
    /// Letters behind this one are asked for.
    pub(super) after: u64,
}

/// Mailboxes that are looked into at a time: some disks are faster then. A verdict makes thousands of polls due within a moment, and
/// were each given to the runtime's pool, which has room for 512 threads, hardly anybody else would get a core.
const READERS: usize = 4;

/// Answers that begin together, at most: a thread that waits for each place alone is woken as often.
const TOGETHER: usize = 32;

/// Answers that are on their way to their clients, at most. A verdict makes thousands due within a moment, and were all sent at
/// once, each would take longer than its connection expects, and be sent again, and again: the most work when there is most to do.
/// 256 of a few datagrams each are a quarter of a socket's buffer, and 8 ms at 1 Gbit/s.
const ON_THEIR_WAY: usize = 256;

/// How long an answer counts as on its way, if it is not acknowledged before: a round trip of most paths. If nobody acknowledges
/// anything, 2,560 answers a second begin.
const PATIENCE: Duration = Duration::from_millis(100);

/// Acknowledgements that wait for the disk; 24 bytes each.
const ACKNOWLEDGEMENTS: usize = 65_536;

/// As long as it is held, an answer is on its way.
pub(super) struct Turn {
    _on_its_way: oneshot::Sender<()>,
}

/// Polls in the order in which they became due, and places for their answers on the way.
struct Queue {
    polls: std::sync::mpsc::Receiver<Due>,
    places: Arc<Semaphore>,
    patience: Duration,
    runtime: Handle,
}

impl Queue {
    /// The next polls for which somebody waits, once there is one, with places for all of them; `None` if there will be none.
    /// Blocks.
    fn next(&self) -> Option<Vec<(Turn, Due)>> {
        let waited_for = |poll: &Due| !poll.pending.is_closed();
        let first = self.polls.iter().find(waited_for)?;
        let others = self.polls.try_iter().filter(waited_for).take(TOGETHER - 1);
        let polls: Vec<Due> = iter::once(first).chain(others).collect();
        // Nobody closes it.
        let places = self.runtime.block_on(self.places.clone().acquire_many_owned(polls.len() as u32));
        let mut places = places.ok()?;
        Some(polls.into_iter().map(|poll| (self.turn(places.split(1)), poll)).collect())
    }

    fn turn(&self, place: Option<OwnedSemaphorePermit>) -> Turn {
        let (turn, ended) = oneshot::channel();
        let patience = self.patience;
        self.runtime.spawn(async move {
            let _whether = timeout(patience, ended).await;
            drop(place);
        });
        Turn { _on_its_way: turn }
    }
}

/// Threads that begin to answer polls, in the order in which they are sent and as turns come. They end with the sender. Needs a tokio
/// runtime around it.
pub(super) fn answer_polls(disk: &Arc<Disk>) -> std::sync::mpsc::Sender<Due> {
    let (sender, polls) = std::sync::mpsc::channel();
    let (acknowledgements, acknowledged) = mpsc::channel(ACKNOWLEDGEMENTS);
    forget_letters(disk.clone(), acknowledged);
    let places = Arc::new(Semaphore::new(ON_THEIR_WAY));
    let queue = Arc::new(Mutex::new(Queue { polls, places, patience: PATIENCE, runtime: Handle::current() }));
    for _ in 0..READERS {
        let (disk, queue, acknowledgements) = (disk.clone(), queue.clone(), acknowledgements.clone());
        std::thread::spawn(move || {
            // Who waits holds the lock, so that the others wait, too.
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(polls) = next() {
                for (turn, Due { pending, mailbox, acknowledged, after }) in polls {
                    answer_poll(&disk, pending, &mailbox, after, turn);
                    // With a full queue the letters stay; what is acknowledged now is so again by the next poll.
                    let _full = acknowledgements.try_send((mailbox, acknowledged));
                }
            }
        });
    }
    sender
}

/// Begins to answer a poll from its mailbox.
fn answer_poll(disk: &Disk, pending: oneshot::Sender<Answered>, mailbox: &MailboxId, after: u64, turn: Turn) {
    let answer =
        Answer::begin(disk, mailbox, after).map(|answer| (Reply::Letters(answer.head()), Some((answer, turn))));
    let answer = answer.unwrap_or_else(|error| {
        tracing::error!(%error, "mailboxes cannot be read");
        (Reply::Refused(Refusal::Full), None)
    });
    let _gone = pending.send(answer);
}

/// Letters are deleted in one commit for all polls that came while the last one ran: a disk makes as few commits a second as it
/// has turns, and clients poll by the thousand.
fn forget_letters(disk: Arc<Disk>, mut acknowledged: mpsc::Receiver<(MailboxId, u64)>) {
    std::thread::spawn(move || {
        while let Some((mailbox, cursor)) = acknowledged.blocking_recv() {
            let mut cursors = BTreeMap::from([(mailbox, cursor)]);
            while let Ok((mailbox, cursor)) = acknowledged.try_recv() {
                let known = cursors.entry(mailbox).or_default();
                *known = cursor.max(*known);
            }
            if let Err(error) = disk.acknowledge(&cursors) {
                tracing::error!(%error, "letters cannot be deleted");
            }
        }
    });
}

/// One thread owns the disk: records are written in the order asked.
pub(super) fn write_records(
    disk: Arc<Disk>,
    mut queue: mpsc::UnboundedReceiver<(u64, Record)>,
    results: mpsc::UnboundedSender<Event>,
    metrics: Arc<Metrics>,
) {
    // A thread of its own: the runtime's pool is for short waits.
    std::thread::spawn(move || {
        while let Some((token, record)) = queue.blocking_recv() {
            let result = disk.persist(record);
            metrics.lost(&disk.losses().unwrap_or_default());
            if results.send(Event::Persisted { token, result }).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use tokio::task::{JoinHandle, spawn_blocking};

    use super::*;

    /// A queue with so many places, so many polls in it, and who waits for them.
    fn queue(places: usize, patience: Duration, polls: usize) -> (Arc<Mutex<Queue>>, Vec<oneshot::Receiver<Answered>>) {
        let (sender, receiver) = std::sync::mpsc::channel();
        let wait = |_| {
            let (pending, waiting) = oneshot::channel();
            let due = Due { pending, mailbox: MailboxId([0; 16]), acknowledged: 0, after: 0 };
            sender.send(due).expect("it is there");
            waiting
        };
        let waiting = (0..polls).map(wait).collect();
        let places = Arc::new(Semaphore::new(places));
        (Arc::new(Mutex::new(Queue { polls: receiver, places, patience, runtime: Handle::current() })), waiting)
    }

    /// The turns of the next polls.
    fn next(queue: &Arc<Mutex<Queue>>) -> JoinHandle<Option<Vec<Turn>>> {
        let queue = queue.clone();
        let turns = |polls: Vec<(Turn, Due)>| polls.into_iter().map(|(turn, _)| turn).collect();
        spawn_blocking(move || queue.lock().expect("no panic").next().map(turns))
    }

    #[tokio::test]
    async fn polls_wait_until_there_are_places_for_their_answers() {
        let (queue, _waiting) = queue(TOGETHER, Duration::from_secs(3600), TOGETHER + 5);
        let mut turns = next(&queue).await.expect("no panic").expect("polls");
        assert_eq!(turns.len(), TOGETHER);
        let mut more = next(&queue);
        turns.truncate(TOGETHER - 4);
        assert!(timeout(Duration::from_millis(50), &mut more).await.is_err(), "there are four places");
        turns.pop();
        assert_eq!(more.await.expect("no panic").expect("polls").len(), 5);
        assert!(next(&queue).await.expect("no panic").is_none());
    }

    #[tokio::test]
    async fn whoever_acknowledges_nothing_holds_others_up_for_a_moment_only() {
        let (queue, _waiting) = queue(TOGETHER, Duration::from_millis(1), 3 * TOGETHER);
        let mut held = Vec::new();
        while let Some(turns) = next(&queue).await.expect("no panic") {
            held.extend(turns);
        }
        assert_eq!(held.len(), 3 * TOGETHER);
    }

    #[tokio::test]
    async fn polls_for_which_nobody_waits_take_no_places() {
        let (queue, mut waiting) = queue(TOGETHER, Duration::from_secs(3600), TOGETHER + 5);
        waiting.drain(..TOGETHER);
        let turns = next(&queue).await.expect("no panic").expect("polls");
        assert_eq!(turns.len(), 5);
    }
}
