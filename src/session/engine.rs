//! The session itself: its state, its events, its clockwork. What it says to the entry is in `entry`, to the exit in
//! `exit`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::crypto::{Csprng, Digest};
use crate::packet::Geometry;
use crate::wire::{Network, Refusal, Reply, Request};

use super::chain::Chain;
use super::content::MAX_HEADER_BYTES;
use super::contradiction::Signed;
use super::correspondence::Correspondence;
use super::entry::Step;
use super::ledger::Ledger;
use super::polls::Polls;
use super::records::RecordKeys;
use super::turn::Turn;
use super::{Action, Contacts, Event, Link, Note, RequestId, SessionConfig, SessionError, Status};

/// A client's part in its network. Feed it with [`Session::handle`]; after each call drain [`Session::poll_action`] and
/// look at [`Session::poll_timeout`] again.
///
/// Memory is bounded: at most one round in preparation or handed over, D + 2 submissions, polls and answers each under way.
pub struct Session {
    pub(super) network: Arc<Network>,
    pub(super) geometry: Geometry,
    pub(super) index: u32,
    pub(super) correspondence: Arc<Correspondence>,
    pub(super) records: Arc<RecordKeys>,
    pub(super) capability: Zeroizing<[u8; 32]>,
    pub(super) contacts: Arc<Contacts>,
    pub(super) rng: Csprng,
    pub(super) chain: Chain,
    pub(super) ledger: Ledger,
    pub(super) signed: Signed,
    pub(super) polls: Polls,
    pub(super) step: Step,
    pub(super) turn: Option<Turn>,
    /// The last round for which we hold a ticket, or that we have used.
    pub(super) after: u64,
    pub(super) pending: BTreeMap<RequestId, Pending>,
    pub(super) status: Status,
    /// The verdict and the epoch that were last complained of.
    pub(super) owed: Option<u64>,
    pub(super) foreign: Option<u64>,
    next_id: u64,
    actions: VecDeque<Action>,
    stopping: bool,
    stopped: bool,
}

/// What an answer is awaited for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Pending {
    Register,
    WaitForStart,
    NextRound,
    Submit { round: u64, digest: Digest },
    HandOver { mix: usize, round: u64 },
    Poll,
}

impl Pending {
    /// Which of the two links that stand it is asked over, if the exit is the mix at place `exit`.
    fn link(self, exit: usize) -> Option<Link> {
        match self {
            Pending::Poll => Some(Link::Exit),
            Pending::HandOver { mix, .. } => (mix == exit).then_some(Link::Exit),
            _ => Some(Link::Entry),
        }
    }

    /// Whether it is a part of the conversation with the entry, which begins anew when it fails.
    fn is_conversation(self) -> bool {
        !matches!(self, Pending::Submit { .. } | Pending::HandOver { .. } | Pending::Poll)
    }
}

impl Session {
    /// A session at rest: it does nothing before its first link is up.
    ///
    /// # Errors
    /// If the network file is not one that this client can take part in.
    pub fn new(config: SessionConfig, mut rng: Csprng) -> Result<Self, SessionError> {
        let (index, geometry) = config.check()?;
        let SessionConfig { network, identity, mailbox, capability, letter, list, epochs, unsettled, seats, contacts } =
            config;
        let ledger = Ledger::new(&network, seats, unsettled);
        let polls = Polls::new(&mut rng, network.parameters.span_ms(), in_flight(&network));
        let chain = Chain::new(network.clone(), epochs);
        let status = Status { epoch: chain.epoch(), ..Status::default() };
        Ok(Self {
            geometry,
            index,
            correspondence: Arc::new(Correspondence::new(network.id(), mailbox, letter, &contacts)),
            records: Arc::new(RecordKeys::new(identity, list)),
            capability: Zeroizing::new(capability),
            contacts,
            rng,
            chain,
            polls,
            step: Step::Idle,
            turn: None,
            after: ledger.last_used(),
            ledger,
            signed: Signed::new(network.mix_identities()),
            pending: BTreeMap::new(),
            status,
            owed: None,
            foreign: None,
            next_id: 0,
            actions: VecDeque::new(),
            stopping: false,
            stopped: false,
            network,
        })
    }

    /// Takes an event that happened at `now`. Events of rounds and requests long over are harmless.
    pub fn handle(&mut self, now: Duration, event: Event) {
        match event {
            Event::LinkUp { link, post_quantum } => self.link_up(link, post_quantum),
            Event::LinkDown { link } => self.link_down(link),
            Event::Reply { id, reply, letters } => self.reply(now, id, reply, letters),
            Event::Failed { id } => {
                if let Some(pending) = self.pending.remove(&id) {
                    self.status.counters.requests_failed += 1;
                    self.fail(now, id, pending);
                }
            }
            Event::Reserved { round, result } => self.reserved(now, round, result),
            Event::Settled { round } => self.ledger.settled(round),
            Event::Delivered { id } => self.polls.delivered(id),
            Event::Built(built) => self.built(built),
            Event::Opened(opened) => self.opened(opened),
            Event::Contacts(contacts) => self.contacts = contacts,
            Event::Timeout => {}
            Event::Stop => self.stop(),
        }
        self.tick(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Event::Timeout`], on the clock of `now`, unless another event comes first.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let turn = self.turn.as_ref().map(Turn::timeout);
        [self.step.timeout(), turn, self.polls.timeout()].into_iter().flatten().min()
    }

    /// The session at a glance.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Whether nothing new may be started.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn note(&mut self, note: Note) {
        self.act(Action::Note(note));
    }

    pub(super) fn await_answer(&mut self, pending: Pending) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.pending.insert(id, pending);
        id
    }

    pub(super) fn request(&mut self, link: Link, pending: Pending, request: Request) {
        let id = self.await_answer(pending);
        self.act(Action::Request { link, id, request });
    }

    /// Nobody waits for the answer any more.
    pub(super) fn cancel(&mut self, id: RequestId) {
        if self.pending.remove(&id).is_some() {
            self.act(Action::Cancel { id });
        }
    }

    fn link_up(&mut self, link: Link, post_quantum: bool) {
        // A link that comes up twice has been down in between.
        self.link_down(link);
        match link {
            Link::Entry => {
                self.status.entry = Some(post_quantum);
                self.register();
            }
            Link::Exit => self.status.exit = Some(post_quantum),
        }
    }

    fn link_down(&mut self, link: Link) {
        let exit = self.network.mixes() - 1;
        let lost = self.pending.iter().filter(|(_, pending)| pending.link(exit) == Some(link));
        let lost: Vec<_> = lost.map(|(id, pending)| (*id, *pending)).collect();
        for (id, pending) in lost {
            self.pending.remove(&id);
            self.over(id, pending);
        }
        match link {
            Link::Entry => {
                self.status.entry = None;
                self.status.registered = false;
                self.step = Step::Idle;
            }
            Link::Exit => self.status.exit = None,
        }
    }

    fn reply(&mut self, now: Duration, id: RequestId, reply: Reply, letters: Vec<u8>) {
        let Some(pending) = self.pending.remove(&id) else {
            self.status.counters.replies_unknown += 1;
            return;
        };
        let bare = letters.is_empty();
        match (pending, reply) {
            (_, Reply::Refused(refusal)) => self.refused(now, id, pending, refusal),
            (Pending::Register, Reply::Registered { index }) if bare && index == self.index => self.registered(),
            (Pending::WaitForStart, Reply::Start(start)) if bare => self.start(now, &start),
            (Pending::NextRound, Reply::Ticket(ticket)) if bare => self.ticket(now, &ticket),
            (Pending::Submit { round, digest }, Reply::Receipt(receipt)) if bare => {
                self.receipt(round, &digest, &receipt);
            }
            (Pending::HandOver { round, .. }, Reply::HandedOver { round: taken }) if bare && taken == round => {
                self.status.counters.hand_overs_taken += 1;
            }
            (Pending::Poll, Reply::Letters(answer)) => self.letters(id, &answer, letters),
            _ => {
                self.status.counters.replies_malformed += 1;
                self.fail(now, id, pending);
            }
        }
    }

    fn refused(&mut self, now: Duration, id: RequestId, pending: Pending, refusal: Refusal) {
        *self.status.refusals.entry(refusal).or_default() += 1;
        if matches!(refusal, Refusal::NotOnRoster | Refusal::NotRegistered | Refusal::Evicted)
            && (pending.is_conversation() || matches!(pending, Pending::Submit { .. }))
        {
            self.status.registered = false;
        }
        match pending {
            _ if !pending.is_conversation() => self.over(id, pending),
            _ if refusal == Refusal::NotOnRoster => {
                self.note(Note::NotOnRoster);
                self.pause_long(now);
            }
            _ if refusal == Refusal::Evicted => {
                self.note(Note::Refused(refusal));
                self.pause_long(now);
            }
            _ => {
                self.note(Note::Refused(refusal));
                self.pause(now);
            }
        }
    }

    /// An answer that is none: the entry is asked again after a pause, the rest is only counted.
    fn fail(&mut self, now: Duration, id: RequestId, pending: Pending) {
        match pending.is_conversation() {
            false => self.over(id, pending),
            true => self.pause(now),
        }
    }

    /// A request has ended without its answer.
    fn over(&mut self, id: RequestId, pending: Pending) {
        match pending {
            Pending::Submit { .. } => self.status.counters.receipts_missing += 1,
            Pending::HandOver { .. } => self.status.counters.hand_overs_missing += 1,
            Pending::Poll => self.polls.over(id),
            _ => {}
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.step = Step::Idle;
        let is_submission = |pending: &Pending| matches!(pending, Pending::Submit { .. } | Pending::HandOver { .. });
        let asked = self.pending.iter().filter(|(_, pending)| !is_submission(pending));
        for id in asked.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.cancel(id);
        }
        self.polls.clear();
    }

    /// Does what is due.
    fn tick(&mut self, now: Duration) {
        if self.step.timeout().is_some_and(|at| at <= now) {
            self.register();
        }
        self.submit_if_due(now);
        while let Some(round) = self.polls.take_due(now) {
            self.poll(round);
        }
        let is_submission = |pending: &Pending| matches!(pending, Pending::Submit { .. } | Pending::HandOver { .. });
        let submitting = self.pending.values().any(is_submission);
        if self.stopping && !self.stopped && !submitting && self.turn.is_none() && !self.ledger.is_settling() {
            self.stopped = true;
            self.act(Action::Stopped);
        }
    }
}

/// Submissions, polls and answers that may be under way: a round's answer comes D rounds behind its ticket at the
/// latest, and two more are let pass before something is given up.
pub(super) fn in_flight(network: &Network) -> usize {
    network.parameters.verdict_rounds as usize + 2
}

/// Fragments of the largest message, with the header of its content.
pub(super) fn max_fragments(network: &Network) -> u32 {
    let content = network.parameters.max_message.saturating_add(MAX_HEADER_BYTES as u64);
    u32::try_from(content.div_ceil(u64::from(network.parameters.payload))).unwrap_or(u32::MAX)
}
