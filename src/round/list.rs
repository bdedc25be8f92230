//! Who is in a round, and with which packets: settled between the entry and the other mixes before a batch moves.
//!
//! [`EntryList`] is the entry's side: it puts the list together, hears what the mixes say, and leaves out, once, those of
//! whom they complain. [`TakenList`] is everybody else's: it holds a list against its header, the roster and the
//! client's MACs. Both are pure; `wire-spec.md`, section 8.5, has the steps.

mod entry;
mod struck;
mod taken;

pub use entry::{EntryList, Inadmissible, ListRuling};
pub use struck::Struck;
pub use taken::{ListAnswer, TakenList};

use std::collections::HashSet;
use std::sync::Arc;

use crate::crypto::{Defence, Digest, Identity};
use crate::wire::{
    ClientRecords, ClientSignature, ListContext, ListHeader, ListRecord, ListRoot, Members, Network,
    SignedListComplaint,
};

/// What every list of a round is held against.
#[derive(Clone, Debug)]
pub struct ListRules {
    /// The network.
    pub network: Arc<Network>,
    /// The round.
    pub context: ListContext,
    /// The clients it needs: [`crate::wire::Parameters::quorum`] of its epoch's members.
    pub quorum: u32,
}

impl ListRules {
    /// Records of one client in every list that it is in.
    fn packets(&self) -> usize {
        self.network.parameters.packets_per_client as usize
    }

    fn clients(&self) -> usize {
        self.network.roster.clients.len()
    }

    /// Of the mix at `hop`, 1 to L.
    fn mix(&self, hop: u8) -> Option<&Identity> {
        let mix = self.network.roster.mixes.get(usize::from(hop).checked_sub(1)?)?;
        Some(&mix.identity)
    }

    fn client(&self, index: u32) -> Option<&Identity> {
        Some(&self.network.roster.clients.get(index as usize)?.identity)
    }
}

/// Why a mix does not take a list. All of it is the entry's doing, but where a variant says otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ListFault {
    /// Its header is not signed by the entry: anybody may have made it.
    #[error("the list's header is not signed by the entry")]
    Signer,
    /// It is of another network, epoch or round.
    #[error("the list is of another round")]
    Context,
    /// A first list came as a second one, or the other way round.
    #[error("the list is not of the attempt that it came as")]
    Attempt,
    /// It announces more than the roster can send.
    #[error("the list announces more rows than there are packets")]
    Size,
    /// What follows its header is not as long as announced.
    #[error("the list has not the rows that its header announces")]
    Length,
    /// A client has not exactly `packets_per_client` records in it.
    #[error("the list holds a part of a client's records")]
    Partial,
    /// Its clients, or the signatures behind the rows, do not ascend.
    #[error("the list is not in order")]
    Order,
    /// It names a client that is not on the roster, or holds a signature of one that is not in it.
    #[error("the list names a client that cannot be in it")]
    Unknown,
    /// Two records name one packet.
    #[error("the list holds a packet twice")]
    Onion,
    /// It is not the one of its header.
    #[error("the list is not the one of its header")]
    Root,
    /// It holds fewer clients than the round needs.
    #[error("the list holds fewer clients than the round needs")]
    Quorum,
    /// A client's signature in it does not hold.
    #[error("a client's signature in the list does not hold")]
    ClientSignature,
    /// A client that was struck out before is in it without its signature.
    #[error("the list lacks the signature of a client that was struck out before")]
    Unsigned,
    /// It holds the signature of a client that is out.
    #[error("the list holds a client that has been evicted, with its signature")]
    Evicted,
    /// No client's MACs are right: not every client can be wrong.
    #[error("no client's MACs in the list are right")]
    Everybody,
    /// A second list comes without complaints, or not in order of their mixes.
    #[error("the second list does not say for which complaints it is made")]
    Complaints,
    /// A complaint that it comes with is none; the complaining mix's doing if it is [`AnswerFault::Impossible`], but
    /// the entry must not follow it.
    #[error("the second list follows a complaint that is none: {0}")]
    Complaint(AnswerFault),
    /// A second list was made without this mix's complaint, or with one that it never made.
    #[error("the second list passes over the complaint of this mix")]
    Own,
    /// A second list came when the round's list was settled, or another one was taken before.
    #[error("the round has another list already")]
    Settled,
    /// It is called complete and a mix's signature is missing.
    #[error("the list lacks a valid signature of every mix")]
    Signatures,
}

/// Why what a mix says to a list is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AnswerFault {
    /// It is not signed by the mix it came from: it proves nothing.
    #[error("it is not signed by its mix")]
    Signer,
    /// It is about another round or another list: late, or nothing.
    #[error("it is about another list")]
    Other,
    /// The mix has signed what no honest mix signs.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}

/// What no honest mix signs about a list, so that its signature is the proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Impossible {
    /// A complaint of nobody.
    #[error("it complains of nobody")]
    Nobody,
    /// A complaint of a client that is not in the list.
    #[error("it complains of a client that is not in the list")]
    Unknown,
    /// A complaint of a client whose signature is in the list, and so in its root.
    #[error("it complains of a client whose signature is in the list")]
    Signed,
    /// A complaint of everybody: an honest mix refuses such a list.
    #[error("it complains of everybody")]
    Everybody,
    /// A second complaint about one list that is not the first.
    #[error("it complains again, of others")]
    Again,
    /// A complaint and a signature about one list.
    #[error("it both signs the list and complains of it")]
    Contradiction,
    /// A complaint about a second list, which holds nothing that the first did not.
    #[error("it complains of the second list")]
    Second,
}

/// The content of a list, whose form has been checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct List {
    context: ListContext,
    records: Vec<ListRecord>,
    signatures: Vec<ClientSignature>,
    members: Members,
}

impl List {
    /// Checks everything but root, MACs and signatures: `packets_per_client` records of each client, clients ascending and
    /// on the roster, no packet twice, signatures ascending and of clients in the list, the quorum.
    fn new(rules: &ListRules, records: Vec<ListRecord>, signatures: Vec<ClientSignature>) -> Result<Self, ListFault> {
        let mut members = Members::none(rules.clients());
        let mut onions = HashSet::with_capacity(records.len());
        let mut next = 0;
        for of_client in records.chunks(rules.packets()) {
            let index = of_client[0].index;
            if of_client.len() < rules.packets() || of_client.iter().any(|record| record.index != index) {
                return Err(ListFault::Partial);
            }
            if u64::from(index) < next {
                return Err(ListFault::Order);
            }
            next = u64::from(index) + 1;
            rules.client(index).ok_or(ListFault::Unknown)?;
            members.insert(index);
            let fresh = of_client.iter().all(|record| onions.insert(record.onion));
            if !fresh && rules.network.defences.stands(Defence::DuplicateCheck) {
                return Err(ListFault::Onion);
            }
        }
        if !signatures.is_sorted_by(|a, b| a.index < b.index) {
            return Err(ListFault::Order);
        }
        if !signatures.iter().all(|signature| members.contains(signature.index)) {
            return Err(ListFault::Unknown);
        }
        if members.count() < rules.quorum {
            return Err(ListFault::Quorum);
        }
        Ok(Self { context: rules.context, records, signatures, members })
    }

    /// The records, clients ascending, each one's in the order of its packets.
    pub fn records(&self) -> &[ListRecord] {
        &self.records
    }

    /// The clients' signatures that are in it, and in its root.
    pub fn signatures(&self) -> &[ClientSignature] {
        &self.signatures
    }

    /// The clients in it.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The header of this list, to be signed by the entry.
    fn header(&self, attempt: u8) -> ListHeader {
        let number = |n: usize| u32::try_from(n).expect("a round has far fewer packets than 2^32");
        let (count, signed) = (number(self.records.len()), number(self.signatures.len()));
        ListHeader { context: self.context, attempt, count, signed, root: self.root() }
    }

    fn root(&self) -> Digest {
        let count = u32::try_from(self.records.len()).expect("a round has far fewer packets than 2^32");
        let mut root = ListRoot::new(&self.context, count);
        self.records.iter().for_each(|record| root.record(record));
        root.finish(&self.signatures)
    }

    /// The list without `clients`.
    fn without(&self, rules: &ListRules, clients: &Members) -> Result<Self, ListFault> {
        let records = self.records.iter().filter(|record| !clients.contains(record.index)).copied().collect();
        Self::new(rules, records, self.signatures.clone())
    }

    /// The records of one client; none if it is not in the list.
    fn of_client(&self, index: u32) -> &[ListRecord] {
        let from = self.records.partition_point(|record| record.index < index);
        let to = self.records.partition_point(|record| record.index <= index);
        &self.records[from..to]
    }

    fn is_signed_by_client(&self, index: u32) -> bool {
        self.signatures.binary_search_by_key(&index, |signature| signature.index).is_ok()
    }

    /// Whether the signature of a client, which is in the list, holds.
    fn holds(&self, rules: &ListRules, signature: &ClientSignature) -> bool {
        let records = self.of_client(signature.index);
        let identity = rules.client(signature.index);
        identity.is_some_and(|identity| ClientRecords::verify(identity, &self.context, records, &signature.signature))
    }

    /// Whether an honest mix can complain of `clients`, about this first list.
    fn check_named(&self, clients: &Members) -> Result<(), Impossible> {
        if clients.count() == 0 {
            return Err(Impossible::Nobody);
        }
        if !clients.iter().all(|client| self.members.contains(client)) {
            return Err(Impossible::Unknown);
        }
        if clients.iter().any(|client| self.is_signed_by_client(client)) {
            return Err(Impossible::Signed);
        }
        if clients.count() == self.members.count() {
            return Err(Impossible::Everybody);
        }
        Ok(())
    }
}

/// All clients of whom any of the complaints complains.
fn named<'a>(rules: &ListRules, complaints: impl IntoIterator<Item = &'a SignedListComplaint>) -> Members {
    let mut all = Members::none(rules.clients());
    for client in complaints.into_iter().flat_map(|signed| signed.complaint.clients.iter()) {
        all.insert(client);
    }
    all
}

#[cfg(test)]
mod tests;
