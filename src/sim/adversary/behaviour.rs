//! The list of attacks: who can make each, and which defence it is that stops it.

use crate::crypto::Defence;

use super::clients::{Mischief, Rascal};
use super::entry::{Choice, Chooser};
use super::keys::{Cheat, Keys};
use super::packets::{Packets, Touch};
use super::words::{Lie, Words};
use super::{RogueClient, RogueMix};

/// An attack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    /// The word on the command line and in reports.
    pub name: &'static str,
    by: By,
    /// Whether fewer than all mixes open a round where it is tried.
    pub fewer_open: bool,
    /// The defence without which it must show, and in which position (0 is the entry) at the least.
    pub control: Option<(Defence, usize)>,
}

#[derive(Clone, Copy, Debug)]
enum By {
    Packets(Touch),
    Words(Lie),
    Keys(Cheat),
    Entry(Choice),
    Client(Mischief),
    /// A client that does something to the mix at each place.
    ClientAt(fn(usize) -> Mischief),
}

/// Who is malicious.
pub(super) enum Villain {
    /// The mix at this place.
    Mix(usize, Box<dyn RogueMix>),
    /// A client.
    Client(Box<dyn RogueClient>),
}

const fn by(name: &'static str, by: By) -> Behaviour {
    Behaviour { name, by, fewer_open: false, control: None }
}

const fn seen(name: &'static str, by: By, defence: Defence, position: usize) -> Behaviour {
    Behaviour { name, by, fewer_open: false, control: Some((defence, position)) }
}

const fn fewer(name: &'static str, by: By) -> Behaviour {
    Behaviour { name, by, fewer_open: true, control: None }
}

/// All of them.
pub(super) const ALL: &[Behaviour] = &[
    by("drop", By::Packets(Touch::Drop)),
    by("garbage", By::Packets(Touch::Garbage)),
    seen("well-made", By::Packets(Touch::WellMade), Defence::EchoCheck, 0),
    seen("duplicate", By::Packets(Touch::Duplicate), Defence::DuplicateCheck, 0),
    by("flip", By::Packets(Touch::Flip)),
    by("top-bit", By::Packets(Touch::TopBit)),
    by("non-canonical-point", By::Packets(Touch::NonCanonical)),
    by("low-order-point", By::Packets(Touch::LowOrder)),
    by("swap-layers", By::Packets(Touch::SwapHeads)),
    by("copied-layer", By::Packets(Touch::CopyBody)),
    by("replay-packet", By::Packets(Touch::ReplayPacket)),
    by("replay-batch", By::Packets(Touch::ReplayBatch)),
    by("wrong-round", By::Packets(Touch::WrongRound)),
    by("wrong-count", By::Packets(Touch::WrongCount)),
    by("twice-one-byte", By::Packets(Touch::TwiceFlipped)),
    seen("twice-well-made", By::Packets(Touch::TwiceWellMade), Defence::OnceRule, 0),
    seen("drop-noise", By::Packets(Touch::DropNoise), Defence::EchoCheck, 1),
    by("cover-noise", By::Packets(Touch::CoverNoise)),
    by("less-noise", By::Packets(Touch::LessNoise)),
    by("too-much-noise", By::Packets(Touch::TooMuchNoise)),
    by("hidden-noise", By::Packets(Touch::HiddenNoise)),
    by("bad-noise", By::Packets(Touch::BadNoise)),
    by("spoiled-echo", By::Words(Lie::Echo)),
    by("lying-accuser-of-echo", By::Words(Lie::AccuseOfEcho)),
    by("lying-accuser-of-layer", By::Words(Lie::AccuseOfLayer)),
    by("withheld-share", By::Words(Lie::NoShare)),
    by("wrong-share", By::Words(Lie::WrongShare)),
    fewer("wrong-share-fewer-open", By::Words(Lie::WrongShare)),
    by("withheld-confirm", By::Words(Lie::NoConfirm)),
    by("wrong-confirm", By::Words(Lie::WrongConfirm)),
    by("forged-confirm", By::Words(Lie::ForgedConfirm)),
    by("two-lists", By::Words(Lie::TwoLists)),
    by("two-headers", By::Words(Lie::TwoHeaders)),
    by("two-echo-headers", By::Words(Lie::TwoEchoHeaders)),
    by("two-confirms", By::Words(Lie::TwoConfirms)),
    by("two-verdicts", By::Words(Lie::TwoVerdicts)),
    by("open-early", By::Words(Lie::OpenEarly)),
    fewer("open-early-fewer-open", By::Words(Lie::OpenEarly)),
    by("wrong-opening", By::Keys(Cheat::Opening)),
    fewer("wrong-sub-shares", By::Keys(Cheat::SubShares)),
    seen("unproven-key", By::Keys(Cheat::Unproven), Defence::ProofOfPossession, 1),
    by("two-proposals", By::Keys(Cheat::Proposals)),
    by("two-documents", By::Words(Lie::TwoDocuments)),
    by("two-documents-to-clients", By::Words(Lie::ClientDocuments)),
    by("leave-one-out", By::Entry(Choice::LeaveOut)),
    by("leave-one-in", By::Entry(Choice::LeaveOneIn)),
    seen("forge-one", By::Entry(Choice::ForgeOne), Defence::MacCheck, 0),
    seen("stuff", By::Entry(Choice::Stuff), Defence::MacCheck, 0),
    by("copied-onion", By::Entry(Choice::CopyOne)),
    by("submit-twice", By::Client(Mischief::Twice)),
    by("bad-layer", By::ClientAt(|place| Mischief::BadLayer(place + 1))),
    by("false-commitment", By::Client(Mischief::BadCommitment)),
    by("bad-macs", By::ClientAt(Mischief::BadMacs)),
    by("client-flip", By::Client(Mischief::Flip)),
    by("client-top-bit", By::Client(Mischief::TopBit)),
    by("client-low-order-point", By::Client(Mischief::LowOrder)),
    by("client-short", By::Client(Mischief::Short)),
];

/// Those named, all if none is, each in every position in a cascade of `mixes`.
pub(super) fn tries(names: &[String], mixes: usize) -> impl Iterator<Item = (&'static Behaviour, usize)> {
    let wanted = |behaviour: &&Behaviour| names.is_empty() || names.iter().any(|name| name == behaviour.name);
    // Fewer than all of two mixes are one, and one alone opens nothing.
    let possible = move |behaviour: &&Behaviour| mixes > 2 || !behaviour.fewer_open;
    let behaviours = ALL.iter().filter(wanted).filter(possible);
    behaviours.flat_map(move |behaviour| behaviour.positions(mixes).into_iter().map(move |place| (behaviour, place)))
}

/// Its place in the list.
pub(super) fn number(behaviour: &Behaviour) -> u64 {
    (0..).zip(ALL).find(|(_, known)| known.name == behaviour.name).map_or(0, |(number, _)| number)
}

impl Behaviour {
    /// Where it can be tried in a cascade of `mixes`: a mix's place, or of a client that attacks one mix that mix's.
    pub(super) fn positions(&self, mixes: usize) -> Vec<usize> {
        let exit = mixes - 1;
        match self.by {
            // The exit opens last: what it does to packets is done when nobody is left to notice.
            // Before the entry nobody adds noise.
            By::Packets(Touch::DropNoise | Touch::CoverNoise | Touch::LessNoise) => (1..exit).collect(),
            By::Packets(_) => (0..exit).collect(),
            By::Words(Lie::TwoLists | Lie::ClientDocuments)
            | By::Keys(Cheat::Proposals)
            | By::Entry(_)
            | By::Client(_) => vec![0],
            By::Words(Lie::OpenEarly) => vec![exit],
            // Of the others' verdicts nobody hears but from the entry.
            By::Words(Lie::TwoVerdicts) => vec![0, exit],
            By::Words(Lie::NoShare | Lie::WrongShare | Lie::TwoHeaders) => (0..exit).collect(),
            By::Words(Lie::AccuseOfLayer) | By::Keys(Cheat::Unproven) => (1..mixes).collect(),
            By::Words(_) | By::Keys(Cheat::Opening | Cheat::SubShares) => (0..mixes).collect(),
            // What is wrong at hop 1 the entry refuses.
            By::ClientAt(_) => (1..mixes).collect(),
        }
    }

    /// Why nobody can be named for it, if so. Whoever signs something false is named in every run.
    pub(super) fn nameless(&self) -> Option<&'static str> {
        Some(match self.by {
            By::Words(Lie::NoShare | Lie::NoConfirm | Lie::OpenEarly) => "it signs nothing that is false",
            By::Keys(Cheat::Opening | Cheat::Unproven | Cheat::Proposals) => {
                "it signs nothing of an attempt that fails"
            }
            By::Packets(Touch::WrongRound) => "the round that it signs for never has a list that would contradict it",
            By::Entry(Choice::LeaveOut | Choice::LeaveOneIn) => "nobody signs who was not there",
            By::Entry(_) => "a MAC convinces one mix and no other",
            By::ClientAt(mischief) if matches!(mischief(1), Mischief::BadMacs(_)) => {
                "a MAC convinces one mix and no other"
            }
            By::Client(Mischief::Twice) => "a client that has lost its disk does the same",
            By::Client(Mischief::Flip | Mischief::TopBit | Mischief::LowOrder | Mischief::Short) => {
                "the entry refuses it before anybody else sees it"
            }
            _ => return None,
        })
    }

    /// Whether it must be there from the very beginning, when the first keys are made.
    pub(super) fn begins_early(&self) -> bool {
        matches!(self.by, By::Keys(_))
    }

    /// Whether it is a client's.
    pub(super) fn is_a_clients(&self) -> bool {
        matches!(self.by, By::Client(_) | By::ClientAt(_))
    }

    /// The villain in `position`.
    pub(super) fn villain(&self, position: usize, seed: u64) -> Villain {
        match self.by {
            By::Packets(touch) => Villain::Mix(position, Box::new(Packets::new(touch, seed))),
            By::Words(lie) => Villain::Mix(position, Box::new(Words::new(lie, seed))),
            By::Keys(cheat) => Villain::Mix(position, Box::new(Keys::new(cheat, seed))),
            By::Entry(choice) => Villain::Mix(position, Box::new(Chooser::new(choice, (seed % 4) as u32, seed))),
            By::Client(mischief) => Villain::Client(Box::new(Rascal::new(mischief, seed))),
            By::ClientAt(mischief) => Villain::Client(Box::new(Rascal::new(mischief(position), seed))),
        }
    }
}
