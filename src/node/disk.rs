//! A mix's disk: records in, letters out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::crypto::MailboxId;
use crate::mix::PersistError;
use crate::packet::Geometry;
use crate::store::{Decisions, Mailbox, MailboxLosses, MailboxTotals, Store, StoreError};
use crate::wire::{LETTER_HEADER_BYTES, Parameters, Record, Recovered, Verdict};

/// What a mix keeps: its decisions and, at the exit, the mailboxes. Every call blocks on the disk.
pub struct Disk {
    decisions: Decisions,
    mailbox: Mailbox,
    geometry: Geometry,
    places: usize,
    retention: u64,
    /// Why it did not take the last record.
    trouble: Mutex<Option<String>>,
}

impl Disk {
    /// The disk in `store`.
    pub fn new(store: Store, geometry: Geometry, parameters: &Parameters) -> Self {
        Self {
            decisions: Decisions::new(store.clone(), parameters.mailbox_letters, parameters.history_rounds),
            mailbox: Mailbox::new(store),
            geometry,
            places: parameters.poll_letters as usize,
            retention: parameters.retention_epochs.into(),
            trouble: Mutex::new(None),
        }
    }

    /// Why it did not take the last record; `None` if it did.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the mix knew when it stopped.
    ///
    /// # Errors
    /// If the store fails.
    pub fn recover(&self) -> Result<Recovered, StoreError> {
        self.decisions.recover()
    }

    /// Puts a record on disk; the verdict as written, for a decision. With a new epoch letters past their age go.
    ///
    /// # Errors
    /// Whether it may be tried again.
    pub fn persist(&self, record: Record) -> Result<Option<Verdict>, PersistError> {
        let epoch = match &record {
            Record::Epoch(signed) => Some(signed.document.epoch),
            _ => None,
        };
        let written = self.decisions.apply(record);
        let contradicts =
            |error: &&StoreError| matches!(error, StoreError::AlreadySigned(_) | StoreError::RoundUsed(_));
        self.note(written.as_ref().err().filter(|error| !contradicts(error)));
        let written = written.map_err(|error| match contradicts(&&error) {
            true => PersistError::AlreadySigned,
            false => PersistError::Disk,
        })?;
        if let Some(epoch) = epoch
            && let Err(error) = self.mailbox.expire(epoch.saturating_sub(self.retention))
        {
            tracing::error!(%error, "old letters cannot be deleted");
        }
        Ok(written)
    }

    /// Where letters wait.
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Places in every answer to a poll.
    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Bytes of a place: those of a letter and what goes before it.
    pub(super) fn place(&self) -> usize {
        LETTER_HEADER_BYTES + self.geometry.letter()
    }

    /// Forgets the letters of each mailbox up to its cursor, in one commit: their owners have them on disk. Done after the
    /// answer, so that its moment does not tell whether there was anything to forget.
    ///
    /// # Errors
    /// If the store fails; the letters then stay.
    pub fn acknowledge(&self, cursors: &BTreeMap<MailboxId, u64>) -> Result<(), StoreError> {
        self.mailbox.acknowledge_all(cursors)
    }

    /// How much waits in the mailboxes.
    ///
    /// # Errors
    /// If the store fails.
    pub fn totals(&self) -> Result<MailboxTotals, StoreError> {
        self.mailbox.totals()
    }

    /// How many letters nobody will get.
    ///
    /// # Errors
    /// If the store fails.
    pub fn losses(&self) -> Result<MailboxLosses, StoreError> {
        self.mailbox.losses()
    }

    /// Says in the log when the disk begins to fail and when it is well again.
    fn note(&self, error: Option<&StoreError>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (trouble.is_some(), error) {
            (false, Some(error)) => tracing::error!(%error, "the disk does not take a record; trying again"),
            (true, None) => tracing::info!("the disk takes records again"),
            _ => {}
        }
        *trouble = error.map(ToString::to_string);
    }
}
