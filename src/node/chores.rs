//! What a mix's disk does for its engine: records, answers to polls, letters that go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

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

/// Acknowledgements that wait for the disk; 24 bytes each.
const ACKNOWLEDGEMENTS: usize = 65_536;

/// Threads that begin to answer polls, in the order in which they are sent. They end with the sender.
pub(super) fn answer_polls(disk: &Arc<Disk>) -> std::sync::mpsc::Sender<Due> {
    let (sender, polls) = std::sync::mpsc::channel::<Due>();
    let (acknowledgements, acknowledged) = mpsc::channel(ACKNOWLEDGEMENTS);
    forget_letters(disk.clone(), acknowledged);
    let polls = Arc::new(Mutex::new(polls));
    for _ in 0..READERS {
        let (disk, polls, acknowledgements) = (disk.clone(), polls.clone(), acknowledgements.clone());
        std::thread::spawn(move || {
            // Who waits holds the lock, so that the others wait, too.
            let next = || polls.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(Due { pending, mailbox, acknowledged, after }) = next() {
                answer_poll(&disk, pending, &mailbox, after);
                // With a full queue the letters stay; what is acknowledged now is so again by the next poll.
                let _full = acknowledgements.try_send((mailbox, acknowledged));
            }
        });
    }
    sender
}

/// Begins to answer a poll from its mailbox.
fn answer_poll(disk: &Disk, pending: oneshot::Sender<Answered>, mailbox: &MailboxId, after: u64) {
    let answer = Answer::begin(disk, mailbox, after).map(|answer| (Reply::Letters(answer.head()), Some(answer)));
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
