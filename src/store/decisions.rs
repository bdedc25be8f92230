//! What a mix has signed, decided and opened: on disk before anything that follows from it is sent.

use std::ops::ControlFlow;

use crate::crypto::{Digest, Identity};
use crate::wire::codec::{Decode, Encode};
use crate::wire::{Bond, CHAIN_KEPT, EVIDENCE_KEPT, Outcome, Record, Recovered, SignedVerdict, Verdict};

use super::kv::{field, key};
use super::step::{Step, collect, parse};
use super::{Kv, Store, StoreError, Table, epochs, mailbox};

const EPOCH_SIGNED: &[u8] = b"epoch signed";
/// The first epoch of which a document was signed.
const FIRST_SIGNED: &[u8] = b"first epoch signed";
const OPENED: &[u8] = b"opened";
/// Behind it the round, 8.
const BOND: &[u8] = b"bond ";
/// Behind it the party's identity, 32.
const CONVICTED: &[u8] = b"convicted ";

/// The durable steps of a mix.
pub struct Decisions {
    store: Store,
    quota: u32,
    history: u64,
}

/// A row of [`Table::Signed`].
#[derive(Decode, Encode)]
struct Signed {
    verdict: Verdict,
    /// Whether its letters, if it has any, are in the mailboxes.
    decided: bool,
}

impl Decisions {
    /// Those in `store`, for mailboxes of at most `quota` letters each and the verdicts of `history` rounds.
    pub fn new(store: Store, quota: u32, history: u32) -> Self {
        Self { store, quota, history: history.into() }
    }

    /// Executes one durable step, as one commit. For [`Record::Decided`] it returns the verdict as it was written:
    /// letters over quota are refused and counted in it, all others are stored together with it. Letters to mailboxes
    /// that the network does not list are the caller's to drop. The same step again changes nothing; a decision on a round
    /// that is decided changes nothing either, and returns the one there is.
    ///
    /// # Errors
    /// [`StoreError::AlreadySigned`] for a document or verdict that contradicts an earlier one,
    /// [`StoreError::RoundUsed`] for the opening of a round not above the last, and any failure of the store; nothing
    /// has changed then. In particular after [`StoreError::Full`] there is still room for the decision that a round
    /// was opened and not stored.
    pub fn apply(&self, record: Record) -> Result<Option<Verdict>, StoreError> {
        self.store.step(|step| {
            match record {
                Record::EpochSigned { epoch, digest } => sign_epoch(step, epoch, digest)?,
                Record::Epoch(epoch) => epochs::append(step, &epoch, CHAIN_KEPT)?,
                Record::Opened { round } => open(step, round)?,
                Record::Signed { verdict } => self.sign(step, verdict)?,
                Record::Complete(verdict) => self.complete(step, &verdict)?,
                Record::Decided { verdict, letters } => return self.decide(step, verdict, letters).map(Some),
                Record::Sealed { round, bond } => {
                    // A verdict that was signed meanwhile is what binds.
                    if step.get(Table::Signed, &round.to_be_bytes())?.is_none() {
                        let known = step.record::<Bond>(Table::Meta, &bond_key(round))?;
                        step.put_record(Table::Meta, &bond_key(round), &both(known, bond));
                    }
                }
                Record::Convicted { party, evidence } => {
                    step.put(Table::Meta, &key(&[CONVICTED, &party.0]), evidence);
                }
                Record::Readmitted { party } => {
                    let row = key(&[CONVICTED, &party.0]);
                    if step.get(Table::Meta, &row)?.is_some() {
                        step.delete(Table::Meta, &row);
                    }
                }
            }
            Ok(None)
        })
    }

    /// What earlier runs of the process left.
    ///
    /// # Errors
    /// If the store fails.
    pub fn recover(&self) -> Result<Recovered, StoreError> {
        let kv = self.store.kv();
        let signed = self.store.record::<(u64, Digest)>(Table::Meta, EPOCH_SIGNED)?;
        Ok(Recovered {
            chain: epochs::chain(kv)?,
            epoch_signed: signed.map_or(0, |(epoch, _)| epoch),
            remembers_from: self.store.record(Table::Meta, FIRST_SIGNED)?,
            opened: self.store.record(Table::Meta, OPENED)?.unwrap_or(0),
            signed: rows(kv, Table::Signed)?.into_iter().map(|row: Signed| row.verdict).collect(),
            complete: rows::<SignedVerdict>(kv, Table::Complete)?,
            bonds: bonds(kv)?,
            convicted: convicted(kv)?,
        })
    }

    fn decide(
        &self,
        step: &mut Step<'_>,
        mut verdict: Verdict,
        letters: Vec<mailbox::Addressed>,
    ) -> Result<Verdict, StoreError> {
        if let Some(known) = step.record::<Signed>(Table::Signed, &verdict.round.to_be_bytes())? {
            // What was decided stays, even if the disk once said that it was not written. A stored verdict that was only
            // signed has no letters behind it: it must not pass for a decision.
            let again = known.decided || known.verdict == verdict && !verdict.outcome.is_stored();
            return if again { Ok(known.verdict) } else { Err(StoreError::AlreadySigned(verdict.round)) };
        }
        if let Outcome::Stored { refused } = &mut verdict.outcome {
            *refused = refused.saturating_add(mailbox::store(step, verdict.round, self.quota, letters)?);
        }
        self.write_signed(step, Signed { verdict: verdict.clone(), decided: true })?;
        Ok(verdict)
    }

    fn sign(&self, step: &mut Step<'_>, verdict: Verdict) -> Result<(), StoreError> {
        match step.record::<Signed>(Table::Signed, &verdict.round.to_be_bytes())? {
            Some(known) if known.verdict == verdict => Ok(()),
            Some(_) => Err(StoreError::AlreadySigned(verdict.round)),
            None => self.write_signed(step, Signed { verdict, decided: false }),
        }
    }

    fn write_signed(&self, step: &mut Step<'_>, row: Signed) -> Result<(), StoreError> {
        let round = row.verdict.round;
        // What was signed for a forgotten round is unknown, so nothing may be signed for it.
        if !self.make_room(step, Table::Signed, round)? {
            return Err(StoreError::AlreadySigned(round));
        }
        step.put_record(Table::Signed, &round.to_be_bytes(), &row);
        if step.get(Table::Meta, &bond_key(round))?.is_some() {
            step.delete(Table::Meta, &bond_key(round));
        }
        Ok(())
    }

    fn complete(&self, step: &mut Step<'_>, verdict: &SignedVerdict) -> Result<(), StoreError> {
        let round = verdict.verdict.round;
        let known = step.get(Table::Complete, &round.to_be_bytes())?.is_some();
        if !known && self.make_room(step, Table::Complete, round)? {
            step.put_record(Table::Complete, &round.to_be_bytes(), verdict);
        }
        Ok(())
    }

    /// Forgets the oldest verdicts of `table` beyond the history, `round` included; false if `round` itself is too old to
    /// be kept.
    fn make_room(&self, step: &mut Step<'_>, table: Table, round: u64) -> Result<bool, StoreError> {
        let name = [b"count ".as_slice(), &[table as u8]].concat();
        let count: u64 = step.record(Table::Meta, &name)?.unwrap_or(0);
        // More than one only where the history has become shorter.
        let excess = (count + 1).saturating_sub(self.history) as usize;
        let mut oldest = Vec::new();
        step.committed().scan(table, &[], &mut |key, _| {
            if oldest.len() == excess {
                return ControlFlow::Break(());
            }
            oldest.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        if oldest.len() < excess {
            return Err(StoreError::Damaged(table));
        }
        if let Some(last) = oldest.last()
            && round < u64::from_be_bytes(field(table, last, 0)?)
        {
            return Ok(false);
        }
        step.put_record(Table::Meta, &name, &(count + 1 - excess as u64));
        oldest.iter().for_each(|key| step.delete(table, key));
        Ok(true)
    }
}

fn sign_epoch(step: &mut Step<'_>, epoch: u64, digest: Digest) -> Result<(), StoreError> {
    match step.record::<(u64, Digest)>(Table::Meta, EPOCH_SIGNED)? {
        Some(last) if last == (epoch, digest) => {}
        Some((last, _)) if epoch <= last => return Err(StoreError::AlreadySigned(epoch)),
        _ => step.put_record(Table::Meta, EPOCH_SIGNED, &(epoch, digest)),
    }
    if step.get(Table::Meta, FIRST_SIGNED)?.is_none() {
        step.put_record(Table::Meta, FIRST_SIGNED, &epoch);
    }
    Ok(())
}

fn open(step: &mut Step<'_>, round: u64) -> Result<(), StoreError> {
    match step.record::<u64>(Table::Meta, OPENED)? {
        Some(last) if round <= last => Err(StoreError::RoundUsed(round)),
        _ => {
            step.put_record(Table::Meta, OPENED, &round);
            Ok(())
        }
    }
}

/// What binds if `later` came after `known`: a disk that fails may take the exit's confirm after its burn.
fn both(known: Option<Bond>, later: Bond) -> Bond {
    match (known, later) {
        (Some(Bond::Burning { .. }), Bond::Confirmed) => Bond::Burning { confirmed: true },
        (_, later) => later,
    }
}

fn convicted(kv: &dyn Kv) -> Result<Vec<(Identity, Vec<u8>)>, StoreError> {
    let mut kept = 0;
    collect(kv, Table::Meta, CONVICTED, |key, evidence| {
        let party = key.strip_prefix(CONVICTED)?;
        kept += 1;
        let evidence = if kept > EVIDENCE_KEPT { Vec::new() } else { evidence.to_vec() };
        let party = <[u8; 32]>::try_from(party).map(Identity).map_err(|_| StoreError::Damaged(Table::Meta));
        Some(party.map(|party| (party, evidence)))
    })
}

fn bond_key(round: u64) -> Vec<u8> {
    key(&[BOND, &round.to_be_bytes()])
}

fn bonds(kv: &dyn Kv) -> Result<Vec<(u64, Bond)>, StoreError> {
    collect(kv, Table::Meta, BOND, |key, value| {
        let round = key.strip_prefix(BOND)?;
        let row = || Ok((u64::from_be_bytes(field(Table::Meta, round, 0)?), parse(Table::Meta, value)?));
        Some(row())
    })
}

fn rows<T: Decode<()> + Encode>(kv: &dyn Kv, table: Table) -> Result<Vec<T>, StoreError> {
    collect(kv, table, &[], |_, value| Some(parse(table, value)))
}
