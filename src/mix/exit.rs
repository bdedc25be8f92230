//! The exit: letters into mailboxes, one decision per round, polls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::blame::Evidence;
use crate::crypto::{Digest, Label, MailboxId, Signature, derive_parts};
use crate::round::Letters;
use crate::round::seal::Event as SealEvent;
use crate::threshold::Share;
use crate::wire::{
    AbortReason, DummyPolicy, Members, NOWHERE, Outcome, PeerMessage, Record, Refusal, Release, ReleasedShare,
    SecretPart, Statement, Verdict,
};

use super::{Action, Mix, Note, PersistError, Persisting, RequestId};

/// Pause before a decision that the disk did not take is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What only the exit has.
#[derive(Default)]
pub(super) struct Exit {
    /// By request, which is in order of arrival and so of patience.
    polls: BTreeMap<RequestId, Poll>,
    /// How many of them each client has.
    polling: BTreeMap<u32, usize>,
    /// The highest round decided.
    decided: u64,
    /// Up to which round polls have been answered.
    answered: u64,
    /// Rounds whose decision is on its way to the disk.
    deciding: BTreeSet<u64>,
    /// Decisions that the entry has not yet shown to be complete.
    unconfirmed: BTreeSet<u64>,
    /// Decisions that the disk did not take.
    retry: Vec<(Duration, Verdict)>,
    /// What mixes released of rounds that are not decided, each checked, with the mix's number from 1.
    shares: BTreeMap<u64, Vec<(u8, Share)>>,
    /// What this mix confirmed of rounds decided and not confirmed to be complete: where fewer than all mixes open a round, the
    /// others sign that it is stored only when they have seen this.
    confirms: BTreeMap<u64, PeerMessage>,
}

struct Poll {
    client: u32,
    round: u64,
    mailbox: MailboxId,
    acknowledged: u64,
    after: u64,
    until: Duration,
}

impl Exit {
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        let polls = self.polls.first_key_value().map(|(_, poll)| poll.until);
        polls.into_iter().chain(self.retry.iter().map(|(at, _)| *at)).min()
    }

    /// What has been released of a round.
    pub(super) fn shares(&self, round: u64) -> Option<&[(u8, Share)]> {
        self.shares.get(&round).map(Vec::as_slice)
    }

    pub(super) fn forget_shares(&mut self, round: u64) {
        self.shares.remove(&round);
    }

    pub(super) fn forget(&mut self, client: u32) {
        if self.polling.remove(&client).is_some() {
            self.polls.retain(|_, poll| poll.client != client);
        }
    }

    /// Takes out the polls that are due: all when stopping, those of rounds decided since the last time, and those whose patience
    /// is over, the oldest. One pass over all for each decision, and none for anything else that happens.
    fn due(&mut self, now: Duration, stopping: bool) -> Vec<(RequestId, Poll)> {
        let decided = self.decided;
        let mut due = Vec::new();
        if stopping || self.answered < decided {
            self.answered = decided;
            let polls = std::mem::take(&mut self.polls).into_iter();
            let (over, waiting): (BTreeMap<_, _>, _) = polls.partition(|(_, poll)| stopping || poll.round <= decided);
            (due, self.polls) = (over.into_iter().collect(), waiting);
        }
        while let Some(oldest) = self.polls.first_entry().filter(|oldest| now >= oldest.get().until) {
            due.push(oldest.remove_entry());
        }
        for (_, poll) in &due {
            if let Some(count) = self.polling.get_mut(&poll.client) {
                *count -= 1;
                if *count == 0 {
                    self.polling.remove(&poll.client);
                }
            }
        }
        due
    }
}

impl Mix {
    /// A client polls: answered when its round is decided, or after D rounds.
    pub(super) fn poll_asked(
        &mut self,
        now: Duration,
        id: RequestId,
        client: u32,
        round: u64,
        capability: &[u8; 32],
        (acknowledged, after): (u64, u64),
    ) {
        let digest = derive_parts(Label::Mailbox, &[&self.network.id().0, capability]);
        let mailbox = MailboxId(*digest.0.first_chunk().expect("a digest has 32 bytes"));
        if !self.has_mailbox(&mailbox) {
            return self.refuse(id, Refusal::NotOnRoster, "unknown_mailbox");
        }
        let parameters = &self.network.parameters;
        let most = parameters.verdict_rounds as usize + 2;
        let patience = Duration::from_millis(parameters.span_ms().into()) * parameters.verdict_rounds;
        let Some(exit) = self.exit.as_mut() else { return };
        if exit.polling.get(&client).is_some_and(|count| *count >= most) {
            return self.refuse(id, Refusal::Full, "full");
        }
        if round <= exit.decided {
            self.actions.push_back(Action::Poll { id, mailbox, acknowledged, after });
            return;
        }
        *exit.polling.entry(client).or_default() += 1;
        exit.polls.insert(id, Poll { client, round, mailbox, acknowledged, after, until: now + patience });
    }

    fn has_mailbox(&self, mailbox: &MailboxId) -> bool {
        self.network.roster.mailboxes.binary_search_by(|entry| entry.id.cmp(mailbox)).is_ok()
    }

    /// Answers the polls whose round is decided, and tries again what the disk did not take.
    pub(super) fn exit_due(&mut self, now: Duration) {
        let stopping = self.stopping;
        let Some(exit) = self.exit.as_mut() else { return };
        for (id, poll) in exit.due(now, stopping) {
            let Poll { mailbox, acknowledged, after, .. } = poll;
            self.actions.push_back(Action::Poll { id, mailbox, acknowledged, after });
        }
        for (_, verdict) in exit.retry.extract_if(.., |(at, _)| now >= *at).collect::<Vec<_>>() {
            self.decide(verdict, Vec::new());
        }
    }

    /// A mix releases its share of a round. A wrong one is proof against it; without the right one, if all are needed, the
    /// round cannot be opened.
    pub(super) fn released(
        &mut self,
        from: usize,
        (epoch, round): (u64, u64),
        transcript: Digest,
        share: &SecretPart,
        signature: &Signature,
    ) {
        if self.is_sealed() && !self.is_release(from, round, transcript, share, signature) {
            return self.reject("bad_release", 1);
        }
        if self.epochs.document(round).is_none_or(|document| document.epoch != epoch) {
            return;
        }
        let checked = self.epochs.check_share(round, from, &Share::from_bytes(share.0));
        if matches!(checked, Some(Err(_))) {
            self.reject("wrong_share", 1);
            self.wrong_share(from, round, transcript, share, signature);
        }
        if self.signed.contains_key(&round) || self.is_deciding(round) {
            // Said again, or of a round that is over.
            return;
        }
        match checked {
            Some(Ok(())) => {
                self.keep_share(round, from, Share::from_bytes(share.0));
                match self.is_sealed() {
                    true => self.sealed_event(round, SealEvent::Share { from }),
                    false => self.open_released(round),
                }
            }
            Some(Err(_)) if self.network.parameters.threshold as usize == self.network.mixes() => {
                self.void(round, AbortReason::WrongShare);
            }
            _ => {}
        }
    }

    /// A signed release with a wrong share proves itself.
    fn wrong_share(&mut self, from: usize, round: u64, transcript: Digest, share: &SecretPart, signature: &Signature) {
        if !self.is_sealed() || self.convicts.has_mix(from) {
            return;
        }
        let Some(document) = self.epochs.signed(round) else { return };
        let openings = self.epochs.openings(round, from);
        let released = (transcript, share.0, *signature);
        let evidence = Evidence::of_share(document, (round, from as u8 + 1), released, &openings);
        self.found(evidence);
    }

    /// Whether the mix has signed this release.
    fn is_release(
        &self,
        from: usize,
        round: u64,
        transcript: Digest,
        share: &SecretPart,
        signature: &Signature,
    ) -> bool {
        let Some(slot) = self.slot(round) else { return false };
        let release = Release { slot, transcript, share: ReleasedShare::from_bytes(share.0) };
        release.is_signed_by(&self.identities[from], signature)
    }

    /// The exit has the whole batch: its own share counts from now on.
    pub(super) fn release_own(&mut self, round: u64) {
        if let Some(share) = self.epochs.share(round) {
            self.keep_share(round, self.own, share);
        }
    }

    fn keep_share(&mut self, round: u64, from: usize, share: Share) {
        let most = u64::from(self.network.parameters.verdict_rounds) * 2;
        let Some(exit) = self.exit.as_mut() else { return };
        // Shares of rounds that were never opened would stay for ever.
        let decided = exit.decided;
        exit.shares.retain(|round, _| round + most > decided);
        let shares = exit.shares.entry(round).or_default();
        let number = from as u8 + 1;
        if shares.iter().all(|(known, _)| *known != number) {
            shares.push((number, share));
        }
    }

    /// The round's envelopes are open: store their letters, all or none.
    pub(super) fn opened(&mut self, round: u64, opened: Letters) {
        let Some(transit) = self.transit.get(&round).filter(|transit| transit.is_opening()) else { return };
        let members = transit.members.clone();
        let Letters { mut letters, unopened } = opened;
        if self.network.parameters.dummies == DummyPolicy::Dropped {
            // They are what they should be, and nothing to be counted.
            letters.retain(|(mailbox, _)| *mailbox != NOWHERE);
        }
        let before = letters.len();
        letters.retain(|(mailbox, _)| self.has_mailbox(mailbox));
        let unknown = (before - letters.len()) as u64;
        for (reason, count) in [("bad_envelope", u64::from(unopened)), ("unknown_mailbox", unknown)] {
            if count > 0 {
                self.reject(reason, count);
            }
        }
        if let Some(verdict) = self.verdict(round, members, Outcome::Stored { refused: 0 }) {
            self.decide(verdict, letters);
        }
    }

    /// A mix asks for an abort. What is decided stays decided, and is said again.
    pub(super) fn abort_asked(&mut self, epoch: u64, round: u64, reason: AbortReason) {
        if self.signed.contains_key(&round) {
            return self.send_decision(round);
        }
        let opening = self.transit.get(&round).is_some_and(super::Transit::is_opening);
        let under_way = self.exit.as_ref().is_some_and(|exit| exit.deciding.contains(&round));
        if opening || under_way {
            return;
        }
        if self.epochs.document(round).is_none_or(|document| document.epoch != epoch) {
            return self.reject("wrong_round", 1);
        }
        self.end_unopened(round, reason);
    }

    /// The round ends without having been opened.
    pub(super) fn end_unopened(&mut self, round: u64, reason: AbortReason) {
        let outcome = self.unopened(round, reason);
        // What still arrives of it is not opened while the decision is on its way to the disk.
        self.forget_batch(round, reason);
        let none = Members::none(self.network.roster.clients.len());
        if let Some(verdict) = self.verdict(round, none, outcome) {
            self.decide(verdict, Vec::new());
        }
    }

    /// Whether the exit has taken a decision on the round that is not on disk yet.
    pub(super) fn is_deciding(&self, round: u64) -> bool {
        self.exit.as_ref().is_some_and(|exit| exit.deciding.contains(&round))
    }

    fn verdict(&self, round: u64, members: Members, outcome: Outcome) -> Option<Verdict> {
        let document = self.epochs.document(round)?;
        Some(Verdict { network: document.network, epoch: document.epoch, round, members, outcome })
    }

    fn decide(&mut self, verdict: Verdict, letters: Vec<(MailboxId, crate::wire::StoredLetter)>) {
        let Some(exit) = self.exit.as_mut() else { return };
        exit.deciding.insert(verdict.round);
        let record = Record::Decided { verdict: verdict.clone(), letters };
        self.persist(record, Persisting::Decided(verdict));
    }

    /// The disk did not take the letters: then the round is opened and not stored, which the disk must know.
    pub(super) fn decision_not_stored(&mut self, now: Duration, verdict: Verdict, error: PersistError) {
        let Some(exit) = self.exit.as_mut() else { return };
        if error == PersistError::AlreadySigned {
            exit.deciding.remove(&verdict.round);
            return;
        }
        let outcome = match verdict.outcome {
            Outcome::Stored { .. } => Outcome::OpenedNotStored,
            other => other,
        };
        exit.retry.push((now + RETRY, Verdict { outcome, ..verdict }));
    }

    /// The decision is on disk: keys go, the entry hears, those who polled get their letters.
    pub(super) fn decided_on_disk(&mut self, _now: Duration, verdict: Verdict) {
        let (round, outcome, clients) = (verdict.round, verdict.outcome, verdict.members.count());
        let Some(exit) = self.exit.as_mut() else { return };
        exit.deciding.remove(&round);
        exit.decided = exit.decided.max(round);
        exit.unconfirmed.insert(round);
        while exit.unconfirmed.len() > self.network.parameters.history_rounds as usize {
            exit.unconfirmed.pop_first();
            exit.confirms.pop_first();
        }
        if let Some(confirm) = self.own_confirm(round).filter(|_| outcome.is_stored())
            && let Some(exit) = self.exit.as_mut()
        {
            exit.confirms.insert(round, confirm);
        }
        self.remember_signed(verdict);
        self.round_over(round);
        self.send_decision(round);
        self.counters.round_ended(outcome);
        self.actions.push_back(Action::Note(Note::RoundEnded { round, outcome, clients }));
    }

    fn send_decision(&mut self, round: u64) {
        if let Some(verdict) = self.signed.get(&round).cloned() {
            let signature = verdict.sign(&self.key);
            self.send(0, PeerMessage::Decision { verdict, signature });
        }
    }

    /// The entry is back: it may have missed decisions.
    pub(super) fn resend_decisions(&mut self) {
        let rounds: Vec<u64> = self.exit.iter().flat_map(|exit| exit.unconfirmed.iter().copied()).collect();
        rounds.into_iter().for_each(|round| self.send_decision(round));
    }

    /// The verdict is complete: the entry needs no reminder.
    pub(super) fn confirmed(&mut self, round: u64) {
        if let Some(exit) = self.exit.as_mut() {
            exit.unconfirmed.remove(&round);
            exit.confirms.remove(&round);
        }
    }

    /// A mix is back: it may have missed what the exit confirmed.
    pub(super) fn resend_confirms(&mut self, to: usize) {
        let confirms: Vec<_> = self.exit.iter().flat_map(|exit| exit.confirms.values().cloned()).collect();
        confirms.into_iter().for_each(|confirm| self.send(to, confirm));
    }
}
