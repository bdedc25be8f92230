//! What the entry says is believed as far as it is signed.

use super::driver::*;
use super::fake::*;
use crate::crypto::{Digest, SecretKey, Signature};
use crate::session::*;
use crate::wire::*;

/// A client that has used round 1 and is about to get the ticket that owes its verdict.
fn waiting(fake: &Fake) -> Client {
    let mut client = Client::joined(fake, 20);
    client.ticket(1, Vec::new());
    client.pass(ms(3000));
    client
}

#[test]
fn a_verdict_needs_every_signature_its_list_and_its_network() {
    let fake = Fake::new();
    let stored = fake.stored(1);
    let mut unsigned = stored.clone();
    unsigned.signatures.pop();
    let mut swapped = stored.clone();
    swapped.signatures.swap(0, 1);
    let mut relisted = stored.clone();
    relisted.verdict.members = Members::none(CLIENTS);
    let mut reversed = stored.clone();
    reversed.verdict.outcome = Outcome::OpenedNotStored;
    for forged in [unsigned, swapped, relisted, reversed] {
        let mut client = waiting(&fake);
        client.ticket(4, vec![forged]);
        assert_eq!((client.settled(), client.counters().verdicts_forged), (vec![], 1));
    }
    let mut client = waiting(&fake);
    client.ticket(4, vec![Fake::named("other").stored(1)]);
    assert_eq!((client.settled(), client.counters().verdicts_foreign), (vec![], 1));
    client.ticket(5, vec![stored]);
    assert_eq!(client.settled(), [(1, true)]);
}

#[test]
fn without_the_verdict_that_a_ticket_owes_we_are_absent() {
    let fake = Fake::new();
    let mut client = waiting(&fake);
    client.ticket(4, Vec::new());
    client.pass(ms(1000));
    client.ticket(5, Vec::new());
    client.pass(ms(1000));
    assert_eq!(client.submitted(), [1]);
    assert_eq!(client.used.len(), 1, "the outbox is not even asked");
    assert_eq!(client.counters().tickets_incomplete, 2);
    assert_eq!(client.notes(), [Note::VerdictOwed { round: 1 }]);
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 1, after: 5, unsettled: 1 });
    assert_eq!(client.polls().len(), 3, "polls go on");
    client.ticket(6, vec![fake.stored(1)]);
    client.pass(ms(1000));
    assert_eq!(client.submitted(), [1, 6]);
}

#[test]
fn a_verdict_does_not_count_before_its_ticket() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 21);
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    client.ticket(3, vec![fake.stored(1)]);
    assert_eq!((client.settled(), client.counters().verdicts_early), (vec![], 1));
    client.ticket(4, vec![fake.stored(1)]);
    assert_eq!(client.settled(), [(1, true)]);
}

#[test]
fn verdicts_count_once() {
    let fake = Fake::new();
    let mut client = waiting(&fake);
    let aborted = fake.verdict(1, Outcome::Aborted(AbortReason::Timeout), &[0]);
    client.ticket(4, vec![fake.stored(1), fake.stored(1), aborted.clone(), fake.stored(2)]);
    client.ticket(5, vec![aborted, fake.stored(1)]);
    assert_eq!(client.settled(), [(1, true)]);
}

#[test]
fn verdicts_that_nobody_keeps_are_given_up_and_not_taken_for_aborted() {
    let fake = Fake::new();
    let mut config = fake.config(0);
    (config.epochs, config.unsettled) = (vec![fake.first_epoch()], vec![5, 20_000]);
    let mut client = Client::new(config, 22);
    client.join(Vec::new());
    let far = 20_001;
    let chain = vec![fake.epoch(9, far, Digest([7; 32]))];
    client.ticket_with(Ticket { round: far, closes_in_ms: 500, chain, verdicts: Vec::new() });
    assert!(client.seen.contains(&Seen::Abandon(5)) && client.settled().is_empty());
    assert!(client.notes().contains(&Note::Abandoned { round: 5 }));
    assert!(client.notes().contains(&Note::EpochGap { known: 1, received: 9 }));
    client.pass(ms(500));
    assert_eq!(client.submitted(), [far]);
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 9, after: far, unsettled: 20_000 });
}

#[test]
fn a_document_needs_every_signature_and_the_own_network() {
    let fake = Fake::new();
    let first = fake.first_epoch();
    let mut unsigned = first.clone();
    unsigned.signatures.pop();
    let mut forged = first.clone();
    forged.document.mixes[0].onion_keys[0] = SecretKey::from_bytes([1; 32]).public_key();
    for bad in [unsigned, forged, Fake::named("other").first_epoch()] {
        let mut client = Client::new(fake.config(0), 23);
        client.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
        client.reply(Reply::Registered { index: 0 });
        client.reply(Reply::Start(Start { chain: vec![bad], round: 1, starts_in_ms: 0, round_ms: 1000 }));
        assert_eq!((client.counters().documents_invalid, client.asked), (1, None));
        assert!(!client.trace.iter().any(|(_, text)| text.starts_with("epoch")));
        client.pass(ms(1000));
        assert_eq!(client.last_ask(), Request::Register, "asked again after a pause");
    }
}

#[test]
fn rounds_of_another_network_file_are_links_of_the_chain_and_closed_to_us() {
    let fake = Fake::new();
    let mut other = fake.first_epoch();
    other.document.parameters = Digest([9; 32]);
    let other = fake.sign(other.document);
    let ours = fake.epoch(2, 30, other.document.digest());
    let mut client = Client::new(fake.config(0), 28);
    client.join(vec![other.clone()]);
    assert!(client.notes().is_empty(), "what mixes ran with before is no concern of ours");
    client.ticket(1, Vec::new());
    assert!(client.notes().contains(&Note::OtherNetworkFile { epoch: 1 }));
    assert_eq!((client.counters().documents_invalid, client.counters().tickets_unknown_epoch), (0, 1));
    assert!(client.submitted().is_empty());
    client.pass(ms(2000));
    assert_eq!(client.last_ask(), Request::Register);
    client.reply(Reply::Registered { index: 0 });
    client.reply(Reply::Start(Start { chain: vec![ours], round: 30, starts_in_ms: 0, round_ms: 1000 }));
    client.ticket(30, Vec::new());
    client.pass(ms(500));
    assert_eq!(client.submitted(), [30]);
    assert!(!client.notes().iter().any(|note| matches!(note, Note::EpochGap { .. })), "the chain has no gap");
}

#[test]
fn a_verdict_names_a_client_by_the_roster_of_its_round() {
    let fake = Fake::new();
    let mut config = fake.config(0);
    (config.epochs, config.unsettled) = (vec![fake.first_epoch()], vec![3, 4]);
    // In round 3 this client stood last on the roster, in round 4 where it is now.
    let last = CLIENTS as u32 - 1;
    config.seats = vec![Seat { first_round: 0, index: last }, Seat { first_round: 4, index: 0 }];
    let mut client = Client::new(config, 29);
    client.join(Vec::new());
    let without_the_first = |round| fake.verdict(round, Outcome::Stored { refused: 0 }, &[1, 2]);
    client.ticket(9, vec![without_the_first(3), without_the_first(4)]);
    assert_eq!(client.settled(), [(3, true), (4, false)]);
}

#[test]
fn documents_come_in_order_and_only_one_of_a_number() {
    let fake = Fake::new();
    let first = fake.first_epoch();
    let second = fake.epoch(2, 10, first.document.digest());
    let mut client = Client::joined(&fake, 24);
    let ticket = |round, chain| Ticket { round, closes_in_ms: 500, chain, verdicts: Vec::new() };
    client.ticket_with(ticket(1, vec![first.clone(), second.clone(), second.clone(), first.clone()]));
    assert_eq!(client.session.status().epoch, 2);
    let remembered = |client: &Client| client.seen.iter().filter(|s| matches!(s, Seen::Epoch(_))).count();
    assert_eq!((remembered(&client), client.counters()), (2, Counters::default()), "known ones are harmless");

    let mut other = second.document.clone();
    other.proposed_at_ms = 1;
    let older_rounds = fake.epoch(3, 10, second.document.digest());
    client.ticket_with(ticket(2, vec![fake.sign(other), older_rounds]));
    assert_eq!((client.counters().documents_forked, client.counters().documents_stale), (1, 1));
    assert!(client.notes().contains(&Note::EpochFork { epoch: 2 }));
    assert_eq!((remembered(&client), client.session.status().epoch), (2, 2));
}

#[test]
fn two_documents_or_verdicts_with_one_mixs_signature_are_handed_on_for_evidence() {
    let fake = Fake::new();
    let first = fake.first_epoch();
    let mut client = Client::joined(&fake, 31);
    let contradictions = |client: &Client| -> Vec<Contradiction> {
        let seen = client.seen.iter();
        seen.filter_map(|seen| if let Seen::Contradicted(found) = seen { Some(found.clone()) } else { None }).collect()
    };
    let ticket = |round, chain, verdicts| Ticket { round, closes_in_ms: 500, chain, verdicts };
    client.ticket_with(ticket(1, vec![first.clone()], Vec::new()));
    // One mix alone has signed another: it holds for nobody, and convicts that mix.
    let mut other = first.document.clone();
    other.proposed_at_ms += 1;
    let mut forged = fake.sign(other);
    forged.signatures[1..].fill(Signature([0; 64]));
    let mut nobodys = forged.clone();
    nobodys.signatures[0] = Signature([0; 64]);
    client.ticket_with(ticket(2, vec![nobodys, forged.clone()], Vec::new()));
    assert_eq!(contradictions(&client), [Contradiction::Documents(Box::new([first, forged]))]);

    let settles = fake.stored(1);
    let contradicts = fake.verdict(1, Outcome::OpenedNotStored, &[0]);
    client.ticket_with(ticket(20, Vec::new(), vec![settles.clone(), settles.clone(), contradicts.clone()]));
    assert_eq!(contradictions(&client)[1..], [Contradiction::Verdicts(Box::new([settles, contradicts]))]);
    assert_eq!(client.settled(), [(1, true)], "the first one counts");
}

#[test]
fn a_ticket_of_no_known_epoch_is_no_ticket() {
    let fake = Fake::new();
    let mut client = waiting(&fake);
    client.ticket(1_000_000, vec![fake.stored(1)]);
    assert_eq!(client.counters().tickets_unknown_epoch, 1);
    assert!(client.settled().is_empty(), "nor do its verdicts count");
    client.pass(ms(1000));
    assert_eq!(client.last_ask(), Request::Register);
    client.reply(Reply::Registered { index: 0 });
    client.reply(Reply::Start(Start { chain: Vec::new(), round: 4, starts_in_ms: 0, round_ms: 1000 }));
    assert_eq!(client.last_ask(), Request::NextRound { epoch: 1, after: 1, unsettled: 1 });
}

#[test]
fn refusals_are_counted_and_answered_with_a_pause() {
    let fake = Fake::new();
    let mut client = Client::new(fake.config(0), 25);
    client.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
    client.reply(Reply::Refused(Refusal::Full));
    client.pass(ms(499));
    assert_eq!(client.asked, None);
    client.pass(ms(501));
    assert_eq!(client.last_ask(), Request::Register);
    client.reply(Reply::Refused(Refusal::NotOnRoster));
    assert!(client.notes().contains(&Note::NotOnRoster));
    client.pass(ms(59_000));
    assert_eq!(client.asked, None, "only people can change it");
    client.pass(ms(2000));
    client.reply(Reply::Registered { index: 1 });
    assert_eq!(client.counters().replies_malformed, 1, "another's index");
    assert!(!client.session.status().registered);
    let refusals = &client.session.status().refusals;
    assert_eq!((refusals[&Refusal::Full], refusals[&Refusal::NotOnRoster]), (1, 1));
}

#[test]
fn a_bad_receipt_is_counted_and_nothing_else() {
    let fake = Fake::new();
    let mut client = Client::joined(&fake, 26);
    client.ticket(1, Vec::new());
    client.pass(ms(1000));
    let (id, ..) = client.submissions()[0].clone();
    let seen = client.seen.len();
    client.tell(Event::Reply { id, reply: fake.receipt(1, 0, b"other packets"), letters: Vec::new() });
    assert_eq!((client.counters().receipts_bad, client.counters().receipts), (1, 0));
    assert_eq!(client.seen.len(), seen);
}

#[test]
fn everything_may_move_between_threads() {
    fn sends<T: Send>() {}
    sends::<Session>();
    sends::<Action>();
    sends::<Event>();
}

#[test]
fn a_session_needs_a_network_it_is_in() {
    let fake = Fake::new();
    let config = |change: fn(&mut Network)| {
        let mut network = Network::clone(&fake.network);
        change(&mut network);
        SessionConfig { network: network.into(), ..fake.config(0) }
    };
    let refused = |change| Session::new(config(change), rand::SeedableRng::seed_from_u64(1)).err();
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|n| drop(n.roster.clients.remove(0))), Some(SessionError::NotOnRoster));
    assert_eq!(refused(|n| n.roster.clients[0].list_key.0[0] ^= 1), Some(SessionError::ListKey));
    assert_eq!(refused(|n| n.roster.mailboxes.clear()), Some(SessionError::Mailboxes));
    assert_eq!(refused(|n| n.roster.mailboxes[1].letter_key.0 = [0; 32]), Some(SessionError::Mailboxes));
    assert_eq!(refused(|n| n.parameters.dummy_payload = vec![0; 257]), Some(SessionError::Parameters));
    assert_eq!(refused(|n| n.parameters.packets_per_client = 0), Some(SessionError::Parameters));
    assert_eq!(refused(|n| n.parameters.payload = 1), Some(SessionError::Geometry));
}
