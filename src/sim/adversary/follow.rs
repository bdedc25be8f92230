//! Going along: whoever has changed something in a round confirms what the others confirm, and releases as they do.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::Digest;
use crate::threshold::Share;
use crate::wire::{Exhibit, PeerMessage, Release, ReleasedShare, SecretPart, Slot, Statement};

use super::{Deed, Insider};

/// What a mix does in rounds of which it has told the others something else than its engine knows: the engine must not
/// hear how they end, and its own confirm would not be the others'.
#[derive(Default)]
pub(super) struct Follow {
    rounds: BTreeMap<u64, Option<[u8; 32]>>,
    confirmed: BTreeMap<u64, BTreeSet<usize>>,
    transcripts: BTreeMap<u64, Digest>,
}

impl Follow {
    /// From now on it goes along in this round; its share is put aside before its engine erases it.
    pub(super) fn round(&mut self, me: &Insider<'_>, round: u64) {
        let share = me.engine.and_then(|engine| engine.own_share(round));
        self.rounds.entry(round).or_insert_with(|| share.map(|share: Share| *share.expose()));
    }

    /// Whether it goes along in a round.
    pub(super) fn is_in(&self, round: u64) -> bool {
        self.rounds.contains_key(&round)
    }

    /// What its engine says is kept back if it contradicts.
    pub(super) fn says(&self, to: usize, message: PeerMessage) -> Vec<Deed> {
        let round = match &message {
            PeerMessage::Confirm { confirm, .. } => confirm.slot.round,
            PeerMessage::Release { round, .. } | PeerMessage::Abort { round, .. } => *round,
            PeerMessage::Accusation { accusation, .. } => accusation.slot.round,
            PeerMessage::Headers(headers) => headers.round,
            PeerMessage::Show { round, exhibit: Exhibit::Batch { .. }, .. } => *round,
            PeerMessage::Evidence { .. } if !self.rounds.is_empty() => return Vec::new(),
            _ => return vec![Deed::Say(to, message)],
        };
        if self.is_in(round) { Vec::new() } else { vec![Deed::Say(to, message)] }
    }

    /// What others confirm, it confirms; when all have, it releases.
    pub(super) fn hears(
        &mut self,
        me: &Insider<'_>,
        from: usize,
        message: PeerMessage,
    ) -> (Option<PeerMessage>, Vec<Deed>) {
        let PeerMessage::Confirm { confirm, grounds, .. } = &message else { return (Some(message), Vec::new()) };
        let Slot { network, epoch, round } = confirm.slot;
        let Some(share) = self.rounds.get(&round) else { return (Some(message), Vec::new()) };
        let transcript = confirm.transcript;
        let mut deeds = Vec::new();
        if self.transcripts.insert(round, transcript).is_none() {
            let (confirm, grounds) = (confirm.clone(), grounds.clone());
            let signature = confirm.sign(me.key);
            deeds = me.tell_all(&PeerMessage::Confirm { confirm, grounds, signature });
        }
        let confirmed = self.confirmed.entry(round).or_default();
        confirmed.insert(from);
        if confirmed.len() + 1 == me.network.mixes()
            && let Some(share) = share
        {
            let slot = Slot { network, epoch, round };
            let signature = Release { slot, transcript, share: ReleasedShare::from_bytes(*share) }.sign(me.key);
            let share = SecretPart(*share);
            let release = PeerMessage::Release { epoch, round, transcript, share, signature };
            deeds.push(Deed::Say(me.network.mixes() - 1, release));
        }
        (None, deeds)
    }
}
