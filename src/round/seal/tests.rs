//! What a seal does and refuses, one rule at a time; `tests/model` has every order of events.

use super::*;

const T: Digest = Digest([7; 32]);
const MISMATCH: Mismatch = Mismatch::Echo { place: 3 };

fn position(own: usize) -> Position {
    Position { own, mixes: 3, threshold: 3 }
}

/// A mix that has checked the echoes, and at the exit, whose confirm is on disk.
fn confirmed(position: Position) -> Seal {
    let mut seal = Seal::new(position);
    for event in [Event::Listed, Event::Forwarded, Event::Echoed(T)] {
        seal.handle(event).expect("they come in order");
    }
    if position.is_exit() {
        let steps = seal.handle(Event::Persisted(Fact::Confirmed));
        assert_eq!(steps, Ok(vec![Step::Say(Message::Confirm(T))]));
    }
    seal
}

fn hear(seal: &mut Seal, events: &[Event]) -> Vec<Step> {
    events.iter().flat_map(|event| seal.handle(*event).expect("an honest word")).collect()
}

fn confirm(from: usize) -> Event {
    Event::Confirm { from, transcript: T }
}

const ERASE_BOTH: [Step; 2] = [Step::Erase(Secret::Share), Step::Erase(Secret::OnionKey)];

#[test]
fn a_batch_goes_out_only_under_a_complete_list() {
    let mut seal = Seal::new(position(0));
    assert!(!seal.may_forward());
    assert_eq!(seal.handle(Event::Forwarded), Err(SealError::TooEarly));
    assert_eq!(seal.handle(Event::Echoed(T)), Err(SealError::TooEarly));
    assert_eq!(seal.handle(Event::Listed), Ok(vec![]));
    assert!(seal.may_forward());
    seal.handle(Event::Mismatch(MISMATCH)).expect("it may find one any time");
    assert!(!seal.may_forward(), "a round that burns goes nowhere");
}

#[test]
fn a_share_goes_out_behind_all_confirms_and_its_record() {
    let mut seal = confirmed(position(0));
    assert_eq!(hear(&mut seal, &[confirm(1), confirm(1)]), [], "one is missing, however often it is said");
    assert_eq!(hear(&mut seal, &[confirm(2)]), [Step::Persist(Fact::Released)]);
    assert_eq!(seal.handle(Event::Persisted(Fact::Burning)), Err(SealError::NotAsked(Fact::Burning)));
    let steps = hear(&mut seal, &[Event::Persisted(Fact::Released)]);
    assert_eq!(steps, [&[Step::Say(Message::Share)], ERASE_BOTH.as_slice()].concat());
    assert_eq!(seal.handle(Event::Persisted(Fact::Released)), Err(SealError::NotAsked(Fact::Released)), "once");
    assert_eq!(hear(&mut seal, &[Event::Accusation { from: 1 }, Event::TimedOut]), [], "too late to burn");
    assert_eq!(seal.may_sign(Ending::Aborted), Err(SealError::AbortAfterRelease));
    assert_eq!(hear(&mut seal, &[Event::Decision(Ending::Stored)]), [Step::Persist(Fact::Ended(Ending::Stored))]);
    assert_eq!(seal.handle(Event::Decision(Ending::OpenedNotStored)), Err(SealError::Contradiction));
}

#[test]
fn a_decision_to_release_holds_before_its_record_is_on_disk() {
    let mut seal = confirmed(position(0));
    hear(&mut seal, &[confirm(1), confirm(2)]);
    assert_eq!(hear(&mut seal, &[Event::Accusation { from: 1 }]), []);
    assert_eq!(hear(&mut seal, &[Event::TimedOut]), ERASE_BOTH, "but a time-out still keeps the share in");
    assert_eq!(hear(&mut seal, &[Event::Persisted(Fact::Released)]), []);
    assert_eq!(seal.may_sign(Ending::Aborted), Err(SealError::AbortAfterRelease));
}

#[test]
fn the_exit_opens_with_every_share_and_can_burn_until_then() {
    let mut seal = confirmed(position(2));
    assert_eq!(hear(&mut seal, &[Event::Share { from: 0 }, confirm(0), confirm(1)]), []);
    let mut other = seal.clone();
    let opens = [Step::Erase(Secret::OnionKey), Step::Open];
    assert_eq!(hear(&mut seal, &[Event::Share { from: 1 }]), opens);
    assert_eq!(hear(&mut seal, &[Event::TimedOut, Event::Accusation { from: 0 }]), [], "it ends by itself");
    let stored = Fact::Ended(Ending::Stored);
    assert_eq!(hear(&mut seal, &[Event::Opened]), [Step::Erase(Secret::Share), Step::Persist(stored)]);
    let not_stored = Ending::OpenedNotStored;
    assert_eq!(hear(&mut seal, &[Event::NotStored]), [Step::Persist(Fact::Ended(not_stored))]);
    assert_eq!(seal.handle(Event::Persisted(stored)), Err(SealError::NotAsked(stored)));
    let said = hear(&mut seal, &[Event::Persisted(Fact::Ended(not_stored))]);
    assert_eq!(said, [Step::Say(Message::Ending(not_stored))]);

    assert_eq!(hear(&mut other, &[Event::Accusation { from: 1 }]), [Step::Persist(Fact::Burning)]);
    assert_eq!(hear(&mut other, &[Event::Share { from: 1 }]), []);
}

#[test]
fn a_burn_erases_says_so_and_publishes_behind_everybody_and_an_accuser() {
    let mut accuser = confirmed(position(1));
    assert_eq!(hear(&mut accuser, &[Event::Mismatch(MISMATCH)]), [Step::Persist(Fact::Burning)]);
    let said = [Message::Accusation(MISMATCH), Message::Burnt].map(Step::Say);
    let steps = hear(&mut accuser, &[Event::Persisted(Fact::Burning)]);
    assert_eq!(steps, [&[Step::Erase(Secret::Share)], said.as_slice()].concat());
    assert_eq!(hear(&mut accuser, &[confirm(0), confirm(2), Event::Burnt { from: 0 }]), []);
    let published = [Step::Say(Message::OnionKey), Step::Erase(Secret::OnionKey)];
    assert_eq!(hear(&mut accuser, &[Event::Burnt { from: 2 }]), published);
    assert_eq!(hear(&mut accuser, &[Event::Burnt { from: 2 }]), []);

    let mut other = confirmed(position(0));
    assert_eq!(hear(&mut other, &[Event::OnionKey { from: 2 }, Event::Accusation { from: 1 }]).len(), 1);
    hear(&mut other, &[Event::Persisted(Fact::Burning), Event::Burnt { from: 1 }, Event::Burnt { from: 2 }]);
    assert_eq!(seal_stage_after(&mut other, Event::OnionKey { from: 2 }), Stage::Burnt, "that one did not accuse");
    assert_eq!(hear(&mut other, &[Event::OnionKey { from: 1 }]), published);
}

fn seal_stage_after(seal: &mut Seal, event: Event) -> Stage {
    hear(seal, &[event]);
    seal.stage()
}

#[test]
fn a_verdict_does_not_end_a_burn_and_a_time_out_does() {
    let mut seal = confirmed(position(0));
    hear(&mut seal, &[Event::Accusation { from: 1 }, Event::Persisted(Fact::Burning)]);
    let aborted = Fact::Ended(Ending::Aborted);
    assert_eq!(hear(&mut seal, &[Event::Decision(Ending::Aborted)]), [Step::Persist(aborted)]);
    assert_eq!(seal.stage(), Stage::Burnt);
    assert_eq!(hear(&mut seal, &[Event::TimedOut]), [Step::Erase(Secret::OnionKey)]);
    let all = [Event::Burnt { from: 1 }, Event::Burnt { from: 2 }, Event::OnionKey { from: 1 }];
    assert_eq!(hear(&mut seal, &all), []);
}

#[test]
fn another_transcript_and_two_transcripts_of_one_mix_burn_the_round() {
    let other = Event::Confirm { from: 1, transcript: Digest([8; 32]) };
    let transcript = Message::Accusation(Mismatch::Transcript { hop: 2 });
    let mut after = confirmed(position(0));
    assert_eq!(hear(&mut after, &[other]), [Step::Persist(Fact::Burning)]);
    assert!(hear(&mut after, &[Event::Persisted(Fact::Burning)]).contains(&Step::Say(transcript)));

    let mut before = Seal::new(position(0));
    hear(&mut before, &[other, Event::Listed, Event::Forwarded]);
    assert_eq!(hear(&mut before, &[Event::Echoed(T)]), [Step::Persist(Fact::Burning)], "it does not confirm first");

    let mut both = Seal::new(position(0));
    let equivocated = [Step::Equivocated(1), Step::Persist(Fact::Burning)];
    assert_eq!(hear(&mut both, &[confirm(1), other, other]), equivocated);
    let accusation = Message::Accusation(Mismatch::Equivocation { hop: 2 });
    assert!(hear(&mut both, &[Event::Persisted(Fact::Burning)]).contains(&Step::Say(accusation)));
}

#[test]
fn the_exit_calls_aborted_only_what_it_has_not_confirmed() {
    let mut early = Seal::new(position(2));
    let ends = |ending| Step::Persist(Fact::Ended(ending));
    assert_eq!(hear(&mut early, &[Event::TimedOut]), [ERASE_BOTH[0], ERASE_BOTH[1], ends(Ending::Aborted)]);
    let mut late = confirmed(position(2));
    assert_eq!(hear(&mut late, &[Event::TimedOut]).last(), Some(&ends(Ending::OpenedNotStored)));
    let mut mix = confirmed(position(0));
    hear(&mut mix, &[confirm(2)]);
    assert_eq!(mix.may_sign(Ending::Aborted), Err(SealError::AbortAfterConfirm));
    assert_eq!(mix.may_sign(Ending::Stored), Err(SealError::StoredUnreleased));
    assert_eq!(mix.may_sign(Ending::OpenedNotStored), Ok(()));
}

#[test]
fn a_process_that_starts_again_knows_its_facts_and_has_no_keys() {
    let (mut seal, steps) = Seal::restarted(position(0), &[Fact::Released]);
    assert_eq!(steps, [Step::Say(Message::Lost)]);
    let all = [Event::Listed, Event::Echoed(T), confirm(1), confirm(2), Event::Mismatch(MISMATCH), Event::TimedOut];
    assert_eq!(hear(&mut seal, &all), []);
    assert_eq!(seal.may_sign(Ending::Aborted), Err(SealError::AbortAfterRelease));
    assert_eq!(seal.may_sign(Ending::Stored), Ok(()));

    let decides = |facts: &[Fact]| Seal::restarted(position(2), facts).1;
    let ends = |ending| vec![Step::Say(Message::Lost), Step::Persist(Fact::Ended(ending))];
    assert_eq!(decides(&[]), ends(Ending::Aborted));
    assert_eq!(decides(&[Fact::Burning]), ends(Ending::Aborted));
    assert_eq!(decides(&[Fact::Confirmed]), ends(Ending::OpenedNotStored));
    let ended = decides(&[Fact::Confirmed, Fact::Ended(Ending::Stored)]);
    assert_eq!(ended, [Step::Say(Message::Ending(Ending::Stored))]);
}

#[test]
fn with_fewer_shares_needed_a_mismatch_erases_both_and_stops() {
    let position = Position { threshold: 2, ..position(0) };
    let mut seal = confirmed(position);
    hear(&mut seal, &[Event::Mismatch(MISMATCH)]);
    let steps = hear(&mut seal, &[Event::Persisted(Fact::Burning)]);
    let [share, onion_key] = ERASE_BOTH;
    assert_eq!(steps, [share, Step::Say(Message::Accusation(MISMATCH)), onion_key, Step::Stop]);
    assert!(Seal::restarted(position, &[Fact::Burning]).1.contains(&Step::Stop), "and stays stopped");

    let (mut lost, _) = Seal::restarted(position, &[]);
    assert_eq!(lost.may_sign(Ending::Stored), Err(SealError::StoredUnreleased));
    hear(&mut lost, &[confirm(2)]);
    assert_eq!(lost.may_sign(Ending::Stored), Err(SealError::StoredUnreleased), "its own is not shown");
    hear(&mut lost, &[confirm(0)]);
    assert_eq!(lost.may_sign(Ending::Stored), Ok(()));
    let mut exit = confirmed(Position { own: 2, ..position });
    assert!(hear(&mut exit, &[confirm(0), confirm(1), Event::Share { from: 1 }]).contains(&Step::Open));
}

#[test]
fn what_only_a_wrong_caller_does_is_refused() {
    let mut seal = confirmed(position(0));
    assert_eq!(seal.handle(confirm(0)), Err(SealError::OwnStatement));
    assert_eq!(seal.handle(confirm(3)), Err(SealError::UnknownMix(3)));
    assert_eq!(seal.handle(Event::Share { from: 1 }), Err(SealError::NotTheExit));
    assert_eq!(seal.handle(Event::Opened), Err(SealError::NotTheExit));
    assert_eq!(seal.handle(Event::NotStored), Err(SealError::NotTheExit));
    let mut exit = confirmed(position(2));
    assert_eq!(exit.handle(Event::Decision(Ending::Stored)), Err(SealError::IsTheExit));
    assert_eq!(exit.handle(Event::Opened), Err(SealError::TooEarly));
}
