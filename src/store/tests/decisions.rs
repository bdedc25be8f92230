use super::*;
use crate::wire::{AbortReason, CHAIN_KEPT, Record, SignedVerdict};

fn complete(round: u64) -> SignedVerdict {
    SignedVerdict { verdict: verdict(round, STORED), signatures: Vec::new() }
}

fn decided(round: u64, outcome: Outcome, letters: &[(u8, &[u8])]) -> Record {
    let letters = letters.iter().map(|(to, bytes)| (mailbox_id(*to), letter(1, round, bytes))).collect();
    Record::Decided { verdict: verdict(round, outcome), letters }
}

fn refused_for(result: Result<Option<Verdict>, StoreError>, number: u64) -> bool {
    matches!(result, Err(StoreError::AlreadySigned(n)) if n == number)
}

#[test]
fn everything_applied_is_recovered() {
    on_each_disk(|disk| {
        {
            let decisions = Decisions::new(disk.open(), 10, HISTORY);
            let nothing = decisions.recover().unwrap();
            assert_eq!((nothing.epoch_signed, nothing.opened), (0, 0));
            assert!(nothing.chain.is_empty() && nothing.signed.is_empty() && nothing.complete.is_empty());
            let aborted = verdict(300, Outcome::Aborted(AbortReason::Timeout));
            let records = [
                Record::EpochSigned { epoch: 1, digest: Digest([7; 32]) },
                Record::Epoch(document(1, 0)),
                Record::EpochSigned { epoch: 5, digest: Digest([8; 32]) },
                Record::Epoch(document(5, 0)),
                Record::Opened { round: 2 },
                Record::Opened { round: 300 },
                // Verdicts come out of order; 300 sorts behind 2 as a number, not as little-endian bytes.
                Record::Signed { verdict: aborted },
                Record::Complete(complete(300)),
                Record::Complete(complete(2)),
            ];
            for record in records {
                assert_eq!(decisions.apply(record).unwrap(), None);
            }
            assert_eq!(decisions.apply(decided(2, STORED, &[])).unwrap(), Some(verdict(2, STORED)));
        }
        let recovered = Decisions::new(disk.open(), 10, HISTORY).recover().unwrap();
        assert_eq!(recovered.chain, [document(1, 0), document(5, 0)]);
        assert_eq!((recovered.epoch_signed, recovered.opened), (5, 300));
        let signed = [verdict(2, STORED), verdict(300, Outcome::Aborted(AbortReason::Timeout))];
        assert_eq!(recovered.signed, signed);
        assert_eq!(recovered.complete, [complete(2), complete(300)]);
    });
}

#[test]
fn a_second_verdict_of_a_round_is_refused_also_after_a_restart() {
    on_each_disk(|disk| {
        let aborted = |round| verdict(round, Outcome::Aborted(AbortReason::Lost));
        {
            let decisions = Decisions::new(disk.open(), 10, HISTORY);
            decisions.apply(Record::Signed { verdict: aborted(1) }).unwrap();
            decisions.apply(decided(2, STORED, &[(1, b"a")])).unwrap();
        }
        let store = disk.open();
        let decisions = Decisions::new(store.clone(), 10, HISTORY);
        assert!(refused_for(decisions.apply(Record::Signed { verdict: verdict(1, STORED) }), 1));
        assert!(refused_for(decisions.apply(decided(1, STORED, &[])), 1));
        assert!(refused_for(decisions.apply(Record::Signed { verdict: aborted(2) }), 2));
        // The exit gets the decision that there is: its disk may have denied what it had written.
        let not_stored = decided(2, Outcome::OpenedNotStored, &[]);
        assert_eq!(decisions.apply(not_stored).unwrap(), Some(verdict(2, STORED)));
        let other_members = Verdict { members: Members::none(17), ..verdict(2, STORED) };
        let other = Record::Decided { verdict: other_members, letters: Vec::new() };
        assert_eq!(decisions.apply(other).unwrap(), Some(verdict(2, STORED)));
        // The same again is not another, and stores nothing again.
        decisions.apply(Record::Signed { verdict: aborted(1) }).unwrap();
        decisions.apply(Record::Signed { verdict: verdict(2, STORED) }).unwrap();
        assert_eq!(decisions.apply(decided(2, STORED, &[(1, b"a")])).unwrap(), Some(verdict(2, STORED)));
        assert_eq!(Mailbox::new(store).totals().unwrap().letters, 1);
    });
}

#[test]
fn a_stored_verdict_that_was_only_signed_is_no_decision() {
    let decisions = Decisions::new(Store::memory(), 10, HISTORY);
    decisions.apply(Record::Signed { verdict: verdict(1, STORED) }).unwrap();
    assert!(refused_for(decisions.apply(decided(1, STORED, &[(1, b"a")])), 1));
}

#[test]
fn an_epoch_number_is_signed_once_and_never_a_lower_one() {
    on_each_disk(|disk| {
        let sign = |decisions: &Decisions, epoch, digest| {
            decisions.apply(Record::EpochSigned { epoch, digest: Digest([digest; 32]) })
        };
        sign(&Decisions::new(disk.open(), 10, HISTORY), 5, 1).unwrap();
        let decisions = Decisions::new(disk.open(), 10, HISTORY);
        sign(&decisions, 5, 1).unwrap();
        assert!(refused_for(sign(&decisions, 5, 2), 5));
        assert!(refused_for(sign(&decisions, 4, 1), 4));
        sign(&decisions, 9, 2).unwrap();
        assert!(refused_for(sign(&decisions, 5, 1), 5));
        assert_eq!(decisions.recover().unwrap().epoch_signed, 9);
    });
}

#[test]
fn a_round_is_opened_once() {
    let memory = Memory::default();
    Decisions::new(memory.open(), 10, HISTORY).apply(Record::Opened { round: 5 }).unwrap();
    let decisions = Decisions::new(memory.open(), 10, HISTORY);
    for round in [4, 5] {
        let again = decisions.apply(Record::Opened { round });
        assert!(matches!(again, Err(StoreError::RoundUsed(n)) if n == round));
    }
    decisions.apply(Record::Opened { round: 6 }).unwrap();
}

#[test]
fn letters_over_quota_are_refused_and_counted() {
    on_each_disk(|disk| {
        let store = disk.open();
        let decisions = Decisions::new(store.clone(), 2, HISTORY);
        let first = decisions.apply(decided(1, STORED, &[(1, b"a"), (2, b"b"), (1, b"c"), (1, b"d")])).unwrap();
        assert_eq!(first.unwrap().outcome, Outcome::Stored { refused: 1 });
        let second = decisions.apply(decided(2, STORED, &[(1, b"e"), (2, b"f"), (2, b"g")])).unwrap();
        assert_eq!(second.as_ref().unwrap().outcome, Outcome::Stored { refused: 2 });
        // What is written is what was returned, also when the decision comes again.
        assert_eq!(decisions.recover().unwrap().signed[1], second.clone().unwrap());
        assert_eq!(decisions.apply(decided(2, STORED, &[(1, b"e"), (2, b"f"), (2, b"g")])).unwrap(), second);
        let mailbox = Mailbox::new(store);
        let bytes = |number| -> Vec<Vec<u8>> {
            let polled = mailbox.poll(&mailbox_id(number), 0, 9).unwrap();
            polled.into_iter().map(|(_, letter)| letter.letter.to_vec()).collect()
        };
        assert_eq!((bytes(1), bytes(2)), (vec![b"a".to_vec(), b"c".to_vec()], vec![b"b".to_vec(), b"f".to_vec()]));
        assert_eq!(mailbox.totals().unwrap(), MailboxTotals { letters: 4, bytes: 4 });
    });
}

#[test]
fn a_round_that_is_not_stored_puts_no_letter_into_a_mailbox() {
    let store = Store::memory();
    Decisions::new(store.clone(), 9, HISTORY).apply(decided(1, Outcome::OpenedNotStored, &[(1, b"a")])).unwrap();
    assert_eq!(Mailbox::new(store).totals().unwrap(), MailboxTotals::default());
}

#[test]
fn a_decision_is_one_commit_and_leaves_nothing_behind_when_it_fails() {
    let disk = Watched::default();
    let store = Store::open(disk.clone()).unwrap();
    let decisions = Decisions::new(store.clone(), 100, HISTORY);
    disk.commits();
    let letters: Vec<_> = (0..50).map(|n| (n % 7, &b"letter"[..])).collect();
    decisions.apply(decided(1, STORED, &letters)).unwrap();
    assert_eq!(disk.commits(), 1);

    disk.full.store(true, Ordering::SeqCst);
    assert!(matches!(decisions.apply(decided(2, STORED, &letters)), Err(StoreError::Full)));
    assert_eq!(decisions.recover().unwrap().signed, [verdict(1, STORED)]);
    assert_eq!(Mailbox::new(store.clone()).totals().unwrap().letters, 50);
    decisions.apply(decided(2, Outcome::OpenedNotStored, &[])).unwrap();
    assert_eq!(disk.commits(), 1);
    Mailbox::new(store).acknowledge(&mailbox_id(1), u64::MAX).unwrap();
    assert_eq!(disk.commits(), 1);
}

#[test]
fn only_the_newest_documents_and_verdicts_are_kept() {
    let decisions = Decisions::new(Store::memory(), 10, HISTORY);
    for epoch in 0..CHAIN_KEPT as u64 + 3 {
        decisions.apply(Record::Epoch(document(epoch * 2, 0))).unwrap();
    }
    let chain = decisions.recover().unwrap().chain;
    assert_eq!((chain.len(), chain[0].document.epoch), (CHAIN_KEPT, 6));

    // Numbers with gaps: what counts is how many verdicts there are, not how far apart.
    let kept = HISTORY as usize;
    let last = u64::from(HISTORY) + 2;
    for round in 0..=last {
        decisions.apply(Record::Signed { verdict: verdict(round * 3, STORED) }).unwrap();
        decisions.apply(Record::Complete(complete(round * 3))).unwrap();
    }
    let recovered = decisions.recover().unwrap();
    assert_eq!((recovered.signed.len(), recovered.complete.len()), (kept, kept));
    assert_eq!((recovered.signed[0].round, recovered.signed.last().unwrap().round), (9, last * 3));
    // For a forgotten round nothing is signed, as what was signed is unknown.
    for forgotten in [0, 6, 7] {
        assert!(refused_for(decisions.apply(Record::Signed { verdict: verdict(forgotten, STORED) }), forgotten));
    }
    decisions.apply(Record::Complete(complete(6))).unwrap();
    assert_eq!(decisions.recover().unwrap().complete[0].verdict.round, 9);
}

#[test]
fn a_shorter_history_takes_hold_with_the_next_verdict() {
    let store = Store::memory();
    let long = Decisions::new(store.clone(), 10, 8);
    (1..=8).for_each(|round| assert!(long.apply(Record::Complete(complete(round))).is_ok()));
    let short = Decisions::new(store.clone(), 10, 3);
    short.apply(Record::Complete(complete(9))).unwrap();
    let rounds = |decisions: &Decisions| -> Vec<u64> {
        decisions.recover().unwrap().complete.iter().map(|signed| signed.verdict.round).collect()
    };
    assert_eq!(rounds(&short), [7, 8, 9]);
    let long = Decisions::new(store, 10, 8);
    (10..=14).for_each(|round| assert!(long.apply(Record::Complete(complete(round))).is_ok()));
    assert_eq!(rounds(&long), (7..=14).collect::<Vec<_>>());
}
