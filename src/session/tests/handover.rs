//! What has no receipt goes to the other mixes: when, and with what.

use super::driver::*;
use super::fake::*;
use crate::session::*;
use crate::wire::*;

/// Of a window of half a second.
const HAND_OVER: u64 = 375;

/// What the client handed over: to which mix, of which round, what.
fn handed(client: &Client) -> Vec<(usize, u64, Vec<u8>, Vec<u8>)> {
    let of = |seen: &Seen| match seen {
        Seen::HandOver { mix, round, packets, records, .. } => Some((*mix, *round, packets.clone(), records.clone())),
        _ => None,
    };
    client.seen.iter().filter_map(of).collect()
}

fn refused(client: &mut Client, reply: Reply) {
    let (id, ..) = client.submissions().pop().expect("submitted");
    client.tell(Event::Reply { id, reply, letters: Vec::new() });
}

#[test]
fn a_submission_without_a_valid_receipt_goes_as_it_is_to_every_other_mix() {
    type Entry = fn(&mut Client, &Fake);
    let ways: [(&str, Entry); 5] = [
        ("silent", |_, _| {}),
        ("refusing", |client, _| refused(client, Reply::Refused(Refusal::Late))),
        ("lying", |client, fake| refused(client, fake.receipt(1, 1, b"others"))),
        ("breaking off", |client, _| {
            let (id, ..) = client.submissions().pop().expect("submitted");
            client.tell(Event::Failed { id });
        }),
        ("cutting", |client, _| client.tell(Event::LinkDown { link: Link::Entry })),
    ];
    for mixes in [2, 4] {
        let fake = Fake::of(mixes);
        for (what, entry) in ways {
            let mut client = Client::joined(&fake, 21);
            let opened = client.now;
            client.ticket(1, Vec::new());
            client.pass(ms(HAND_OVER - 1));
            entry(&mut client, &fake);
            assert!(handed(&client).is_empty(), "{what}: not before its moment");
            client.pass(ms(1));
            let (_, _, packets) = client.submissions().pop().expect("submitted");
            let all = (1..mixes).map(|mix| (mix, 1, packets.clone(), client.records()));
            assert_eq!(handed(&client), all.collect::<Vec<_>>(), "{what}");
            assert!(
                client.trace.iter().any(|(at, text)| *at == opened + ms(HAND_OVER) && text.starts_with("hand over"))
            );
            client.pass(ms(2000));
            assert_eq!((handed(&client).len(), client.submitted(), client.settled()), (mixes - 1, vec![1], vec![]));
            assert_eq!(client.counters().handed_over, 1, "{what}");
        }
    }
}

#[test]
fn a_receipt_in_time_is_the_end_of_it() {
    let fake = Fake::of(3);
    let mut client = Client::joined(&fake, 22);
    client.ticket(1, Vec::new());
    client.pass(ms(HAND_OVER - 1));
    let (_, _, packets) = client.submissions().pop().expect("submitted");
    refused(&mut client, fake.receipt(1, 0, &packets));
    client.pass(ms(2000));
    assert!(handed(&client).is_empty());
    assert_eq!((client.counters().receipts, client.counters().handed_over), (1, 0));
}

#[test]
fn without_the_link_at_its_moment_a_round_goes_to_the_others_alone_and_to_all_when_the_link_is_back() {
    let fake = Fake::of(3);
    for back in [false, true] {
        let mut client = Client::joined(&fake, 11);
        client.ticket(1, Vec::new());
        client.tell(Event::LinkDown { link: Link::Entry });
        client.pass(ms(HAND_OVER - 1));
        assert!(client.submitted().is_empty() && handed(&client).is_empty());
        if back {
            client.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
            client.reply(Reply::Registered { index: 0 });
        }
        client.pass(ms(1));
        assert_eq!((client.submitted().len(), handed(&client).len()), (usize::from(back), 2));
        client.pass(ms(2000));
        assert_eq!((client.submitted().len(), handed(&client).len()), (usize::from(back), 2));
        assert_eq!((client.counters().submissions_late, client.settled()), (0, vec![]));
    }
}

#[test]
fn what_is_ready_too_late_for_a_receipt_goes_to_all_at_once() {
    let fake = Fake::of(3);
    let mut client = Client::joined(&fake, 23);
    client.builds = false;
    client.ticket(1, Vec::new());
    client.pass(ms(HAND_OVER + 50));
    assert!(client.submitted().is_empty());
    client.release();
    assert_eq!((client.submitted(), handed(&client).len()), (vec![1], 2));
    // Behind the close it is ready for nobody.
    client.ticket(2, Vec::new());
    client.pass(ms(501));
    client.release();
    assert_eq!((client.submitted(), handed(&client).len(), client.counters().submissions_late), (vec![1], 2, 1));
}

#[test]
fn a_next_round_before_its_time_keeps_nobody_out_of_this_one() {
    let fake = Fake::of(3);
    let mut client = Client::joined(&fake, 24);
    client.ticket(1, Vec::new());
    client.pass(ms(300));
    assert_eq!(client.submitted(), [1]);
    client.ticket(2, Vec::new());
    assert_eq!(handed(&client).iter().map(|(mix, round, ..)| (*mix, *round)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
    client.pass(ms(2000));
    assert_eq!((client.submitted(), handed(&client).len()), (vec![1, 2], 4));
}

#[test]
fn when_is_handed_over_and_how_much_does_not_depend_on_the_user() {
    let fake = Fake::of(3);
    let run = |messages: u8| {
        let mut client = Client::joined(&fake, 25);
        client.outbox.extend((0..messages).map(|i| fragment(1, i)));
        for round in 1..=9u64 {
            let verdicts = Vec::from_iter((round > DELAY).then(|| fake.stored(round - DELAY)));
            client.ticket(round, verdicts);
            client.pass(ms(300));
            match round % 3 {
                0 => refused(&mut client, Reply::Refused(Refusal::Late)),
                1 => {
                    let (_, _, packets) = client.submissions().pop().expect("submitted");
                    refused(&mut client, fake.receipt(round, 0, &packets));
                }
                _ => {}
            }
            client.pass(ms(700));
        }
        client
    };
    let (idle, busy) = (run(0), run(30));
    assert!(busy.outbox.is_empty() && handed(&idle)[0].2 != handed(&busy)[0].2);
    assert_eq!(handed(&idle).len(), 6 * 2);
    assert_eq!(idle.trace, busy.trace);
}

#[test]
fn what_the_other_mixes_say_changes_nothing_but_counts() {
    let fake = Fake::of(3);
    let mut client = Client::joined(&fake, 26);
    client.ticket(1, Vec::new());
    client.pass(ms(400));
    let ids = client.seen.iter().filter_map(|seen| if let Seen::HandOver { id, .. } = seen { Some(*id) } else { None });
    let ids: Vec<_> = ids.collect();
    client.tell(Event::Reply { id: ids[0], reply: Reply::HandedOver { round: 1 }, letters: Vec::new() });
    client.tell(Event::Reply { id: ids[1], reply: Reply::Refused(Refusal::Evicted), letters: Vec::new() });
    assert_eq!((client.counters().hand_overs_taken, client.counters().hand_overs_missing), (1, 1));
    assert!(client.session.status().registered, "that is for the entry to say");
    client.pass(ms(600));
    client.ticket(2, Vec::new());
    client.pass(ms(1000));
    assert_eq!(client.submitted(), [1, 2]);
    // A mix that never answers is waited for until there is something newer to hand over.
    client.ticket(3, Vec::new());
    client.pass(ms(1000));
    let cancelled = client.seen.iter().filter(|seen| matches!(seen, Seen::Cancel(_))).count();
    assert_eq!(cancelled, 2);
}

#[test]
fn where_rounds_are_not_sealed_nothing_is_handed_over() {
    let fake = Fake::unsealed();
    let mut client = Client::joined(&fake, 27);
    client.ticket(1, Vec::new());
    client.pass(ms(2000));
    assert_eq!((client.submitted(), handed(&client).len()), (vec![1], 0));
}
