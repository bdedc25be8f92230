use super::*;
use crate::crypto::PublicKey;

const ROOM: u64 = 1 << 20;

fn accept(outbox: &Outbox, name: u8, content: &[u8], payload: usize) -> Result<Accepted, StoreError> {
    let message = NewMessage { to: (mailbox_id(name), PublicKey([name; 32])), named: name % 2 == 1, content };
    outbox.accept([name; 16], &message, payload)
}

/// (message, index) of what `round` takes.
fn reserve(outbox: &Outbox, round: u64, count: usize) -> Vec<(u8, u32)> {
    outbox.reserve(round, 7, count, u64::MAX).unwrap().iter().map(|f| (f.message[0], f.index)).collect()
}

fn state(outbox: &Outbox, name: u8) -> MessageState {
    outbox.state(&[name; 16]).unwrap().state
}

fn counts(outbox: &Outbox) -> [u64; 5] {
    let OutboxCounts { queued, in_flight, stored, resent, held } = outbox.counts().unwrap();
    [queued, in_flight, stored, resent, held]
}

#[test]
fn a_message_travels_in_fragments_and_is_stored() {
    on_each_disk(|disk| {
        let outbox = Outbox::new(disk.open(), ROOM);
        assert_eq!(accept(&outbox, 1, b"abcdefgh", 3).unwrap(), Accepted { packets: 3 });
        assert_eq!(accept(&outbox, 2, b"", 3).unwrap(), Accepted { packets: 1 });
        assert_eq!(accept(&outbox, 3, b"abc", 3).unwrap(), Accepted { packets: 1 });
        assert!(matches!(accept(&outbox, 3, b"x", 3), Err(StoreError::MessageExists)));
        assert_eq!(counts(&outbox), [3, 0, 0, 0, 0]);

        let first = outbox.reserve(10, 7, 2, u64::MAX).unwrap();
        let expected = |index, data: &[u8], expiry| Fragment {
            message: [1; 16],
            index,
            count: 3,
            to: (mailbox_id(1), PublicKey([1; 32])),
            named: true,
            expiry,
            data: data.to_vec(),
        };
        assert_eq!(first, [expected(0, b"abc", 7), expected(1, b"def", 7)]);
        let second = outbox.reserve(11, 8, 4, u64::MAX).unwrap();
        // The expiry of the message stays what it was at first.
        assert_eq!(second[0], expected(2, b"gh", 7));
        assert_eq!((second[1].message, second[1].count, second[1].expiry, second[1].named), ([2; 16], 1, 8, false));
        assert!(second[1].data.is_empty());
        assert_eq!(second[2].data, b"abc");
        assert_eq!(counts(&outbox), [0, 3, 0, 0, 0]);

        let stored = |name| Settled { message: [name; 16], state: MessageState::Stored };
        assert_eq!(
            outbox.settle(11, true).unwrap(),
            [Settled { message: [1; 16], state: MessageState::InFlight }, stored(2), stored(3)]
        );
        assert_eq!(outbox.settle(10, true).unwrap(), [stored(1)]);
        assert_eq!(counts(&outbox), [0, 0, 3, 0, 0]);
        let shown = outbox.state(&[1; 16]).unwrap();
        assert_eq!((shown.bytes, shown.packets, shown.resends, shown.rounds), (8, 3, 0, vec![11, 10]));
        let names: Vec<u8> = outbox.list().unwrap().iter().map(|m| m.message[0]).collect();
        assert_eq!(names, [1, 2, 3]);
        // Nothing of the contents is left, and a settled verdict changes nothing again.
        assert_eq!(outbox.settle(10, false).unwrap(), []);
        assert_eq!(reserve(&outbox, 12, 9), []);
    });
}

#[test]
fn a_round_is_spent_once_also_when_it_carried_nothing() {
    on_each_disk(|disk| {
        {
            let outbox = Outbox::new(disk.open(), ROOM);
            assert_eq!((outbox.oldest_unsettled().unwrap(), outbox.is_used(0).unwrap()), (None, false));
            assert_eq!(reserve(&outbox, 5, 2), []);
            assert_eq!(reserve(&outbox, 300, 2), []);
        }
        let outbox = Outbox::new(disk.open(), ROOM);
        assert!(outbox.is_used(5).unwrap() && outbox.is_used(300).unwrap() && !outbox.is_used(301).unwrap());
        for round in [5, 6, 300] {
            assert!(matches!(outbox.reserve(round, 7, 2, u64::MAX), Err(StoreError::RoundUsed(r)) if r == round));
        }
        assert!(matches!(outbox.reserve(u64::MAX, 7, 2, u64::MAX), Err(StoreError::RoundUsed(_))));
        assert_eq!(outbox.oldest_unsettled().unwrap(), Some(5));
        outbox.settle(5, true).unwrap();
        assert_eq!(outbox.oldest_unsettled().unwrap(), Some(300));
        outbox.settle(300, false).unwrap();
        assert_eq!(outbox.oldest_unsettled().unwrap(), None);
        assert!(matches!(outbox.reserve(300, 7, 2, u64::MAX), Err(StoreError::RoundUsed(300))));
    });
}

#[test]
fn a_restart_resends_nothing() {
    on_each_disk(|disk| {
        {
            let outbox = Outbox::new(disk.open(), ROOM);
            accept(&outbox, 1, b"abcdef", 3).unwrap();
            assert_eq!(reserve(&outbox, 1, 1), [(1, 0)]);
        }
        let outbox = Outbox::new(disk.open(), ROOM);
        assert_eq!(state(&outbox, 1), MessageState::InFlight);
        assert_eq!(reserve(&outbox, 2, 9), [(1, 1)]);
        assert_eq!(reserve(&outbox, 3, 9), []);
        outbox.settle(1, false).unwrap();
        assert_eq!(reserve(&outbox, 4, 9), [(1, 0)]);
    });
}

#[test]
fn older_messages_go_again_before_newer_ones_go_at_all() {
    let outbox = Outbox::new(Store::memory(), ROOM);
    accept(&outbox, 1, b"abc", 1).unwrap();
    accept(&outbox, 2, b"de", 1).unwrap();
    assert_eq!(reserve(&outbox, 1, 2), [(1, 0), (1, 1)]);
    assert_eq!(reserve(&outbox, 2, 2), [(1, 2), (2, 0)]);
    let queued = |name| Settled { message: [name; 16], state: MessageState::InFlight };
    assert_eq!(outbox.settle(1, false).unwrap(), [queued(1)]);
    assert_eq!(reserve(&outbox, 3, 9), [(1, 0), (1, 1), (2, 1)]);
}

#[test]
fn after_three_resends_the_user_is_asked() {
    on_each_disk(|disk| {
        let outbox = Outbox::new(disk.open(), ROOM);
        accept(&outbox, 1, b"abc", 1).unwrap();
        accept(&outbox, 2, b"x", 1).unwrap();
        for round in 1..=3 {
            assert_eq!(reserve(&outbox, round, 1), [(1, 0)]);
            assert_eq!(outbox.settle(round, false).unwrap()[0].state, MessageState::Queued);
            assert_eq!(outbox.state(&[1; 16]).unwrap().resends, round as u32);
        }
        assert_eq!(counts(&outbox), [2, 0, 0, 1, 0]);
        assert!(matches!(outbox.retry(&[1; 16], 1), Err(StoreError::NoMessage)));
        assert_eq!(reserve(&outbox, 4, 2), [(1, 0), (1, 1)]);
        assert_eq!(reserve(&outbox, 5, 1), [(1, 2)]);
        assert_eq!(outbox.settle(4, false).unwrap()[0].state, MessageState::Held);
        assert_eq!(counts(&outbox), [1, 0, 0, 1, 1]);
        assert_eq!(reserve(&outbox, 6, 9), [(2, 0)]);
        // What is in flight is not sent a second time by a retry.
        outbox.retry(&[1; 16], 1).unwrap();
        assert_eq!(reserve(&outbox, 7, 9), [(1, 0), (1, 1)]);
        outbox.settle(5, true).unwrap();
        outbox.settle(7, true).unwrap();
        assert_eq!(state(&outbox, 1), MessageState::Stored);
        assert_eq!(outbox.state(&[1; 16]).unwrap().rounds, [5, 7]);
    });
}

#[test]
fn one_incident_that_aborts_many_rounds_is_one_resend() {
    let outbox = Outbox::new(Store::memory(), ROOM);
    accept(&outbox, 1, &[0; 10], 1).unwrap();
    for round in 1..=5 {
        assert_eq!(reserve(&outbox, round, 1).len(), 1);
    }
    for round in 1..=4 {
        outbox.settle(round, false).unwrap();
    }
    assert_eq!(outbox.state(&[1; 16]).unwrap().resends, 1);
    assert_eq!(reserve(&outbox, 6, 2), [(1, 0), (1, 1)]);
    outbox.settle(5, false).unwrap();
    assert_eq!(outbox.state(&[1; 16]).unwrap().resends, 1);
    outbox.settle(6, false).unwrap();
    assert_eq!(outbox.state(&[1; 16]).unwrap().resends, 2);
}

#[test]
fn the_limit_holds_and_room_comes_back() {
    on_each_disk(|disk| {
        let outbox = Outbox::new(disk.open(), 2 * (100 + FRAGMENT_OVERHEAD));
        accept(&outbox, 1, &[0; 100], 100).unwrap();
        // Two fragments of 50 bytes cost more than one of 100.
        assert!(matches!(accept(&outbox, 2, &[0; 100], 50), Err(StoreError::OutboxFull)));
        accept(&outbox, 2, &[0; 100], 100).unwrap();
        for name in 3..6 {
            assert!(matches!(accept(&outbox, name, b"", 100), Err(StoreError::OutboxFull)));
        }
        assert!(matches!(outbox.state(&[3; 16]), Err(StoreError::NoMessage)));
        reserve(&outbox, 1, 1);
        outbox.settle(1, true).unwrap();
        accept(&outbox, 3, &[0; 100], 100).unwrap();
        outbox.drop_message(&[2; 16]).unwrap();
        assert!(matches!(outbox.drop_message(&[2; 16]), Err(StoreError::NoMessage)));
        assert!(matches!(outbox.drop_message(&[1; 16]), Err(StoreError::NoMessage)));
        accept(&outbox, 4, &[0; 100], 100).unwrap();
        assert_eq!(reserve(&outbox, 2, 9), [(3, 0), (4, 0)]);
    });
}

#[test]
fn the_verdict_on_a_dropped_message_is_not_that_on_its_successor() {
    let outbox = Outbox::new(Store::memory(), ROOM);
    accept(&outbox, 1, b"abc", 1).unwrap();
    reserve(&outbox, 1, 2);
    outbox.drop_message(&[1; 16]).unwrap();
    accept(&outbox, 1, b"abc", 1).unwrap();
    assert_eq!(outbox.settle(1, true).unwrap(), []);
    assert_eq!(reserve(&outbox, 2, 9), [(1, 0), (1, 1), (1, 2)]);
}

#[test]
fn an_expired_message_is_held_and_goes_again_only_as_a_whole() {
    let outbox = Outbox::new(Store::memory(), ROOM);
    for name in 1..=3 {
        accept(&outbox, name, b"ab", 1).unwrap();
    }
    // Message 1 half stored, 2 failed, 3 never reserved: it has no expiry.
    assert_eq!(reserve(&outbox, 1, 1), [(1, 0)]);
    outbox.settle(1, true).unwrap();
    reserve(&outbox, 2, 3);
    outbox.settle(2, false).unwrap();
    assert!(outbox.hold_expired(7).unwrap().is_empty());
    assert_eq!(outbox.hold_expired(8).unwrap(), [[1; 16], [2; 16]]);
    assert!(outbox.hold_expired(8).unwrap().is_empty());
    assert_eq!(counts(&outbox), [1, 0, 0, 2, 2]);
    assert!(matches!(outbox.retry(&[1; 16], 8), Err(StoreError::Expired)));
    outbox.retry(&[2; 16], 8).unwrap();
    let again = outbox.reserve(3, 15, 1, u64::MAX).unwrap();
    assert_eq!((again[0].message, again[0].index, again[0].expiry), ([2; 16], 0, 15));
}

#[test]
fn history_and_its_rounds_are_bounded() {
    let store = Store::memory();
    let outbox = Outbox::new(store.clone(), ROOM);
    let long = ROUNDS_KEPT as u64 + 10;
    accept(&outbox, 0, &vec![0; long as usize], 1).unwrap();
    for round in 0..long {
        reserve(&outbox, round, 1);
        outbox.settle(round, true).unwrap();
    }
    assert_eq!(outbox.state(&[0; 16]).unwrap().rounds, (10..long).collect::<Vec<_>>());
    for n in 0..HISTORY_KEPT {
        let mut name = [9; 16];
        name[..8].copy_from_slice(&n.to_be_bytes());
        let message = NewMessage { to: (mailbox_id(1), PublicKey([1; 32])), named: true, content: b"a" };
        outbox.accept(name, &message, 1).unwrap();
        outbox.reserve(long + n, 7, 1, u64::MAX).unwrap();
        outbox.settle(long + n, true).unwrap();
    }
    assert!(matches!(outbox.state(&[0; 16]), Err(StoreError::NoMessage)));
    assert_eq!(outbox.list().unwrap().len() as u64, HISTORY_KEPT);
    assert_eq!(counts(&outbox), [0, 0, HISTORY_KEPT + 1, 0, 0]);
    for table in [Table::Fragments, Table::Queue, Table::Rounds] {
        assert_eq!(step::collect(store.kv(), table, &[], |_, _| Some(Ok(()))).unwrap().len(), 0, "{table}");
    }
}

#[test]
fn a_reservation_is_one_commit_and_so_is_a_verdict() {
    let disk = Watched::default();
    let outbox = Outbox::new(Store::open(disk.clone()).unwrap(), ROOM);
    disk.commits();
    for name in 0..10 {
        accept(&outbox, name, &[0; 50], 10).unwrap();
    }
    assert_eq!(disk.commits(), 10);
    reserve(&outbox, 1, 30);
    assert_eq!(disk.commits(), 1);
    outbox.settle(1, true).unwrap();
    assert_eq!(disk.commits(), 1);
    reserve(&outbox, 2, 0);
    assert_eq!(disk.commits(), 1);
    // With a full disk nothing new is taken, and everything that was goes on.
    disk.full.store(true, Ordering::SeqCst);
    assert!(matches!(accept(&outbox, 99, b"a", 10), Err(StoreError::Full)));
    assert_eq!(reserve(&outbox, 3, 30).len(), 20);
    outbox.settle(3, true).unwrap();
    assert_eq!(counts(&outbox), [0, 0, 10, 0, 0]);
}

#[test]
fn a_draft_is_a_message_once_it_is_accepted_and_leaves_nothing_if_it_is_not() {
    on_each_disk(|disk| {
        const LIMIT: u64 = 10 + 4 * FRAGMENT_OVERHEAD;
        let to = (mailbox_id(1), PublicKey([9; 32]));
        {
            let outbox = Outbox::new(disk.open(), LIMIT);
            let mut draft = outbox.draft([1; 16], 8, 3).unwrap();
            for bytes in [&b"ab"[..], b"cdef", b"", b"gh"] {
                outbox.append(&mut draft, bytes).unwrap();
            }
            // Its room is taken, and it is not there.
            assert!(matches!(outbox.draft([2; 16], 3, 3), Err(StoreError::OutboxFull)));
            assert!(matches!(outbox.draft([1; 16], 1, 3), Err(StoreError::MessageExists)));
            assert!(outbox.list().unwrap().is_empty() && reserve(&outbox, 1, 9).is_empty());
            assert_eq!(outbox.accept_draft(draft, to, true).unwrap(), Accepted { packets: 3 });
            let fragments = outbox.reserve(2, 50, 9, u64::MAX).unwrap();
            let data: Vec<_> = fragments.iter().map(|f| (f.index, f.count, f.named, &f.data[..])).collect();
            assert_eq!(data, [(0, 3, true, &b"abc"[..]), (1, 3, true, b"def"), (2, 3, true, b"gh")]);
            outbox.settle(2, true).unwrap();
            assert_eq!(outbox.state(&[1; 16]).unwrap().bytes, 8);
            // Another one is begun, and the run ends.
            let mut lost = outbox.draft([3; 16], 10, 3).unwrap();
            outbox.append(&mut lost, b"abcdefgh").unwrap();
        }
        let store = disk.open();
        let outbox = Outbox::new(store.clone(), LIMIT);
        assert!(matches!(accept(&outbox, 4, b"x", 3), Err(StoreError::OutboxFull)));
        outbox.give_up_drafts().unwrap();
        let left = step::collect(store.kv(), Table::Fragments, &[], |_, _| Some(Ok(()))).unwrap();
        assert!(left.is_empty());
        accept(&outbox, 4, b"abcdefghij", 3).unwrap();
        // An empty one is one empty fragment, like a message that is accepted at once.
        outbox.drop_message(&[4; 16]).unwrap();
        let empty = outbox.draft([5; 16], 0, 3).unwrap();
        assert_eq!(outbox.accept_draft(empty, to, false).unwrap(), Accepted { packets: 1 });
        assert!(matches!(outbox.give_up(&[5; 16]), Err(StoreError::NoMessage)), "a message is no draft");
    });
}

#[test]
fn what_is_not_ripe_waits_with_all_behind_it_and_what_has_begun_goes_on() {
    on_each_disk(|disk| {
        let outbox = Outbox::new(disk.open(), ROOM);
        let reserve = |round, ripe| {
            let taken = outbox.reserve(round, 7, 2, ripe).unwrap();
            taken.iter().map(|f| (f.message[0], f.index)).collect::<Vec<_>>()
        };
        assert_eq!(outbox.accepted().unwrap(), 0);
        accept(&outbox, 1, b"abc", 1).unwrap();
        accept(&outbox, 2, b"d", 1).unwrap();
        accept(&outbox, 3, b"e", 1).unwrap();
        assert_eq!(outbox.accepted().unwrap(), 3);
        assert_eq!(reserve(1, 0), []);
        assert_eq!(reserve(2, 1), [(1, 0), (1, 1)]);
        // After a restart nothing is ripe.
        assert_eq!(reserve(3, 0), [(1, 2)]);
        assert_eq!(reserve(4, 1), []);
        assert_eq!(reserve(5, 2), [(2, 0)]);
        // It goes again as it had begun.
        outbox.settle(5, false).unwrap();
        assert_eq!(reserve(6, 0), [(2, 0)]);
        assert_eq!(reserve(7, 3), [(3, 0)]);
    });
}
