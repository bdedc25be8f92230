//! What goes wrong.

use std::time::Duration;

use crate::crypto::{Digest, IdentityKey};
use crate::packet::{Geometry, PeelError};
use crate::round::{Done, EchoError, ListPlace};
use crate::wire::{Exhibit, PeerMessage, Release, ReleasedShare, Slot, Statement, SubShares};

/// What every link does to its messages. Links are reliable while they stand, as QUIC's are: a message lost for good
/// means a link that breaks and is made anew.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Least delay of a message.
    pub latency: Duration,
    /// Random addition to it, drawn for each message: messages overtake each other.
    pub jitter: Duration,
    /// Probability that a message breaks its link, which loses whatever is on its way.
    pub loss: f64,
    /// Probability that a message between mixes comes twice.
    pub duplication: f64,
    /// How long a broken link takes to come back, at most.
    pub outage: Duration,
    /// How long the second of its ends takes to notice that a link is gone, at most.
    pub unnoticed: Duration,
    /// How long a job takes, at most: jobs overtake each other.
    pub work: Duration,
    /// Packets of a batch that are handed over together; a link may break between two such pieces.
    pub segment: usize,
    /// Whether clocks begin anywhere at each start, and calendars are wrong by years.
    pub clocks: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(5),
            jitter: Duration::from_millis(5),
            loss: 0.0,
            duplication: 0.0,
            outage: Duration::from_millis(500),
            unnoticed: Duration::ZERO,
            work: Duration::ZERO,
            segment: 64,
            clocks: false,
        }
    }
}

/// What a malicious mix does to the packets of a batch before it signs and sends them, or to what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malice {
    /// Flips a bit of this byte of the first packet.
    Flip {
        /// The byte.
        byte: usize,
    },
    /// Sends the first packet twice, in place of the second.
    Duplicate,
    /// Replaces the first packet by noise.
    Replace,
    /// Drops the first packet and signs the lower count.
    Drop,
    /// Announces one packet more than it sends.
    Overcount,
    /// Sends another batch for a round after the first was taken.
    RunTwice,
    /// Opens with the packets in the order of arrival reversed; harmless to everybody but who trusts this mix.
    Reverse,
    /// Replaces the first packet by a well-made one of its own: no layer behind it fails.
    Substitute,
    /// Names an absent client in the place of one whose packets are in its batch.
    OtherMembers,
    /// Keeps its share of every round to itself.
    WithholdShare,
    /// Confirms no round.
    WithholdConfirm,
    /// Confirms another transcript than its engine.
    OtherConfirm,
    /// Releases another number than its share.
    WrongShare,
    /// Shows another part of the joint keys than it committed to, as who waits for the others' parts to choose its own would.
    WrongOpening,
    /// Deals numbers that its own commitments contradict.
    WrongSubShare,
    /// Hands back another echo for the first packet.
    SpoilEcho,
    /// Says that the first published echo is wrong, whatever it is.
    LieOfEcho,
    /// Says that the first packet it took in did not open.
    LieOfLayer,
}

impl Malice {
    /// Does it to `packets`, W bytes each: to the first two that are not the mix's own, which stand `at` these places.
    pub fn touch(self, geometry: Geometry, packets: &mut Vec<Vec<u8>>, at: [usize; 2]) {
        let [first, second] = at;
        match self {
            Malice::Flip { byte } => packets[first][byte % geometry.packet()] ^= 1,
            Malice::Duplicate => packets[second] = packets[first].clone(),
            Malice::Replace => {
                packets[first].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
            }
            Malice::Drop => drop(packets.remove(first)),
            Malice::Reverse => packets.reverse(),
            _ => {}
        }
    }

    /// Whether it hands on other batches than its engine makes.
    fn changes_batches(self) -> bool {
        use Malice::{LieOfEcho, LieOfLayer, OtherConfirm, SpoilEcho, WithholdConfirm};
        use Malice::{WithholdShare, WrongOpening, WrongShare, WrongSubShare};
        let says_wrong = matches!(self, WithholdShare | WithholdConfirm | OtherConfirm | WrongShare | WrongOpening);
        !says_wrong && !matches!(self, WrongSubShare | SpoilEcho | LieOfEcho | LieOfLayer)
    }

    /// What its engine is told of a job, so that it signs what is false.
    pub fn misreport(self, mut done: Done) -> Done {
        match (self, &mut done) {
            (Malice::SpoilEcho, Done::Back { result: Ok(echoes), .. } | Done::FirstEchoes { echoes, .. }) => {
                echoes[0][0] ^= 1;
            }
            (Malice::LieOfEcho, Done::CheckEchoes { result, .. }) => {
                *result = Err(EchoError::Commitments(vec![ListPlace { client: 0, packet: 0 }]));
            }
            (Malice::LieOfLayer, Done::Segment { peeled, .. }) => peeled.result = Err((0, PeelError::BadTag)),
            _ => {}
        }
        done
    }

    /// What it says in place of `message`, if anything; `key` and `network` sign.
    pub fn say(self, message: PeerMessage, key: &IdentityKey, network: &Digest, to: usize) -> Option<PeerMessage> {
        match (self, message) {
            // Of a batch that it changes it tells when it has, and nobody is told what its engine thinks of it.
            (
                malice,
                PeerMessage::BatchHeader(_)
                | PeerMessage::Headers(_)
                | PeerMessage::Evidence { .. }
                | PeerMessage::Accusation { .. }
                | PeerMessage::Show { exhibit: Exhibit::Batch { .. }, .. },
            ) if malice.changes_batches() => None,
            (Malice::WithholdShare, PeerMessage::Release { .. }) => None,
            (Malice::WithholdConfirm, PeerMessage::Confirm { .. }) => None,
            (Malice::OtherConfirm, PeerMessage::Confirm { mut confirm, grounds, .. }) => {
                confirm.transcript.0[0] ^= 1;
                let signature = confirm.sign(key);
                Some(PeerMessage::Confirm { confirm, grounds, signature })
            }
            (Malice::WrongShare, PeerMessage::Release { epoch, round, transcript, mut share, .. }) => {
                share.0[0] ^= 1;
                let slot = Slot { network: *network, epoch, round };
                let release = Release { slot, transcript, share: ReleasedShare::from_bytes(share.0) };
                let signature = release.sign(key);
                Some(PeerMessage::Release { epoch, round, transcript, share, signature })
            }
            (Malice::WrongOpening, PeerMessage::EpochOpening { epoch, mut opening }) => {
                opening[0] ^= 1;
                Some(PeerMessage::EpochOpening { epoch, opening })
            }
            (Malice::WrongSubShare, PeerMessage::EpochSubShares(mut dealt)) => {
                dealt.values[0].0[0] ^= 1;
                let SubShares { epoch, dealing, values, .. } = dealt;
                let again = SubShares::sign(key, network, epoch, dealing, to as u8 + 1, values);
                Some(PeerMessage::EpochSubShares(again))
            }
            (_, honest) => Some(honest),
        }
    }
}
