//! Blame: what a burnt round's parties show each other, its replay, and what follows from evidence.
//!
//! `exchange` fetches what a replay needs from whoever knows it, piece by piece, so that nobody sends more than is asked
//! for; `convict` is what evidence leads to.

mod convict;
mod exchange;
mod exhibits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::blame::Case;
use crate::crypto::{Digest, Signature};
use crate::packet::Echo;
use crate::round::{OutgoingBatch, Pieces};
use crate::wire::{Accusation, Exhibit};

pub(super) use convict::Convicts;
pub use exchange::Owing;

/// What a mix keeps of a round for the case that it burns: hashes and echoes, dropped when the share is released or the
/// verdict is signed without a burn.
#[derive(Default)]
pub(super) struct Kept {
    /// The hash of each packet that a hop handed on: the own batch's, and that taken in.
    pub batches: BTreeMap<u8, Vec<Digest>>,
    /// What a hop handed back: this one, the next, and the entry.
    pub echoes: BTreeMap<u8, Vec<Echo>>,
    /// This mix's own noise: its places in the batch, ascending, and the packets, W bytes each. Which they are is nobody's to
    /// know unless the round burns.
    pub noise: (Zeroizing<Vec<u32>>, Zeroizing<Vec<u8>>),
    /// At the entry: what it handed on, from which it restores what came.
    pub batch: Option<Arc<OutgoingBatch>>,
}

/// One burning round: from the first mismatch until it is replayed.
pub(super) struct Blame {
    accusations: Vec<(u8, Accusation, Signature)>,
    /// When this mix first saw to it; set by the first tick.
    since: Option<Duration>,
    /// When what is missing is asked for again.
    ask_at: Duration,
    /// Since when this mix waits for others.
    stalled: Option<Duration>,
    coming: BTreeMap<(Exhibit, usize), Pieces>,
    signatures: Option<Vec<Signature>>,
    /// At the entry: W bytes each.
    onions: Option<Vec<u8>>,
    case: Option<Arc<Case>>,
    /// Each mix's noise, by its hop, as far as it is needed and shown.
    noise: BTreeMap<u8, Vec<u8>>,
    /// A job is under way.
    working: bool,
    /// How many packets of the list are replayed.
    replayed: usize,
    /// Who has signed that it took in what nobody shows.
    unexplained: Option<u8>,
    /// It is replayed: what this mix knows stays for a while, for those that have not come so far.
    done: bool,
}

impl Blame {
    pub(super) fn new(mixes: usize) -> Self {
        Self {
            accusations: Vec::with_capacity(mixes),
            since: None,
            ask_at: Duration::ZERO,
            stalled: None,
            coming: BTreeMap::new(),
            signatures: None,
            onions: None,
            case: None,
            noise: BTreeMap::new(),
            working: false,
            replayed: 0,
            unexplained: None,
            done: false,
        }
    }

    /// Whether this mix has replayed the round.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// A mix accuses: the first word of each counts.
    pub(super) fn accused(&mut self, hop: u8, accusation: Accusation, signature: Signature) {
        if self.accusations.iter().all(|(known, ..)| *known != hop) {
            self.accusations.push((hop, accusation, signature));
        }
    }
}
