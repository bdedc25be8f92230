//! A list at a mix behind the entry.

use std::collections::BTreeSet;

use crate::crypto::{Defence, IdentityKey};
use crate::wire::{
    ClientSignature, ListComplaint, ListComplete, ListHeader, ListKeys, ListRow, ListSignature, Members, ROW_BYTES,
    SecondList, SignedListComplaint, SignedListHeader,
};

use super::{AnswerFault, List, ListFault, ListRules, Struck, named};

/// The list of a round as one mix has it from the entry: checked, and good but for the clients whose MACs are not.
#[derive(Clone, Debug)]
pub struct TakenList {
    hop: u8,
    header: SignedListHeader,
    list: List,
    /// Whose MACs for this mix are wrong.
    bad: Members,
    complete: bool,
}

/// What a mix says to a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListAnswer {
    /// It is good.
    Signature(ListSignature),
    /// It is good but for some clients, of whom the second list is to be free.
    Complaint(SignedListComplaint),
}

impl TakenList {
    /// How many bytes follow the header of a first list. To be asked before any of them is read.
    ///
    /// # Errors
    /// If the header is not the entry's, not of this round, no first list's, or announces more rows than the roster has
    /// packets and clients.
    pub fn body_bytes(rules: &ListRules, header: &SignedListHeader) -> Result<usize, ListFault> {
        check_header(rules, header, 0)?;
        let ListHeader { count, signed, .. } = header.header;
        let (count, signed) = (count as usize, signed as usize);
        if count > rules.clients() * rules.packets() || signed > rules.clients() {
            return Err(ListFault::Size);
        }
        Ok((count + signed) * ROW_BYTES)
    }

    /// Takes a first list at the mix of `hop` (2 to L): `body` is what followed its header. One keyed hash per row, one
    /// key agreement per client and epoch, one signature per client struck out before: a job for the thread pool.
    ///
    /// # Errors
    /// The first rule that the list breaks. The mix answers nothing then, and the round comes to nothing.
    pub fn take(
        rules: &ListRules,
        hop: u8,
        keys: &ListKeys,
        struck: &Struck,
        header: SignedListHeader,
        body: &[u8],
    ) -> Result<Self, ListFault> {
        if body.len() != Self::body_bytes(rules, &header)? {
            return Err(ListFault::Length);
        }
        let (rows, signatures) = body.split_at(header.header.count as usize * ROW_BYTES);
        let rows: Vec<ListRow> = split(rows, ListRow::from_bytes);
        let records = rows.iter().map(|row| row.record).collect();
        let list = List::new(rules, records, split(signatures, ClientSignature::from_bytes))?;
        if list.root() != header.header.root {
            return Err(ListFault::Root);
        }
        if !list.signatures.iter().all(|signature| list.holds(rules, signature)) {
            return Err(ListFault::ClientSignature);
        }
        let round = rules.context.round;
        let by_mac: Vec<ListRow> = rows.into_iter().filter(|row| !list.is_signed_by_client(row.record.index)).collect();
        if by_mac.iter().any(|row| struck.owes_signature(row.record.index, round)) {
            return Err(ListFault::Unsigned);
        }
        let mut bad = Members::none(rules.clients());
        if rules.network.defences.stands(Defence::MacCheck) {
            let macs = keys.check_each(round, &by_mac);
            for (row, _) in by_mac.iter().zip(macs).filter(|(_, good)| !good) {
                bad.insert(row.record.index);
            }
        }
        if bad.count() == list.members.count() {
            return Err(ListFault::Everybody);
        }
        Ok(Self { hop, header, list, bad, complete: false })
    }

    /// Clients that are out are complained of, as if their MACs were wrong.
    ///
    /// # Errors
    /// [`ListFault::Evicted`] if the list holds the signature of one: the entry knows who is out.
    pub fn refuse(&mut self, evicted: &BTreeSet<u32>) -> Result<(), ListFault> {
        for client in evicted.iter().copied().filter(|client| self.list.members.contains(*client)) {
            if self.list.is_signed_by_client(client) {
                return Err(ListFault::Evicted);
            }
            self.bad.insert(client);
        }
        if self.bad.count() == self.list.members.count() { Err(ListFault::Everybody) } else { Ok(()) }
    }

    /// What to say to the list as it is now; the same each time.
    pub fn answer(&self, key: &IdentityKey) -> ListAnswer {
        let (context, root) = (self.list.context, self.header.header.root);
        if self.bad.count() == 0 {
            return ListAnswer::Signature(ListSignature::sign(key, &context, root));
        }
        let complaint = ListComplaint { context, hop: self.hop, root, clients: self.bad.clone() };
        ListAnswer::Complaint(complaint.sign(key))
    }

    /// Takes the second list in place of the first: the first without exactly those of whom it brings complaints. They
    /// are struck out from then on. The same second list may come twice.
    ///
    /// # Errors
    /// The first rule that it breaks; the first list stays.
    pub fn second(&mut self, rules: &ListRules, second: &SecondList, struck: &mut Struck) -> Result<(), ListFault> {
        check_header(rules, &second.header, 1)?;
        if self.header.header == second.header.header {
            return Ok(());
        }
        if self.complete || self.header.header.attempt == 1 {
            return Err(ListFault::Settled);
        }
        self.check_complaints(rules, &second.complaints)?;
        let struck_out = named(rules, &second.complaints);
        let list = self.list.without(rules, &struck_out)?;
        if list.header(1) != second.header.header {
            return Err(ListFault::Root);
        }
        struck.strike(&struck_out, rules.context.round);
        self.bad = Members::none(rules.clients());
        self.header = second.header.clone();
        self.list = list;
        Ok(())
    }

    /// The complaints of a second list: in order of their mixes, each possible, our own as we made it.
    fn check_complaints(&self, rules: &ListRules, complaints: &[SignedListComplaint]) -> Result<(), ListFault> {
        if complaints.is_empty() || !complaints.is_sorted_by(|a, b| a.complaint.hop < b.complaint.hop) {
            return Err(ListFault::Complaints);
        }
        for signed in complaints {
            let complaint = &signed.complaint;
            // The entry complains of nobody: it refuses submissions.
            let mix = rules.mix(complaint.hop).filter(|_| complaint.hop > 1);
            if !mix.is_some_and(|mix| signed.is_signed_by(mix)) {
                return Err(ListFault::Complaint(AnswerFault::Signer));
            }
            if complaint.context != rules.context || complaint.root != self.header.header.root {
                return Err(ListFault::Complaint(AnswerFault::Other));
            }
            let possible = self.list.check_named(&complaint.clients);
            possible.map_err(|impossible| ListFault::Complaint(impossible.into()))?;
        }
        let own = complaints.iter().find(|signed| signed.complaint.hop == self.hop);
        let made = (self.bad.count() > 0).then_some(&self.bad);
        if own.map(|signed| &signed.complaint.clients) == made { Ok(()) } else { Err(ListFault::Own) }
    }

    /// Takes the entry's word, with all signatures, that the list is settled. Only then a batch may move.
    ///
    /// # Errors
    /// If it is another list, or a signature is missing.
    pub fn complete(&mut self, rules: &ListRules, complete: &ListComplete) -> Result<(), ListFault> {
        if complete.root != self.header.header.root {
            return Err(ListFault::Root);
        }
        if !complete.verify(&rules.network.mix_identities(), &rules.context) {
            return Err(ListFault::Signatures);
        }
        self.complete = true;
        Ok(())
    }

    /// Whether all mixes have signed the list.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The entry's header.
    pub fn header(&self) -> &SignedListHeader {
        &self.header
    }

    /// The content.
    pub fn list(&self) -> &List {
        &self.list
    }
}

fn check_header(rules: &ListRules, header: &SignedListHeader, attempt: u8) -> Result<(), ListFault> {
    if !rules.mix(1).is_some_and(|entry| header.is_signed_by(entry)) {
        return Err(ListFault::Signer);
    }
    if header.header.context != rules.context {
        return Err(ListFault::Context);
    }
    if header.header.attempt != attempt {
        return Err(ListFault::Attempt);
    }
    Ok(())
}

/// Whole rows, each read by `read`.
fn split<T>(bytes: &[u8], read: impl Fn(&[u8; ROW_BYTES]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(read).collect()
}
