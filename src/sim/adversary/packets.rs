//! Mixes that do something to the packets of a batch before they hand it on.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::crypto::Csprng;
use crate::round::{Done, PeeledSegment};
use crate::wire::{BatchHeader, PeerMessage, SignedBatchHeader};

use super::follow::Follow;
use super::{Deed, Insider, RogueMix, rogue};

/// What it does to one packet, or to the batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Touch {
    /// Leaves it out and signs the lower count.
    Drop,
    /// Puts random bytes in its place.
    Garbage,
    /// Puts a well-made packet of its own in its place.
    WellMade,
    /// Puts another packet of the batch in its place.
    Duplicate,
    /// Flips a bit of one of its bytes, any of them.
    Flip,
    /// Sets the bit of its ephemeral key that X25519 ignores.
    TopBit,
    /// Gives it an ephemeral key above the field's prime.
    NonCanonical,
    /// Gives it an ephemeral key of low order.
    LowOrder,
    /// Swaps the heads of two packets.
    SwapHeads,
    /// Puts what another packet holds under its head: an inner layer under another's outer one.
    CopyBody,
    /// Puts a packet of the round before in its place.
    ReplayPacket,
    /// Hands on the batch of the round before.
    ReplayBatch,
    /// Signs the batch as that of the next round.
    WrongRound,
    /// Announces one packet more than there are.
    WrongCount,
    /// Puts a well-made packet of its own in the place of noise of the mix before.
    DropNoise,
    /// Puts another packet of the batch in the place of noise of the mix before.
    CoverNoise,
    /// Leaves out all noise that it knows, and says that there is less of it.
    LessNoise,
    /// Adds one packet more than it may, and says so.
    TooMuchNoise,
    /// Adds one packet more than it says.
    HiddenNoise,
    /// Flips a bit of its own noise, which its engine does not know.
    BadNoise,
    /// Hands on the honest batch, breaks the link, and hands it on again with one byte changed.
    TwiceFlipped,
    /// Hands on the honest batch, and soon after it, while it is mixed, another with one packet replaced by a well-made one.
    TwiceWellMade,
}

/// The field's prime plus 2: a point's second spelling.
const ABOVE: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xef;
    bytes[31] = 0x7f;
    bytes
};
/// A point of order 8.
const ORDER_8: [u8; 32] = [
    0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d,
    0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
];
/// How long after the first batch the second goes, at most: from before the first has arrived to when it has been mixed.
const SECOND: u64 = 80;

/// A mix that touches packets.
pub(super) struct Packets {
    touch: Touch,
    rng: Csprng,
    last: Option<Vec<Vec<u8>>>,
    /// Its own noise, which is its to change, and that of the mix before as it hands it on.
    own: BTreeSet<Vec<u8>>,
    theirs: BTreeSet<Vec<u8>>,
    /// The ephemeral keys of noise that others have made.
    heads: BTreeSet<[u8; 32]>,
    follow: Follow,
    /// Rounds that it has handed on in two ways: what its engine says again when a link is back is the first.
    twice: BTreeSet<u64>,
    acted: bool,
}

impl Packets {
    pub(super) fn new(touch: Touch, seed: u64) -> Self {
        let (own, theirs, heads, twice) = Default::default();
        let (rng, follow) = (rogue::rng(seed), Follow::default());
        Self { touch, rng, last: None, own, theirs, heads, follow, twice, acted: false }
    }

    fn change(&mut self, me: &Insider<'_>, round: u64, packets: &mut Vec<Vec<u8>>) -> Option<()> {
        let others: Vec<usize> = (0..packets.len()).filter(|at| !self.own.contains(&packets[*at])).collect();
        let at = self.rng.random_range(0..others.len());
        let other = (at + self.rng.random_range(1..others.len())) % others.len();
        let (at, other) = (others[at], others[other]);
        // Between processes nobody tells it what the mix before has added: it guesses.
        let noise = packets.iter().position(|packet| self.theirs.contains(packet));
        match self.touch {
            Touch::Drop => drop(packets.remove(at)),
            Touch::Garbage => self.rng.fill_bytes(&mut packets[at]),
            Touch::WellMade | Touch::TwiceWellMade => packets[at] = me.packet(&mut self.rng, round)?,
            Touch::Duplicate => packets[at] = packets[other].clone(),
            Touch::Flip | Touch::TwiceFlipped => {
                let byte = self.rng.random_range(0..packets[at].len());
                packets[at][byte] ^= 1 << self.rng.random_range(0..8);
            }
            Touch::TopBit => packets[at][31] ^= 0x80,
            Touch::NonCanonical => packets[at][..32].copy_from_slice(&ABOVE),
            Touch::LowOrder => {
                let point = if self.rng.random() { [0; 32] } else { ORDER_8 };
                packets[at][..32].copy_from_slice(&point);
            }
            Touch::SwapHeads => {
                let (mut a, mut b) = (packets[at].clone(), packets[other].clone());
                a[..48].swap_with_slice(&mut b[..48]);
                (packets[at], packets[other]) = (a, b);
            }
            Touch::CopyBody => {
                let body = packets[other][48..].to_vec();
                packets[at][48..].copy_from_slice(&body);
            }
            Touch::ReplayPacket => packets[at] = self.last.as_ref()?.first()?.clone(),
            Touch::ReplayBatch => *packets = self.last.clone().filter(|last| last.len() == packets.len())?,
            Touch::DropNoise => packets[noise.unwrap_or(at)] = me.packet(&mut self.rng, round)?,
            Touch::CoverNoise => {
                let noise = noise.unwrap_or(at);
                let others: Vec<_> = others.into_iter().filter(|other| *other != noise).collect();
                packets[noise] = packets[others[self.rng.random_range(0..others.len())]].clone();
            }
            Touch::LessNoise => {
                let one = packets[noise.unwrap_or(at)].clone();
                let leaves =
                    |packet: &Vec<u8>| *packet == one || self.own.contains(packet) || self.theirs.contains(packet);
                packets.retain(|packet| !leaves(packet));
            }
            Touch::TooMuchNoise | Touch::HiddenNoise => packets.push(me.packet(&mut self.rng, round)?),
            // Done before its engine signs for the batch.
            Touch::BadNoise => return None,
            Touch::WrongRound | Touch::WrongCount => {}
        }
        Some(())
    }
}

impl RogueMix for Packets {
    fn says(&mut self, _me: &Insider<'_>, to: usize, message: PeerMessage) -> Vec<Deed> {
        match message {
            // Which batch it hands on it tells when it has made it.
            PeerMessage::BatchHeader(_) => Vec::new(),
            other => self.follow.says(to, other),
        }
    }

    fn hands_on(&mut self, me: &Insider<'_>, header: SignedBatchHeader, packets: Vec<Vec<u8>>) -> Vec<Deed> {
        let round = header.header.round;
        if self.twice.contains(&round) {
            return vec![Deed::HandOn(header, packets)];
        }
        let honest = packets.clone();
        let mut changed = packets;
        let done = self.change(me, round, &mut changed);
        self.last = Some(honest.clone());
        let told = |header: &SignedBatchHeader| me.tell_all(&PeerMessage::BatchHeader(header.clone()));
        if done.is_none() || changed.is_empty() {
            let mut deeds = told(&header);
            deeds.push(Deed::HandOn(header, honest));
            return deeds;
        }
        self.acted = true;
        let mut second = me.sign(&header.header, &changed);
        if matches!(self.touch, Touch::TwiceFlipped | Touch::TwiceWellMade) {
            self.twice.insert(round);
            let mut deeds = told(&header);
            let after = Duration::from_millis(self.rng.random_range(11..SECOND));
            let again = vec![Deed::HandOn(second, changed)];
            deeds.push(Deed::HandOn(header, honest));
            let again = match self.touch {
                Touch::TwiceFlipped => vec![Deed::Cut(again)],
                _ => again,
            };
            deeds.push(Deed::Later(after, again));
            return deeds;
        }
        self.follow.round(me, round);
        match self.touch {
            Touch::WrongRound => second = BatchHeader { round: round + 1, ..second.header }.sign(me.key),
            Touch::LessNoise => {
                let listed = me.network.listed(second.header.members.count());
                second = BatchHeader { noise: second.header.count - listed, ..second.header }.sign(me.key);
            }
            Touch::TooMuchNoise => {
                second = BatchHeader { noise: second.header.noise + 1, ..second.header }.sign(me.key);
            }
            Touch::WrongCount => second = BatchHeader { count: second.header.count + 1, ..second.header }.sign(me.key),
            _ => {}
        }
        let mut deeds = told(&second);
        deeds.push(Deed::HandOn(second, changed));
        deeds
    }

    fn hears(&mut self, me: &Insider<'_>, from: usize, message: PeerMessage) -> (Option<PeerMessage>, Vec<Deed>) {
        self.follow.hears(me, from, message)
    }

    fn overhears(&mut self, noise: &[u8]) {
        self.heads.extend(noise.first_chunk::<32>());
    }

    fn finds(&mut self, mut done: Done) -> Done {
        match &mut done {
            Done::Segment { peeled: PeeledSegment { slots, result: Ok(()), .. }, .. } => {
                let noise = (0..slots.len()).filter(|slot| self.heads.contains(&slots.ephemeral(*slot)));
                self.theirs.extend(noise.map(|slot| slots.peeled(slot).to_vec()));
            }
            Done::Shuffled { batch, digest, .. } => {
                let spoilt = batch.noise().next().map(|(place, _)| place);
                if let Some(spoilt) = spoilt.filter(|_| self.touch == Touch::BadNoise) {
                    let byte = self.rng.random_range(0..batch.geometry().packet());
                    if let Some(packet) = batch.packets_mut().nth(spoilt as usize) {
                        packet[byte] ^= 1;
                    }
                    *digest = batch.digest();
                    self.acted = true;
                }
                self.own.extend(batch.noise().map(|(_, packet)| packet.to_vec()));
            }
            _ => {}
        }
        done
    }

    fn has_acted(&self) -> bool {
        self.acted
    }
}
