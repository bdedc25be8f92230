//! The epoch documents that the clients hold.

use std::sync::{Arc, Mutex};

use crate::wire::{EpochDocument, SignedEpoch};

use super::Crew;
use super::game::lock;

/// The epoch documents, each verified once for everybody.
pub(super) struct Documents {
    crew: Arc<Crew>,
    known: Mutex<Vec<Arc<EpochDocument>>>,
}

impl Documents {
    /// None yet.
    pub(super) fn new(crew: Arc<Crew>) -> Self {
        Self { crew, known: Mutex::default() }
    }

    /// Takes those that are new and right.
    pub(super) fn accept(&self, chain: &[SignedEpoch]) {
        let mut known = lock(&self.known);
        for signed in chain {
            let newest = known.last().map_or(0, |document| document.epoch);
            let network = &self.crew.network;
            let usable = signed.document.epoch > newest
                && signed.verify(network).is_ok()
                && signed.document.check(network).is_ok();
            if usable {
                known.push(Arc::new(signed.document.clone()));
            }
        }
    }

    /// The number of the last one; 0 for none.
    pub(super) fn newest(&self) -> u64 {
        lock(&self.known).last().map_or(0, |document| document.epoch)
    }

    /// The one that holds the keys of a round.
    pub(super) fn of_round(&self, round: u64) -> Option<Arc<EpochDocument>> {
        lock(&self.known).iter().rev().find(|document| document.position(round).is_some()).cloned()
    }
}
