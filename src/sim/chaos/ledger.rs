//! The checker: what every `send` was told, what every inbox showed, and whether the two agree.
//!
//! A message that the daemon *accepted* - it answered with an id - must be in its recipient's inbox in the end: once,
//! byte for byte, from whom it says. If the answer was lost, because the daemon was killed or stood still in the middle
//! of the call, nobody can know: such a message *may* arrive, once, or never. What the daemon refused must not arrive.
//! An inbox may forget what its user wanted marked read, and nothing else.
//! A message that its sender's daemon reports as held, because it has failed too often, is not lost: its user knows.

use std::collections::{HashMap, HashSet};

/// The id that the daemon gave a message.
pub(in crate::sim) type Id = [u8; 16];

/// A message as its recipient should see it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(in crate::sim) struct Parcel {
    /// The client that it is for.
    pub to: String,
    /// The client that it is from; `None` for an anonymous one.
    pub from: Option<String>,
    /// A file's name; `None` for a text.
    pub name: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its content.
    pub digest: [u8; 32],
}

/// All that is known of the messages of one network.
#[derive(Default)]
pub(in crate::sim) struct Ledger {
    accepted: HashMap<Id, Parcel>,
    perhaps: Vec<Parcel>,
    refused: u64,
    shown: HashMap<Id, Parcel>,
    marked_read: HashSet<Id>,
    may_go: HashSet<Id>,
    held: HashSet<Id>,
    twice: HashSet<Id>,
    changed: HashSet<Id>,
}

/// The comparison at the end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::sim) struct Verdict {
    pub accepted: u64,
    /// Accepted, and in the recipient's inbox as sent, or there until it was read.
    pub delivered: u64,
    /// Accepted, not there, and not reported as held.
    pub lost: u64,
    /// Shown twice, or under two ids.
    pub duplicated: u64,
    /// Shown as something else than was sent, to somebody else, or never sent at all.
    pub corrupted: u64,
    /// Ever reported as held.
    pub held: u64,
    /// Reported as held to the end.
    pub held_at_end: u64,
    /// Neither accepted nor refused, as the answer was lost.
    pub perhaps: u64,
    /// Of these, those that arrived.
    pub perhaps_delivered: u64,
    pub refused: u64,
}

impl Ledger {
    pub(in crate::sim) fn accept(&mut self, id: Id, parcel: Parcel) {
        self.accepted.insert(id, parcel);
    }

    pub(in crate::sim) fn perhaps(&mut self, parcel: Parcel) {
        self.perhaps.push(parcel);
    }

    pub(in crate::sim) fn refuse(&mut self) {
        self.refused += 1;
    }

    pub(in crate::sim) fn hold(&mut self, id: Id) {
        self.held.insert(id);
    }

    /// An inbox has shown this among its unread messages.
    pub(in crate::sim) fn show(&mut self, id: Id, parcel: Parcel) {
        if self.marked_read.contains(&id) {
            self.twice.insert(id);
        }
        match self.shown.get(&id) {
            Some(before) if *before != parcel => {
                self.changed.insert(id);
            }
            Some(_) => {}
            None => {
                self.shown.insert(id, parcel);
            }
        }
    }

    /// The daemon is asked to mark these read: whatever it answers, its inbox may forget them from now on.
    pub(in crate::sim) fn let_go(&mut self, ids: &[Id]) {
        self.may_go.extend(ids);
    }

    /// The daemon has said that these are marked read: they must not be unread again.
    pub(in crate::sim) fn mark_read(&mut self, ids: &[Id]) {
        self.marked_read.extend(ids);
    }

    /// How many accepted messages no inbox has shown.
    pub(in crate::sim) fn missing(&self) -> usize {
        self.accepted.keys().filter(|id| !self.shown.contains_key(*id)).count()
    }

    /// Compares. `unread` and `all` are the last lists of all inboxes, `held` what is still held.
    pub(in crate::sim) fn judge(
        mut self,
        unread: Vec<(Id, Parcel)>,
        all: Vec<(Id, Parcel)>,
        held: &HashSet<Id>,
    ) -> Verdict {
        for list in [&unread, &all] {
            let mut met = HashSet::new();
            self.twice.extend(list.iter().filter(|(id, _)| !met.insert(*id)).map(|(id, _)| *id));
        }
        let in_the_end: HashSet<Id> = all.iter().map(|(id, _)| *id).collect();
        for (id, parcel) in all {
            if self.shown.get(&id).is_some_and(|before| *before != parcel) {
                self.changed.insert(id);
            }
            self.shown.entry(id).or_insert(parcel);
        }
        for (id, parcel) in unread {
            self.show(id, parcel);
        }
        let mut verdict = Verdict {
            accepted: self.accepted.len() as u64,
            held: self.held.union(held).count() as u64,
            perhaps: self.perhaps.len() as u64,
            refused: self.refused,
            ..Verdict::default()
        };
        for (id, parcel) in &self.accepted {
            match self.shown.get(id) {
                Some(shown) if shown != parcel => {
                    self.changed.insert(*id);
                }
                Some(_) if in_the_end.contains(id) || self.may_go.contains(id) => verdict.delivered += 1,
                _ if held.contains(id) => verdict.held_at_end += 1,
                _ => verdict.lost += 1,
            }
        }
        let mut sent: HashSet<&Parcel> = self.accepted.values().collect();
        for (id, parcel) in self.shown.iter().filter(|(id, _)| !self.accepted.contains_key(*id)) {
            if let Some(place) = self.perhaps.iter().position(|perhaps| perhaps == parcel) {
                sent.extend([parcel]);
                self.perhaps.swap_remove(place);
                verdict.perhaps_delivered += 1;
            } else if sent.contains(parcel) {
                self.twice.insert(*id);
            } else {
                self.changed.insert(*id);
            }
        }
        verdict.duplicated = self.twice.len() as u64;
        verdict.corrupted = self.changed.len() as u64;
        verdict
    }
}

impl Verdict {
    /// Whether every message went as it should.
    pub(in crate::sim) fn is_good(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.corrupted == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(number: u8) -> Parcel {
        let from = Some("client-1".into());
        Parcel { to: "client-2".into(), from, name: None, bytes: number.into(), digest: [number; 32] }
    }

    fn id(number: u8) -> Id {
        [number; 16]
    }

    /// Two messages accepted, 1 and 2.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.accept(id(1), parcel(1));
        ledger.accept(id(2), parcel(2));
        ledger
    }

    fn all(numbers: &[u8]) -> Vec<(Id, Parcel)> {
        numbers.iter().map(|number| (id(*number), parcel(*number))).collect()
    }

    fn judge(ledger: Ledger, unread: &[u8], there: &[u8]) -> Verdict {
        ledger.judge(all(unread), all(there), &HashSet::new())
    }

    #[test]
    fn what_was_accepted_and_is_there_is_delivered() {
        let mut ledger = ledger();
        ledger.show(id(1), parcel(1));
        assert_eq!(ledger.missing(), 1);
        ledger.mark_read(&[id(1)]);
        let verdict = judge(ledger, &[2], &[1, 2]);
        assert_eq!(verdict, Verdict { accepted: 2, delivered: 2, ..Verdict::default() });
        assert!(verdict.is_good());
    }

    #[test]
    fn what_is_not_there_in_the_end_is_lost_unless_its_sender_knows() {
        let mut one = ledger();
        one.show(id(1), parcel(1));
        let verdict = judge(one, &[], &[2]);
        assert_eq!((verdict.delivered, verdict.lost), (1, 1), "an inbox may not forget");
        assert!(!verdict.is_good());
        let mut read = ledger();
        read.show(id(1), parcel(1));
        read.let_go(&[id(1), id(2)]);
        let verdict = judge(read, &[], &[]);
        assert_eq!((verdict.delivered, verdict.lost), (1, 1), "it may forget what was shown and let go");
        let verdict = ledger().judge(all(&[]), all(&[2]), &HashSet::from([id(1)]));
        assert_eq!((verdict.delivered, verdict.lost, verdict.held, verdict.held_at_end), (1, 0, 1, 1));
        assert!(verdict.is_good());
    }

    #[test]
    fn what_comes_twice_is_a_duplicate() {
        assert_eq!(judge(ledger(), &[1, 1], &[1, 2]).duplicated, 1, "twice unread");
        assert_eq!(judge(ledger(), &[], &[1, 2, 2]).duplicated, 1, "twice there");
        let mut read = ledger();
        read.show(id(1), parcel(1));
        read.mark_read(&[id(1)]);
        assert_eq!(judge(read, &[1], &[1, 2]).duplicated, 1, "unread after it was read");
        let again = [all(&[1, 2]), vec![(id(9), parcel(1))]].concat();
        let verdict = ledger().judge(Vec::new(), again, &HashSet::new());
        assert_eq!((verdict.duplicated, verdict.corrupted), (1, 0), "under another id");
    }

    #[test]
    fn what_differs_from_what_was_sent_is_corrupted() {
        let sent = parcel(1);
        for wrong in [
            Parcel { digest: [9; 32], ..sent.clone() },
            Parcel { to: "client-3".into(), ..sent.clone() },
            Parcel { from: None, ..sent.clone() },
            Parcel { name: Some("a".into()), ..sent },
        ] {
            let verdict = ledger().judge(Vec::new(), vec![(id(1), wrong), (id(2), parcel(2))], &HashSet::new());
            assert_eq!((verdict.corrupted, verdict.delivered, verdict.lost), (1, 1, 0));
        }
        assert_eq!(judge(ledger(), &[], &[1, 2, 3]).corrupted, 1, "nobody sent it");
    }

    #[test]
    fn what_was_refused_must_not_come_and_what_nobody_knows_may_once() {
        let mut ledger = ledger();
        ledger.refuse();
        ledger.perhaps(parcel(5));
        ledger.perhaps(parcel(6));
        let there = [all(&[1, 2]), vec![(id(7), parcel(5))]].concat();
        let verdict = ledger.judge(Vec::new(), there, &HashSet::new());
        assert!(verdict.is_good());
        assert_eq!((verdict.perhaps, verdict.perhaps_delivered, verdict.refused), (2, 1, 1));

        let mut twice = Ledger::default();
        twice.perhaps(parcel(5));
        let there = vec![(id(7), parcel(5)), (id(8), parcel(5))];
        assert_eq!(twice.judge(Vec::new(), there, &HashSet::new()).duplicated, 1);
    }
}
