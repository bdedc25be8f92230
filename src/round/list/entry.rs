//! A list at the entry: assembled, sent, complained of once, settled.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::crypto::{Defence, Digest, IdentityKey, Signature};
use crate::wire::{
    ClientRecords, ClientSignature, ListComplete, ListKeys, ListRow, ListSignature, ROW_BYTES, SecondList,
    SignedListComplaint, SignedListHeader,
};

use super::{AnswerFault, Impossible, List, ListFault, ListRules, Struck, named};

/// Why a mix does not take a client's records from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Inadmissible {
    /// The MACs for the mix are wrong.
    #[error("the MACs for the mix are wrong")]
    Mac,
    /// It is taken by its signature, because it was struck out in this epoch or handed over, and that does not hold.
    #[error("the signature of a client that was struck out before, or handed over, does not hold")]
    Signature,
}

impl ListRules {
    /// Whether the entry takes each client's records, or why not: by their MACs for the entry, or by their signature once the
    /// client has been struck out, which the word beside them says ([`Struck::contains`]).
    pub fn admit_each(&self, keys: &ListKeys, clients: &[(&ClientRecords, bool)]) -> Vec<Result<(), Inadmissible>> {
        let by_mac = clients.iter().filter(|(_, struck)| !struck);
        let rows: Vec<ListRow> = by_mac.flat_map(|(records, _)| records.rows(0)).collect();
        let mut macs = keys.check_each(self.context.round, &rows).into_iter();
        let checked = self.network.defences.stands(Defence::MacCheck);
        let mut admit = |records: &ClientRecords, struck: bool| {
            if struck {
                return if self.is_signed(records) { Ok(()) } else { Err(Inadmissible::Signature) };
            }
            let wrong = macs.by_ref().take(records.records().len()).filter(|good| !good).count();
            if wrong == 0 || !checked { Ok(()) } else { Err(Inadmissible::Mac) }
        };
        clients.iter().map(|(records, struck)| admit(records, *struck)).collect()
    }

    /// Whether the mix at place `own`, counted from 0, can vouch for a client's records: its MACs are right and so is the
    /// signature, which convinces others.
    ///
    /// # Errors
    /// Why not.
    pub fn vouch(&self, keys: &ListKeys, own: usize, records: &ClientRecords) -> Result<(), Inadmissible> {
        let rows: Vec<ListRow> = records.rows(own).collect();
        if keys.check_each(self.context.round, &rows).contains(&false) {
            return Err(Inadmissible::Mac);
        }
        if self.is_signed(records) { Ok(()) } else { Err(Inadmissible::Signature) }
    }

    fn is_signed(&self, records: &ClientRecords) -> bool {
        self.client(records.index()).is_some_and(|client| records.is_signed_by(client, &self.context))
    }
}

/// The list of a round at the entry, with everybody's MACs until all have signed it, and what the mixes say to it.
///
/// It holds at most one answer of each mix. How long to wait for them is the caller's business.
pub struct EntryList {
    rules: ListRules,
    list: List,
    /// What follows the header of the first list to each mix but the entry, in cascade order, as long as one may want it.
    bodies: Vec<Bytes>,
    /// Of each client over its records.
    clients: BTreeMap<u32, Signature>,
    first: SignedListHeader,
    second: Option<SecondList>,
    /// About the first list, by the position of the mix.
    complaints: BTreeMap<usize, SignedListComplaint>,
    /// Under the list as it is now, by the position of the mix.
    signatures: BTreeMap<usize, Signature>,
}

/// Where a list stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListRuling {
    /// A mix has not answered.
    Waiting,
    /// All have, and some complained: this goes to all mixes and is to be signed. Said once; see [`EntryList::second`].
    Second(SecondList),
    /// Without those of whom mixes complain there are too few clients: the round is aborted.
    TooFewClients,
    /// All have signed: this goes to all mixes, and batches may move.
    Complete(ListComplete),
}

impl EntryList {
    /// The first list of the submissions that were admitted, by roster index. A client that was struck out meanwhile and
    /// whose signature does not hold is left out, with its packets, and named beside the list in ascending order.
    ///
    /// # Errors
    /// [`ListFault::Quorum`] if they are too few, another fault if the submissions are not what
    /// [`ClientRecords::parse`] made of `packets_per_client` different packets of each client.
    pub fn assemble(
        rules: ListRules,
        mut submissions: BTreeMap<u32, ClientRecords>,
        struck: &Struck,
        key: &IdentityKey,
    ) -> Result<(Self, Vec<u32>), ListFault> {
        let forged = |(index, records): &(&u32, &ClientRecords)| struck.contains(**index) && !rules.is_signed(records);
        let named: BTreeSet<u32> = submissions.iter().filter(forged).map(|(index, _)| *index).collect();
        submissions.retain(|index, _| !named.contains(index));
        let mut records = Vec::with_capacity(submissions.len() * rules.packets());
        submissions.values().for_each(|of_client| records.extend_from_slice(of_client.records()));
        let clients: BTreeMap<_, _> = submissions.iter().map(|(index, sent)| (*index, *sent.signature())).collect();
        let signed = clients.iter().filter(|(index, _)| struck.contains(**index));
        let signatures = signed.map(|(&index, &signature)| ClientSignature { index, signature });
        let list = List::new(&rules, records, signatures.collect())?;
        let bodies = (1..rules.network.mixes()).map(|mix| body(&list, &submissions, mix)).collect();
        let first = list.header(0).sign(key);
        let (complaints, signatures) = (BTreeMap::new(), BTreeMap::new());
        let mut this = Self { rules, list, bodies, clients, first, second: None, complaints, signatures };
        this.sign(key);
        Ok((this, named.into_iter().collect()))
    }

    /// The header of the first list.
    pub fn header(&self) -> &SignedListHeader {
        &self.first
    }

    /// The signatures over their records of the clients in the list, in its order.
    pub fn client_signatures(&self) -> Vec<Signature> {
        let of_client = |client| self.clients.get(&client).copied();
        self.list.members.iter().filter_map(of_client).collect()
    }

    /// What follows the header to the mix at position `mix`, 1 to L - 1, and is of no use to another; empty once all mixes have
    /// signed.
    pub fn body(&self, mix: usize) -> Bytes {
        self.bodies.get(mix - 1).cloned().unwrap_or_default()
    }

    /// The second list, if there is one.
    pub fn second(&self) -> Option<&SecondList> {
        self.second.as_ref()
    }

    /// The root of the list as it is now.
    pub fn root(&self) -> Digest {
        self.current().header.root
    }

    /// The content as it is now.
    pub fn list(&self) -> &List {
        &self.list
    }

    /// The mix at position `mix` has signed a list.
    ///
    /// # Errors
    /// If it is not its signature, of another list, or of one that it has complained of.
    pub fn signature(&mut self, mix: usize, signature: &ListSignature) -> Result<(), AnswerFault> {
        let identity = self.rules.network.roster.mixes.get(mix).map(|mix| mix.identity);
        if !identity.is_some_and(|identity| signature.is_signed_by(&identity, &self.rules.context)) {
            return Err(AnswerFault::Signer);
        }
        if signature.root == self.first.header.root && self.complaints.contains_key(&mix) {
            return Err(Impossible::Contradiction.into());
        }
        if signature.root != self.current().header.root {
            return Err(AnswerFault::Other);
        }
        self.signatures.insert(mix, signature.signature);
        Ok(())
    }

    /// The mix at position `mix` complains of the first list. Those of whom it does are struck out, whatever becomes of the
    /// round. The same complaint may come twice.
    ///
    /// # Errors
    /// If it is not its complaint, about another list, or one that no honest mix makes; nobody is struck out then.
    pub fn complaint(
        &mut self,
        mix: usize,
        signed: SignedListComplaint,
        struck: &mut Struck,
    ) -> Result<(), AnswerFault> {
        let complaint = &signed.complaint;
        let identity = self.rules.mix(complaint.hop).filter(|_| mix > 0 && usize::from(complaint.hop) == mix + 1);
        if !identity.is_some_and(|identity| signed.is_signed_by(identity)) {
            return Err(AnswerFault::Signer);
        }
        if complaint.context != self.rules.context {
            return Err(AnswerFault::Other);
        }
        if self.second.as_ref().is_some_and(|second| second.header.header.root == complaint.root) {
            return Err(Impossible::Second.into());
        }
        if complaint.root != self.first.header.root {
            return Err(AnswerFault::Other);
        }
        match self.complaints.get(&mix) {
            Some(known) if known.complaint == *complaint => return Ok(()),
            Some(_) => return Err(Impossible::Again.into()),
            // When a second list is made every mix has answered: who did not complain has signed.
            None if self.second.is_some() || self.signatures.contains_key(&mix) => {
                return Err(Impossible::Contradiction.into());
            }
            None => self.list.check_named(&complaint.clients)?,
        }
        struck.strike(&complaint.clients, self.rules.context.round);
        self.complaints.insert(mix, signed);
        Ok(())
    }

    /// What follows from the answers so far.
    pub fn rule(&mut self, key: &IdentityKey) -> ListRuling {
        let open = if self.second.is_none() { self.complaints.len() } else { 0 };
        if self.signatures.len() + open < self.rules.network.mixes() {
            return ListRuling::Waiting;
        }
        if open == 0 {
            self.bodies.clear();
            let signatures = self.signatures.values().copied().collect();
            let (round, root) = (self.rules.context.round, self.current().header.root);
            return ListRuling::Complete(ListComplete { round, root, signatures });
        }
        let struck_out = named(&self.rules, self.complaints.values());
        let Ok(list) = self.list.without(&self.rules, &struck_out) else { return ListRuling::TooFewClients };
        let header = list.header(1).sign(key);
        let second = SecondList { header, complaints: self.complaints.values().cloned().collect() };
        self.list = list;
        self.second = Some(second.clone());
        self.signatures.clear();
        self.sign(key);
        ListRuling::Second(second)
    }

    fn current(&self) -> &SignedListHeader {
        self.second.as_ref().map_or(&self.first, |second| &second.header)
    }

    /// The entry's own signature.
    fn sign(&mut self, key: &IdentityKey) {
        let own = ListSignature::sign(key, &self.rules.context, self.current().header.root);
        self.signatures.insert(0, own.signature);
    }
}

fn body(list: &List, submissions: &BTreeMap<u32, ClientRecords>, mix: usize) -> Bytes {
    // Room for all of it at once: of a large round this is much.
    let mut body = Vec::with_capacity((list.records.len() + list.signatures.len()) * ROW_BYTES);
    let rows = submissions.values().flat_map(|records| records.rows(mix));
    rows.for_each(|row| body.extend_from_slice(&row.to_bytes()));
    list.signatures.iter().for_each(|signature| body.extend_from_slice(&signature.to_bytes()));
    body.into()
}
