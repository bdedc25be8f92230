//! What a session says to the entry: register, wait for the start, one ticket after the other, submissions.

use std::time::Duration;

use rand::RngExt;

use crate::crypto::{Backend, Digest};
use crate::packet::{Builder, RoundContext};
use crate::wire::{CHAIN_KEPT, Receipt, Request, SignedEpoch, SignedVerdict, Start, Ticket};

use super::chain::{Accepted, Rejected};
use super::engine::{Pending, in_flight};
use super::ledger::Judgement;
use super::turn::{Stage, Turn};
use super::{Action, AlreadyUsed, BuildJob, Built, Fragment, Link, Note, RoundResult, Session};

/// After a refusal or a malformed answer; with the same again at most as jitter, so that clients refused together do not
/// come back together.
const PAUSE: Duration = Duration::from_millis(500);
/// After being told that we are not on the roster: only people can change that.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// Where we are with the entry.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Step {
    /// The link is down, or we are stopping.
    Idle,
    /// Exactly one of Register, WaitForStart and NextRound is being asked.
    Asking,
    /// To begin again from Register at that time.
    Pausing(Duration),
}

impl Step {
    pub(super) fn timeout(self) -> Option<Duration> {
        if let Step::Pausing(until) = self { Some(until) } else { None }
    }
}

impl Session {
    pub(super) fn register(&mut self) {
        self.ask(Pending::Register, Request::Register);
    }

    pub(super) fn registered(&mut self) {
        self.status.registered = true;
        self.ask(Pending::WaitForStart, Request::WaitForStart { epoch: self.chain.epoch() });
    }

    pub(super) fn start(&mut self, now: Duration, start: &Start) {
        self.documents(&start.chain);
        if self.chain.epoch() == 0 {
            self.status.counters.replies_malformed += 1;
            self.pause(now);
        } else {
            self.next_round();
        }
    }

    /// A round is open. Everything that follows is decided and drawn from the ticket, before the outbox is asked.
    pub(super) fn ticket(&mut self, now: Duration, ticket: &Ticket) {
        let round = ticket.round;
        if round <= self.after {
            self.status.counters.tickets_stale += 1;
            return self.pause(now);
        }
        self.documents(&ticket.chain);
        // Only rounds of a document that all mixes signed exist; this also bounds by how much an entry can overstate a
        // round to make a verdict look due.
        let Some(document) = self.chain.of_round(round) else {
            self.status.counters.tickets_unknown_epoch += 1;
            if let Some(epoch) = self.chain.foreign(round)
                && self.foreign.replace(epoch) != Some(epoch)
            {
                self.note(Note::OtherNetworkFile { epoch });
            }
            return self.pause(now);
        };
        self.after = round;
        self.status.round = round;
        // Whoever opens the next round before its time does not keep us out of this one.
        if self.turn.as_ref().is_some_and(|turn| turn.hand_over_at.is_some() && now < turn.closes_at) {
            self.hand_over();
        }
        self.drop_turn();
        self.verdicts(round, &ticket.verdicts);
        for round in self.ledger.forget(round) {
            self.act(Action::Abandon { round });
            self.note(Note::Abandoned { round });
        }
        if !self.polls.plan(now, round) {
            self.status.counters.polls_skipped += 1;
        }

        let parameters = &self.network.parameters;
        let window = Duration::from_millis(ticket.closes_in_ms.min(u64::from(parameters.submit_ms)));
        let expiry = document.epoch.saturating_add(u64::from(parameters.retention_epochs));
        let count = parameters.packets_per_client;
        let turn = Turn::draw(&mut self.rng, now, window, round, document, self.network.hands_over());
        if self.may_take_part(round, window) {
            self.ledger.use_round(round);
            self.turn = Some(turn);
            self.act(Action::Reserve { round, expiry, count });
        } else {
            self.absent(round);
        }
        self.next_round();
    }

    pub(super) fn reserved(&mut self, now: Duration, round: u64, result: Result<Vec<Fragment>, AlreadyUsed>) {
        let Some(turn) = self.turn.as_mut().filter(|turn| turn.round == round && now < turn.closes_at) else { return };
        let Stage::Reserving { seed } = &turn.stage else { return };
        let seed = seed.clone();
        let most = self.network.parameters.packets_per_client as usize;
        let fragments = match result {
            Ok(fragments) if fragments.len() <= most => fragments,
            // Without a submission the verdict's list will lack us, and all of it goes again.
            Ok(_) => {
                self.status.counters.reservations_excess += 1;
                return self.drop_turn();
            }
            Err(AlreadyUsed) => {
                self.status.counters.tickets_closed += 1;
                self.turn = None;
                return self.absent(round);
            }
        };
        turn.stage = Stage::Building;
        let document = turn.document.clone();
        let context = RoundContext { network: document.network, epoch: document.epoch, round };
        let onion_keys = document.onion_keys(round).expect("a verified document holds the keys of its rounds");
        let envelope_key = document.envelope_key(round).expect("a verified document holds the keys of its rounds");
        let job = BuildJob {
            network: self.network.clone(),
            correspondence: self.correspondence.clone(),
            contacts: self.contacts.clone(),
            records: self.network.parameters.sealed.then(|| self.records.clone()),
            document: document.clone(),
            builder: Builder::new(self.geometry, context, Backend::default(), onion_keys, envelope_key),
            index: self.index,
            expiry: document.epoch.saturating_add(u64::from(self.network.parameters.retention_epochs)),
            fragments,
            seed,
        };
        self.act(Action::Build(Box::new(job)));
    }

    pub(super) fn built(&mut self, mut built: Built) {
        let Some(turn) = self.turn.as_mut().filter(|turn| turn.round == built.round) else { return };
        if matches!(turn.stage, Stage::Building) {
            let unsendable = std::mem::take(&mut built.unsendable);
            turn.stage = Stage::Ready(built);
            for message in unsendable {
                self.note(Note::Unsendable { message });
            }
        }
    }

    /// Submits when the drawn moment has come, or as soon as the packets are there after it; never after the close and
    /// never a second time, whatever becomes of it. What has no receipt at a fixed offset, or is only ready then, goes to
    /// the other mixes: when depends on the entry and on this machine, and on nothing that its user does.
    pub(super) fn submit_if_due(&mut self, now: Duration) {
        let Some(turn) = &self.turn else { return };
        if now >= turn.closes_at {
            return self.drop_turn();
        }
        let hands_over = turn.hand_over_at.map(|at| now >= at);
        let is_late = hands_over == Some(true);
        match turn.stage {
            Stage::Ready(_) if now >= turn.submit_at => {}
            Stage::Held(_) | Stage::Submitted(_) if is_late => {}
            _ => return,
        }
        match (turn.is_submitted(), self.status.registered, hands_over) {
            (true, ..) => {}
            (false, true, _) => self.submit(),
            (false, false, None) => return self.drop_turn(),
            (false, false, Some(_)) => self.turn = self.turn.take().map(Turn::hold),
        }
        if is_late {
            self.hand_over();
        }
    }

    /// To the entry. Where it can be handed over it is kept until there is a receipt.
    fn submit(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        let (round, hand_over_at) = (turn.round, turn.hand_over_at);
        let (Stage::Ready(built) | Stage::Held(built)) = turn.stage else { return };
        let open: Vec<_> = self.pending.iter().filter(|(_, p)| matches!(p, Pending::Submit { .. })).collect();
        if open.len() >= in_flight(&self.network) {
            let oldest = *open[0].0;
            self.cancel(oldest);
            self.status.counters.receipts_missing += 1;
        }
        let id = self.await_answer(Pending::Submit { round, digest: built.digest });
        self.status.counters.submissions += 1;
        let (packets, records) = (built.packets.clone(), built.records.clone());
        if hand_over_at.is_some() {
            self.turn = Some(Turn { stage: Stage::Submitted(built), ..turn });
        }
        self.act(Action::Submit { id, round, packets, records });
    }

    /// The very same bytes to every other mix, for all but one of them may be in league with the entry.
    fn hand_over(&mut self) {
        let Some(Turn { round, stage: Stage::Ready(built) | Stage::Held(built) | Stage::Submitted(built), .. }) =
            self.turn.take_if(|turn| !matches!(turn.stage, Stage::Reserving { .. } | Stage::Building))
        else {
            return;
        };
        // Those of rounds before are of no use any more.
        let older = self.pending.iter().filter(|(_, pending)| matches!(pending, Pending::HandOver { .. }));
        older.map(|(id, _)| *id).collect::<Vec<_>>().into_iter().for_each(|id| self.cancel(id));
        self.status.counters.handed_over += 1;
        for mix in 1..self.network.mixes() {
            let id = self.await_answer(Pending::HandOver { mix, round });
            let (packets, records) = (built.packets.clone(), built.records.clone());
            self.act(Action::HandOver { id, mix, round, packets, records });
        }
    }

    /// Counted, and it ends the round's turn: nothing is handed over, which depends on the entry alone. What the round carried
    /// does not: to send content again without a receipt would tell its absence.
    pub(super) fn receipt(&mut self, round: u64, packets: &Digest, receipt: &Receipt) {
        let entry = &self.network.roster.mixes[0].identity;
        let network = self.correspondence.network();
        if receipt.round == round && receipt.verify(entry, &network, self.index, packets) {
            self.status.counters.receipts += 1;
            self.turn.take_if(|turn| turn.round == round && turn.is_submitted());
        } else {
            self.status.counters.receipts_bad += 1;
        }
    }

    pub(super) fn pause(&mut self, now: Duration) {
        self.pause_for(now, PAUSE);
    }

    pub(super) fn pause_long(&mut self, now: Duration) {
        self.pause_for(now, LONG_PAUSE);
    }

    fn pause_for(&mut self, now: Duration, pause: Duration) {
        if self.is_stopping() {
            return;
        }
        let jitter = Duration::from_micros(self.rng.random_range(0..PAUSE.as_micros() as u64));
        self.step = Step::Pausing(now.saturating_add(pause + jitter));
    }

    fn next_round(&mut self) {
        let after = self.after;
        let unsettled = self.ledger.oldest().unwrap_or(after.saturating_add(1));
        self.ask(Pending::NextRound, Request::NextRound { epoch: self.chain.epoch(), after, unsettled });
    }

    fn ask(&mut self, pending: Pending, request: Request) {
        if self.is_stopping() {
            return;
        }
        self.step = Step::Asking;
        self.request(Link::Entry, pending, request);
    }

    fn may_take_part(&mut self, round: u64, window: Duration) -> bool {
        if let Some(owed) = self.ledger.owed(round) {
            self.status.counters.tickets_incomplete += 1;
            if self.owed.replace(owed) != Some(owed) {
                self.note(Note::VerdictOwed { round: owed });
            }
            return false;
        }
        if window.is_zero() {
            self.status.counters.tickets_closed += 1;
            return false;
        }
        !self.is_stopping()
    }

    /// The round in preparation is over without a submission.
    fn drop_turn(&mut self) {
        if let Some(turn) = self.turn.take().filter(|turn| !turn.is_submitted()) {
            self.status.counters.submissions_late += 1;
            self.absent(turn.round);
        }
    }

    fn absent(&mut self, round: u64) {
        self.status.record(RoundResult { round, clients: None, outcome: None, missed: true, changed: None });
    }

    /// Takes what documents there are; longer than mixes keep them is no chain.
    fn documents(&mut self, chain: &[SignedEpoch]) {
        for signed in chain.iter().take(CHAIN_KEPT) {
            let counters = &mut self.status.counters;
            let known = self.chain.contradicted(signed);
            match self.chain.accept(signed) {
                Ok(Accepted::Known) => {}
                Ok(accepted) => {
                    if let Accepted::Gap { known } = accepted {
                        self.note(Note::EpochGap { known, received: signed.document.epoch });
                    }
                    self.act(Action::RememberEpoch(signed.clone()));
                }
                Err(Rejected::Invalid(_)) => counters.documents_invalid += 1,
                Err(Rejected::Stale) => counters.documents_stale += 1,
                Err(Rejected::Fork) => {
                    counters.documents_forked += 1;
                    self.note(Note::EpochFork { epoch: signed.document.epoch });
                }
            }
            if let Some(contradiction) = known.and_then(|known| self.signed.document(known, signed)) {
                self.act(Action::Contradicted(contradiction));
            }
        }
        self.status.epoch = self.chain.epoch();
    }

    fn verdicts(&mut self, ticket: u64, verdicts: &[SignedVerdict]) {
        for verdict in verdicts {
            if let Some(contradiction) = self.signed.verdict(verdict) {
                self.note(Note::VerdictFork { round: verdict.verdict.round });
                self.act(Action::Contradicted(contradiction));
            }
            let counters = &mut self.status.counters;
            match self.ledger.judge(ticket, verdict) {
                Judgement::Settles { carried, result } => {
                    self.signed.remember(verdict);
                    self.act(Action::Settle { round: result.round, carried });
                    self.status.record(result.clone());
                    self.note(Note::Round(result));
                }
                Judgement::Irrelevant => {}
                Judgement::Foreign => counters.verdicts_foreign += 1,
                Judgement::Early => counters.verdicts_early += 1,
                Judgement::Forged => counters.verdicts_forged += 1,
            }
        }
    }
}
