//! Everything at once: what is accepted arrives, once; and whoever breaks a rule on purpose is seen.

use super::*;

fn storm(rounds: u64, rounds_each: u64, seed: u64, control: Control) -> StormReport {
    Storm { rounds, rounds_each, seed, threads: 2, control, lose_disks: false }.run()
}

#[test]
fn whatever_dies_everything_accepted_arrives_once() {
    let report = storm(1500, 250, 1, Control::None);
    assert!(report.is_green(), "{}: {:#?}", report.json(), report.details);
    assert_eq!((report.accepted, report.lost), (report.delivered, 0));
    assert!(report.rounds >= 1500 && report.accepted > 500, "{}", report.json());
    assert!(report.faults.len() >= 15, "every kind of fault: {:?}", report.faults);
}

#[test]
fn without_synchronised_commits_messages_are_lost_and_rounds_used_twice() {
    let report = storm(360, 60, 1, Control::NoFsync);
    assert!(report.lost > 0 && report.violations.contains_key("resent_without_verdict"), "{}", report.json());
}

#[test]
fn without_the_inboxs_names_messages_are_shown_twice() {
    let report = storm(250, 125, 2, Control::NoIdCheck);
    assert!(report.duplicated > 0 && report.lost == 0, "{}", report.json());
}

#[test]
fn a_client_that_resends_on_a_missing_receipt_is_seen() {
    let report = storm(250, 125, 1, Control::ResendOnMissingReceipt);
    assert!(report.violations.contains_key("resent_without_verdict"), "{}", report.json());
}

#[test]
fn a_seed_repeats_a_storm() {
    let run = |seed| {
        let mut report = storm(60, 60, seed, Control::NoIdCheck);
        report.seconds = 0.0;
        (report.json(), report.details)
    };
    let first = run(9);
    assert_eq!(first, run(9));
    assert_ne!(first, run(10));
}

#[test]
fn a_party_that_stood_still_takes_what_has_come_and_goes_on() {
    for party in [Party::Mix(0), Party::Mix(1), Party::Mix(2), Party::Client(0)] {
        let mut world = World::new(Plan::default());
        world.send(0, 1, b"before");
        world.run_for(Duration::from_millis(2300));
        world.pause(party);
        let before = stored(&world);
        world.run_for(Duration::from_secs(4));
        assert!(matches!(party, Party::Client(_)) || stored(&world) <= before + 1, "{party:?} is needed for a round");
        world.resume(party);
        world.send(2, 0, b"after");
        assert!(world.run_until(MINUTE, |world| !world.inbox(0).is_empty() && !world.inbox(1).is_empty()), "{party:?}");
        world.run_for(MINUTE);
        assert_eq!((contents(&world, 1), contents(&world, 0)), (vec![b"before".to_vec()], vec![b"after".to_vec()]));
        assert!(epoch(&world) <= 3, "{party:?}: a pause costs no keys");
    }
}
