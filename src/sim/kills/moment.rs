//! The moments of a round at which a mix is killed.

use crate::mix::Action;
use crate::round::Job;
use crate::wire::{Bond, PeerMessage, Record};

/// What a mix is about to do, or has just done.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Moment {
    /// It says who is in.
    List,
    /// It hands on a batch; the exit has taken it.
    Mix,
    /// It hands echoes back, or publishes them.
    Echo,
    /// The exit puts on disk that it has confirmed.
    ConfirmToDisk,
    /// It confirms.
    Confirm,
    /// It puts on disk that its share is released.
    ReleaseToDisk,
    /// Its share leaves it; the exit opens the round.
    Release,
    /// It puts on disk that the round burns.
    BurnToDisk,
    /// It says that its share is erased.
    Burnt,
    /// It publishes its onion key.
    Publish,
    /// It puts its verdict on disk.
    VerdictToDisk,
    /// It says its verdict.
    Verdict,
}

impl Moment {
    /// All, in the order of a round.
    pub const ALL: [Self; 12] = [
        Self::List,
        Self::Mix,
        Self::Echo,
        Self::ConfirmToDisk,
        Self::Confirm,
        Self::ReleaseToDisk,
        Self::Release,
        Self::BurnToDisk,
        Self::Burnt,
        Self::Publish,
        Self::VerdictToDisk,
        Self::Verdict,
    ];

    /// The moment that an action is, and the round if it names that.
    pub(in crate::sim) fn of(action: &Action) -> Option<(Self, u64)> {
        Some(match action {
            Action::Send { message, .. } => match message {
                PeerMessage::List { header, .. } => (Self::List, header.header.context.round),
                PeerMessage::ListSignature(signature) => (Self::List, signature.round),
                PeerMessage::BatchAccepted { round, .. } => (Self::Mix, *round),
                PeerMessage::Echoes { header, .. } => (Self::Echo, header.header.round),
                PeerMessage::Confirm { confirm, .. } => (Self::Confirm, confirm.slot.round),
                PeerMessage::Release { round, .. } => (Self::Release, *round),
                PeerMessage::Burnt { burnt, .. } => (Self::Burnt, burnt.slot.round),
                PeerMessage::OnionKey { key, .. } => (Self::Publish, key.slot.round),
                PeerMessage::Decision { verdict, .. } => (Self::Verdict, verdict.round),
                PeerMessage::VerdictSignature { round, .. } => (Self::Verdict, *round),
                _ => return None,
            },
            Action::Forward { batch, .. } => (Self::Mix, batch.header.header.round),
            Action::Work(Job::Open { round, .. }) => (Self::Release, *round),
            Action::Persist { record, .. } => match record {
                Record::Sealed { round, bond: Bond::Confirmed } => (Self::ConfirmToDisk, *round),
                Record::Sealed { round, bond: Bond::Released { .. } } => (Self::ReleaseToDisk, *round),
                Record::Sealed { round, bond: Bond::Burning { .. } } => (Self::BurnToDisk, *round),
                Record::Signed { verdict } | Record::Decided { verdict, .. } => (Self::VerdictToDisk, verdict.round),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Whether it is one of a round that burns.
    pub fn burns(self) -> bool {
        matches!(self, Self::BurnToDisk | Self::Burnt | Self::Publish)
    }

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Mix => "mix",
            Self::Echo => "echo",
            Self::ConfirmToDisk => "confirm_to_disk",
            Self::Confirm => "confirm",
            Self::ReleaseToDisk => "release_to_disk",
            Self::Release => "release",
            Self::BurnToDisk => "burn_to_disk",
            Self::Burnt => "burnt",
            Self::Publish => "publish",
            Self::VerdictToDisk => "verdict_to_disk",
            Self::Verdict => "verdict",
        }
    }
}

/// A mix dies when it comes to this.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Trap {
    /// Its place, from 0.
    pub mix: usize,
    /// When.
    pub moment: Moment,
    /// Once it is done, rather than before.
    pub after: bool,
}

impl Trap {
    /// All there are in a cascade of `mixes`.
    pub fn all(mixes: usize) -> Vec<Self> {
        let traps = (0..mixes).flat_map(|mix| Moment::ALL.map(|moment| (mix, moment)));
        let traps = traps.flat_map(|(mix, moment)| [false, true].map(|after| Self { mix, moment, after }));
        traps.filter(|trap| trap.can_spring(mixes)).collect()
    }

    /// Only the exit binds itself by its confirm before it says it, and only the others by a release.
    fn can_spring(self, mixes: usize) -> bool {
        let exit = self.mix + 1 == mixes;
        match self.moment {
            Moment::ConfirmToDisk => exit,
            Moment::ReleaseToDisk => !exit,
            _ => true,
        }
    }
}
