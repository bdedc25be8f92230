use std::collections::BTreeMap;

use super::*;
use crate::wire::Record;

/// Stores a round of one-byte letters: (mailbox, byte).
fn store_round(store: &Store, epoch: u64, round: u64, letters: &[(u8, u8)]) {
    let letters = letters.iter().map(|(to, byte)| (mailbox_id(*to), letter(epoch, round, &[*byte]))).collect();
    Decisions::new(store.clone(), 1000, HISTORY)
        .apply(Record::Decided { verdict: verdict(round, STORED), letters })
        .unwrap();
}

/// Sequence numbers and bytes of what a poll returns.
fn poll(store: &Store, mailbox: u8, after: u64, limit: usize) -> (Vec<u64>, Vec<u8>) {
    let polled = Mailbox::new(store.clone()).poll(&mailbox_id(mailbox), after, limit).unwrap();
    polled.into_iter().map(|(sequence, letter)| (sequence, letter.letter[0])).unzip()
}

#[test]
fn letters_stay_until_they_are_acknowledged() {
    on_each_disk(|disk| {
        {
            let store = disk.open();
            store_round(&store, 1, 1, &[(1, 10), (2, 20), (1, 11)]);
            assert_eq!(poll(&store, 1, 0, 9).1, [10, 11]);
        }
        let store = disk.open();
        let mailbox = Mailbox::new(store.clone());
        let (sequences, bytes) = poll(&store, 1, 0, 9);
        assert_eq!(bytes, [10, 11]);
        let (_, whole) = &mailbox.poll(&mailbox_id(1), 0, 1).unwrap()[0];
        assert_eq!(whole, &letter(1, 1, &[10]));
        mailbox.acknowledge(&mailbox_id(1), 0).unwrap();
        mailbox.acknowledge(&mailbox_id(1), sequences[0]).unwrap();
        mailbox.acknowledge(&mailbox_id(1), sequences[0]).unwrap();
        assert_eq!(poll(&store, 1, 0, 9), (vec![sequences[1]], vec![11]));
        assert!(poll(&store, 1, sequences[1], 9).1.is_empty());
        assert!(poll(&store, 1, u64::MAX, 9).1.is_empty());
        assert_eq!(poll(&store, 2, 0, 9).1, [20]);
        assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: 2, bytes: 2 });
        mailbox.acknowledge(&mailbox_id(1), u64::MAX).unwrap();
        mailbox.acknowledge(&mailbox_id(3), u64::MAX).unwrap();
        assert_eq!(poll(&store, 2, 0, 9).1, [20]);
        assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: 1, bytes: 1 });
    });
}

#[test]
fn what_many_owners_have_goes_in_one_commit() {
    let disk = Watched::default();
    let store = Store::open(disk.clone()).unwrap();
    store_round(&store, 1, 1, &[(1, 10), (2, 20), (3, 30), (2, 21), (1, 11)]);
    let mailbox = Mailbox::new(store.clone());
    let first = poll(&store, 1, 0, 9).0[0];
    disk.commits();
    mailbox
        .acknowledge_all(&BTreeMap::from([(mailbox_id(1), first), (mailbox_id(2), u64::MAX), (mailbox_id(4), 9)]))
        .unwrap();
    assert_eq!(disk.commits(), 1);
    assert_eq!([1, 2, 3].map(|mailbox| poll(&store, mailbox, 0, 9).1), [vec![11], vec![], vec![30]]);
    assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: 2, bytes: 2 });
    mailbox.acknowledge_all(&BTreeMap::from([(mailbox_id(2), u64::MAX), (mailbox_id(4), 9)])).unwrap();
    assert_eq!(disk.commits(), 0, "empty mailboxes need none");
    mailbox.acknowledge_all(&BTreeMap::from([(mailbox_id(1), u64::MAX), (mailbox_id(3), u64::MAX)])).unwrap();
    assert_eq!(mailbox.totals().unwrap(), MailboxTotals::default());
}

#[test]
fn sequence_numbers_increase_and_never_come_back() {
    on_each_disk(|disk| {
        let mut last = 0;
        // Rounds are not decided in the order of their numbers.
        for round in [5, 4, 9, 8, 7, 10] {
            let store = disk.open();
            store_round(&store, 1, round, &[(1, 1), (1, 2), (2, 3)]);
            let (sequences, bytes) = poll(&store, 1, 0, 9);
            assert_eq!(bytes, [1, 2]);
            assert!(last < sequences[0] && sequences[0] < sequences[1], "{last} {sequences:?}");
            assert_eq!(poll(&store, 1, last, 9).0, sequences);
            last = sequences[1];
            Mailbox::new(store.clone()).acknowledge(&mailbox_id(1), last).unwrap();
            assert!(poll(&store, 1, 0, 9).0.is_empty());
        }
    });
}

#[test]
fn an_exit_that_lost_its_disk_does_not_hand_out_old_numbers() {
    let store = Store::memory();
    for round in 1..=20 {
        store_round(&store, 1, round, &[(1, 1)]);
    }
    let cursor = *poll(&store, 1, 0, 99).0.last().unwrap();
    let fresh = Store::memory();
    store_round(&fresh, 2, 21, &[(1, 2)]);
    Mailbox::new(fresh.clone()).acknowledge(&mailbox_id(1), cursor).unwrap();
    assert_eq!(poll(&fresh, 1, cursor, 9).1, [2]);
}

#[test]
fn a_backlog_drains_in_order_with_answers_of_one_size() {
    on_each_disk(|disk| {
        let store = disk.open();
        for round in 0..10 {
            let letters: Vec<_> = (0..10).map(|n| (1 + n % 2, round as u8 * 10 + n)).collect();
            store_round(&store, 1, round + 1, &letters);
        }
        let (mut cursor, mut drained) = (0, Vec::new());
        for _ in 0..13 {
            Mailbox::new(store.clone()).acknowledge(&mailbox_id(1), cursor).unwrap();
            let (sequences, bytes) = poll(&store, 1, cursor, 4);
            assert!(bytes.len() == 4 || drained.len() + bytes.len() == 50);
            cursor = *sequences.last().unwrap();
            drained.extend(bytes);
        }
        assert_eq!(drained, (0..100).step_by(2).collect::<Vec<u8>>());
        assert!(poll(&store, 1, cursor, 4).1.is_empty());
    });
}

#[test]
fn letters_go_by_age() {
    on_each_disk(|disk| {
        let store = disk.open();
        let mailbox = Mailbox::new(store.clone());
        store_round(&store, 1, 1, &[(1, 1), (2, 2)]);
        store_round(&store, 2, 2, &[(1, 3), (3, 4)]);
        assert_eq!(mailbox.expire(1).unwrap(), 0);
        assert_eq!(mailbox.expire(2).unwrap(), 2);
        assert_eq!((poll(&store, 1, 0, 9).1, poll(&store, 2, 0, 9).1), (vec![3], vec![]));
        assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: 2, bytes: 2 });
        assert_eq!(mailbox.expire(9).unwrap(), 2);
        assert_eq!(mailbox.totals().unwrap(), MailboxTotals::default());
        // Nothing is kept of an empty mailbox.
        assert_eq!(step::collect(store.kv(), Table::Mailboxes, &[], |_, _| Some(Ok(()))).unwrap().len(), 0);
    });
}

#[test]
fn the_largest_letter_fits() {
    on_each_disk(|disk| {
        let big = vec![7; (4 << 20) + 300];
        let letters = vec![(mailbox_id(1), letter(1, 1, &big))];
        let record = Record::Decided { verdict: verdict(1, STORED), letters };
        Decisions::new(disk.open(), 9, HISTORY).apply(record).unwrap();
        let polled = Mailbox::new(disk.open()).poll(&mailbox_id(1), 0, 1).unwrap();
        assert!(polled[0].1.letter == big);
    });
}

#[test]
fn letters_that_nobody_gets_are_counted_across_restarts() {
    on_each_disk(|disk| {
        let decide = |quota, round, letters: &[u8]| {
            let letters = letters.iter().map(|to| (mailbox_id(*to), letter(round, round, b"x"))).collect();
            let record = Record::Decided { verdict: verdict(round, STORED), letters };
            let written = Decisions::new(disk.open(), quota, HISTORY).apply(record).unwrap().unwrap();
            assert!(matches!(written.outcome, Outcome::Stored { .. }));
            if let Outcome::Stored { refused } = written.outcome { refused } else { 0 }
        };
        let losses = || Mailbox::new(disk.open()).losses().unwrap();
        assert_eq!((decide(2, 1, &[1, 1, 2]), losses()), (0, MailboxLosses::default()));
        assert_eq!(decide(2, 2, &[1, 2, 2, 3]), 2);
        assert_eq!(losses(), MailboxLosses { refused: 2, expired: 0 });
        assert_eq!(Mailbox::new(disk.open()).expire(2).unwrap(), 3);
        // What its owner has taken is not lost.
        Mailbox::new(disk.open()).acknowledge(&mailbox_id(3), u64::MAX).unwrap();
        assert_eq!(decide(1, 3, &[2]), 1);
        assert_eq!(losses(), MailboxLosses { refused: 3, expired: 3 });
    });
}

/// The rows of letters, and in how many bytes of values.
fn rows(store: &Store) -> (usize, usize) {
    let rows = step::collect(store.kv(), Table::Letters, &[], |_, value| Some(Ok(value.len()))).unwrap();
    (rows.len(), rows.iter().sum())
}

#[test]
fn letters_of_a_round_lie_together_and_go_each_by_itself() {
    const COUNT: usize = 40;
    const SIZE: usize = 2048;
    let whole = |n: u8| letter(1, 3, &[n; SIZE]);
    on_each_disk(|disk| {
        let letters: Vec<_> =
            (0..COUNT as u8).flat_map(|n| [(mailbox_id(1), whole(n)), (mailbox_id(2), whole(!n))]).collect();
        for up_to in 0..=COUNT {
            let store = disk.open();
            let mailbox = Mailbox::new(store.clone());
            let record = Record::Decided { verdict: verdict(3 + up_to as u64, STORED), letters: letters.clone() };
            Decisions::new(store.clone(), 1000, HISTORY).apply(record).unwrap();
            // Fifteen in eight pages.
            assert_eq!(rows(&store), (6, 2 * COUNT * SIZE + 6 * 16));
            let all = mailbox.poll(&mailbox_id(1), 0, COUNT + 1).unwrap();
            assert_eq!(all.len(), COUNT);
            assert!(all.is_sorted_by(|(a, _), (b, _)| a + 1 == *b), "their numbers follow one another");
            assert!((0..).zip(&all).all(|(n, (_, stored))| *stored == whole(n)));
            let cursor = up_to.checked_sub(1).map_or(0, |last| all[last].0);
            assert_eq!(
                mailbox.poll(&mailbox_id(1), cursor, 17).unwrap(),
                all[up_to..].iter().take(17).cloned().collect::<Vec<_>>()
            );
            mailbox.acknowledge(&mailbox_id(1), cursor).unwrap();
            assert_eq!(mailbox.poll(&mailbox_id(1), 0, COUNT).unwrap(), all[up_to..]);
            let left = (2 * COUNT - up_to) as u64;
            assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: left, bytes: left * SIZE as u64 });
            // A bundle stays until the last of it is gone, as it is.
            assert_eq!(rows(&store).0, 6 - up_to / 15 - up_to / COUNT);
            mailbox.acknowledge(&mailbox_id(1), cursor).unwrap();
            assert_eq!(mailbox.totals().unwrap().letters, left, "once or twice");
            mailbox.acknowledge(&mailbox_id(1), u64::MAX).unwrap();
            assert_eq!(mailbox.poll(&mailbox_id(2), 0, COUNT).unwrap().len(), COUNT);
            mailbox.acknowledge(&mailbox_id(2), u64::MAX).unwrap();
            assert_eq!(rows(&store), (0, 0));
        }
    });
}

#[test]
fn letters_that_differ_lie_apart() {
    let store = Store::memory();
    let letters = [
        letter(1, 3, &[1; 9]),
        letter(1, 3, &[2; 8]),
        letter(1, 4, &[3; 8]),
        letter(2, 4, &[4; 8]),
        letter(2, 4, &[5; 8]),
    ];
    let addressed = letters.iter().map(|letter| (mailbox_id(1), letter.clone())).collect();
    Decisions::new(store.clone(), 9, HISTORY)
        .apply(Record::Decided { verdict: verdict(4, STORED), letters: addressed })
        .unwrap();
    assert_eq!(rows(&store).0, 4);
    let mailbox = Mailbox::new(store.clone());
    let polled = mailbox.poll(&mailbox_id(1), 0, 9).unwrap();
    assert!(polled.iter().map(|(_, stored)| stored).eq(&letters));
    assert_eq!(mailbox.expire(2).unwrap(), 3);
    assert_eq!(mailbox.poll(&mailbox_id(1), 0, 9).unwrap(), polled[3..]);
}

#[test]
fn an_acknowledgement_writes_no_content_for_which_a_full_store_has_no_room() {
    let disk = Watched::default();
    let store = Store::open(disk.clone()).unwrap();
    store_round(&store, 1, 1, &[(1, 10), (1, 11), (1, 12), (2, 20)]);
    let (numbers, _) = poll(&store, 1, 0, 9);
    disk.full.store(true, Ordering::SeqCst);
    let cursors = BTreeMap::from([(mailbox_id(1), numbers[1]), (mailbox_id(2), u64::MAX)]);
    Mailbox::new(store.clone()).acknowledge_all(&cursors).unwrap();
    assert_eq!((poll(&store, 1, 0, 9).1, poll(&store, 2, 0, 9).1), (vec![12], vec![]));
}

#[test]
fn a_damaged_row_is_told_of_and_stops_deletions_in_its_own_mailbox_alone() {
    let memory = Memory::default();
    let store = memory.open();
    store_round(&store, 1, 1, &[(1, 10), (1, 11), (2, 20), (3, 30)]);
    let [row, value] =
        step::collect(store.kv(), Table::Letters, &[], |key, value| Some(Ok([key.to_vec(), value.to_vec()])))
            .unwrap()
            .swap_remove(0);
    let sound = value.clone();
    let key_of = |count: u16| [&row[..24], &count.to_be_bytes()].concat();
    let put = |key: Vec<u8>, value: Vec<u8>| Change::Put { table: Table::Letters, key, value: value.into() };
    let gone = |key: Vec<u8>| Change::Delete { table: Table::Letters, key };
    // No letters, more than their bytes can be, more than there are numbers; a key or a value cut short.
    let mut least = row.clone();
    least[16..24].copy_from_slice(&1u64.to_be_bytes());
    let damaged = [
        (key_of(0), sound.clone()),
        (key_of(3), sound.clone()),
        (least, sound.clone()),
        (row[..25].to_vec(), sound.clone()),
        (row.clone(), sound[..15].to_vec()),
    ];
    for (key, value) in damaged {
        let memory = memory.image();
        memory.commit(vec![gone(row.clone()), put(key, value)]).unwrap();
        let store = memory.open();
        let mailbox = Mailbox::new(store.clone());
        assert!(matches!(mailbox.poll(&mailbox_id(1), 0, 9), Err(StoreError::Damaged(Table::Letters))));
        mailbox.acknowledge_all(&BTreeMap::from([(mailbox_id(1), u64::MAX), (mailbox_id(2), u64::MAX)])).unwrap();
        assert!(poll(&store, 2, 0, 9).1.is_empty());
        assert_eq!(mailbox.expire(2).unwrap(), 1, "that of the third mailbox");
        assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: 2, bytes: 2 });
    }
}
