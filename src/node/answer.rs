//! The answer to a poll: as many places of one size for everybody, with letters or zeros, a piece of it at a time.
//!
//! Mailboxes may be large and their owners slow: what an answer takes of a mix's memory is one piece, not all of it.

use crate::crypto::MailboxId;
use crate::store::{HeldLetter, StoreError};
use crate::wire::{LETTER_HEADER_BYTES, PollAnswer, Reply};

use super::Disk;
use super::chores::Turn;

/// Bytes of a piece, at least one place: what a link takes at a time.
const PIECE_BYTES: usize = 256 << 10;

/// The reply to a request, and behind it, if it is that to a poll, the answer, with its turn, which ends when it has arrived.
pub(super) type Answered = (Reply, Option<(Answer, Turn)>);

/// What is left of an answer.
pub struct Answer {
    mailbox: MailboxId,
    head: PollAnswer,
    /// The first piece, until it is taken.
    first: Vec<u8>,
    /// Behind which letter the next one begins.
    after: u64,
    /// Places in the next ones, and how many of them have letters.
    places: usize,
    letters: usize,
}

impl Answer {
    /// The answer to whoever has the letters of `mailbox` up to `after`. Blocks on the disk.
    ///
    /// # Errors
    /// If the store fails; nothing is lost then.
    pub fn begin(disk: &Disk, mailbox: &MailboxId, after: u64) -> Result<Self, StoreError> {
        let (all, first) = (disk.places(), disk.places().min(in_a_piece(disk.place())));
        let mut piece = Piece::of(disk, first, after);
        let (mut count, mut cursor) = (0, after);
        disk.mailbox().visit(mailbox, after, all, |letter| {
            (count, cursor) = (count + 1, letter.number);
            piece.put(&letter);
        })?;
        let head = PollAnswer { count: (count as u32).to_le_bytes(), cursor: cursor.to_le_bytes() };
        let letters = count - piece.filled;
        Ok(Self { mailbox: *mailbox, head, after: piece.last, first: piece.bytes, places: all - first, letters })
    }

    /// What goes before the places.
    pub fn head(&self) -> PollAnswer {
        self.head.clone()
    }

    /// The first places.
    pub fn take_first(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.first)
    }

    /// Whether no further places follow.
    pub fn is_over(&self) -> bool {
        self.places == 0
    }

    /// The next places, behind the first. Blocks on the disk.
    ///
    /// # Errors
    /// If the store fails, or letters that the head tells of are there no longer: the answer ends without them.
    pub fn next(&mut self, disk: &Disk) -> Result<Vec<u8>, StoreError> {
        let count = self.places.min(in_a_piece(disk.place()));
        let mut piece = Piece::of(disk, count, self.after);
        // Beyond the letters that the head tells of there may be new ones: they are the next answer's.
        disk.mailbox().visit(&self.mailbox, self.after, count.min(self.letters), |letter| piece.put(&letter))?;
        if piece.filled < count.min(self.letters) {
            return Err(StoreError::Gone);
        }
        self.after = piece.last;
        self.places -= count;
        self.letters -= piece.filled;
        Ok(piece.bytes)
    }

    /// All places. Blocks on the disk.
    ///
    /// # Errors
    /// As [`Answer::next`].
    #[cfg(any(test, feature = "sim"))]
    pub fn all(mut self, disk: &Disk) -> Result<Vec<u8>, StoreError> {
        let mut all = self.take_first();
        while !self.is_over() {
            all.extend(self.next(disk)?);
        }
        Ok(all)
    }
}

fn in_a_piece(place: usize) -> usize {
    (PIECE_BYTES / place).max(1)
}

/// Places side by side, of which the first have letters.
struct Piece {
    bytes: Vec<u8>,
    place: usize,
    filled: usize,
    last: u64,
}

impl Piece {
    fn of(disk: &Disk, places: usize, after: u64) -> Self {
        Self { bytes: vec![0; places * disk.place()], place: disk.place(), filled: 0, last: after }
    }

    /// Fills the next place, if there is one left.
    fn put(&mut self, letter: &HeldLetter<'_>) {
        let Some(place) = self.bytes.chunks_exact_mut(self.place).nth(self.filled) else { return };
        let (header, body) = place.split_at_mut(LETTER_HEADER_BYTES);
        header[..8].copy_from_slice(&letter.epoch.to_le_bytes());
        header[8..].copy_from_slice(&letter.round.to_le_bytes());
        body.copy_from_slice(letter.letter);
        self.filled += 1;
        self.last = letter.number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Geometry;
    use crate::sim::Plan;
    use crate::store::Store;
    use crate::wire::{Members, Outcome, Record, StoredLetter, Verdict};

    const LETTERS: usize = 7;

    /// The disk of an exit whose polls have `places` places, of letters so large that two fill a piece, and what is in its
    /// one mailbox.
    fn filled(places: u32) -> (Disk, MailboxId, Vec<StoredLetter>) {
        let (network, ..) = Plan::default().network();
        let geometry = Geometry::new(3, 100 << 10).expect("in range");
        let parameters = crate::wire::Parameters { poll_letters: places, ..network.parameters.clone() };
        let disk = Disk::new(Store::memory(), geometry, &parameters);
        let mailbox = network.roster.mailboxes[0].id;
        let letters = (0..LETTERS).map(|number| StoredLetter {
            epoch: 1,
            round: 3,
            letter: vec![1 + number as u8; geometry.letter()].into(),
        });
        let letters: Vec<StoredLetter> = letters.collect();
        let verdict = Verdict {
            network: network.id(),
            epoch: 1,
            round: 3,
            members: Members::none(4),
            outcome: Outcome::Stored { refused: 0 },
        };
        let addressed = letters.iter().map(|letter| (mailbox, letter.clone())).collect();
        disk.persist(Record::Decided { verdict, letters: addressed }).expect("memory");
        (disk, mailbox, letters)
    }

    #[test]
    fn an_answer_has_all_places_in_pieces_and_its_head_tells_of_the_letters() {
        for places in [1, 2, 3, 6, 7, 8, 20] {
            let (disk, mailbox, letters) = filled(places);
            let (mut after, mut got) = (0, Vec::new());
            loop {
                let mut answer = Answer::begin(&disk, &mailbox, after).expect("memory");
                let head = answer.head();
                let (count, mut bytes) = (u32::from_le_bytes(head.count) as usize, answer.take_first());
                while !answer.is_over() {
                    let piece = answer.next(&disk).expect("memory");
                    assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES);
                    bytes.extend(piece);
                }
                assert_eq!(bytes.len(), places as usize * disk.place(), "letters or none");
                let (filled, empty) = bytes.split_at(count * disk.place());
                assert!(empty.iter().all(|byte| *byte == 0));
                got.extend(filled.chunks_exact(disk.place()).map(<[u8]>::to_vec));
                if count == 0 {
                    assert_eq!(u64::from_le_bytes(head.cursor), after);
                    break;
                }
                after = u64::from_le_bytes(head.cursor);
            }
            assert_eq!(got.len(), LETTERS);
            for (got, letter) in got.iter().zip(&letters) {
                let (header, body) = got.split_at(LETTER_HEADER_BYTES);
                assert_eq!(header, [1u64.to_le_bytes(), 3u64.to_le_bytes()].concat());
                assert_eq!(body, letter.letter);
            }
        }
    }

    #[test]
    fn letters_that_are_gone_before_their_piece_end_the_answer() {
        let (disk, mailbox, _) = filled(7);
        let mut answer = Answer::begin(&disk, &mailbox, 0).expect("memory");
        let all = u64::from_le_bytes(answer.head().cursor);
        assert_eq!(answer.take_first().len(), 2 * disk.place());
        disk.acknowledge(&std::collections::BTreeMap::from([(mailbox, all)])).expect("memory");
        assert!(matches!(answer.next(&disk), Err(StoreError::Gone)));
    }
}
