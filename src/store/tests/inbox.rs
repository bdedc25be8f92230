use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

const PAYLOAD: usize = 4;
const LIMITS: InboxLimits =
    InboxLimits { payload: PAYLOAD, max_message: 40, partials: 3, partial_bytes: 60, retention: 10, bytes: u64::MAX };

fn open(disk: &dyn Disk) -> Inbox {
    Inbox::new(disk.open(), LIMITS)
}

/// The fragments of a message that expires with epoch 5.
fn fragments(name: u8, sender: Option<u8>, content: &[u8]) -> Vec<Arrival> {
    let pieces: Vec<&[u8]> = if content.is_empty() { vec![&[]] } else { content.chunks(PAYLOAD).collect() };
    let arrival = |(index, data): (usize, &&[u8])| Arrival {
        message: [name; 16],
        index: index as u32,
        count: pieces.len() as u32,
        expiry: 5,
        sender: sender.map(mailbox_id),
        epoch: 1,
        round: 100 + index as u64,
        data: data.to_vec(),
    };
    pieces.iter().enumerate().map(arrival).collect()
}

fn content(inbox: &Inbox, name: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let length = inbox.read(&[name; 16], &mut out).unwrap();
    assert_eq!(length, out.len() as u64);
    out
}

fn names(entries: Vec<Entry>) -> Vec<u8> {
    entries.iter().map(|entry| entry.message[0]).collect()
}

/// (unread, total, partial).
fn counts(inbox: &Inbox) -> (u64, u64, u64) {
    let InboxCounts { unread, total, partial } = inbox.counts().unwrap();
    (unread, total, partial)
}

#[test]
fn a_message_is_complete_when_its_last_fragment_comes() {
    on_each_disk(|disk| {
        let [first, second, third] = fragments(1, Some(9), b"abcdefghij").try_into().unwrap();
        {
            let inbox = open(disk);
            assert_eq!(inbox.deliver(1, vec![third, first]).unwrap(), Delivery::default());
            assert_eq!(counts(&inbox), (0, 0, 1));
            assert!(matches!(inbox.read(&[1; 16], &mut Vec::new()), Err(StoreError::NoMessage)));
        }
        {
            let inbox = open(disk);
            let completed = [second, fragments(2, None, b"").remove(0), fragments(3, None, b"abcd").remove(0)];
            assert_eq!(inbox.deliver(1, completed.to_vec()).unwrap().completed, [[1; 16], [2; 16], [3; 16]]);
        }
        let inbox = open(disk);
        assert_eq!(counts(&inbox), (3, 3, 0));
        assert_eq!((content(&inbox, 1), content(&inbox, 2)), (b"abcdefghij".to_vec(), Vec::new()));
        let entry = Entry { message: [1; 16], sender: Some(mailbox_id(9)), bytes: 10, round: 101, read: false };
        assert_eq!(inbox.unread().unwrap()[2], entry, "the others were complete a round before");
    });
}

#[test]
fn read_and_deleted_messages_do_not_come_back() {
    on_each_disk(|disk| {
        let arrivals = |name| fragments(name, None, b"abcdef");
        {
            let inbox = open(disk);
            inbox.deliver(1, [arrivals(2), arrivals(1), arrivals(3)].concat()).unwrap();
            assert_eq!(names(inbox.unread().unwrap()), [2, 1, 3]);
            inbox.mark_read(&[[1; 16], [1; 16], [7; 16]]).unwrap();
            inbox.delete(&[2; 16]).unwrap();
            assert!(matches!(inbox.delete(&[2; 16]), Err(StoreError::NoMessage)));
        }
        let inbox = open(disk);
        assert_eq!((names(inbox.unread().unwrap()), names(inbox.all().unwrap())), (vec![3], vec![1, 3]));
        assert_eq!(counts(&inbox), (1, 2, 0));
        for epoch in [1, 5] {
            let again = inbox.deliver(epoch, [arrivals(1), arrivals(2)].concat()).unwrap();
            assert_eq!(again, Delivery { duplicates: 4, ..Delivery::default() });
        }
        assert!(matches!(inbox.read(&[2; 16], &mut Vec::new()), Err(StoreError::NoMessage)));
        // When the expiry has passed the name means nothing any more, unless its message is still here.
        let later = |name| arrivals(name).into_iter().map(|a| Arrival { expiry: 9, ..a }).collect::<Vec<_>>();
        let fresh = inbox.deliver(6, [later(1), later(2)].concat()).unwrap();
        assert_eq!((fresh.completed, fresh.duplicates), (vec![[2; 16]], 2));
    });
}

#[test]
fn what_contradicts_the_first_fragment_is_ignored() {
    let inbox = open(&Memory::default());
    let [first, second, third] = fragments(1, Some(9), b"abcdefghij").try_into().unwrap();
    let lies = vec![
        first.clone(),
        Arrival { count: 2, ..second.clone() },
        Arrival { count: 4, ..second.clone() },
        Arrival { expiry: 6, ..second.clone() },
        Arrival { sender: None, ..second.clone() },
        Arrival { sender: Some(mailbox_id(8)), ..second.clone() },
        // The first bytes of an index are those that count.
        Arrival { data: b"zzzz".to_vec(), ..first },
    ];
    // A last fragment may be short; that of two is "efgh", whole.
    let delivery = inbox.deliver(1, lies).unwrap();
    assert_eq!((delivery.contradictory, delivery.duplicates), (5, 1));
    assert_eq!(inbox.deliver(1, vec![third, second]).unwrap().completed.len(), 1);
    assert_eq!(content(&inbox, 1), b"abcdefghij");
}

#[test]
fn fragments_that_cannot_be_are_ignored() {
    let store = Store::memory();
    let inbox = Inbox::new(store.clone(), LIMITS);
    let [first, last] = fragments(1, None, b"abcdef").try_into().unwrap();
    let [single] = fragments(2, None, b"a").try_into().unwrap();
    let invalid = [
        Arrival { data: b"abc".to_vec(), ..first.clone() },
        Arrival { data: b"abcde".to_vec(), ..first.clone() },
        Arrival { data: Vec::new(), ..last.clone() },
        Arrival { data: b"abcde".to_vec(), ..last.clone() },
        Arrival { index: 2, ..last.clone() },
        Arrival { index: u32::MAX, ..last.clone() },
        Arrival { count: 0, ..single.clone() },
        // 40 bytes are 10 fragments.
        Arrival { count: 11, ..first.clone() },
        Arrival { count: u32::MAX, ..first.clone() },
        // At epoch 3 with a retention of 10.
        Arrival { expiry: 2, ..single.clone() },
        Arrival { expiry: 24, ..single.clone() },
        Arrival { expiry: u64::MAX, ..single.clone() },
        Arrival { epoch: 6, ..single.clone() },
    ];
    let count = invalid.len() as u32;
    let delivery = inbox.deliver(3, invalid.to_vec()).unwrap();
    assert_eq!(delivery, Delivery { invalid: count, ..Delivery::default() });
    for table in [Table::Pieces, Table::Partials, Table::Seen, Table::Expiries] {
        assert_eq!(step::collect(store.kv(), table, &[], |_, _| Some(Ok(()))).unwrap().len(), 0, "{table}");
    }
    assert_eq!(inbox.deliver(3, vec![Arrival { expiry: 23, ..single }, last, first]).unwrap().completed.len(), 2);
    assert_eq!(inbox.deliver(3, fragments(3, None, &[7; 40])).unwrap().completed.len(), 1);
}

#[test]
fn each_sender_has_its_own_room_and_anonymous_ones_share_one() {
    on_each_disk(|disk| {
        let inbox = open(disk);
        let start = |name, sender, bytes: usize| fragments(name, sender, &vec![name; bytes]).remove(0);
        // Number: three incomplete messages, whatever their size.
        let crowd: Vec<_> = (1..=4).map(|name| start(name, None, 8)).collect();
        assert_eq!(inbox.deliver(1, crowd).unwrap().refused, 1);
        // Bytes: 60, counted as they will be in the end.
        assert_eq!(inbox.deliver(1, vec![start(11, Some(1), 40), start(12, Some(1), 24)]).unwrap().refused, 1);
        assert_eq!(inbox.deliver(1, vec![start(13, Some(1), 20)]).unwrap().refused, 0);
        assert_eq!(inbox.deliver(1, vec![start(21, Some(2), 40)]).unwrap().refused, 0);
        assert_eq!(counts(&inbox).2, 6);
        // A message of one fragment needs none.
        assert_eq!(inbox.deliver(1, fragments(5, None, b"a")).unwrap().completed.len(), 1);
        // The rest of a refused message does not take room that becomes free later.
        assert_eq!(inbox.deliver(1, fragments(1, None, &[1; 8])).unwrap().completed.len(), 1);
        assert_eq!(inbox.deliver(1, fragments(4, None, &[4; 8])).unwrap().duplicates, 2);
        assert_eq!(inbox.deliver(1, vec![start(6, None, 8)]).unwrap().refused, 0);
        // What was let in comes to its end.
        assert_eq!(inbox.deliver(1, fragments(11, Some(1), &[11; 40])).unwrap().completed.len(), 1);
    });
}

#[test]
fn what_expires_is_forgotten_and_gives_its_room_back() {
    on_each_disk(|disk| {
        let store = disk.open();
        let inbox = Inbox::new(store.clone(), LIMITS);
        for name in 1..=4 {
            inbox.deliver(1, fragments(name, None, &[name; 12])[..2].to_vec()).unwrap();
        }
        inbox.deliver(1, fragments(9, Some(1), b"whole")).unwrap();
        assert_eq!((inbox.expire(5).unwrap(), counts(&inbox)), (0, (1, 1, 3)));
        assert_eq!((inbox.expire(6).unwrap(), counts(&inbox)), (3, (1, 1, 0)));
        assert_eq!(content(&inbox, 9), b"whole");
        inbox.delete(&[9; 16]).unwrap();
        let tables = [Table::Pieces, Table::Partials, Table::Seen, Table::Expiries, Table::Senders, Table::Unread];
        for table in tables {
            assert_eq!(step::collect(store.kv(), table, &[], |_, _| Some(Ok(()))).unwrap().len(), 0, "{table}");
        }
        // A new epoch also makes room by itself, for those who come with it.
        for epoch in [7, 18] {
            let start = |name| Arrival { expiry: epoch + 10, epoch, ..fragments(name, None, &[1; 12]).remove(0) };
            assert_eq!(inbox.deliver(epoch, (1..=3).map(start).collect()).unwrap().refused, 0);
        }
    });
}

#[test]
fn an_answer_is_one_commit_or_nothing() {
    let disk = Watched::default();
    let inbox = Inbox::new(Store::open(disk.clone()).unwrap(), LIMITS);
    disk.commits();
    let answer: Vec<_> = (0..20).flat_map(|name| fragments(name, Some(name), &[name; 30])).collect();
    disk.full.store(true, Ordering::SeqCst);
    assert!(matches!(inbox.deliver(1, answer.clone()), Err(StoreError::Full)));
    assert_eq!(counts(&inbox), (0, 0, 0));
    disk.full.store(false, Ordering::SeqCst);
    assert_eq!(inbox.deliver(1, answer).unwrap().completed.len(), 20);
    assert_eq!(disk.commits(), 1);
}

#[test]
fn messages_come_out_exactly_once() {
    let check = |cases, disk: &dyn Fn() -> Box<dyn Disk>| {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
        let lengths = proptest::collection::vec(0usize..20, 1..6);
        let order = proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 0..40);
        let result = TestRunner::new(config).run(&(lengths, order), |(lengths, order)| {
            exactly_once(disk().as_ref(), &lengths, &order);
            Ok(())
        });
        result.unwrap();
    };
    check(128, &|| Box::new(Memory::default()));
    check(4, &|| Box::new(tempfile::tempdir().unwrap()));
}

/// Fragments come in any order and any number of times, with a restart between answers where `order` says so; in the
/// end all that is missing comes, and then all of it again.
fn exactly_once(disk: &dyn Disk, lengths: &[usize], order: &[(proptest::sample::Index, bool)]) {
    let contents: BTreeMap<u8, Vec<u8>> =
        lengths.iter().enumerate().map(|(n, length)| (n as u8, vec![n as u8; *length])).collect();
    let all: Vec<Arrival> = contents.iter().flat_map(|(n, content)| fragments(*n, Some(*n), content)).collect();
    let (mut completed, mut answer) = (Vec::new(), Vec::new());
    let mut inbox = Some(open(disk));
    for (which, restart) in order {
        answer.push(which.get(&all).clone());
        if *restart {
            completed.extend(inbox.unwrap().deliver(1, std::mem::take(&mut answer)).unwrap().completed);
            inbox = Some(open(disk));
        }
    }
    let inbox = inbox.unwrap();
    for answer in [answer, all.iter().rev().cloned().collect(), all] {
        completed.extend(inbox.deliver(1, answer).unwrap().completed);
    }
    let mut once: Vec<u8> = names(inbox.unread().unwrap());
    once.sort_unstable();
    completed.sort_unstable();
    assert_eq!(once, completed.iter().map(|name| name[0]).collect::<Vec<_>>());
    assert_eq!(once.len(), contents.len());
    for (name, expected) in &contents {
        assert_eq!(content(&inbox, *name), *expected);
    }
    assert_eq!(counts(&inbox), (contents.len() as u64, contents.len() as u64, 0));
}

#[test]
fn messages_are_shown_by_round_and_those_of_one_sender_as_it_sent_them() {
    on_each_disk(|disk| {
        let inbox = open(disk);
        let one = |name: u8, sender: Option<u8>, round| Arrival { round, ..fragments(name, sender, b"x").remove(0) };
        // A long one that was sent first becomes complete in the round of those behind it.
        let mut long = fragments(1, Some(8), &[1; 8]);
        long[1].round = 102;
        let [begin, end] = long.try_into().unwrap();
        let shuffled = vec![one(3, Some(8), 102), begin, one(9, None, 101), one(2, Some(8), 102), end];
        inbox.deliver(1, shuffled).unwrap();
        inbox.deliver(1, vec![one(7, Some(5), 102), one(6, None, 101), one(4, Some(8), 102)]).unwrap();
        let expected = [9, 6, 7, 1, 2, 3, 4];
        assert_eq!(names(inbox.unread().unwrap()), expected, "anonymous ones as they became complete");
        inbox.mark_read(&[[9; 16]]).unwrap();
        assert_eq!(names(inbox.unread().unwrap()), expected[1..]);
        assert_eq!(names(inbox.all().unwrap()), expected);
    });
}

/// An inbox for `count` messages of one fragment of a byte.
fn open_for(disk: &dyn Disk, count: u64) -> Inbox {
    Inbox::new(disk.open(), InboxLimits { bytes: count * (1 + FRAGMENT_OVERHEAD), ..LIMITS })
}

fn small(name: u8) -> Vec<Arrival> {
    fragments(name, None, &[name])
}

#[test]
fn beyond_the_limit_the_oldest_that_are_read_go_and_unread_ones_never() {
    on_each_disk(|disk| {
        {
            let inbox = open_for(disk, 3);
            inbox.deliver(1, (1..=5).flat_map(small).collect()).unwrap();
            assert_eq!((names(inbox.unread().unwrap()), counts(&inbox)), (vec![1, 2, 3, 4, 5], (5, 5, 0)));
            inbox.mark_read(&[[4; 16]]).unwrap();
            assert_eq!((names(inbox.all().unwrap()), counts(&inbox)), (vec![1, 2, 3, 5], (4, 4, 0)));
            inbox.delete(&[5; 16]).unwrap();
            inbox.mark_read(&[[3; 16], [2; 16]]).unwrap();
            assert_eq!((names(inbox.all().unwrap()), counts(&inbox)), (vec![1, 2, 3], (1, 3, 0)), "there is room");
        }
        let inbox = open_for(disk, 3);
        // The oldest is what was complete first, not what was read first.
        inbox.deliver(1, small(6)).unwrap();
        assert_eq!((names(inbox.all().unwrap()), counts(&inbox)), (vec![1, 3, 6], (2, 3, 0)));
        assert!(matches!(inbox.read(&[2; 16], &mut Vec::new()), Err(StoreError::NoMessage)));
        inbox.mark_read(&[[1; 16], [6; 16]]).unwrap();
        inbox.deliver(1, small(7)).unwrap();
        assert_eq!((names(inbox.all().unwrap()), content(&inbox, 6)), (vec![3, 6, 7], vec![6]));
        drop(inbox);
        // A limit that is lower from now on.
        let inbox = open_for(disk, 1);
        inbox.mark_read(&[]).unwrap();
        assert_eq!((names(inbox.all().unwrap()), counts(&inbox)), (vec![7], (1, 1, 0)));
    });
}

#[test]
fn what_is_forgotten_leaves_nothing_but_its_name_and_is_not_shown_again() {
    on_each_disk(|disk| {
        let store = disk.open();
        let inbox = Inbox::new(store.clone(), InboxLimits { bytes: 0, ..LIMITS });
        let message = fragments(1, Some(9), b"abcdefghij");
        assert_eq!(inbox.deliver(1, message.clone()).unwrap().completed.len(), 1);
        inbox.mark_read(&[[1; 16]]).unwrap();
        assert_eq!(counts(&inbox), (0, 0, 0));
        for table in [Table::Pieces, Table::Entries, Table::Unread, Table::Read] {
            assert_eq!(step::collect(store.kv(), table, &[], |_, _| Some(Ok(()))).unwrap().len(), 0, "{table}");
        }
        for epoch in [1, 5] {
            let again = inbox.deliver(epoch, message.clone()).unwrap();
            assert_eq!(again, Delivery { duplicates: 3, ..Delivery::default() });
        }
        let late = inbox.deliver(6, message).unwrap();
        assert_eq!(late, Delivery { invalid: 3, ..Delivery::default() });
        assert_eq!(counts(&inbox), (0, 0, 0));
    });
}

#[test]
fn a_commit_forgets_a_bounded_number_of_fragments_and_more_than_it_brings() {
    let disk = Memory::default();
    let all: Vec<[u8; 16]> = (0..200).map(|name| [name; 16]).collect();
    let inbox = open_for(&disk, 200);
    inbox.deliver(1, (0..200).flat_map(small).collect()).unwrap();
    inbox.mark_read(&all).unwrap();
    assert_eq!(counts(&inbox).1, 200);
    drop(inbox);
    let watched = Watched { memory: disk, ..Watched::default() };
    let store = Store::open(watched.clone()).unwrap();
    let inbox = Inbox::new(store, InboxLimits { bytes: 0, ..LIMITS });
    inbox.mark_read(&[]).unwrap();
    assert_eq!(counts(&inbox).1, 200 - 64);
    // No message is complete with this, yet its bytes are on the disk.
    inbox.deliver(1, fragments(250, None, &[1; 12])[..2].to_vec()).unwrap();
    assert_eq!(counts(&inbox), (0, 200 - 64 - 66, 1));
    inbox.deliver(1, Vec::new()).unwrap();
    inbox.deliver(1, Vec::new()).unwrap();
    assert_eq!(counts(&inbox), (0, 0, 1));
    watched.commits();
    inbox.deliver(1, small(251)).unwrap();
    assert_eq!(watched.commits(), 1);
    inbox.deliver(1, Vec::new()).unwrap();
    assert_eq!((watched.commits(), counts(&inbox)), (0, (1, 1, 1)), "there is nothing that may go");
}
