//! Polls, their answers, and what arrives.

use super::driver::*;
use super::fake::*;
use crate::crypto::MailboxId;
use crate::packet::MessageId;
use crate::session::*;
use crate::wire::*;

/// The letters that client 0 sends to client 1 when it carries `fragments` in round 1 of epoch 1.
fn carried(fake: &Fake, fragments: Vec<Fragment>) -> Vec<StoredLetter> {
    let mut sender = Client::joined(fake, 30);
    sender.outbox.extend(fragments);
    sender.ticket(1, Vec::new());
    sender.pass(ms(1000));
    let (_, round, packets) = sender.submissions().pop().expect("submitted");
    let letters = fake.travel(1, round, 0, &packets);
    letters.into_iter().filter(|(mailbox, _)| *mailbox == address(1).mailbox).map(|(_, letter)| letter).collect()
}

/// Client 1, about to be answered its poll of round 1.
fn recipient(fake: &Fake, seed: u64) -> Client {
    let mut client = Client::new(fake.config(1), seed);
    client.tell(Event::LinkUp { link: Link::Exit, post_quantum: true });
    client.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
    client.reply(Reply::Registered { index: 1 });
    let chain = vec![fake.first_epoch()];
    client.reply(Reply::Start(Start { chain, round: 1, starts_in_ms: 0, round_ms: 1000 }));
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    client
}

impl Client {
    fn answer(&mut self, poll: usize, (reply, letters): (Reply, Vec<u8>)) {
        let (id, ..) = self.polls()[poll];
        self.tell(Event::Reply { id, reply, letters });
    }
}

#[test]
fn a_message_goes_all_the_way_with_its_sender() {
    let fake = Fake::new();
    let mut named = fragment(1, 40);
    (named.index, named.count) = (2, 3);
    let anonymous = Fragment { named: false, ..fragment(1, 41) };
    let letters = carried(&fake, vec![named.clone(), anonymous]);
    let mut client = recipient(&fake, 31);
    client.answer(0, fake.answer(&letters, 17));

    let mut arrivals = client.arrivals();
    arrivals.sort_by_key(|arrival| arrival.message);
    let expected = Arrival {
        message: MessageId([40; 16]),
        index: 2,
        count: 3,
        expiry: 9,
        sender: Some(address(0).mailbox),
        round: 1,
        data: vec![40; 40],
    };
    assert_eq!(arrivals.len(), 2);
    assert_eq!(arrivals[0], expected);
    assert_eq!((arrivals[1].sender, arrivals[1].data.as_slice()), (None, [41; 41].as_slice()));
    assert_eq!(client.counters().letters_dummy, letters.len() as u64 - 2, "dummies are dropped");
}

#[test]
fn a_sender_is_named_only_if_a_contact_and_its_tag_say_so() {
    let fake = Fake::new();
    let letters = carried(&fake, vec![fragment(1, 42)]);
    let mut stranger = recipient(&fake, 32);
    stranger.tell(Event::Contacts(Default::default()));
    stranger.answer(0, fake.answer(&letters, 1));
    assert_eq!(stranger.arrivals()[0].sender, None, "not a contact");
    assert_eq!(stranger.counters().letters_misattributed, 0);

    // Whoever is looked up in the place of a stranger lends it no name, though the key is the stranger's.
    let mut near = recipient(&fake, 34);
    let ends = [[0; 16], [0xff; 16]].map(|id| (MailboxId(id), address(0).letter_key));
    near.tell(Event::Contacts(Contacts::from(ends).into()));
    near.answer(0, fake.answer(&letters, 1));
    assert_eq!(near.arrivals()[0].sender, None, "near to contacts");
    assert_eq!(near.counters().letters_misattributed, 0);

    let mut fooled = recipient(&fake, 33);
    let contacts = Contacts::from([(address(0).mailbox, address(2).letter_key)]);
    fooled.tell(Event::Contacts(contacts.into()));
    fooled.answer(0, fake.answer(&letters, 1));
    assert_eq!(fooled.arrivals()[0].sender, None, "another key than the contact's");
    assert_eq!(fooled.counters().letters_misattributed, 1);
}

#[test]
fn letters_are_acknowledged_when_on_disk_and_a_poll_later() {
    let fake = Fake::new();
    let letters = carried(&fake, vec![fragment(1, 43)]);
    let mut client = recipient(&fake, 34);
    client.commits = false;
    client.answer(0, fake.answer(&letters, 17));
    assert_eq!(client.arrivals().len(), 1);
    for round in 2..=3 {
        client.ticket(round, Vec::new());
        client.pass(ms(1000));
    }
    assert_eq!(client.polls().iter().map(|p| p.2).collect::<Vec<_>>(), [0, 0, 0], "not yet on disk");
    client.release();
    client.ticket(4, vec![fake.stored(1)]);
    client.pass(ms(1000));
    assert_eq!(client.polls()[3].2, 17);

    // Empty or not, on disk at once or not: an answer just before a poll shows nothing in that poll.
    for (poll, held) in [(3, Vec::new()), (4, letters)] {
        client.commits = true;
        client.answer(poll, fake.answer(&held, 20 + poll as u64));
        client.ticket(poll as u64 + 2, vec![fake.stored(poll as u64 - 1)]);
        client.pass(ms(1000));
    }
    assert_eq!(client.polls().iter().map(|p| p.2).collect::<Vec<_>>(), [0, 0, 0, 17, 17, 23]);
    // An older cursor does not take anything back.
    client.answer(5, fake.answer(&[], 3));
    for round in 7..=8 {
        client.ticket(round, vec![fake.stored(round - DELAY)]);
        client.pass(ms(1000));
    }
    assert_eq!(client.polls().iter().map(|p| p.2).skip(6).collect::<Vec<_>>(), [24, 24]);
}

#[test]
fn every_ticket_has_one_poll_at_one_offset_letters_or_not() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 35);
    let mut offsets = Vec::new();
    for round in 1..=5 {
        let ticket = client.now;
        client.ticket(round, Vec::from_iter((round > DELAY).then(|| fake.stored(round - DELAY))));
        client.pass(ms(1000));
        let polled = |(_, text): &&(std::time::Duration, String)| text.starts_with(&format!("poll {round} "));
        let times: Vec<_> = client.trace.iter().filter(polled).map(|(at, _)| *at - ticket).collect();
        assert_eq!(times.len(), 1);
        offsets.extend(times);
        if round == 2 {
            client.answer(1, fake.answer(&[], 2));
        }
    }
    offsets.dedup();
    assert_eq!(offsets.len(), 1, "{offsets:?}");
    assert!(offsets[0] < ms(1000));
}

#[test]
fn open_polls_and_answers_in_work_are_bounded() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 36);
    client.commits = false;
    let limit = DELAY as usize + 2;
    for round in 1..=7 {
        client.ticket(round, Vec::from_iter((round > DELAY).then(|| fake.stored(round - DELAY))));
        client.pass(ms(1000));
    }
    let polls = client.polls();
    let cancelled: Vec<_> = polls.iter().map(|p| p.0).filter(|id| client.seen.contains(&Seen::Cancel(*id))).collect();
    assert_eq!(cancelled, polls[..7 - limit].iter().map(|p| p.0).collect::<Vec<_>>(), "the oldest are given up");
    client.answer(0, fake.answer(&[], 1));
    assert_eq!(client.counters().replies_unknown, 1);
    for poll in 2..7 {
        client.answer(poll, fake.answer(&[], 1));
    }
    for (poll, round) in (7..).zip(8..=9) {
        client.ticket(round, vec![fake.stored(round - DELAY)]);
        client.pass(ms(1000));
        client.answer(poll, fake.answer(&[], 1));
    }
    assert_eq!((client.held.len(), client.counters().answers_dropped), (limit, 2));
}

#[test]
fn lost_answers_cost_nothing() {
    let fake = Fake::new();
    let letters = carried(&fake, vec![fragment(1, 44)]);
    let mut client = recipient(&fake, 37);
    let (id, ..) = client.polls()[0];
    client.tell(Event::Failed { id });
    client.ticket(2, Vec::new());
    client.pass(ms(1000));
    client.tell(Event::LinkDown { link: Link::Exit });
    client.ticket(3, Vec::new());
    client.pass(ms(1000));
    assert_eq!((client.polls().len(), client.counters().polls_skipped), (2, 1), "no link, no poll");
    assert_eq!(client.submitted(), [1, 2, 3], "and submissions go on");
    client.tell(Event::LinkUp { link: Link::Exit, post_quantum: true });
    client.ticket(4, vec![fake.stored(1)]);
    client.pass(ms(1000));
    assert_eq!(client.polls()[2].2, 0);
    client.answer(2, fake.answer(&letters, 5));
    assert_eq!(client.arrivals().len(), 1);
}

#[test]
fn answers_that_break_a_rule_are_dropped_whole() {
    let fake = Fake::new();
    let (reply, letters) = fake.answer(&[], 1);
    let many = Reply::Letters(PollAnswer { count: (POLL_LETTERS + 1).to_le_bytes(), cursor: [0; 8] });
    let longer = [letters.as_slice(), &[0]].concat();
    let bad = [(reply.clone(), letters[1..].to_vec()), (reply.clone(), longer), (reply, vec![]), (many, letters)];
    for answer in bad {
        let mut client = recipient(&fake, 38);
        client.answer(0, answer);
        assert_eq!(client.counters().answers_malformed, 1);
        assert!(!client.seen.iter().any(|seen| matches!(seen, Seen::Deliver(..))));
    }
}

#[test]
fn letters_that_do_not_open_are_counted_and_never_stop_the_rest() {
    let fake = Fake::new();
    let good = carried(&fake, vec![fragment(1, 45)]);
    let mut damaged = good.clone();
    for stored in &mut damaged {
        let mut letter = stored.letter.to_vec();
        letter[60] ^= 1;
        stored.letter = letter.into();
    }
    let mut moved = good.clone();
    moved.iter_mut().for_each(|stored| stored.round = u64::MAX);
    let all = [damaged, moved, good.clone()].concat();
    let mut client = recipient(&fake, 39);
    client.answer(0, fake.answer(&all, 9));
    assert_eq!(client.arrivals().len(), 1);
    assert_eq!(client.counters().letters_unopenable, 2 * good.len() as u64);
    for round in 2..=3 {
        client.ticket(round, Vec::new());
        client.pass(ms(1000));
    }
    assert_eq!(client.polls().last().expect("polled").2, 9, "they are acknowledged with the others");
}

#[test]
fn letters_out_of_their_time_or_of_impossible_messages_are_dropped() {
    let fake = Fake::new();
    let with = |change: fn(&mut Fragment)| {
        let mut fragment = fragment(1, 46);
        change(&mut fragment);
        let mut client = recipient(&fake, 40);
        client.answer(0, fake.answer(&carried(&fake, vec![fragment]), 1));
        (client.arrivals().len(), client.counters().letters_expired, client.counters().letters_unopenable)
    };
    assert_eq!(with(|_| {}), (1, 0, 0));
    assert_eq!(with(|f| f.expiry = 0), (0, 1, 0), "over: its id may be forgotten");
    assert_eq!(with(|f| f.expiry = 10), (0, 1, 0), "its id would be kept for longer than retention");
    assert_eq!(with(|f| f.expiry = u64::MAX), (0, 1, 0));
    let mut client = recipient(&fake, 40);
    client.opens = false;
    client.answer(0, fake.answer(&carried(&fake, vec![Fragment { expiry: 1, ..fragment(1, 46) }]), 1));
    let chain = vec![fake.epoch(2, 10, fake.first_epoch().document.digest())];
    client.ticket_with(Ticket { round: 2, closes_in_ms: 500, chain, verdicts: Vec::new() });
    client.release();
    assert_eq!((client.arrivals().len(), client.counters().letters_expired), (0, 1), "over since the job began");
    // 10,000 bytes and the content's header of 258 need 41 fragments of 256.
    assert_eq!(with(|f| f.count = 41), (1, 0, 0));
    assert_eq!(with(|f| f.count = 42), (0, 0, 1));
}
