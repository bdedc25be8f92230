//! Who has been struck out of a list in this epoch.

use std::collections::BTreeMap;

use crate::wire::Members;

/// The clients that some mix has struck out of a list of one epoch: from then on their signatures travel behind the rows
/// and every mix takes them by these, so that no client is struck out twice, by the same mix or by another.
#[derive(Clone, Debug)]
pub struct Struck {
    verdict_rounds: u64,
    /// By client, the round of which it was struck out.
    since: BTreeMap<u32, u64>,
}

impl Struck {
    /// Nobody, at the start of an epoch of a network whose parameter D is `verdict_rounds`.
    pub fn new(verdict_rounds: u32) -> Self {
        Self { verdict_rounds: u64::from(verdict_rounds), since: BTreeMap::new() }
    }

    /// Strikes `clients` out of `round`.
    pub fn strike(&mut self, clients: &Members, round: u64) {
        for client in clients.iter() {
            let since = self.since.entry(client).or_insert(round);
            *since = round.min(*since);
        }
    }

    /// Whether the client has been struck out: the entry sends its signature with every list from now on.
    pub fn contains(&self, client: u32) -> bool {
        self.since.contains_key(&client)
    }

    /// Whether a list of `round` must hold the client's signature. The entry may have sent lists of later rounds before it
    /// heard of the complaint; round r + D it opens only when round r has its verdict.
    pub fn owes_signature(&self, client: u32, round: u64) -> bool {
        self.since.get(&client).is_some_and(|since| round >= since.saturating_add(self.verdict_rounds))
    }
}
