//! The outbox against the plainest model of it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::crypto::PublicKey;

#[derive(Clone, Debug)]
enum Op {
    Accept { bytes: usize },
    Reserve { count: usize },
    Settle { which: usize, carried: bool },
    Retry,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0usize..20).prop_map(|bytes| Op::Accept { bytes }),
        4 => (0usize..5).prop_map(|count| Op::Reserve { count }),
        4 => (0usize..4, any::<bool>()).prop_map(|(which, carried)| Op::Settle { which, carried }),
        1 => Just(Op::Retry),
        1 => Just(Op::Reopen),
    ]
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Waiting,
    In(u64),
    Done,
}

struct Modelled {
    content: Vec<u8>,
    fragments: Vec<Place>,
    resends: u32,
    counted_below: u64,
    held: bool,
    arrived: BTreeMap<u32, Vec<u8>>,
}

#[derive(Default)]
struct Model {
    messages: Vec<Modelled>,
    next_round: u64,
    open: Vec<u64>,
}

const PAYLOAD: usize = 4;

fn name(number: usize) -> MessageName {
    let mut name = [0; 16];
    // Names do not sort as their order of acceptance.
    name[0] = 255 - number as u8;
    name
}

impl Model {
    fn run(&mut self, outbox: &Outbox, op: &Op) {
        match *op {
            Op::Accept { bytes } => {
                let number = self.messages.len();
                let content: Vec<u8> = (0..bytes).map(|byte| (number * 31 + byte) as u8).collect();
                let to = (mailbox_id(1), PublicKey([1; 32]));
                outbox.accept(name(number), &NewMessage { to, named: false, content: &content }, PAYLOAD).unwrap();
                let fragments = vec![Place::Waiting; bytes.div_ceil(PAYLOAD).max(1)];
                let arrived = BTreeMap::new();
                self.messages.push(Modelled { content, fragments, resends: 0, counted_below: 0, held: false, arrived });
            }
            Op::Reserve { count } => self.reserve(outbox, count),
            Op::Settle { which, carried } => {
                if let Some(round) = self.open.get(which).copied() {
                    self.settle(outbox, round, carried);
                }
            }
            Op::Retry => {
                for (number, message) in self.messages.iter_mut().enumerate().filter(|(_, message)| message.held) {
                    outbox.retry(&name(number), 1).unwrap();
                    (message.held, message.resends, message.counted_below) = (false, 0, self.next_round);
                }
            }
            Op::Reopen => {}
        }
    }

    fn reserve(&mut self, outbox: &Outbox, count: usize) {
        let round = self.next_round;
        let mut expected = Vec::new();
        for (number, message) in self.messages.iter_mut().enumerate().filter(|(_, message)| !message.held) {
            for (index, place) in message.fragments.iter_mut().enumerate() {
                if *place == Place::Waiting && expected.len() < count {
                    *place = Place::In(round);
                    expected.push((name(number), index as u32));
                }
            }
        }
        let taken = outbox.reserve(round, 7, count, u64::MAX).unwrap();
        assert_eq!(taken.iter().map(|f| (f.message, f.index)).collect::<Vec<_>>(), expected);
        for fragment in taken {
            let message = &mut self.messages[255 - fragment.message[0] as usize];
            message.arrived.insert(fragment.index, fragment.data);
        }
        self.open.push(round);
        self.next_round += 1;
    }

    fn settle(&mut self, outbox: &Outbox, round: u64, carried: bool) {
        self.open.retain(|open| *open != round);
        let mut expected = Vec::new();
        for (number, message) in self.messages.iter_mut().enumerate() {
            if !message.fragments.contains(&Place::In(round)) {
                continue;
            }
            let next = if carried { Place::Done } else { Place::Waiting };
            message.fragments.iter_mut().filter(|place| **place == Place::In(round)).for_each(|place| *place = next);
            if !carried && !message.held && round >= message.counted_below {
                message.held = message.resends == MAX_RESENDS;
                if !message.held {
                    message.resends += 1;
                    message.counted_below = self.next_round;
                }
            }
            expected.push(Settled { message: name(number), state: message.state() });
        }
        let mut settled = outbox.settle(round, carried).unwrap();
        settled.sort_by_key(|settled| std::cmp::Reverse(settled.message));
        assert_eq!(settled, expected);
    }

    fn check(&self, outbox: &Outbox) {
        assert_eq!(outbox.oldest_unsettled().unwrap(), self.open.iter().min().copied());
        let list = outbox.list().unwrap();
        assert_eq!(list.len(), self.messages.len());
        for (number, (shown, message)) in list.iter().zip(&self.messages).enumerate() {
            assert_eq!((shown.message, shown.state, shown.resends), (name(number), message.state(), message.resends));
        }
    }
}

impl Modelled {
    fn state(&self) -> MessageState {
        if self.fragments.iter().all(|place| *place == Place::Done) {
            MessageState::Stored
        } else if self.held {
            MessageState::Held
        } else if self.fragments.iter().any(|place| matches!(place, Place::In(_))) {
            MessageState::InFlight
        } else {
            MessageState::Queued
        }
    }
}

fn run(disk: &dyn Disk, ops: &[Op]) {
    let mut model = Model::default();
    let mut outbox = Some(Outbox::new(disk.open(), 1 << 20));
    for op in ops {
        if matches!(op, Op::Reopen) {
            drop(outbox.take());
            outbox = Some(Outbox::new(disk.open(), 1 << 20));
        }
        let outbox = outbox.as_ref().unwrap();
        model.run(outbox, op);
        model.check(outbox);
    }
    // In the end everything arrives.
    let outbox = outbox.unwrap();
    for round in model.open.clone() {
        model.settle(&outbox, round, true);
    }
    model.run(&outbox, &Op::Retry);
    model.reserve(&outbox, 1000);
    model.settle(&outbox, model.next_round - 1, true);
    model.check(&outbox);
    for message in &model.messages {
        assert_eq!(message.state(), MessageState::Stored);
        assert_eq!(message.arrived.values().flatten().copied().collect::<Vec<u8>>(), message.content);
    }
}

#[test]
fn no_fragment_is_lost_settled_twice_or_in_two_rounds() {
    let check = |cases, disk: &dyn Fn() -> Box<dyn Disk>| {
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) });
        let ops = proptest::collection::vec(op(), 0..60);
        runner
            .run(&ops, |ops| {
                run(disk().as_ref(), &ops);
                Ok(())
            })
            .unwrap();
    };
    check(256, &|| Box::new(Memory::default()));
    check(6, &|| Box::new(tempfile::tempdir().unwrap()));
}
