//! A client with its driver: everything local is done at once, the rest is for the test to see.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rand::SeedableRng;

use super::fake::{Fake, ms};
use crate::crypto::Csprng;
use crate::session::*;
use crate::wire::*;

/// What a client did that the test has to see; everything else its driver does by itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Ask(RequestId, Request),
    Poll { id: RequestId, round: u64, acknowledged: u64 },
    Submit { id: RequestId, round: u64, packets: Vec<u8>, records: Vec<u8> },
    HandOver { id: RequestId, mix: usize, round: u64, packets: Vec<u8>, records: Vec<u8> },
    Cancel(RequestId),
    Settle(u64, bool),
    Abandon(u64),
    Epoch(u64),
    Deliver(RequestId, Vec<Arrival>),
    Contradicted(Contradiction),
    Note(Note),
    Stopped,
}

/// A session with a driver: an outbox, an inbox that commits at once unless told not to, and a clock.
pub(super) struct Client {
    pub session: Session,
    pub now: Duration,
    pub outbox: VecDeque<Fragment>,
    pub used: BTreeSet<u64>,
    pub commits: bool,
    pub builds: bool,
    pub opens: bool,
    pub held: Vec<Event>,
    pub seen: Vec<Seen>,
    /// Time, kind and size of every action.
    pub trace: Vec<(Duration, String)>,
    pub asked: Option<RequestId>,
}

impl Client {
    pub(super) fn new(config: SessionConfig, seed: u64) -> Self {
        Self {
            session: Session::new(config, Csprng::seed_from_u64(seed)).expect("a usable configuration"),
            now: ms(5000),
            outbox: VecDeque::new(),
            used: BTreeSet::new(),
            commits: true,
            builds: true,
            opens: true,
            held: Vec::new(),
            seen: Vec::new(),
            trace: Vec::new(),
            asked: None,
        }
    }

    /// A client that has joined epoch 1 and asks for a ticket.
    pub(super) fn joined(fake: &Fake, seed: u64) -> Self {
        let mut client = Self::new(fake.config(0), seed);
        client.join(vec![fake.first_epoch()]);
        client
    }

    pub(super) fn join(&mut self, chain: Vec<SignedEpoch>) {
        self.tell(Event::LinkUp { link: Link::Exit, post_quantum: false });
        self.tell(Event::LinkUp { link: Link::Entry, post_quantum: true });
        self.reply(Reply::Registered { index: 0 });
        self.reply(Reply::Start(Start { chain, round: 1, starts_in_ms: 0, round_ms: 1000 }));
        assert!(matches!(self.last_ask(), Request::NextRound { .. }));
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.session.handle(self.now, event);
        while let Some(action) = self.session.poll_action() {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        let (text, seen) = match action {
            Action::Request { request: Request::PollMessages { round, acknowledged, .. }, id, link } => {
                let acknowledged = u64::from_le_bytes(acknowledged);
                assert_eq!(link, Link::Exit);
                (format!("poll {round} {acknowledged}"), Some(Seen::Poll { id, round, acknowledged }))
            }
            Action::Request { id, request, link } => {
                assert_eq!(link, Link::Entry);
                self.asked = Some(id);
                (format!("{request:?}"), Some(Seen::Ask(id, request)))
            }
            Action::Submit { id, round, packets, records } => {
                let text = format!("submit {round} {} {}", packets.len(), records.len());
                (text, Some(Seen::Submit { id, round, packets, records }))
            }
            Action::HandOver { id, mix, round, packets, records } => {
                let text = format!("hand over {round} to {mix}: {} {}", packets.len(), records.len());
                (text, Some(Seen::HandOver { id, mix, round, packets, records }))
            }
            Action::Cancel { id } => (format!("cancel {id:?}"), Some(Seen::Cancel(id))),
            Action::Reserve { round, expiry, count } => {
                let result = match self.used.insert(round) {
                    true => Ok(self.outbox.drain(..self.outbox.len().min(count as usize)).collect()),
                    false => Err(AlreadyUsed),
                };
                self.local(Event::Reserved { round, result }, true);
                (format!("reserve {round} {expiry} {count}"), None)
            }
            Action::Settle { round, carried } => {
                self.local(Event::Settled { round }, true);
                (format!("settle {round} {carried}"), Some(Seen::Settle(round, carried)))
            }
            Action::Abandon { round } => (format!("abandon {round}"), Some(Seen::Abandon(round))),
            Action::RememberEpoch(signed) => {
                (format!("epoch {}", signed.document.epoch), Some(Seen::Epoch(signed.document.epoch)))
            }
            Action::Deliver { id, arrivals, .. } => {
                self.local(Event::Delivered { id }, self.commits);
                (format!("deliver {id:?}"), Some(Seen::Deliver(id, arrivals)))
            }
            Action::Build(job) => {
                self.local(Event::Built(job.run()), self.builds);
                ("build".to_owned(), None)
            }
            Action::Open(job) => {
                self.local(Event::Opened(job.run()), self.opens);
                ("open".to_owned(), None)
            }
            Action::Contradicted(contradiction) => ("contradicted".to_owned(), Some(Seen::Contradicted(contradiction))),
            Action::Note(note) => (format!("{note:?}"), Some(Seen::Note(note))),
            Action::Stopped => ("stopped".to_owned(), Some(Seen::Stopped)),
        };
        self.trace.push((self.now, text));
        self.seen.extend(seen);
    }

    fn local(&mut self, event: Event, at_once: bool) {
        // Handled behind the actions already queued, as a driver would.
        if at_once { self.session.handle(self.now, event) } else { self.held.push(event) }
    }

    /// Hands back what was held.
    pub(super) fn release(&mut self) {
        for event in std::mem::take(&mut self.held) {
            self.tell(event);
        }
    }

    /// Answers the outstanding request to the entry.
    pub(super) fn reply(&mut self, reply: Reply) {
        let id = self.asked.take().expect("a request is outstanding");
        self.tell(Event::Reply { id, reply, letters: Vec::new() });
    }

    pub(super) fn ticket(&mut self, round: u64, verdicts: Vec<SignedVerdict>) {
        self.ticket_with(Ticket { round, closes_in_ms: 500, chain: Vec::new(), verdicts });
    }

    pub(super) fn ticket_with(&mut self, ticket: Ticket) {
        self.reply(Reply::Ticket(ticket));
    }

    /// Lets time pass, with every time-out on the way.
    pub(super) fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut timeouts = 0;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            timeouts += 1;
            assert!(at >= self.now && timeouts < 1000, "a time-out that was not dealt with");
            self.now = at;
            self.tell(Event::Timeout);
        }
        self.now = until;
    }

    pub(super) fn last_ask(&self) -> Request {
        let ask = |seen: &Seen| if let Seen::Ask(_, request) = seen { Some(request.clone()) } else { None };
        self.seen.iter().rev().find_map(ask).expect("something was asked")
    }

    pub(super) fn submissions(&self) -> Vec<(RequestId, u64, Vec<u8>)> {
        let submission = |seen: &Seen| match seen {
            Seen::Submit { id, round, packets, .. } => Some((*id, *round, packets.clone())),
            _ => None,
        };
        self.seen.iter().filter_map(submission).collect()
    }

    /// What is behind the packets of the last submission.
    pub(super) fn records(&self) -> Vec<u8> {
        let records = |seen: &Seen| if let Seen::Submit { records, .. } = seen { Some(records.clone()) } else { None };
        self.seen.iter().rev().find_map(records).expect("submitted")
    }

    pub(super) fn submitted(&self) -> Vec<u64> {
        self.submissions().iter().map(|(_, round, _)| *round).collect()
    }

    pub(super) fn settled(&self) -> Vec<(u64, bool)> {
        self.seen.iter().filter_map(|s| if let Seen::Settle(r, c) = s { Some((*r, *c)) } else { None }).collect()
    }

    pub(super) fn polls(&self) -> Vec<(RequestId, u64, u64)> {
        let poll = |seen: &Seen| match seen {
            Seen::Poll { id, round, acknowledged } => Some((*id, *round, *acknowledged)),
            _ => None,
        };
        self.seen.iter().filter_map(poll).collect()
    }

    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        let delivered = |s: &Seen| if let Seen::Deliver(_, arrivals) = s { Some(arrivals.clone()) } else { None };
        self.seen.iter().filter_map(delivered).flatten().collect()
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        self.seen.iter().filter_map(|s| if let Seen::Note(note) = s { Some(note.clone()) } else { None }).collect()
    }

    pub(super) fn counters(&self) -> Counters {
        self.session.status().counters
    }
}
