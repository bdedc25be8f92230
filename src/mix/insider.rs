//! What whoever has taken over a mix finds in it: for experiments.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::packet::Peeler;
use crate::threshold::Share;
use crate::wire::ListKeys;

use super::Mix;

impl Mix {
    /// Its own share of a round's secret, while it has it.
    pub fn own_share(&self, round: u64) -> Option<Share> {
        self.epochs.share(round)
    }

    /// Its own onion key of a round, while it has it.
    pub fn own_onion_key(&self, round: u64) -> Option<Zeroizing<[u8; 32]>> {
        self.epochs.onion_key(round).map(Zeroizing::new)
    }

    /// What peels with it.
    pub fn own_peeler(&self, round: u64) -> Option<Peeler> {
        self.epochs.peeler(round)
    }

    /// Its keys towards the clients in the epoch of a round.
    pub fn own_list_keys(&self, round: u64) -> Option<Arc<ListKeys>> {
        self.epochs.list_keys(round)
    }

    /// Whether `shares`, each with its mix's number from 1, open the envelopes of a round.
    pub fn opens_with(&self, round: u64, shares: &[(u8, Share)]) -> bool {
        self.epochs.envelope_key(round, shares).is_ok()
    }
}
