//! Taking part: when, with how much, how often.

use super::driver::*;
use super::fake::*;
use crate::packet::{Kind, RoundContext, commitment, open_letter};
use crate::session::*;
use crate::wire::*;

#[test]
fn the_first_round_from_register_to_receipt() {
    let fake = Fake::new();
    let mut client = Client::new(fake.config(0), 1);
    client.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
    assert_eq!(client.last_ask(), Request::Register);
    client.reply(Reply::Registered { index: 0 });
    assert_eq!(client.last_ask(), Request::WaitForStart { epoch: 0 });
    let chain = vec![fake.first_epoch()];
    client.reply(Reply::Start(Start { chain, round: 1, starts_in_ms: 10, round_ms: 1000 }));
    assert!(client.seen.contains(&Seen::Epoch(1)));
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 1, after: 0, unsettled: 1 });

    client.outbox.push_back(fragment(1, 7));
    let opened = client.now;
    client.ticket(1, Vec::new());
    assert!(client.trace.contains(&(opened, "reserve 1 9 4".to_owned())));
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 1, after: 1, unsettled: 1 }, "the next is asked at once");
    assert!(client.submissions().is_empty(), "packets wait for their moment");
    client.pass(ms(500));

    let (id, round, packets) = client.submissions().pop().expect("submitted");
    assert_eq!((round, packets.len()), (1, PACKETS as usize * fake.geometry().packet()));
    let at = client.trace.iter().find(|(_, text)| text.starts_with("submit")).expect("traced").0 - opened;
    assert!((ms(50)..=ms(400)).contains(&at), "{at:?}");
    client.tell(Event::Reply { id, reply: fake.receipt(1, 0, &packets), letters: Vec::new() });
    assert_eq!((client.counters().receipts, client.counters().receipts_bad), (1, 0));
    assert_eq!((client.session.status().entry, client.session.status().exit), (Some(true), None));
}

#[test]
fn content_goes_again_exactly_if_the_verdict_says_so() {
    let fake = Fake::new();
    let cases = [
        (Outcome::Stored { refused: 0 }, vec![0, 1, 2], true, false),
        (Outcome::Stored { refused: 0 }, vec![1, 2], false, true),
        (Outcome::Aborted(AbortReason::Timeout), vec![0, 1, 2], false, false),
        (Outcome::OpenedNotStored, vec![0, 1], false, false),
    ];
    for (outcome, members, carried, missed) in cases {
        let mut client = Client::joined(&fake, 2);
        client.ticket(1, Vec::new());
        client.pass(ms(1000));
        client.ticket(4, vec![fake.verdict(1, outcome, &members)]);
        assert_eq!(client.settled(), [(1, carried)]);
        let result = RoundResult {
            round: 1,
            clients: Some(members.len() as u32),
            outcome: Some(outcome),
            missed,
            changed: None,
        };
        assert!(client.notes().contains(&Note::Round(result.clone())));
        assert!(client.session.status().rounds.contains(&result));
        // The outbox hears of it before it is asked for the new round.
        let at = |prefix: &str| client.trace.iter().position(|(_, text)| text.starts_with(prefix)).expect(prefix);
        assert!(at("settle 1") < at("reserve 4"));
    }
}

#[test]
fn who_came_and_went_is_counted_from_one_stored_round_to_the_next() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 2);
    let stored = Outcome::Stored { refused: 0 };
    let ended =
        [(stored, vec![0, 1, 2]), (stored, vec![0, 2]), (Outcome::OpenedNotStored, vec![0, 1]), (stored, vec![0, 1])];
    for ticket in 1..=7u64 {
        let verdict = ticket.checked_sub(4).map(|at| {
            let (outcome, members) = &ended[at as usize];
            fake.verdict(at + 1, *outcome, members)
        });
        client.ticket(ticket, verdict.into_iter().collect());
        client.pass(ms(1000));
    }
    let changed: Vec<_> = client.session.status().rounds.iter().map(|ended| (ended.round, ended.changed)).collect();
    // Between 2 and 4 lies one that was not stored.
    assert_eq!(changed, [(1, None), (2, Some(1)), (3, None), (4, None)]);
}

#[test]
fn nothing_but_a_verdict_settles_a_round() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 3);
    client.outbox.push_back(fragment(1, 7));
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    let (id, ..) = client.submissions()[0].clone();
    client.tell(Event::Failed { id });
    client.ticket(2, Vec::new());
    client.pass(ms(1000));
    let (id, ..) = client.submissions()[1].clone();
    client.tell(Event::Reply { id, reply: Reply::Refused(Refusal::Late), letters: Vec::new() });
    client.ticket(3, Vec::new());
    client.pass(ms(1000));
    client.tell(Event::LinkDown { link: Link::Entry });
    client.pass(ms(3_600_000));
    assert_eq!(client.counters().receipts_missing, 2 + 1, "failed, refused, link down");
    client.join(Vec::new());
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 1, after: 3, unsettled: 1 });
    assert_eq!((client.settled(), client.submitted()), (Vec::new(), vec![1, 2, 3]));

    // After a restart the rounds on disk are still open, and only they.
    let mut config = fake.config(0);
    (config.epochs, config.unsettled) = (vec![fake.first_epoch()], vec![3, 1]);
    let mut again = Client::new(config, 4);
    again.join(Vec::new());
    assert_eq!(again.last_ask(), Request::NextRound { epoch: 1, after: 3, unsettled: 1 });
    again.ticket(4, vec![fake.stored(1), fake.stored(2)]);
    assert_eq!(again.settled(), [(1, true)]);
    assert_eq!(again.last_ask(), Request::NextRound { epoch: 1, after: 4, unsettled: 3 });
}

#[test]
fn a_round_is_submitted_to_at_most_once() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 5);
    client.ticket(5, Vec::new());
    client.pass(ms(500));
    client.ticket(5, Vec::new());
    assert_eq!(client.counters().tickets_stale, 1);
    client.pass(ms(5000));
    client.tell(Event::LinkDown { link: Link::Entry });
    client.join(vec![fake.first_epoch()]);
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 1, after: 5, unsettled: 5 });
    client.ticket(5, Vec::new());
    client.ticket_on_next_ask(4);
    client.tell(Event::Reserved { round: 5, result: Ok(Vec::new()) });
    client.pass(ms(1000));
    assert_eq!(client.submitted(), [5]);

    // Restarted, with a disk that has the round and an entry that offers it again.
    let mut again = Client::new(fake.config(0), 6);
    again.used = client.used.clone();
    again.join(vec![fake.first_epoch()]);
    again.ticket(5, Vec::new());
    again.pass(ms(1000));
    assert_eq!((again.submitted(), again.counters().tickets_closed), (vec![], 1));
    again.ticket(6, Vec::new());
    again.pass(ms(1000));
    assert_eq!(again.submitted(), [6]);
}

impl Client {
    /// Waits out the pause, registers again and gives one more ticket.
    fn ticket_on_next_ask(&mut self, round: u64) {
        self.pass(ms(1000));
        self.reply(Reply::Registered { index: 0 });
        self.reply(Reply::Start(Start { chain: Vec::new(), round, starts_in_ms: 0, round_ms: 1000 }));
        self.ticket(round, Vec::new());
    }
}

#[test]
fn what_is_sent_and_when_does_not_depend_on_the_user() {
    let fake = Fake::new();
    let run = |messages: u8| {
        let mut client = Client::joined(&fake, 7);
        client.outbox.extend((0..messages).map(|i| fragment(1, i)));
        for round in 1..=12u64 {
            let verdict = round.checked_sub(DELAY).filter(|r| *r > 0).map(|r| match r % 4 {
                0 => fake.verdict(r, Outcome::Aborted(AbortReason::Lost), &[0, 1]),
                1 => fake.verdict(r, Outcome::Stored { refused: 0 }, &[1, 2]),
                _ => fake.stored(r),
            });
            client.ticket(round, Vec::from_iter(verdict));
            client.pass(ms(1000));
        }
        client
    };
    let (idle, busy) = (run(0), run(40));
    assert_eq!(idle.submitted(), Vec::from_iter(1..=12));
    assert!(busy.outbox.is_empty() && idle.submissions()[0].2 != busy.submissions()[0].2);
    assert_eq!(idle.trace, busy.trace);
}

#[test]
fn positions_in_a_submission_tell_nothing_and_dummies_go_to_everybody() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 8);
    let (mut positions, mut cover) = ([0; PACKETS as usize], [0; CLIENTS]);
    for round in 1..=20u64 {
        client.outbox.push_back(fragment(1, 9));
        client.ticket(round, Vec::from_iter((round > DELAY).then(|| fake.stored(round - DELAY))));
        client.pass(ms(1000));
        let packets = client.submissions().pop().expect("submitted").2;
        let context = RoundContext { network: fake.network.id(), epoch: 1, round };
        for (position, (mailbox, stored)) in fake.travel(1, round, 0, &packets).into_iter().enumerate() {
            let to = usize::from(mailbox.0[0]) - 1;
            let own = letter_secret(to).prepare(Default::default());
            let mut letter = stored.letter.to_vec();
            let letter = open_letter(fake.geometry(), &context, &own, &mut letter).expect("opens");
            match letter.body.kind {
                Kind::Fragment => positions[position] += 1,
                Kind::Dummy => {
                    assert_eq!(letter.body.data, b"dummy");
                    cover[to] += 1;
                }
            }
        }
    }
    assert_eq!((positions.iter().sum::<u32>(), cover.iter().sum::<u32>()), (20, 60));
    assert!(positions.iter().all(|n| *n >= 1), "{positions:?}");
    assert!(cover.iter().all(|n| *n >= 10), "{cover:?}");
}

#[test]
fn a_dummys_tag_is_made_for_a_contact_as_a_messages_is_for_its_recipient() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 8);
    let stranger = letter_secret(40).public_key();
    client.tell(Event::Contacts(Contacts::from([(address(1).mailbox, stranger)]).into()));
    assert!(!client.session.correspondence.has_outgoing(&stranger));
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    assert_eq!(client.submissions().len(), 1);
    assert!(client.session.correspondence.has_outgoing(&stranger));
}

#[test]
fn dummies_go_where_the_network_says_and_fragments_to_whom_they_are_for() {
    let own = address(0).mailbox;
    for (dummies, to) in [(DummyPolicy::Dropped, NOWHERE), (DummyPolicy::Own, own)] {
        let fake = Fake::with_dummies(dummies);
        let mut client = Client::joined(&fake, 8);
        for round in 1..=3u64 {
            client.outbox.push_back(fragment(1, 9));
            client.ticket(round, Vec::new());
            client.pass(ms(1000));
            let packets = client.submissions().pop().expect("submitted").2;
            let letters = fake.travel(1, round, 0, &packets);
            let dummies = letters.iter().filter(|(mailbox, _)| *mailbox == to).count();
            let real = letters.iter().filter(|(mailbox, _)| *mailbox == address(1).mailbox).count();
            assert_eq!((dummies, real), (PACKETS as usize - 1, 1));
        }
    }
}

#[test]
fn behind_the_packets_go_their_records_in_the_order_in_which_they_are_sent() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 8);
    let first = fake.first_epoch();
    let second = fake.epoch(2, 5, first.document.digest());
    for round in 1..=7u64 {
        client.outbox.push_back(fragment(1, 9));
        let chain = if round == 5 { vec![second.clone()] } else { Vec::new() };
        let verdicts = Vec::from_iter((round > DELAY).then(|| fake.stored(round - DELAY)));
        client.ticket_with(Ticket { round, closes_in_ms: 500, chain, verdicts });
        client.pass(ms(1000));
        let (_, submitted, packets) = client.submissions().pop().expect("submitted");
        let epoch = if round < 5 { 1 } else { 2 };
        let records = fake.records(epoch, round, 0, &packets, &client.records());
        let context = RoundContext { network: fake.network.id(), epoch, round };
        let echoes = fake.echoes(epoch, round, 0, &packets);
        assert_eq!((submitted, echoes.len()), (round, PACKETS as usize));
        for (record, echo) in records.records().iter().zip(&echoes) {
            assert_eq!(record.commitment, commitment(&context, 0, echo));
        }
    }
}

#[test]
fn where_rounds_are_not_sealed_nothing_is_behind_the_packets() {
    let fake = Fake::unsealed();
    let mut client = Client::joined(&fake, 8);
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    assert_eq!(client.submitted(), [1]);
    assert!(client.records().is_empty());
}

#[test]
fn late_packets_go_at_once_and_never_behind_the_close() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 9);
    client.builds = false;
    client.ticket(1, Vec::new());
    client.pass(ms(450));
    assert!(client.submitted().is_empty());
    client.release();
    assert_eq!(client.submitted(), [1], "behind the moment, before the close");

    client.pass(ms(550));
    client.ticket(2, Vec::new());
    client.pass(ms(500));
    client.release();
    assert_eq!((client.submitted(), client.counters().submissions_late), (vec![1], 1), "behind the close");

    client.pass(ms(500));
    client.ticket(3, Vec::new());
    client.ticket(4, vec![fake.stored(1)]);
    client.release();
    client.pass(ms(500));
    assert_eq!(client.submitted(), [1, 4], "a new ticket overtakes the round in hand");
    assert_eq!(client.counters().submissions_late, 2);
    let missed: Vec<_> = client.session.status().rounds.iter().filter(|r| r.missed).map(|r| r.round).collect();
    assert_eq!(missed, [2, 3]);
}

#[test]
fn an_absurd_close_is_capped_and_a_closed_round_is_left_alone() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 10);
    let ticket = |round, closes_in_ms| Ticket { round, closes_in_ms, chain: Vec::new(), verdicts: Vec::new() };
    client.ticket_with(ticket(1, u64::MAX));
    client.pass(ms(401));
    assert_eq!(client.submitted(), [1]);
    client.ticket_with(ticket(2, 0));
    client.pass(ms(1000));
    assert_eq!((client.submitted(), client.counters().tickets_closed), (vec![1], 1));
    assert!(!client.used.contains(&2));
}

#[test]
fn the_epoch_may_change_at_any_ticket() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 12);
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    let first = fake.first_epoch().document.digest();
    let chain = vec![fake.epoch(2, 4, first)];
    client.ticket_with(Ticket { round: 4, closes_in_ms: 500, chain, verdicts: vec![fake.stored(1)] });
    assert!(client.seen.contains(&Seen::Epoch(2)));
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 2, after: 4, unsettled: 4 });
    client.pass(ms(1000));
    let (_, round, packets) = client.submissions().pop().expect("submitted");
    assert_eq!((round, fake.travel(2, 4, 0, &packets).len()), (4, PACKETS as usize));
    assert!(client.trace.iter().any(|(_, text)| text == "reserve 4 10 4"), "expiry follows the epoch");
}

#[test]
fn a_reservation_of_too_much_is_not_submitted_and_a_bad_fragment_becomes_a_dummy() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 13);
    let mut bad = fragment(1, 3);
    bad.to.letter_key = crate::crypto::PublicKey([0; 32]);
    client.outbox.extend([bad, fragment(1, 4)]);
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    assert_eq!(client.submissions()[0].2.len(), PACKETS as usize * fake.geometry().packet());
    assert!(client.notes().contains(&Note::Unsendable { message: fragment(1, 3).message }));

    let mut session = Session::new(fake.config(0), rand::SeedableRng::seed_from_u64(14)).expect("usable");
    session.handle(ms(0), Event::LinkUp { link: Link::Entry, post_quantum: true });
    let say = |session: &mut Session, reply| {
        let id = std::iter::from_fn(|| session.poll_action()).find_map(|action| match action {
            Action::Request { id, .. } => Some(id),
            _ => None,
        });
        session.handle(ms(0), Event::Reply { id: id.expect("asked"), reply, letters: Vec::new() });
    };
    say(&mut session, Reply::Registered { index: 0 });
    let chain = vec![fake.first_epoch()];
    say(&mut session, Reply::Start(Start { chain, round: 1, starts_in_ms: 0, round_ms: 0 }));
    let verdicts = Vec::new();
    say(&mut session, Reply::Ticket(Ticket { round: 1, closes_in_ms: 500, chain: Vec::new(), verdicts }));
    let fragments = (0..=PACKETS as u8).map(|i| fragment(1, i)).collect();
    session.handle(ms(1), Event::Reserved { round: 1, result: Ok(fragments) });
    assert_eq!(session.status().counters.reservations_excess, 1);
    assert!(!std::iter::from_fn(|| session.poll_action()).any(|action| matches!(action, Action::Build(_))));
}

#[test]
fn stopping_finishes_the_round_in_hand_and_starts_nothing() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 15);
    client.ticket(1, Vec::new());
    let asked = client.asked.expect("the next ticket");
    client.tell(Event::Stop);
    assert!(client.seen.contains(&Seen::Cancel(asked)));
    // Behind the last moment of submission, before that of handing over.
    client.pass(ms(374));
    let (id, _, packets) = client.submissions().pop().expect("the round in hand is submitted");
    assert!(!client.seen.contains(&Seen::Stopped));
    client.tell(Event::Reply { id, reply: fake.receipt(1, 0, &packets), letters: Vec::new() });
    assert_eq!(client.seen.last(), Some(&Seen::Stopped));
    let seen = client.seen.len();
    client.tell(Event::Reply {
        id: asked,
        reply: Reply::Ticket(Ticket { round: 2, closes_in_ms: 500, chain: Vec::new(), verdicts: Vec::new() }),
        letters: Vec::new(),
    });
    client.pass(ms(100_000));
    assert_eq!((client.seen.len(), client.session.poll_timeout()), (seen, None));
}
