//! Opening the letters of a poll answer: a job for the thread pool.

use std::sync::Arc;

use crate::crypto::MailboxId;
use crate::packet::{Geometry, Kind, OpenedLetter, RoundContext, open_letters};
use crate::wire::{CHAIN_KEPT, LETTER_HEADER_BYTES};

use super::correspondence::{Correspondence, nearest};
use super::{Arrival, Contacts, RequestId};

/// The letters of one poll answer, sealed.
pub struct OpenJob {
    pub(super) id: RequestId,
    pub(super) geometry: Geometry,
    pub(super) correspondence: Arc<Correspondence>,
    pub(super) contacts: Arc<Contacts>,
    pub(super) limits: Limits,
    /// Places of 16 header bytes and a letter, only those that hold one.
    pub(super) letters: Vec<u8>,
}

/// What a letter may claim.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The current epoch.
    pub(super) epoch: u64,
    /// Epochs for which ids are remembered.
    pub(super) retention: u64,
    /// Fragments of the largest message.
    pub(super) fragments: u32,
}

/// What came of an answer.
pub struct Opened {
    pub(super) id: RequestId,
    pub(super) arrivals: Vec<Arrival>,
    /// Dummies, kept so long that letting go of them does not take its time here.
    dropped: Vec<Arrival>,
    pub(super) counts: LetterCounts,
}

/// Letters that are dropped, or not believed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LetterCounts {
    /// Dummies.
    pub dummy: u64,
    /// That do not open, or open to nonsense. They never will: nothing is tried again.
    pub unopenable: u64,
    /// Whose epoch or expiry is out of range.
    pub expired: u64,
    /// That claim a contact without its tag.
    pub misattributed: u64,
}

#[cfg(any(test, feature = "sim"))]
impl OpenJob {
    /// How many letters.
    pub fn letters(&self) -> usize {
        self.letters.len() / (LETTER_HEADER_BYTES + self.geometry.letter())
    }
}

#[cfg(any(test, feature = "sim"))]
impl Opened {
    /// What was no dummy.
    pub fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }
}

impl OpenJob {
    /// Opens every letter; a scalar multiplication each and one pass over the payload.
    pub fn run(mut self) -> Opened {
        let mut letters = std::mem::take(&mut self.letters);
        let stride = LETTER_HEADER_BYTES + self.geometry.letter();
        // Room for all of either kind: neither has to make it when it comes.
        let room = || Vec::with_capacity(letters.len() / stride);
        let counts = LetterCounts::default();
        let mut opened = Opened { id: self.id, arrivals: room(), dropped: room(), counts };
        let own = self.correspondence.agreement();
        let network = self.correspondence.network();
        let places = letters.chunks_exact_mut(stride).map(|place| {
            let (header, letter) = place.split_at_mut(LETTER_HEADER_BYTES);
            (RoundContext { network, epoch: read(header), round: read(&header[8..]) }, letter)
        });
        open_letters(self.geometry, &own, places, |context, letter| match letter {
            Ok(letter) => self.arrive(context, &letter, &mut opened),
            Err(_) => opened.counts.unopenable += 1,
        });
        opened
    }

    /// Dummies go through all that messages do, and are dropped at the end.
    fn arrive(&self, context: &RoundContext, letter: &OpenedLetter<'_>, opened: &mut Opened) {
        let (body, counts) = (&letter.body, &mut opened.counts);
        // For whoever is not named stands somebody drawn by the letter: as far to look for, and as long not looked for before.
        let named = letter.claimed_sender();
        let near = nearest(&self.contacts, named.unwrap_or(MailboxId(body.message.0)));
        let claimed = near.filter(|(id, _)| named.as_ref() == Some(*id));
        let correspondent = match near {
            Some((_, key)) => self.correspondence.incoming(key),
            None => self.correspondence.ourselves(),
        };
        let genuine = correspondent.is_some_and(|correspondent| letter.is_from(&correspondent));
        // Of one length, whatever it holds.
        let mut data = letter.padded().to_vec();
        data.truncate(body.data.len());
        let arrival = Arrival {
            message: body.message,
            index: body.index,
            count: body.count,
            expiry: body.expiry,
            sender: claimed.filter(|_| genuine).map(|(id, _)| *id),
            round: context.round,
            data,
        };
        if body.kind == Kind::Dummy {
            counts.dummy += 1;
            opened.dropped.push(arrival);
        } else if body.count > self.limits.fragments {
            counts.unopenable += 1;
        } else if !self.limits.allow(context.epoch, body.expiry) {
            counts.expired += 1;
        } else {
            counts.misattributed += u64::from(claimed.is_some() && !genuine);
            opened.arrivals.push(arrival);
        }
    }
}

impl Limits {
    /// Whether a letter of an epoch may expire when it says: not before now, or a forgotten id could come again, and
    /// not later than `retention` allows, or ids would have to be kept for ever. The exit may know epochs that we do
    /// not; it cannot know more of them than mixes keep documents.
    fn allow(&self, epoch: u64, expiry: u64) -> bool {
        epoch <= self.epoch.saturating_add(CHAIN_KEPT as u64)
            && (self.epoch..=epoch.saturating_add(self.retention)).contains(&expiry)
    }
}

fn read(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("a letter's header holds two integers"))
}
