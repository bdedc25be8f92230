//! What a letter costs at the exit's disk: one durable commit a round, and the polls that fetch it.
//!
//! `cargo bench --bench store`; writes `target/bench/store.json`. Wall-clock time, as a disk's is not a processor's. The floor is a
//! file to which the same bytes are appended and synchronised: no index, no quota, nothing can be deleted from it.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use mixnet::crypto::{Csprng, Digest, MailboxId};
use mixnet::sim::{Contest, wall_time, write_raw_data};
use mixnet::store::{Decisions, Mailbox, MapLimits, Store};
use mixnet::wire::{Members, Outcome, Record, StoredLetter, Verdict};
use rand::{Rng, SeedableRng};

/// Letters of a round, and the mailboxes that they go to.
const LETTERS: usize = 10_000;
const MAILBOXES: usize = 1_000;
const LETTER_BYTES: usize = 2_048;
/// Letters in an answer to a poll.
const ANSWER: usize = 16;

/// An exit's disk.
struct Exit {
    decisions: Decisions,
    mailbox: Mailbox,
    mailboxes: Vec<MailboxId>,
    letter: Bytes,
    round: u64,
}

fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rng = Csprng::seed_from_u64(1);
    let mut letter = vec![0; LETTER_BYTES];
    rng.fill_bytes(&mut letter);

    let mut exit = Exit::new(dir.path(), &mut rng, &letter);
    exit.check();
    let mut reading = Exit::new(&dir.path().join("read"), &mut rng, &letter);
    reading.decide();

    let floor = dir.path().join("floor");
    let mut contest = Contest::default();
    let floor = contest.add("append and synchronise a file", LETTERS, &[], || append(&floor, &letter));
    contest.add("store in one durable commit", LETTERS, &[floor], || {
        let took = exit.decide();
        exit.acknowledge();
        took
    });
    contest.add("answer polls", LETTERS, &[], || wall_time(|| assert_eq!(reading.poll(), LETTERS)));
    let rows = contest.run();
    rows.iter().for_each(|row| println!("{row}"));
    write_raw_data(&rows, "cargo bench --bench store", Path::new("target/bench/store.json")).expect("a file");
}

impl Exit {
    fn new(dir: &Path, rng: &mut Csprng, letter: &[u8]) -> Self {
        let store = Store::lmdb(&dir.join("store"), MapLimits::default()).expect("a store");
        let mut mailbox = || {
            let mut id = [0; 16];
            rng.fill_bytes(&mut id);
            MailboxId(id)
        };
        let mailboxes = (0..MAILBOXES).map(|_| mailbox()).collect();
        let decisions = Decisions::new(store.clone(), u32::MAX, 1_000);
        Self { decisions, mailbox: Mailbox::new(store), mailboxes, letter: Bytes::copy_from_slice(letter), round: 0 }
    }

    /// Stores a round.
    fn decide(&mut self) -> Duration {
        self.round += 1;
        let (epoch, round) = (1, self.round);
        let letters = self.mailboxes.iter().cycle().take(LETTERS);
        let letters = letters.map(|mailbox| (*mailbox, StoredLetter { epoch, round, letter: self.letter.clone() }));
        let letters = letters.collect();
        let outcome = Outcome::Stored { refused: 0 };
        let verdict = Verdict { network: Digest([1; 32]), epoch, round, members: Members::none(MAILBOXES), outcome };
        let mut written = None;
        let took = wall_time(|| written = self.decisions.apply(Record::Decided { verdict, letters }).expect("room"));
        assert_eq!(written.map(|verdict| verdict.outcome), Some(outcome), "every letter has its place");
        took
    }

    /// Fetches every mailbox's first answer, and says how many letters that were.
    fn poll(&self) -> usize {
        let polls = self.mailboxes.iter().map(|mailbox| self.mailbox.poll(mailbox, 0, ANSWER).expect("a read").len());
        polls.sum()
    }

    fn acknowledge(&self) {
        self.mailboxes.iter().for_each(|mailbox| self.mailbox.acknowledge(mailbox, u64::MAX).expect("a deletion"));
    }

    /// What is stored comes out, and is gone once it is acknowledged.
    fn check(&mut self) {
        self.decide();
        let letters = self.mailbox.poll(&self.mailboxes[0], 0, ANSWER).expect("a read");
        assert_eq!(letters.len(), LETTERS / MAILBOXES);
        assert!(letters.iter().all(|(_, stored)| stored.letter == self.letter));
        self.acknowledge();
        assert_eq!(self.poll(), 0);
    }
}

fn append(path: &Path, letter: &[u8]) -> Duration {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path).expect("a file");
    wall_time(|| {
        (0..LETTERS).for_each(|_| file.write_all(letter).expect("room"));
        file.sync_data().expect("a disk");
    })
}
