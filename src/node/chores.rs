//! What a mix's disk does for its engine: records, answers to polls, letters that go.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::crypto::MailboxId;
use crate::mix::Event;
use crate::wire::{Record, Refusal, Reply};

use super::answer::Answered;
use super::{Answer, Disk, Metrics};

/// Begins to answer a poll from its mailbox.
pub(super) fn answer_poll(disk: &Disk, pending: oneshot::Sender<Answered>, mailbox: &MailboxId, after: u64) {
    let answer = Answer::begin(disk, mailbox, after).map(|answer| (Reply::Letters(answer.head()), Some(answer)));
    let answer = answer.unwrap_or_else(|error| {
        tracing::error!(%error, "mailboxes cannot be read");
        (Reply::Refused(Refusal::Full), None)
    });
    let _gone = pending.send(answer);
}

/// Letters are deleted in one commit for all polls that came while the last one ran: a disk makes as few commits a second as it
/// has turns, and clients poll by the thousand.
pub(super) fn forget_letters(disk: Arc<Disk>, mut acknowledged: mpsc::Receiver<(MailboxId, u64)>) {
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
