//! The exit's mailboxes: letters stay until their owner has them, or until they are too old.

use std::collections::{BTreeMap, HashMap};
use std::mem::take;
use std::ops::ControlFlow;

use bytes::Bytes;

use crate::crypto::MailboxId;
use crate::wire::StoredLetter;
use crate::wire::codec::{Decode, Encode};

use super::bundle::{Bundle, NewBundle};
use super::kv::{behind, field, key};
use super::step::{Step, collect, parse};
use super::{Store, StoreError, Table};

const DECISION: &[u8] = b"decision";
const TOTALS: &[u8] = b"mailbox totals";
const LOSSES: &[u8] = b"mailbox losses";

/// A letter and where it goes.
pub(super) type Addressed = (MailboxId, StoredLetter);

/// The mailboxes of an exit, in the same store as its [`super::Decisions`], which fill them.
///
/// A letter's sequence number is the number of the decision that stored it and its place among the letters of the
/// same mailbox in that decision: within a mailbox it strictly increases and never comes back, although nothing is
/// kept of an empty mailbox, and it says nothing about the mailboxes of others.
pub struct Mailbox {
    store: Store,
}

/// A letter where it lies.
#[derive(Clone, Copy, Debug)]
pub struct HeldLetter<'a> {
    /// Its sequence number.
    pub number: u64,
    /// The epoch that it was sent in.
    pub epoch: u64,
    /// The round.
    pub round: u64,
    /// What its owner opens.
    pub letter: &'a [u8],
}

/// What one mailbox, or all of them, hold.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub struct MailboxTotals {
    /// Letters.
    pub letters: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Letters that nobody will get, counted since the store exists.
#[derive(Clone, Copy, Debug, Decode, Default, Encode, Eq, PartialEq)]
pub struct MailboxLosses {
    /// Their mailbox was full when their round was stored; the verdict counts them too.
    pub refused: u64,
    /// They were too old when their owner had not taken them yet.
    pub expired: u64,
}

/// Letters that one decision may put into one mailbox, and the bits of a sequence number behind the decision's.
const PLACE_BITS: u32 = 24;
/// The greatest number that a round lends a decision; those that follow still fit in front of the place.
const MAX_DECISION: u64 = 1 << (63 - PLACE_BITS);

impl Mailbox {
    /// The mailboxes in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The first letters of a mailbox behind sequence number `after`, at most `limit`, in order; 0 is before the first.
    /// They stay.
    ///
    /// # Errors
    /// If the store fails.
    pub fn poll(&self, mailbox: &MailboxId, after: u64, limit: usize) -> Result<Vec<(u64, StoredLetter)>, StoreError> {
        let mut letters = Vec::new();
        self.visit(mailbox, after, limit, |HeldLetter { number, epoch, round, letter }| {
            letters.push((number, StoredLetter { epoch, round, letter: Bytes::copy_from_slice(letter) }));
        })?;
        Ok(letters)
    }

    /// As [`Mailbox::poll`], but shows the letters to `each` where they lie.
    ///
    /// # Errors
    /// If the store fails.
    pub fn visit(
        &self,
        mailbox: &MailboxId,
        after: u64,
        limit: usize,
        mut each: impl FnMut(HeldLetter<'_>),
    ) -> Result<(), StoreError> {
        let Some(held) = self.store.record::<Held>(Table::Mailboxes, &mailbox.0)? else { return Ok(()) };
        let after = after.max(held.gone);
        let Some(from) = after.checked_add(1) else { return Ok(()) };
        let mut left = limit;
        collect(self.store.kv(), Table::Letters, &key(&[&mailbox.0, &from.to_be_bytes()]), |key, value| {
            if left == 0 || !key.starts_with(&mailbox.0) {
                return None;
            }
            Some(Bundle::read(key, value).map(|bundle| {
                left -= bundle.letters_behind(after).take(left).map(&mut each).count();
            }))
        })
        .map(drop::<Vec<()>>)
    }

    /// Deletes the letters of a mailbox up to and including sequence number `up_to`: their owner has them on disk.
    ///
    /// # Errors
    /// If the store fails.
    pub fn acknowledge(&self, mailbox: &MailboxId, up_to: u64) -> Result<(), StoreError> {
        self.acknowledge_all(&BTreeMap::from([(*mailbox, up_to)]))
    }

    /// [`Mailbox::acknowledge`] of many mailboxes, in one commit.
    ///
    /// # Errors
    /// If the store fails; none is acknowledged then.
    pub fn acknowledge_all(&self, cursors: &BTreeMap<MailboxId, u64>) -> Result<(), StoreError> {
        let mut filled = Vec::new();
        for (mailbox, up_to) in cursors {
            // Most polls come to an empty mailbox; they need no turn.
            if self.store.kv().get(Table::Mailboxes, &mailbox.0)?.is_some() {
                filled.push((mailbox, *up_to));
            }
        }
        if filled.is_empty() {
            return Ok(());
        }
        self.store.step(|step| {
            let mut each = filled.iter();
            each.try_for_each(|(mailbox, up_to)| delete(step, mailbox, |letter| letter.number <= *up_to).map(drop))
        })
    }

    /// What all mailboxes hold together.
    ///
    /// # Errors
    /// If the store fails.
    pub fn totals(&self) -> Result<MailboxTotals, StoreError> {
        Ok(self.store.record(Table::Meta, TOTALS)?.unwrap_or_default())
    }

    /// The letters of all mailboxes that nobody will get.
    ///
    /// # Errors
    /// If the store fails.
    pub fn losses(&self) -> Result<MailboxLosses, StoreError> {
        Ok(self.store.record(Table::Meta, LOSSES)?.unwrap_or_default())
    }

    /// Deletes, in each mailbox, the leading letters of epochs before `before_epoch`, and says how many. A letter that
    /// a late decision put behind one of a newer epoch goes together with that one.
    ///
    /// # Errors
    /// If the store fails.
    pub fn expire(&self, before_epoch: u64) -> Result<u64, StoreError> {
        let old = |letter: &HeldLetter<'_>| letter.epoch < before_epoch;
        self.store.step(|step| {
            let mailboxes = collect(step.committed(), Table::Mailboxes, &[], |key, _| {
                Some(field(Table::Mailboxes, key, 0).map(MailboxId))
            })?;
            let mut deleted = 0;
            for mailbox in &mailboxes {
                deleted += delete(step, mailbox, old)?;
            }
            lose(step, 0, deleted)?;
            Ok(deleted)
        })
    }
}

/// Stores the letters of a decision, each mailbox up to its quota; returns how many were over.
pub(super) fn store(step: &mut Step<'_>, round: u64, quota: u32, letters: Vec<Addressed>) -> Result<u32, StoreError> {
    let previous: u64 = step.record(Table::Meta, DECISION)?.unwrap_or(0);
    // Not below the round, which never repeats: an exit that lost its disk does not hand out old numbers again, which
    // an owner's last cursor would acknowledge unread.
    let decision = (previous + 1).max(round.min(MAX_DECISION));
    step.put_record(Table::Meta, DECISION, &decision);

    let mut totals: MailboxTotals = step.record(Table::Meta, TOTALS)?.unwrap_or_default();
    let mut filled: HashMap<MailboxId, Filling> = HashMap::new();
    let mut refused = 0;
    for (mailbox, letter) in letters {
        let filling = match filled.get_mut(&mailbox) {
            Some(known) => known,
            None => {
                let held = step.record(Table::Mailboxes, &mailbox.0)?.unwrap_or_default();
                filled.entry(mailbox).or_insert(Filling {
                    held,
                    next: decision << PLACE_BITS,
                    bundle: NewBundle::default(),
                })
            }
        };
        if filling.held.totals.letters >= u64::from(quota) || filling.next >> PLACE_BITS != decision {
            refused += 1;
            continue;
        }
        for sum in [&mut filling.held.totals, &mut totals] {
            sum.letters += 1;
            sum.bytes += letter.letter.len() as u64;
        }
        if !filling.bundle.takes(&letter) {
            filling.put_bundle(step, &mailbox);
        }
        filling.bundle.push(letter);
        filling.next += 1;
    }
    for (mailbox, mut filling) in filled.into_iter().filter(|(_, filling)| !filling.bundle.is_empty()) {
        filling.put_bundle(step, &mailbox);
        step.put_record(Table::Mailboxes, &mailbox.0, &filling.held);
    }
    step.put_record(Table::Meta, TOTALS, &totals);
    lose(step, refused.into(), 0)?;
    Ok(refused)
}

fn lose(step: &mut Step<'_>, refused: u64, expired: u64) -> Result<(), StoreError> {
    if refused + expired > 0 {
        let mut losses: MailboxLosses = step.record(Table::Meta, LOSSES)?.unwrap_or_default();
        losses.refused += refused;
        losses.expired += expired;
        step.put_record(Table::Meta, LOSSES, &losses);
    }
    Ok(())
}

/// Deletes the leading letters of a mailbox that are `wanted`, and says how many. A bundle of which some stay is not written
/// anew, for which a full store would have no room: the mailbox's row tells which of its letters are gone.
fn delete(
    step: &mut Step<'_>,
    mailbox: &MailboxId,
    wanted: impl Fn(&HeldLetter<'_>) -> bool,
) -> Result<u64, StoreError> {
    let Some(mut held) = step.record::<Held>(Table::Mailboxes, &mailbox.0)? else { return Ok(0) };
    let mut gone = MailboxTotals::default();
    let mut last = None;
    let end = behind(&mailbox.0);
    step.committed().scan(Table::Letters, &mailbox.0, &mut |key, value| {
        // What cannot be read stays: whoever polls is told.
        let Some(bundle) = (key < &end[..]).then(|| Bundle::read(key, value).ok()).flatten() else {
            return ControlFlow::Break(());
        };
        for letter in bundle.letters_behind(held.gone) {
            if !wanted(&letter) {
                return ControlFlow::Break(());
            }
            gone.letters += 1;
            gone.bytes += letter.letter.len() as u64;
            held.gone = letter.number;
        }
        last = Some(key.to_vec());
        ControlFlow::Continue(())
    })?;
    if gone.letters == 0 {
        return Ok(0);
    }
    if let Some(last) = last {
        step.delete_range(Table::Letters, &mailbox.0, &behind(&last));
    }
    let totals: MailboxTotals = step.record(Table::Meta, TOTALS)?.ok_or(StoreError::Damaged(Table::Meta))?;
    held.totals = held.totals.without(gone).ok_or(StoreError::Damaged(Table::Mailboxes))?;
    match held.totals.letters {
        0 => step.delete(Table::Mailboxes, &mailbox.0),
        _ => step.put_record(Table::Mailboxes, &mailbox.0, &held),
    }
    let totals = totals.without(gone).ok_or(StoreError::Damaged(Table::Meta))?;
    match totals.letters {
        0 => step.delete(Table::Meta, TOTALS),
        _ => step.put_record(Table::Meta, TOTALS, &totals),
    }
    Ok(gone.letters)
}

impl MailboxTotals {
    fn without(self, gone: Self) -> Option<Self> {
        let (letters, bytes) = (self.letters.checked_sub(gone.letters)?, self.bytes.checked_sub(gone.bytes)?);
        Some(Self { letters, bytes })
    }
}

/// To format 4, where letters that follow one another lie together, and the row of a mailbox tells which of them are gone. Letters
/// that lie alone stay readable.
pub(super) fn remember_gone(step: &mut Step<'_>) -> Result<(), StoreError> {
    let rows = collect(step.committed(), Table::Mailboxes, &[], |mailbox, row| {
        Some(parse::<MailboxTotals>(Table::Mailboxes, row).map(|totals| (mailbox.to_vec(), totals)))
    })?;
    for (mailbox, totals) in rows {
        step.put_record(Table::Mailboxes, &mailbox, &Held { totals, gone: 0 });
    }
    Ok(())
}

/// A row of [`Table::Mailboxes`].
#[derive(Decode, Default, Encode)]
struct Held {
    /// What is in it.
    totals: MailboxTotals,
    /// Letters up to this number are not, though some may lie in the row of one that is.
    gone: u64,
}

/// A mailbox into which a decision puts letters.
struct Filling {
    held: Held,
    /// The next letter's sequence number.
    next: u64,
    /// The last letters so far, not yet in the step.
    bundle: NewBundle,
}

impl Filling {
    fn put_bundle(&mut self, step: &mut Step<'_>, mailbox: &MailboxId) {
        if let Some((key, value)) = take(&mut self.bundle).row(mailbox, self.next - 1) {
            step.put(Table::Letters, &key, value);
        }
    }
}
