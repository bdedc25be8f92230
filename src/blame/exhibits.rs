//! What the parties of a burnt round show of it, and whether that is what they signed.

use std::collections::BTreeMap;

use crate::crypto::{Digest, Signature};
use crate::packet::Echo;
use crate::wire::{
    Accusation, BatchHeader, ClientSignature, ListRecord, ListRoot, ListSignature, OnionKey, SignedBatchHeader,
    SignedEchoHeader, SignedEpoch, Statement, batch_digest, echoes_digest,
};

use super::evidence::mix;
use super::proof::Round;
use super::taken::{ListShown, Source};
use super::{EvidenceFault, noise};

/// What the parties of a burnt round have shown of it.
pub struct Exhibits {
    /// The document of its epoch.
    pub document: SignedEpoch,
    /// The round.
    pub round: u64,
    /// The records of the list, in its order.
    pub records: Vec<ListRecord>,
    /// The clients' signatures that are in the list, and in its root.
    pub listed: Vec<ClientSignature>,
    /// The entry's signature under the list: the first of those that make it complete.
    pub entry: Signature,
    /// Clients' signatures over their records, as far as they are known; by roster index. Those of the list are added.
    pub clients: BTreeMap<u32, Signature>,
    /// Batches from hop 1 on, as far as the round came: header and the hash of each packet.
    pub batches: Vec<(SignedBatchHeader, Vec<Digest>)>,
    /// Echoes from hop L down, as far as the round came: header and echoes. None unless all batches are there.
    pub echoes: Vec<(SignedEchoHeader, Vec<Echo>)>,
    /// The mixes' onion keys of the round and what each has added, signed, in cascade order: all of them.
    pub keys: Vec<(OnionKey, Signature)>,
    /// Who accuses, from hop 1, of what, signed.
    pub accusations: Vec<(u8, Accusation, Signature)>,
}

/// Why a round cannot be replayed with what has been shown. Who owes something may still show it; nobody is guilty by
/// silence.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CaseFault {
    /// The epoch document does not hold.
    #[error("the round's document does not hold: {0}")]
    Document(EvidenceFault),
    /// The list is not the one that the entry has signed.
    #[error("the list is not the one that the entry has signed")]
    List,
    /// The onion key of a mix is missing, or not the one of the document.
    #[error("mix {hop} has not published its onion key of the round")]
    Key {
        /// Who owes it.
        hop: u8,
    },
    /// The batch of a mix is not signed by it, or its hashes are not those of its header.
    #[error("the batch of mix {hop} is not shown as it was signed")]
    Batch {
        /// Whose batch it is: it and the next mix owe the hashes.
        hop: u8,
    },
    /// A batch header does not fit what its mix took in, or the list: [`super::Case::false_header`] may prove it.
    #[error("the batch header of mix {hop} does not fit what it took in")]
    Header {
        /// Whose it is.
        hop: u8,
    },
    /// A mix says that it took in another batch than the one before shows. It owes the header that it was sent: with it the
    /// mix before has signed two.
    #[error("mix {hop} has signed that it took in another batch than is shown")]
    Input {
        /// Who owes it.
        hop: u8,
    },
    /// The echoes of a mix are not signed by it, or not those of their header.
    #[error("the echoes of mix {hop} are not shown as they were signed")]
    Echoes {
        /// Whose echoes they are: it and the mix before owe them.
        hop: u8,
    },
    /// A mix says that it made its echoes from others than are shown. It owes the header that it was sent.
    #[error("mix {hop} has signed that it got other echoes than are shown")]
    EchoInput {
        /// Who owes it.
        hop: u8,
    },
    /// An accusation is not signed by its accuser, or of another round.
    #[error("an accusation of mix {hop} is not its own")]
    Accusation {
        /// Whom it names as its accuser.
        hop: u8,
    },
}

impl Exhibits {
    /// What `hop` took in: of hop 1 the list, of others the hashes of the batch before, if they are shown.
    pub(super) fn took_in(&self, hop: u8) -> Option<Source> {
        match usize::from(hop).checked_sub(2) {
            None => Some(Source::List(ListShown::new(&self.records, &self.listed), self.entry)),
            Some(before) => Some(Source::Batch(self.batches.get(before)?.1.clone())),
        }
    }

    /// Holds everything against what was signed.
    pub(super) fn check(&self, round: &Round<'_>) -> Result<(), CaseFault> {
        for hop in 1..=round.network.mixes() as u8 {
            let key = self.keys.get(usize::from(hop) - 1);
            key.filter(|(key, signature)| noise::check_declared(round, hop, key, signature).is_ok())
                .ok_or(CaseFault::Key { hop })?;
        }
        check_list(round, self)?;
        check_batches(round, self)?;
        check_echoes(round, self)?;
        for (hop, accusation, signature) in &self.accusations {
            let context = &round.context;
            let own = (accusation.slot.network, accusation.slot.epoch, accusation.slot.round)
                == (context.network, context.epoch, context.round)
                && mix(round.network, *hop).is_ok_and(|mix| accusation.is_signed_by(mix, signature));
            if !own {
                return Err(CaseFault::Accusation { hop: *hop });
            }
        }
        Ok(())
    }
}

fn check_list(round: &Round<'_>, shown: &Exhibits) -> Result<(), CaseFault> {
    if !shown.records.is_sorted_by_key(|record| record.index) {
        return Err(CaseFault::List);
    }
    let context = round.list_context();
    let mut root = ListRoot::new(&context, u32::try_from(shown.records.len()).map_err(|_| CaseFault::List)?);
    shown.records.iter().for_each(|record| root.record(record));
    let signed = ListSignature { round: context.round, root: root.finish(&shown.listed), signature: shown.entry };
    let holds = mix(round.network, 1).is_ok_and(|entry| signed.is_signed_by(entry, &context));
    if holds { Ok(()) } else { Err(CaseFault::List) }
}

fn check_batches(round: &Round<'_>, shown: &Exhibits) -> Result<(), CaseFault> {
    let list = ListShown::new(&shown.records, &[]);
    let members = list.members(round).map_err(|_| CaseFault::List)?;
    let (listed, most) = (shown.records.len() as u32, round.network.parameters.noise_packets);
    let mut before: Option<&BatchHeader> = None;
    for (hop, (signed, hashes)) in (1u8..).zip(&shown.batches) {
        let header = &signed.header;
        let sound = header.hop == hop && round.check_signed(signed).is_ok() && batch_digest(hashes) == header.output;
        if !sound {
            return Err(CaseFault::Batch { hop });
        }
        let numbers = header.noise_added(listed, most, before).is_ok() && header.count as usize == hashes.len();
        if !numbers || header.members != members {
            return Err(CaseFault::Header { hop });
        }
        if before.is_some_and(|before| before.output != header.input) {
            return Err(CaseFault::Input { hop });
        }
        before = Some(header);
    }
    Ok(())
}

fn check_echoes(round: &Round<'_>, shown: &Exhibits) -> Result<(), CaseFault> {
    let exit = round.network.mixes();
    let mut before = shown.batches.get(exit - 2).map(|(signed, _)| signed.header.output);
    for (hop, (signed, echoes)) in (1..=exit as u8).rev().zip(&shown.echoes) {
        let header = &signed.header;
        let taken = match hop {
            1 => shown.records.len(),
            _ => shown.batches.get(usize::from(hop) - 2).map_or(0, |(_, hashes)| hashes.len()),
        };
        let sound = header.hop == hop
            && round.check_echoes(header).is_ok()
            && mix(round.network, hop).is_ok_and(|mix| signed.is_signed_by(mix))
            && echoes.len() == taken
            && header.count as usize == taken
            && echoes_digest(echoes) == header.digest;
        if !sound {
            return Err(CaseFault::Echoes { hop });
        }
        if before != Some(header.input) {
            return Err(CaseFault::EchoInput { hop });
        }
        before = Some(header.digest);
    }
    Ok(())
}
