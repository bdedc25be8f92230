//! Stores as programs of each format have written them, in `tests/stores`: a line for each row, table, key and value in
//! hexadecimal. Every format stays readable, and the newest is what this program writes, byte for byte.
//!
//! After a change of the format `STORES=overwrite cargo test --lib store::tests::fixtures` writes the newest files;
//! those of older formats stay.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use data_encoding::HEXLOWER;

use super::*;
use crate::crypto::{Identity, PublicKey, Signature};
use crate::wire::{AbortReason, Bond, Record, SignedVerdict};

const FORMAT: u32 = 4;
/// From this one on documents are kept.
const CHAINED: u32 = 3;
const LIMITS: InboxLimits =
    InboxLimits { payload: 4, max_message: 40, partials: 9, partial_bytes: 99, retention: 10, bytes: u64::MAX };

fn path(format: u32, role: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "stores", &format!("{role}-{format}.txt")].iter().collect()
}

fn dump(kv: &dyn Kv) -> String {
    let mut text = String::new();
    for table in Table::ALL {
        kv.scan(table, &[], &mut |key, value| {
            let _ = writeln!(text, "{table} {} {}", HEXLOWER.encode(key), HEXLOWER.encode(value));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    }
    text
}

fn load(text: &str, kv: &dyn Kv) {
    let row = |line: &str| {
        let [table, key, value] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let table = Table::ALL.into_iter().find(|known| known.to_string() == table).unwrap();
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).unwrap();
        Change::Put { table, key: bytes(key), value: bytes(value).into() }
    };
    kv.commit(text.lines().map(row).collect()).unwrap();
}

/// A store of every kind of row that a mix writes.
fn write_mix(store: &Store) {
    let decisions = Decisions::new(store.clone(), 2, HISTORY);
    let records = [
        Record::EpochSigned { epoch: 2, digest: Digest([5; 32]) },
        Record::Epoch(document(1, 0)),
        Record::Epoch(document(2, 1)),
        Record::Opened { round: 9 },
        Record::Sealed { round: 10, bond: Bond::Released { members: Digest([6; 32]) } },
        Record::Sealed { round: 11, bond: Bond::Burning { confirmed: false } },
        // Late, of a disk that first failed.
        Record::Sealed { round: 11, bond: Bond::Confirmed },
        Record::Convicted { party: Identity([8; 32]), evidence: vec![1, 2, 3] },
        Record::Convicted { party: Identity([9; 32]), evidence: vec![4] },
        Record::Readmitted { party: Identity([9; 32]) },
        Record::Signed { verdict: verdict(7, STORED) },
        Record::Complete(SignedVerdict { verdict: verdict(6, STORED), signatures: vec![Signature([3; 64])] }),
        Record::Decided {
            verdict: verdict(8, STORED),
            letters: (1..=3).map(|n| (mailbox_id(4), letter(2, 8, &[n; 5]))).collect(),
        },
        Record::Decided { verdict: verdict(9, Outcome::Aborted(AbortReason::Lost)), letters: Vec::new() },
    ];
    records.into_iter().for_each(|record| drop(decisions.apply(record).unwrap()));
}

fn read_mix(store: Store, format: u32) {
    let found = Decisions::new(store.clone(), 2, HISTORY).recover().unwrap();
    let chain = if format < CHAINED { vec![] } else { vec![document(1, 0), document(2, 1)] };
    assert_eq!(found.chain, chain);
    assert_eq!((found.epoch_signed, found.opened), (2, 9));
    assert_eq!(found.remembers_from, (format >= CHAINED).then_some(2));
    assert_eq!(found.bonds.len(), if format >= CHAINED { 2 } else { 0 });
    if format >= CHAINED {
        assert_eq!(found.bonds[1], (11, Bond::Burning { confirmed: true }));
    }
    assert_eq!(found.convicted, if format >= CHAINED { vec![(Identity([8; 32]), vec![1, 2, 3])] } else { vec![] });
    let refused = Outcome::Stored { refused: 1 };
    assert_eq!(
        found.signed,
        [verdict(7, STORED), verdict(8, refused), verdict(9, Outcome::Aborted(AbortReason::Lost))]
    );
    assert_eq!(found.complete[0].verdict, verdict(6, STORED));
    let mailbox = Mailbox::new(store.clone());
    let letters: Vec<_> = mailbox.poll(&mailbox_id(4), 0, 9).unwrap();
    assert_eq!(letters[1].1, letter(2, 8, &[2; 5]));
    assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: 2, bytes: 10 });
    assert_eq!(mailbox.losses().unwrap(), MailboxLosses { refused: 1, expired: 0 });
    // And it goes on from there.
    mailbox.acknowledge(&mailbox_id(4), letters[0].0).unwrap();
    assert_eq!(mailbox.expire(3).unwrap(), 1);
    let decisions = Decisions::new(store, 2, HISTORY);
    assert!(matches!(decisions.apply(Record::Opened { round: 9 }), Err(StoreError::RoundUsed(9))));
    decisions.apply(Record::Signed { verdict: verdict(10, STORED) }).unwrap();
    let bonds = decisions.recover().unwrap().bonds;
    assert!(bonds.iter().all(|(round, _)| *round != 10), "the verdict binds");
}

/// A store of every kind of row that a client writes.
fn write_client(store: &Store) {
    let outbox = Outbox::new(store.clone(), 10_000);
    let message = |content| NewMessage { to: (mailbox_id(1), PublicKey([9; 32])), named: true, content };
    for (name, content) in [(1, &b"stored"[..]), (2, b"in flight"), (3, b"waits"), (4, b"held")] {
        outbox.accept([name; 16], &message(content), 4).unwrap();
    }
    // The first is stored, the second half in flight and half in the queue; the last has expired.
    outbox.reserve(1, 7, 2, u64::MAX).unwrap();
    outbox.settle(1, true).unwrap();
    outbox.drop_message(&[3; 16]).unwrap();
    outbox.accept([3; 16], &message(b"waits"), 4).unwrap();
    outbox.reserve(2, 7, 4, u64::MAX).unwrap();
    outbox.abandon(2).unwrap();
    outbox.retry(&[2; 16], 5).unwrap();
    outbox.reserve(3, 7, 1, u64::MAX).unwrap();
    let mut draft = outbox.draft([6; 16], 8, 4).unwrap();
    outbox.append(&mut draft, b"abcdef").unwrap();
    let arrival = |message, index, count, data: &[u8]| Arrival {
        message: [message; 16],
        index,
        count,
        expiry: 9,
        sender: (message % 2 == 0).then(|| mailbox_id(7)),
        epoch: 2,
        round: 30 + u64::from(message),
        data: data.to_vec(),
    };
    let arrivals = vec![
        arrival(10, 0, 2, b"whol"),
        arrival(10, 1, 2, b"e"),
        arrival(11, 0, 1, b"read"),
        arrival(12, 1, 3, b"part"),
    ];
    let inbox = Inbox::new(store.clone(), LIMITS);
    inbox.deliver(2, arrivals).unwrap();
    inbox.mark_read(&[[11; 16]]).unwrap();
    Epochs::new(store.clone()).remember(&document(2, 1)).unwrap();
}

fn read_client(store: Store, format: u32) {
    let outbox = Outbox::new(store.clone(), 10_000);
    let listed: Vec<_> =
        outbox.list().unwrap().into_iter().map(|m| (m.message[0], m.state, m.bytes, m.packets)).collect();
    let expected = [
        (1, MessageState::Stored, 6, 2),
        (2, MessageState::InFlight, 9, 3),
        (4, MessageState::Held, 4, 1),
        (3, MessageState::Queued, 5, 2),
    ];
    assert_eq!(listed, expected);
    assert_eq!((outbox.unsettled().unwrap(), outbox.is_used(3).unwrap()), (vec![3], true));
    outbox.give_up_drafts().unwrap();
    outbox.settle(3, false).unwrap();
    outbox.retry(&[4; 16], 5).unwrap();
    let reserved: Vec<_> =
        outbox.reserve(4, 7, 9, u64::MAX).unwrap().into_iter().map(|f| (f.message[0], f.data)).collect();
    let data = |name: u8, data: &[u8]| (name, data.to_vec());
    let expected =
        [data(2, b"in f"), data(2, b"ligh"), data(2, b"t"), data(4, b"held"), data(3, b"wait"), data(3, b"s")];
    assert_eq!(reserved, expected);
    outbox.settle(4, true).unwrap();
    assert_eq!((outbox.counts().unwrap().stored, outbox.room().unwrap().0), (4, 0));

    let inbox = Inbox::new(store.clone(), LIMITS);
    let counts = InboxCounts { unread: 1, total: 2, partial: 1 };
    assert_eq!(inbox.counts().unwrap(), counts);
    let unread = inbox.unread().unwrap();
    let entry = Entry { message: [10; 16], sender: Some(mailbox_id(7)), bytes: 5, round: 40, read: false };
    assert_eq!(unread, [entry]);
    let mut content = Vec::new();
    inbox.read(&[10; 16], &mut content).unwrap();
    assert_eq!(content, b"whole");
    let rest = |index, data: &[u8]| Arrival {
        message: [12; 16],
        index,
        count: 3,
        expiry: 9,
        sender: Some(mailbox_id(7)),
        epoch: 2,
        round: 50,
        data: data.to_vec(),
    };
    let again = Arrival { message: [11; 16], sender: None, count: 1, ..rest(0, b"read") };
    let delivery = inbox.deliver(2, vec![rest(0, b"more"), rest(2, b"."), again]).unwrap();
    assert_eq!((delivery.completed, delivery.duplicates), (vec![[12; 16]], 1));
    // What is there counts, and what was read may go: 5 bytes in two fragments and 9 in three stay.
    let left = |bytes| {
        let inbox = Inbox::new(store.clone(), InboxLimits { bytes, ..LIMITS });
        inbox.mark_read(&[]).unwrap();
        inbox.all().unwrap().iter().map(|entry| entry.message[0]).collect::<Vec<_>>()
    };
    let all = 5 + 4 + 9 + 6 * FRAGMENT_OVERHEAD;
    assert_eq!((left(all), left(all - 1)), (vec![10, 11, 12], vec![10, 12]));
    let chain = if format < CHAINED { vec![] } else { vec![document(2, 1)] };
    assert_eq!(Epochs::new(store).all().unwrap(), chain);
}

type Role = (&'static str, fn(&Store), fn(Store, u32));
const ROLES: [Role; 2] = [("mix", write_mix, read_mix), ("client", write_client, read_client)];

#[test]
fn this_program_writes_the_newest_format_byte_for_byte() {
    for (role, write, read) in ROLES {
        let memory = Memory::default();
        write(&memory.open());
        let written = dump(&memory);
        let path = path(FORMAT, role);
        if std::env::var_os("STORES").is_some_and(|what| what == "overwrite") {
            fs::write(&path, &written).unwrap();
        }
        assert!(written == fs::read_to_string(&path).unwrap(), "another format than that of {}", path.display());
        let rows = |table: Table| written.lines().any(|line| line.starts_with(&format!("{table} ")));
        let is_foreign = |table: Table| match table {
            Table::Meta | Table::Chain => false,
            table => (table <= Table::Mailboxes) != (role == "mix"),
        };
        let missing: Vec<_> = Table::ALL.into_iter().filter(|table| !is_foreign(*table) && !rows(*table)).collect();
        assert!(missing.is_empty(), "{role}: nothing in {missing:?}");
        read(memory.open(), FORMAT);
    }
}

#[test]
fn stores_of_every_format_are_read_and_go_on() {
    for format in 1..=FORMAT {
        for (role, _, read) in ROLES {
            let text = fs::read_to_string(path(format, role)).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let place = dir.path().join("store");
            load(&text, &Lmdb::open(&place, MapLimits::default()).unwrap());
            read(Store::lmdb(&place, MapLimits::default()).unwrap(), format);
        }
    }
}
