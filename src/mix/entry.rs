//! The entry: registration, collecting submissions, opening rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::epoch::Proposal;
use crate::round::{Admission, Collection, Docket, Job, Judged, ListRules, Submission};
use crate::wire::{
    AbortReason, Network, PeerMessage, Receipt, Record, Recovered, Refusal, Reply, Request, SignedVerdict,
};

use super::attendance::Attendance;
use super::gather::Gathering;
use super::tickets::Waiting;
use super::{Action, Mix, Note, PersistError, Persisting, RequestId};

/// Pause between two repetitions of what rounds wait for.
const REPEAT: Duration = Duration::from_secs(2);

/// What only the entry has.
pub(super) struct Entry {
    pub registered: BTreeSet<u32>,
    /// Clients that wait for the start: their request and the epoch they know.
    pub waiting_start: BTreeMap<u32, (RequestId, u64)>,
    /// Clients that wait for the next round.
    pub waiting_round: BTreeMap<u32, Waiting>,
    /// The highest round number ever spent.
    pub opened: u64,
    /// How many rounds may be without a verdict when the next one opens.
    overlap: usize,
    pub opens_at: Option<Duration>,
    pub opening: bool,
    pub collection: Option<Collection>,
    /// Closed rounds, without a verdict, of which other mixes may have submissions.
    pub gathering: BTreeMap<u64, Gathering>,
    submissions: BTreeMap<u32, RequestId>,
    pub docket: Docket,
    /// When what rounds wait for is said again.
    pub repeat_at: Duration,
    /// When rounds that wait for a verdict are given up.
    pub deadlines: BTreeMap<u64, Duration>,
    pub complete: BTreeMap<u64, SignedVerdict>,
    pub proposal: Option<Proposal>,
    /// No round opens before the next epoch: some mix's keys are lost, or too few members are left.
    pub renew: bool,
    pub attendance: Attendance,
    pub attempt_at: Duration,
    pub attempt_until: Duration,
    pub pause: Duration,
    pub epoch_tried: u64,
}

impl Entry {
    /// The entry as its disk left it: rounds it had opened and that have no verdict are lost.
    pub(super) fn recover(network: &Network, overlap: usize, recovered: &Recovered) -> Self {
        let complete: BTreeMap<u64, SignedVerdict> =
            recovered.complete.iter().map(|signed| (signed.verdict.round, signed.clone())).collect();
        let mut docket = Docket::default();
        let oldest = (recovered.opened + 1).saturating_sub(u64::from(network.parameters.verdict_rounds)).max(1);
        for round in (oldest..=recovered.opened).filter(|round| !complete.contains_key(round)) {
            let mut documents = recovered.chain.iter().rev().map(|signed| &signed.document);
            if let Some(document) = documents.find(|document| document.position(round).is_some()) {
                docket.open(document.epoch, round);
                docket.abort(round, AbortReason::Lost);
            }
        }
        Self {
            registered: BTreeSet::new(),
            waiting_start: BTreeMap::new(),
            waiting_round: BTreeMap::new(),
            opened: recovered.opened,
            overlap,
            opens_at: None,
            opening: false,
            collection: None,
            gathering: BTreeMap::new(),
            submissions: BTreeMap::new(),
            docket,
            repeat_at: Duration::ZERO,
            deadlines: BTreeMap::new(),
            complete,
            proposal: None,
            renew: !recovered.chain.is_empty(),
            attendance: Attendance::default(),
            attempt_at: Duration::ZERO,
            attempt_until: Duration::ZERO,
            pause: Duration::from_millis(100),
            epoch_tried: recovered.epoch_signed,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.docket.is_empty() && self.collection.is_none()
    }

    /// Clients that wait for the network to get on.
    pub(super) fn waiting(&self) -> u32 {
        let starting = self.waiting_start.keys().filter(|client| !self.waiting_round.contains_key(client));
        (self.waiting_round.len() + starting.count()) as u32
    }

    /// The earliest of its timers that can still bring something about.
    pub(super) fn wakes_at(&self, mix: &Mix) -> Option<Duration> {
        let collection = self.collection.as_ref().filter(|open| !open.is_closed()).map(|open| open.closes_at);
        let deadline = self.deadlines.values().min().copied();
        let opens = self.opens_at.filter(|_| mix.next_round_is_ready());
        let repeat = (!self.docket.is_empty()).then_some(self.repeat_at);
        [collection, deadline, opens, repeat, mix.agree_at(), mix.shrinks_at()].into_iter().flatten().min()
    }
}

impl Mix {
    pub(super) fn request(
        &mut self,
        now: Duration,
        id: RequestId,
        client: u32,
        request: Request,
        submission: Option<Submission>,
    ) {
        if self.stopping && !matches!(request, Request::PollMessages { .. }) {
            return self.refuse(id, Refusal::Stopping, "stopping");
        }
        match request {
            Request::PollMessages { round, capability, acknowledged, after } if self.is_exit() => {
                let cursors = (u64::from_le_bytes(acknowledged), u64::from_le_bytes(after));
                self.poll_asked(now, id, client, round, &capability, cursors);
            }
            // What waits in its mailbox is its own all the same.
            _ if self.convicts.evicted().contains(&client) => self.refuse(id, Refusal::Evicted, "evicted"),
            Request::Register if self.own == 0 => {
                if let Some(entry) = self.entry.as_mut() {
                    entry.registered.insert(client);
                }
                self.reply(id, Reply::Registered { index: client });
            }
            Request::WaitForStart { epoch } if self.own == 0 => self.wait_for_start(now, id, client, epoch),
            Request::NextRound { epoch, after, unsettled } if self.own == 0 => {
                self.next_round_asked(now, client, Waiting { id, epoch, after, unsettled });
            }
            Request::Submit { round } if self.own == 0 => self.submit(now, id, client, round, submission),
            Request::HandOver { round } if self.own != 0 => self.hand_over(now, id, client, round, submission),
            _ => self.refuse(id, Refusal::WrongMix, "wrong_mix"),
        }
    }

    /// A client is no longer there; what it has submitted counts.
    pub(super) fn client_gone(&mut self, client: u32) {
        if let Some(entry) = self.entry.as_mut() {
            entry.registered.remove(&client);
            entry.waiting_start.remove(&client);
            entry.waiting_round.remove(&client);
            entry.submissions.remove(&client);
        }
        if let Some(exit) = self.exit.as_mut() {
            exit.forget(client);
        }
    }

    fn submit(&mut self, now: Duration, id: RequestId, client: u32, round: u64, submission: Option<Submission>) {
        let Some(submission) = submission.filter(|submission| self.fits(submission)) else {
            return self.refuse(id, Refusal::Malformed, "malformed");
        };
        let struck = self.is_struck(client, round);
        let Some(entry) = self.entry.as_mut() else { return };
        if !entry.registered.contains(&client) {
            return self.refuse(id, Refusal::NotRegistered, "not_registered");
        }
        if round > entry.opened {
            return self.refuse(id, Refusal::WrongRound, "wrong_round");
        }
        let open = entry.collection.as_mut().filter(|open| open.round == round);
        let Some(open) = open.filter(|open| !open.is_closed() && now < open.closes_at) else {
            return self.refuse(id, Refusal::Late, "late");
        };
        let Some(attempt) = open.attempt(client, struck) else {
            return self.refuse(id, Refusal::Duplicate, "duplicate");
        };
        entry.submissions.insert(client, id);
        let count = submission.packets.len() as u64;
        self.counters.packets_in += count;
        self.actions.push_back(Action::Note(Note::PacketsIn(count)));
        self.actions.push_back(Action::Work(Job::Submission { round, client, submission, attempt }));
    }

    /// Whether a submission has the size that every one has.
    pub(super) fn fits(&self, submission: &Submission) -> bool {
        let Submission { packets, records } = submission;
        packets.len() == self.network.parameters.packets_per_client as usize
            && packets.geometry() == self.geometry
            && records.len() == self.network.records_length()
    }

    /// Whether a client's signature is verified: it has been struck out of a list in the epoch of `round`, or somebody has
    /// sent what nobody signed.
    fn is_struck(&self, client: u32, round: u64) -> bool {
        let epoch = self.epochs.document(round).map(|document| document.epoch);
        if epoch.is_some() && epoch == self.verified_epoch {
            return true;
        }
        let struck = epoch.and_then(|epoch| self.struck.get(&epoch));
        struck.is_some_and(|struck| struck.contains(client))
    }

    /// What lists of `round` are held against; `None` if no document serves it.
    pub(super) fn list_rules(&self, round: u64) -> Option<ListRules> {
        let (document, context) = (self.epochs.document(round)?, self.epochs.list_context(round)?);
        let quorum = self.quorum(document.members);
        Some(ListRules { network: self.network.clone(), context, quorum })
    }

    pub(super) fn submission_judged(&mut self, now: Duration, round: u64, client: u32, judged: Judged) {
        let Some(entry) = self.entry.as_mut() else { return };
        if entry.gathering.contains_key(&round) {
            return self.relayed_judged(now, round, client, judged);
        }
        let Some(open) = entry.collection.as_mut().filter(|open| open.round == round) else { return };
        let (count, digest) = (judged.slots.len() as u64, judged.digest);
        let taken = open.take(client, judged);
        // Where clients can hand over what is refused, nobody is kept out by those who were quicker.
        let everybody = self.network.roster.clients.len().saturating_sub(self.convicts.evicted().len());
        let full = match self.network.hands_over() {
            true => open.clients() as usize >= everybody,
            false => open.packets() >= self.network.parameters.messages_per_round as usize,
        };
        if full && !open.is_closed() {
            open.close();
        }
        let id = entry.submissions.remove(&client);
        if let Err(fault) = taken {
            self.reject(fault.reason(), count);
        }
        if let Some(id) = id {
            let reply = match taken {
                Ok(()) => Reply::Receipt(Receipt::sign(&self.key, &self.network.id(), round, client, &digest)),
                Err(_) => Reply::Refused(Refusal::Malformed),
            };
            self.reply(id, reply);
        }
        self.collected(now);
    }

    /// What is due at the entry at this moment.
    pub(super) fn entry_due(&mut self, now: Duration) {
        let Some(entry) = self.entry.as_mut() else { return };
        if let Some(open) = entry.collection.as_mut()
            && now >= open.closes_at
        {
            open.close();
        }
        let late: Vec<u64> = entry.deadlines.iter().filter(|(_, at)| now >= **at).map(|(round, _)| *round).collect();
        for round in late {
            self.abort_round(round, AbortReason::Timeout);
        }
        self.repeat_due(now);
        self.collected(now);
        self.shrink_due(now);
        if self.opens_now(now) {
            self.open_next(now);
        }
    }

    /// A mix may have had reason to drop a decision or an abort: while a round waits, they are said again.
    fn repeat_due(&mut self, now: Duration) {
        let Some(entry) = self.entry.as_mut().filter(|entry| now >= entry.repeat_at) else { return };
        entry.repeat_at = now + REPEAT;
        for mix in 1..self.network.mixes() {
            self.say_opened(mix);
            self.resend_verdicts(mix);
        }
    }

    /// Once submissions are closed and all of them peeled: the other mixes may have some, too.
    fn collected(&mut self, now: Duration) {
        let Some(entry) = self.entry.as_mut() else { return };
        let Some(done) = entry.collection.take_if(|open| open.is_closed() && open.is_settled()) else { return };
        match self.network.hands_over() {
            true => self.gather(now, done),
            false => self.members_settled(now, done),
        }
    }

    /// Whether the next round has its document, its predecessors their verdicts or left room, and enough clients wait for it.
    pub(super) fn next_round_is_ready(&self) -> bool {
        let Some(entry) = self.entry.as_ref() else { return false };
        if self.stopping || !self.goes_on() || entry.renew || entry.opening || entry.collection.is_some() {
            return false;
        }
        let round = entry.opened + 1;
        let due = round.saturating_sub(u64::from(self.network.parameters.verdict_rounds));
        let settled = entry.docket.rounds().next().is_none_or(|oldest| oldest > due);
        let room = entry.docket.rounds().count() < entry.overlap;
        let Some(document) = self.epochs.document(round) else { return false };
        let enough = self.quorum(document.members);
        settled && room && entry.waiting_round.len() as u32 >= enough
    }

    fn opens_now(&self, now: Duration) -> bool {
        let due = self.entry.as_ref().and_then(|entry| entry.opens_at).is_some_and(|at| now >= at);
        due && self.next_round_is_ready()
    }

    /// Spends the next round number, on disk before anybody hears of it.
    fn open_next(&mut self, _now: Duration) {
        let Some(entry) = self.entry.as_mut() else { return };
        entry.opening = true;
        let round = entry.opened + 1;
        self.persist(Record::Opened { round }, Persisting::Opened(round));
    }

    pub(super) fn round_not_opened(&mut self, now: Duration, round: u64, error: PersistError) {
        if let Some(entry) = self.entry.as_mut() {
            entry.opening = false;
            if error == PersistError::AlreadySigned {
                // The disk had spent it and denied that. Nobody has heard of it.
                entry.opened = entry.opened.max(round);
            }
            entry.opens_at = Some(now + Duration::from_secs(1));
        }
    }

    pub(super) fn round_opened_on_disk(&mut self, now: Duration, round: u64) {
        let parameters = &self.network.parameters;
        let submit = Duration::from_millis(parameters.submit_ms.into());
        let length = Duration::from_millis(parameters.round_ms.into());
        let span = Duration::from_millis(parameters.span_ms().into());
        let patience = (span * parameters.verdict_rounds * 2).max(Duration::from_secs(10));
        let (document, peeler) = (self.epochs.document(round), self.epochs.peeler(round));
        let (rules, keys) = (self.list_rules(round), self.epochs.list_keys(round));
        let Some(entry) = self.entry.as_mut() else { return };
        entry.opening = false;
        entry.opened = entry.opened.max(round);
        let Some(document) = document else { return };
        entry.docket.open(document.epoch, round);
        let goes_on = !entry.renew && !self.stopping;
        let (Some(peeler), Some(rules), Some(keys), true) = (peeler, rules, keys, goes_on) else {
            // The epoch was lost while the disk worked, or some mix had this round burnt before it began: the number is
            // spent, the round is over.
            return self.abort_round(round, AbortReason::Lost);
        };
        let admission = parameters.sealed.then(|| Admission::new(rules, keys));
        entry.collection = Some(Collection::new(round, now, now + submit, peeler, admission));
        entry.opens_at = Some(entry.opens_at.map_or(now, |at| at.max(now.saturating_sub(length))) + length);
        entry.deadlines.insert(round, now + patience);
        self.actions.push_back(Action::Note(Note::RoundBegan));
        (1..self.network.mixes()).for_each(|mix| self.say_opened(mix));
        let waiting = self.entry.as_mut().map(|entry| std::mem::take(&mut entry.waiting_round)).unwrap_or_default();
        for (_, waiting) in waiting {
            self.give_ticket(now, &waiting);
        }
    }

    /// The open round is over without a batch.
    pub(super) fn drop_collection(&mut self, reason: AbortReason) {
        let Some(entry) = self.entry.as_mut() else { return };
        let Some(open) = entry.collection.take() else { return };
        for (_, id) in std::mem::take(&mut entry.submissions) {
            self.refuse(id, Refusal::WrongRound, "wrong_round");
        }
        self.abort_round(open.round, reason);
    }

    /// Asks the exit to abort every round that has no decision.
    pub(super) fn abort_open_rounds(&mut self, reason: AbortReason) {
        let rounds: Vec<u64> = self.entry.iter().flat_map(|entry| entry.docket.rounds()).collect();
        rounds.into_iter().for_each(|round| self.abort_round(round, reason));
    }

    /// Asks the exit to abort one round.
    pub(super) fn abort_round(&mut self, round: u64, reason: AbortReason) {
        let exit = self.exit_index();
        let Some(entry) = self.entry.as_mut() else { return };
        entry.deadlines.remove(&round);
        entry.gathering.remove(&round);
        entry.docket.abort(round, reason);
        let asked = entry.docket.aborts().find(|(_, asked, _)| *asked == round);
        if let Some((epoch, round, reason)) = asked {
            self.send(exit, PeerMessage::Abort { epoch, round, reason });
        }
    }

    /// No further round; the one that is open is aborted, with a verdict.
    pub(super) fn stop_collecting(&mut self, now: Duration) {
        self.drop_collection(AbortReason::Stopping);
        self.attempt_failed(now);
        let Some(entry) = self.entry.as_mut() else { return };
        let starts = std::mem::take(&mut entry.waiting_start).into_values().map(|(id, _)| id);
        let rounds = std::mem::take(&mut entry.waiting_round).into_values().map(|waiting| waiting.id);
        for id in starts.chain(rounds).collect::<Vec<_>>() {
            self.refuse(id, Refusal::Stopping, "stopping");
        }
    }
}
