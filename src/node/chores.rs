//! What a mix's disk does for its engine: records, answers to polls, letters that go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
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

/// Answers that begin together, at most.
const TOGETHER: usize = 32;

/// How many times as many are on their way to their clients, at most. A verdict makes thousands due within a moment, and were all sent at
/// once, each would take longer than its connection expects, and be sent again, and again: the most work when there is most to do.
/// 256 of a few datagrams each are a quarter of a socket's buffer, and 8 ms at 1 Gbit/s.
const ON_THEIR_WAY: usize = 8;

/// How long answers count as on their way, if they are not acknowledged before: a round trip of most paths. Whoever acknowledges nothing
/// holds the others up so long: 2,560 answers a second begin at least.
const PATIENCE: Duration = Duration::from_millis(100);

/// Acknowledgements that wait for the disk; 24 bytes each.
const ACKNOWLEDGEMENTS: usize = 65_536;

/// As long as somebody holds it, answers that began together are on their way.
#[derive(Clone)]
pub(super) struct Turn {
    _on_their_way: Arc<oneshot::Sender<()>>,
}

/// Polls in the order in which they became due, and turns to answer them.
struct Queue {
    polls: std::sync::mpsc::Receiver<Due>,
    turns: Arc<Semaphore>,
    patience: Duration,
    runtime: Handle,
}

impl Queue {
    /// The next polls, once there is one and a turn for it; `None` if there will be none. Blocks.
    fn next(&self) -> Option<(Turn, Vec<Due>)> {
        let first = self.polls.recv().ok()?;
        let place = self.runtime.block_on(self.turns.clone().acquire_owned());
        let (turn, arrived) = oneshot::channel::<()>();
        let patience = self.patience;
        self.runtime.spawn(async move {
            let _whether = timeout(patience, arrived).await;
            drop(place);
        });
        let polls = std::iter::once(first).chain(self.polls.try_iter()).take(TOGETHER).collect();
        Some((Turn { _on_their_way: Arc::new(turn) }, polls))
    }
}

/// Threads that begin to answer polls, in the order in which they are sent and as turns come. They end with the sender. Needs a tokio
/// runtime around it.
pub(super) fn answer_polls(disk: &Arc<Disk>) -> std::sync::mpsc::Sender<Due> {
    let (sender, polls) = std::sync::mpsc::channel();
    let (acknowledgements, acknowledged) = mpsc::channel(ACKNOWLEDGEMENTS);
    forget_letters(disk.clone(), acknowledged);
    let turns = Arc::new(Semaphore::new(ON_THEIR_WAY));
    let queue = Arc::new(Mutex::new(Queue { polls, turns, patience: PATIENCE, runtime: Handle::current() }));
    for _ in 0..READERS {
        let (disk, queue, acknowledgements) = (disk.clone(), queue.clone(), acknowledgements.clone());
        std::thread::spawn(move || {
            // Who waits holds the lock, so that the others wait, too.
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some((turn, polls)) = next() {
                for Due { pending, mailbox, acknowledged, after } in polls {
                    answer_poll(&disk, pending, &mailbox, after, turn.clone());
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

    /// A queue for one turn, and so many polls in it.
    fn queue(patience: Duration, polls: usize) -> Arc<Mutex<Queue>> {
        let (sender, receiver) = std::sync::mpsc::channel();
        for _ in 0..polls {
            let (pending, _) = oneshot::channel();
            sender.send(Due { pending, mailbox: MailboxId([0; 16]), acknowledged: 0, after: 0 }).expect("it is there");
        }
        let turns = Arc::new(Semaphore::new(1));
        Arc::new(Mutex::new(Queue { polls: receiver, turns, patience, runtime: Handle::current() }))
    }

    /// The next turn, and how many polls are answered in it.
    fn next(queue: &Arc<Mutex<Queue>>) -> JoinHandle<Option<(Turn, usize)>> {
        let queue = queue.clone();
        spawn_blocking(move || queue.lock().expect("no panic").next().map(|(turn, polls)| (turn, polls.len())))
    }

    #[tokio::test]
    async fn polls_wait_until_all_answers_before_them_have_arrived() {
        let queue = queue(Duration::from_secs(3600), TOGETHER + 5);
        let (turn, polls) = next(&queue).await.expect("no panic").expect("polls");
        assert_eq!(polls, TOGETHER);
        let mut waiting = next(&queue);
        let (first, last) = (turn.clone(), turn);
        drop(first);
        assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err(), "one is on its way");
        drop(last);
        let (_turn, polls) = waiting.await.expect("no panic").expect("polls");
        assert_eq!(polls, 5);
        assert!(next(&queue).await.expect("no panic").is_none());
    }

    #[tokio::test]
    async fn whoever_acknowledges_nothing_holds_others_up_for_a_moment_only() {
        let queue = queue(Duration::from_millis(1), 3 * TOGETHER);
        let mut held = Vec::new();
        while let Some((turn, polls)) = next(&queue).await.expect("no panic") {
            assert_eq!(polls, TOGETHER);
            held.push(turn);
        }
        assert_eq!(held.len(), 3);
    }
}
