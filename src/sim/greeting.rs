//! Streams between mixes overtake each other, and an engine takes nothing of a link before its hello. What overtakes the hello
//! waits here, as it does in the daemon.

use std::collections::BTreeMap;

use crate::wire::PeerMessage;

use super::traffic::{Parcel, Party};

/// Which links have been greeted, by who sent and who receives.
#[derive(Default)]
pub(super) struct Greetings(BTreeMap<(Party, Party), Greeting>);

struct Greeting {
    link: u64,
    /// What waits for the hello; `None` behind it.
    waiting: Option<Vec<Parcel>>,
}

impl Greetings {
    /// A parcel comes over a link: what arrives now, in order.
    pub(super) fn pass(&mut self, from: Party, to: Party, link: u64, parcel: Parcel) -> Vec<Parcel> {
        if !matches!((from, to), (Party::Mix(_), Party::Mix(_))) {
            return vec![parcel];
        }
        let fresh = || Greeting { link, waiting: Some(Vec::new()) };
        let greeting = self.0.entry((from, to)).or_insert_with(fresh);
        if greeting.link != link {
            *greeting = fresh();
        }
        let is_hello = matches!(&parcel, Parcel::Peer(PeerMessage::Hello { .. }));
        match &mut greeting.waiting {
            Some(waiting) if !is_hello => {
                waiting.push(parcel);
                Vec::new()
            }
            waiting => std::iter::once(parcel).chain(waiting.take().unwrap_or_default()).collect(),
        }
    }
}
