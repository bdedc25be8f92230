//! What is explored: who is there, what goes wrong, and what a control turns.

use mixnet::crypto::Digest;
use mixnet::round::seal::{Ending, Message, Position};
use mixnet::wire::Mismatch;

/// What kind of world is explored.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) mixes: usize,
    pub(crate) threshold: usize,
    pub(crate) malicious: Option<usize>,
    /// Somebody may find a mismatch, and time-outs fire.
    pub(crate) trouble: bool,
    /// How often one mix may crash, and all together.
    pub(crate) crashes: (u8, u8),
    pub(crate) knob: Knob,
    /// Every word is heard by itself, at every moment: the same search without its short cut.
    pub(crate) word_by_word: bool,
    /// The violation that a control looks for, passing by any other.
    pub(crate) sought: Option<&'static str>,
}

/// What a control does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Knob {
    Sound,
    /// What follows from a fact is said before the fact is on disk.
    SayBeforeDisk,
    /// A crash takes the disk's facts with it.
    ForgetfulDisk,
    /// Round keys survive a crash, and the mix goes on with them.
    KeysOnDisk,
    /// The next mix's confirm is taken for granted.
    OneConfirmLess,
    /// The next mix's burn is taken for granted.
    OneBurntLess,
}

/// The transcript that honest mixes find, and another, under which a malicious mix can make echoes look good.
pub(crate) const A: Digest = Digest([0xa; 32]);
pub(crate) const B: Digest = Digest([0xb; 32]);
pub(crate) const ENDINGS: [Ending; 3] = [Ending::Stored, Ending::Aborted, Ending::OpenedNotStored];
impl Plan {
    pub(crate) fn honest(mixes: usize) -> Self {
        Self {
            mixes,
            threshold: mixes,
            malicious: None,
            trouble: true,
            crashes: (0, 0),
            knob: Knob::Sound,
            word_by_word: false,
            sought: None,
        }
    }

    pub(crate) fn is_honest(&self, mix: usize) -> bool {
        self.malicious != Some(mix)
    }

    pub(crate) fn has_honest_exit(&self) -> bool {
        self.is_honest(self.mixes - 1)
    }

    pub(crate) fn needs_all(&self) -> bool {
        self.threshold == self.mixes
    }

    pub(crate) fn position(&self, own: usize) -> Position {
        Position { own, mixes: self.mixes, threshold: self.threshold }
    }

    /// Everything that an honest mix can ever say.
    pub(crate) fn vocabulary(&self) -> Vec<Message> {
        let mut all = vec![Message::Confirm(A), Message::Share, Message::Burnt, Message::OnionKey];
        all.extend(ENDINGS.map(Message::Ending));
        all.push(Message::Accusation(Mismatch::Echo { place: 0 }));
        if let Some(liar) = self.malicious {
            all.push(Message::Confirm(B));
            let hops = 1..=self.mixes as u8;
            all.extend(hops.map(|hop| Message::Accusation(Mismatch::Transcript { hop })));
            all.push(Message::Accusation(Mismatch::Equivocation { hop: liar as u8 + 1 }));
        }
        all
    }
}
