//! Entries that choose who is in a round.

use crate::crypto::{Csprng, PRF_BYTES, Signature};
use crate::packet::{Echo, RoundContext, Slots, commitment};
use crate::round::Submission;
use crate::wire::{COMMITMENT_BYTES, ListRecord, onion_digest};

use super::rogue::{builder, with_dummy};
use super::{Insider, RogueMix, rogue};

/// Whom it does what to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Choice {
    /// Passes over one client's submissions.
    LeaveOut,
    /// Passes over all but one client's.
    LeaveOneIn,
    /// Puts packets and records of its own in the place of one client's, under that client's name.
    ForgeOne,
    /// In the place of all but one client's: n - 1.
    Stuff,
    /// Puts the onions and records of whoever submitted before in the place of one client's.
    CopyOne,
}

/// An entry that chooses.
pub(super) struct Chooser {
    choice: Choice,
    chosen: u32,
    /// The last submission of another client: its round, packets and records.
    seen: Option<(u64, Vec<u8>, Vec<u8>)>,
    rng: Csprng,
    acted: bool,
}

impl Chooser {
    pub(super) fn new(choice: Choice, chosen: u32, seed: u64) -> Self {
        Self { choice, chosen, seen: None, rng: rogue::rng(seed), acted: false }
    }

    /// Packets of its own under a client's name. It knows the MAC key that it shares with that client, and no other.
    fn forge(&mut self, me: &Insider<'_>, client: u32, round: u64, count: usize) -> Option<Submission> {
        let document = me.document(round)?;
        let builder = builder(&document, me.geometry, round, None)?;
        let (mut packets, mut echoes) = (Vec::new(), Vec::new());
        for _ in 0..count {
            echoes.push(with_dummy(&mut self.rng, |rng, recipe| {
                builder.client_packet(rng, client, recipe, &mut packets)
            }));
        }
        let records = self.records(me, client, builder.context(), &packets, &echoes)?;
        Some(Submission { packets: Slots::from_packets(me.geometry, &packets)?, records })
    }

    fn records(
        &self,
        me: &Insider<'_>,
        client: u32,
        context: &RoundContext,
        packets: &[u8],
        echoes: &[Echo],
    ) -> Option<Vec<u8>> {
        let keys = me.engine?.own_list_keys(context.round)?;
        let key = keys.get(client)?;
        let mut records = Vec::new();
        for (packet, echo) in packets.chunks(me.geometry.packet()).zip(echoes) {
            let commitment: [u8; COMMITMENT_BYTES] = commitment(context, client, echo);
            let record = ListRecord { index: client, onion: onion_digest(packet), commitment };
            records.extend(commitment);
            records.extend(key.mac(context.round, &record));
            records.extend(vec![7; PRF_BYTES * (me.network.mixes() - 1)]);
        }
        records.extend([7; Signature::BYTES]);
        Some(records)
    }
}

impl RogueMix for Chooser {
    fn takes(&mut self, me: &Insider<'_>, client: u32, round: u64, submission: Submission) -> Option<Submission> {
        let is_chosen = client == self.chosen;
        let concerned = match self.choice {
            Choice::LeaveOut | Choice::ForgeOne | Choice::CopyOne => is_chosen,
            Choice::LeaveOneIn | Choice::Stuff => !is_chosen,
        };
        if !concerned {
            let packets = (0..submission.packets.len()).flat_map(|slot| submission.packets.received(slot).to_vec());
            self.seen = Some((round, packets.collect(), submission.records.clone()));
            return Some(submission);
        }
        if self.choice == Choice::CopyOne {
            let copied = self.seen.clone().filter(|(seen, ..)| *seen == round);
            let Some((_, packets, records)) = copied else { return Some(submission) };
            self.acted = true;
            return Slots::from_packets(me.geometry, &packets).map(|packets| Submission { packets, records });
        }
        self.acted = true;
        match self.choice {
            Choice::ForgeOne | Choice::Stuff => self.forge(me, client, round, submission.packets.len()),
            _ => None,
        }
    }

    fn has_acted(&self) -> bool {
        self.acted
    }
}
