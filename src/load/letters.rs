//! What the clients write to each other, and the proof that it came.

use rand::{Rng, SeedableRng};

use crate::crypto::{Agreement, Backend, Csprng};
use crate::packet::{Body, Kind, MessageId, RoundContext, open_letter};
use crate::wire::LETTER_HEADER_BYTES;

use super::Crew;

/// Who writes to whom.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Traffic {
    /// Each to the next, the last to the first: every mailbox gets as much as every client sends.
    #[default]
    Ring,
    /// The first to the second, all others to themselves: the benchmark of the first description.
    Pair,
}

impl Traffic {
    /// The place of the recipient of what the member at `place` of `all` sends.
    pub(super) fn recipient(self, place: usize, all: usize) -> usize {
        match self {
            Traffic::Ring => (place + 1) % all,
            Traffic::Pair if place == 0 => 1 % all,
            Traffic::Pair => place,
        }
    }

    /// The places of those who send to the member at `place` of `all`.
    pub(super) fn senders(self, place: usize, all: usize) -> Vec<usize> {
        let near = match self {
            Traffic::Ring => [(place + all - 1) % all, place],
            Traffic::Pair => [0, place],
        };
        let mut senders: Vec<usize> = near.into_iter().filter(|from| self.recipient(*from, all) == place).collect();
        senders.dedup();
        senders
    }
}

/// One message: who sent it in which round, and which of the packets of the round it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Message {
    /// The sender's place in the crew.
    pub from: u32,
    /// The round.
    pub round: u64,
    /// The packet.
    pub packet: u32,
}

impl Message {
    fn id(self) -> MessageId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.from.to_le_bytes());
        id[4..12].copy_from_slice(&self.round.to_le_bytes());
        id[12..].copy_from_slice(&self.packet.to_le_bytes());
        MessageId(id)
    }

    fn of(id: &MessageId) -> Self {
        let four = |at: usize| u32::from_le_bytes(*id.0[at..].first_chunk().expect("an id has 16 bytes"));
        let round = u64::from_le_bytes(*id.0[4..].first_chunk().expect("an id has 16 bytes"));
        Self { from: four(0), round, packet: four(12) }
    }

    /// Its bytes, as many as `data` has: they follow from which message it is, so nothing need be kept to compare with.
    pub(super) fn write(self, data: &mut [u8]) {
        let mut seed = [0; 32];
        seed[..16].copy_from_slice(&self.id().0);
        Csprng::from_seed(seed).fill_bytes(data);
    }

    /// Its body around `data`.
    pub(super) fn body(self, expiry: u64, data: &[u8]) -> Body<'_> {
        Body { kind: Kind::Fragment, message: self.id(), index: 0, count: 1, expiry, sender: None, data }
    }
}

/// What an answer of the exit held for one member.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Messages that are what was sent.
    pub messages: Vec<Message>,
    /// Letters that do not open, or are not what was sent.
    pub wrong: u64,
}

/// Opens the letters of an answer to the member at `place` and compares each with what was sent to it.
pub(super) fn check(crew: &Crew, traffic: Traffic, bytes: usize, place: usize, letters: &mut [u8]) -> Checked {
    let own: Agreement = crew.members[place].secrets.letter.prepare(Backend::default());
    let network = crew.network.id();
    let mut checked = Checked::default();
    let mut expected = vec![0; bytes];
    for letter in letters.chunks_exact_mut(LETTER_HEADER_BYTES + crew.geometry.letter()) {
        let (header, letter) = letter.split_at_mut(LETTER_HEADER_BYTES);
        let eight = |at: usize| u64::from_le_bytes(*header[at..].first_chunk().expect("a header has 16 bytes"));
        let context = RoundContext { network, epoch: eight(0), round: eight(8) };
        let opened = open_letter(crew.geometry, &context, &own, letter).ok();
        if opened.as_ref().is_some_and(|opened| opened.body.kind == Kind::Dummy) {
            // The mixes' noise.
            continue;
        }
        let message = opened.and_then(|opened| {
            let message = Message::of(&opened.body.message);
            message.write(&mut expected);
            let meant = (message.from as usize) < crew.len()
                && traffic.recipient(message.from as usize, crew.len()) == place
                && message.round == context.round;
            (meant && opened.body.data == expected).then_some(message)
        });
        match message {
            Some(message) => checked.messages.push(message),
            None => checked.wrong += 1,
        }
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_which_message_it_is() {
        let message = Message { from: 9, round: 1 << 40, packet: 157 };
        assert_eq!(Message::of(&message.id()), message);
    }

    #[test]
    fn everybody_gets_what_was_sent_to_it() {
        for (traffic, recipients) in [(Traffic::Ring, [1, 2, 3, 0]), (Traffic::Pair, [1, 1, 2, 3])] {
            assert_eq!([0, 1, 2, 3].map(|place| traffic.recipient(place, 4)), recipients);
            for place in 0..4 {
                let senders: Vec<usize> = (0..4).filter(|from| recipients[*from] == place).collect();
                assert_eq!(traffic.senders(place, 4), senders, "{traffic:?} {place}");
            }
        }
    }
}
