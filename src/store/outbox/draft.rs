//! A message that is written into the outbox piece by piece and accepted as a whole, or not at all.

use crate::crypto::{MailboxId, PublicKey};
use crate::wire::codec::{Decode, Encode};

use super::super::kv::{behind, key};
use super::super::step::{Step, collect, parse};
use super::super::{MessageName, StoreError, Table};
use super::row::{admit, charge, fragment_key, read_totals};
use super::{Accepted, NewMessage, Outbox};

/// What has been written of a message so far; it takes up room and is no message yet.
#[derive(Debug)]
pub struct Draft {
    name: MessageName,
    payload: usize,
    /// Fragments on the disk, and their bytes.
    count: u32,
    bytes: u64,
    /// What does not fill a fragment yet.
    rest: Vec<u8>,
}

/// A row of [`Table::Meta`]: what the draft counts against the limit.
#[derive(Decode, Encode)]
struct Charge(u64);

const PREFIX: &[u8] = b"draft ";

impl Outbox {
    /// Begins a message of `bytes` bytes in fragments of `payload`, at least 1; its room is taken at once. `name` is
    /// new.
    ///
    /// # Errors
    /// [`StoreError::OutboxFull`] beyond the limit, [`StoreError::MessageExists`] for a name that is known.
    pub fn draft(&self, name: MessageName, bytes: u64, payload: usize) -> Result<Draft, StoreError> {
        let payload = payload.max(1);
        let count = u32::try_from(bytes.div_ceil(payload as u64).max(1)).map_err(|_| StoreError::OutboxFull)?;
        self.store.step(|step| {
            if step.get(Table::Messages, &name)?.is_some() || step.get(Table::Meta, &draft_key(&name))?.is_some() {
                return Err(StoreError::MessageExists);
            }
            let mut totals = read_totals(step)?;
            totals.bytes += charge(bytes, count);
            if totals.bytes > self.limit {
                return Err(StoreError::OutboxFull);
            }
            totals.write(step);
            step.put_record(Table::Meta, &draft_key(&name), &Charge(charge(bytes, count)));
            Ok(Draft { name, payload, count: 0, bytes: 0, rest: Vec::new() })
        })
    }

    /// Puts the next bytes behind those that are there, as one commit.
    ///
    /// # Errors
    /// If the store fails; then the draft can only be given up.
    pub fn append(&self, draft: &mut Draft, bytes: &[u8]) -> Result<(), StoreError> {
        draft.rest.extend_from_slice(bytes);
        let whole = draft.rest.len() - draft.rest.len() % draft.payload;
        let rest = draft.rest.split_off(whole);
        let pieces = std::mem::replace(&mut draft.rest, rest);
        self.store.step(|step| pieces.chunks(draft.payload).try_for_each(|piece| put(step, draft, piece)))
    }

    /// Accepts what has been written: it is a message from now on.
    ///
    /// # Errors
    /// As [`Outbox::draft`]; then the draft can only be given up.
    pub fn accept_draft(
        &self,
        mut draft: Draft,
        to: (MailboxId, PublicKey),
        named: bool,
    ) -> Result<Accepted, StoreError> {
        let rest = std::mem::take(&mut draft.rest);
        self.store.step(|step| {
            if !rest.is_empty() || draft.count == 0 {
                put(step, &mut draft, &rest)?;
            }
            release(step, &draft.name)?;
            let message = NewMessage { to, named, content: &[] };
            admit(step, &draft.name, &message, (draft.bytes, draft.count), self.limit)
        })
    }

    /// Gives up a draft.
    ///
    /// # Errors
    /// If the store fails; [`Outbox::give_up_drafts`] does it at the next start.
    pub fn give_up(&self, name: &MessageName) -> Result<(), StoreError> {
        self.store.step(|step| {
            release(step, name)?;
            step.delete_range(Table::Fragments, name, &behind(name));
            Ok(())
        })
    }

    /// Gives up every draft: those of a run that ended before it accepted them.
    ///
    /// # Errors
    /// If the store fails.
    pub fn give_up_drafts(&self) -> Result<(), StoreError> {
        let names = collect(self.store.kv(), Table::Meta, PREFIX, |key, _| {
            let name = key.strip_prefix(PREFIX)?;
            Some(name.try_into().map_err(|_| StoreError::Damaged(Table::Meta)))
        })?;
        names.iter().try_for_each(|name| self.give_up(name))
    }
}

fn put(step: &mut Step<'_>, draft: &mut Draft, piece: &[u8]) -> Result<(), StoreError> {
    step.put(Table::Fragments, &fragment_key(&draft.name, draft.count), piece.to_vec());
    draft.count = draft.count.checked_add(1).ok_or(StoreError::OutboxFull)?;
    draft.bytes += piece.len() as u64;
    Ok(())
}

/// The draft's room is free again, for the message that it becomes or for others.
fn release(step: &mut Step<'_>, name: &MessageName) -> Result<(), StoreError> {
    let row = step.get(Table::Meta, &draft_key(name))?.ok_or(StoreError::NoMessage)?;
    let Charge(bytes) = parse(Table::Meta, &row)?;
    let mut totals = read_totals(step)?;
    totals.bytes = totals.bytes.checked_sub(bytes).ok_or(StoreError::Damaged(Table::Meta))?;
    totals.write(step);
    step.delete(Table::Meta, &draft_key(name));
    Ok(())
}

fn draft_key(name: &MessageName) -> Vec<u8> {
    key(&[PREFIX, name])
}
