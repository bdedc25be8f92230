//! Mixes that hand on honest batches and lie in what they say: of echoes, shares and confirms, or to each another thing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;

use crate::crypto::Csprng;
use crate::packet::PeelError;
use crate::round::{Done, EchoError, ListPlace};
use crate::threshold::Share;
use crate::wire::{
    AbortReason, BatchHeader, Confirm, Grounds, ListHeader, Outcome, PeerMessage, Piece, Release, ReleasedShare, Reply,
    Slot, Statement,
};

use super::{Deed, Insider, RogueMix, rogue};

/// What it lies about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lie {
    /// One byte of one echo that it hands back.
    Echo,
    /// A client, whose echo it calls wrong.
    AccuseOfEcho,
    /// The mix before it, whose packet it calls bad.
    AccuseOfLayer,
    /// Its share, which it keeps.
    NoShare,
    /// Its share, in place of which it releases another number.
    WrongShare,
    /// Its confirm, which it keeps.
    NoConfirm,
    /// Its confirm, which is of another transcript.
    WrongConfirm,
    /// The same, and what it shows for it makes that transcript; not all of it is signed.
    ForgedConfirm,
    /// To one mix another list.
    TwoLists,
    /// To one mix another batch header.
    TwoHeaders,
    /// To one mix another header of echoes.
    TwoEchoHeaders,
    /// To one mix another confirm.
    TwoConfirms,
    /// Two verdicts of one round to one mix: the exit as its decision, the entry among the signatures of all.
    TwoVerdicts,
    /// To the entry, or the entry to one mix, another document of the present epoch's number.
    TwoDocuments,
    /// At the entry: to one client another document of the present epoch's number.
    ClientDocuments,
    /// Its confirm goes to one mix alone, and whatever comes is tried on the round's key at once.
    OpenEarly,
}

/// How long behind one verdict the other goes.
const BEHIND: Duration = Duration::from_millis(200);

/// A mix that lies.
pub(super) struct Words {
    lie: Lie,
    rng: Csprng,
    confirmed: BTreeMap<u64, BTreeSet<usize>>,
    shares: BTreeMap<u64, Vec<(u8, [u8; 32])>>,
    acted: bool,
    /// Rounds that it could open before the last confirm had come.
    early: BTreeSet<u64>,
    /// The first round of which it heard anything: confirms of that may have come before it listened.
    first: Option<u64>,
}

impl Words {
    pub(super) fn new(lie: Lie, seed: u64) -> Self {
        let (confirmed, shares, early) = Default::default();
        Self { lie, rng: rogue::rng(seed), confirmed, shares, acted: false, early, first: None }
    }

    /// `other` goes to the last of the other mixes in place of `message`; if there is only one, after it.
    fn otherwise_to_one(&mut self, me: &Insider<'_>, to: usize, message: PeerMessage, other: PeerMessage) -> Vec<Deed> {
        if me.others().last() != Some(to) {
            return vec![Deed::Say(to, message)];
        }
        self.acted = true;
        let first = (me.others().count() == 1).then_some(Deed::Say(to, message));
        first.into_iter().chain([Deed::Say(to, other)]).collect()
    }

    /// Tries what it holds on a round's key.
    fn try_key(&mut self, me: &Insider<'_>, round: u64) {
        if round <= *self.first.get_or_insert(round) {
            return;
        }
        let others = me.network.mixes() - 1;
        let all = self.confirmed.get(&round).is_some_and(|confirmed| confirmed.len() == others);
        let Some(engine) = me.engine.filter(|_| !all) else { return };
        let held = self.shares.get(&round).into_iter().flatten();
        let held = held.map(|(number, share)| (*number, Share::from_bytes(*share)));
        let own = engine.own_share(round).map(|share| (me.place as u8 + 1, share));
        let shares: Vec<_> = held.chain(own).collect();
        self.acted = true;
        if engine.opens_with(round, &shares) {
            self.early.insert(round);
        }
    }
}

fn other_confirm(me: &Insider<'_>, mut confirm: Confirm, grounds: Grounds) -> PeerMessage {
    confirm.transcript.0[0] ^= 1;
    let signature = confirm.sign(me.key);
    PeerMessage::Confirm { confirm, grounds, signature }
}

/// Of a transcript that what is shown for it makes: with a header of another mix, which that mix has not signed.
fn forged_confirm(me: &Insider<'_>, mut confirm: Confirm, mut grounds: Grounds) -> PeerMessage {
    let other = me.others().next().unwrap_or_default();
    grounds.headers.echoes[other].header.digest.0[0] ^= 1;
    let document = me.newest().map(|signed| signed.document.digest());
    let transcript = document.and_then(|document| grounds.transcript(&document, me.network.mixes()));
    confirm.transcript = transcript.unwrap_or(confirm.transcript);
    confirm.grounds = grounds.digest();
    let signature = confirm.sign(me.key);
    PeerMessage::Confirm { confirm, grounds, signature }
}

impl RogueMix for Words {
    fn says(&mut self, me: &Insider<'_>, to: usize, message: PeerMessage) -> Vec<Deed> {
        match (self.lie, message) {
            (Lie::NoShare, PeerMessage::Release { .. }) | (Lie::NoConfirm, PeerMessage::Confirm { .. }) => {
                self.acted = true;
                Vec::new()
            }
            (Lie::WrongShare, PeerMessage::Release { epoch, round, transcript, mut share, .. }) => {
                share.0[self.rng.random_range(0..31)] ^= 1;
                let slot = Slot { network: me.network.id(), epoch, round };
                let signature = Release { slot, transcript, share: ReleasedShare::from_bytes(share.0) }.sign(me.key);
                self.acted = true;
                vec![Deed::Say(to, PeerMessage::Release { epoch, round, transcript, share, signature })]
            }
            (Lie::WrongConfirm, PeerMessage::Confirm { confirm, grounds, .. }) => {
                self.acted = true;
                vec![Deed::Say(to, other_confirm(me, confirm, grounds))]
            }
            (Lie::ForgedConfirm, PeerMessage::Confirm { confirm, grounds, .. }) => {
                self.acted = true;
                vec![Deed::Say(to, forged_confirm(me, confirm, grounds))]
            }
            (Lie::TwoConfirms, PeerMessage::Confirm { confirm, grounds, signature }) => {
                let other = other_confirm(me, confirm.clone(), grounds.clone());
                self.otherwise_to_one(me, to, PeerMessage::Confirm { confirm, grounds, signature }, other)
            }
            (Lie::TwoHeaders, PeerMessage::BatchHeader(signed)) => {
                let mut other: BatchHeader = signed.header.clone();
                other.input.0[0] ^= 1;
                self.otherwise_to_one(
                    me,
                    to,
                    PeerMessage::BatchHeader(signed),
                    PeerMessage::BatchHeader(other.sign(me.key)),
                )
            }
            (Lie::TwoEchoHeaders, PeerMessage::EchoHeader(signed)) => {
                let mut other = signed.header.clone();
                other.digest.0[0] ^= 1;
                self.otherwise_to_one(
                    me,
                    to,
                    PeerMessage::EchoHeader(signed),
                    PeerMessage::EchoHeader(other.sign(me.key)),
                )
            }
            (Lie::TwoEchoHeaders, PeerMessage::Echoes { header, piece }) if me.place == 0 => {
                let mut other = header.header.clone();
                other.digest.0[0] ^= 1;
                let said = PeerMessage::Echoes { header, piece: piece.clone() };
                self.otherwise_to_one(me, to, said, PeerMessage::Echoes { header: other.sign(me.key), piece })
            }
            (Lie::TwoLists, PeerMessage::List { header, piece }) => {
                let mut other: ListHeader = header.header.clone();
                let mut bytes = piece.bytes.to_vec();
                // Another commitment of the first record, under another root.
                bytes[40] ^= 1;
                other.root.0[0] ^= 1;
                let other = PeerMessage::List {
                    header: other.sign(me.key),
                    piece: Piece { bytes: bytes.into(), ..piece.clone() },
                };
                self.otherwise_to_one(me, to, PeerMessage::List { header, piece }, other)
            }
            (Lie::TwoVerdicts, PeerMessage::Decision { verdict, signature }) => {
                let mut other = verdict.clone();
                other.outcome = match verdict.outcome {
                    Outcome::Stored { .. } => Outcome::Aborted(AbortReason::Lost),
                    _ => Outcome::OpenedNotStored,
                };
                let signed = other.sign(me.key);
                self.acted = true;
                vec![
                    Deed::Say(to, PeerMessage::Decision { verdict, signature }),
                    Deed::Say(to, PeerMessage::Decision { verdict: other, signature: signed }),
                ]
            }
            (Lie::TwoVerdicts, PeerMessage::VerdictComplete(signed)) if me.others().last() == Some(to) => {
                let mut other = signed.clone();
                other.verdict.outcome = Outcome::OpenedNotStored;
                other.signatures[me.place] = other.verdict.sign(me.key);
                self.acted = true;
                vec![
                    Deed::Say(to, PeerMessage::VerdictComplete(signed)),
                    // What comes before the verdict that holds contradicts nothing yet.
                    Deed::Later(BEHIND, vec![Deed::Say(to, PeerMessage::VerdictComplete(other))]),
                ]
            }
            (Lie::TwoDocuments, message @ PeerMessage::Confirm { .. }) => {
                let chosen = if me.place == 0 { me.network.mixes() - 1 } else { 0 };
                let newest = me.newest().filter(|_| to == chosen);
                let mut deeds = vec![Deed::Say(to, message)];
                if let Some(mut other) = newest {
                    other.document.proposed_at_ms += 1;
                    other.signatures[me.place] = other.document.sign(me.key);
                    deeds.push(Deed::Say(to, PeerMessage::EpochComplete(other)));
                    self.acted = true;
                }
                deeds
            }
            (Lie::OpenEarly, PeerMessage::Confirm { confirm, grounds, signature }) => {
                let round = confirm.slot.round;
                self.try_key(me, round);
                let told = Deed::Say(to, PeerMessage::Confirm { confirm, grounds, signature });
                if me.others().next() == Some(to) { vec![told] } else { Vec::new() }
            }
            (_, honest) => vec![Deed::Say(to, honest)],
        }
    }

    fn hears(&mut self, me: &Insider<'_>, from: usize, message: PeerMessage) -> (Option<PeerMessage>, Vec<Deed>) {
        if self.lie == Lie::OpenEarly {
            match &message {
                PeerMessage::Confirm { confirm, .. } => {
                    let round = confirm.slot.round;
                    self.try_key(me, round);
                    let confirmed = self.confirmed.entry(round).or_default();
                    confirmed.insert(from);
                    if confirmed.len() + 1 == me.network.mixes() {
                        // The last confirm was on its way: whoever released had heard it.
                        self.early.remove(&round);
                    }
                }
                PeerMessage::Release { round, share, .. } => {
                    self.shares.entry(*round).or_default().push((from as u8 + 1, share.0));
                    self.try_key(me, *round);
                }
                _ => {}
            }
        }
        (Some(message), Vec::new())
    }

    fn answers(&mut self, me: &Insider<'_>, client: u32, reply: Reply) -> Reply {
        let Reply::Ticket(mut ticket) = reply else { return reply };
        let newest = me.newest().filter(|_| self.lie == Lie::ClientDocuments && client == 0);
        if let Some(mut other) = newest {
            other.document.proposed_at_ms += 1;
            other.signatures[me.place] = other.document.sign(me.key);
            ticket.chain.push(other);
            self.acted = true;
        }
        Reply::Ticket(ticket)
    }

    fn finds(&mut self, mut done: Done) -> Done {
        match (self.lie, &mut done) {
            (Lie::Echo, Done::Back { result: Ok(echoes), .. } | Done::FirstEchoes { echoes, .. }) => {
                let (echo, byte) = (self.rng.random_range(0..echoes.len()), self.rng.random_range(0..16));
                echoes[echo][byte] ^= 1 << self.rng.random_range(0..8);
                self.acted = true;
            }
            (Lie::AccuseOfEcho, Done::CheckEchoes { result, .. }) => {
                let client = self.rng.random_range(0..2);
                *result = Err(EchoError::Commitments(vec![ListPlace { client, packet: 0 }]));
                self.acted = true;
            }
            (Lie::AccuseOfLayer, Done::Segment { peeled, .. }) => {
                peeled.result = Err((0, PeelError::BadTag));
                self.acted = true;
            }
            _ => {}
        }
        done
    }

    fn has_acted(&self) -> bool {
        self.acted
    }

    fn loot(&self) -> Option<&'static str> {
        (!self.early.is_empty()).then_some("opened_early")
    }
}
