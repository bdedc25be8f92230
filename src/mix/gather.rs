//! At the entry: what clients have handed to the other mixes is fetched before a round's list is made.
//!
//! No other mix signs a list without the clients who handed it their submissions, so the entry waits until each has said
//! whose it has, unless everybody is in. What it lacks of these it asks for, some at a time, from any mix that has it.
//! A submission came with its client's signature: one that does not open convicts its client, at the cost of the round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::blame::Evidence;
use crate::packet::Slots;
use crate::round::{Collection, Job, Judged, Phase, Pieces, Submission, SubmissionFault};
use crate::wire::{AbortReason, Exhibit, Members, PeerMessage, Piece};

use super::{Action, Mix, Note};

/// Submissions that are asked for at a time: a link's worth, below the messages that may wait for it.
const ASKED: usize = 32;
/// Pause before a submission that has not come is asked of another mix, or again.
const AGAIN: Duration = Duration::from_millis(500);

/// A round whose own submissions are in, and not yet all of the others.
pub(super) struct Gathering {
    pub collection: Collection,
    /// What has been asked for, and of whom.
    coming: BTreeMap<u32, (usize, Pieces)>,
    /// What is being judged: who had it, and its bytes.
    judging: BTreeMap<u32, (usize, Vec<u8>)>,
    /// What a mix said that it has, and what it shows is no client's.
    false_words: BTreeSet<(usize, u32)>,
    ask_at: Duration,
}

impl Gathering {
    fn new(collection: Collection) -> Self {
        Self {
            collection,
            coming: BTreeMap::new(),
            judging: BTreeMap::new(),
            false_words: BTreeSet::new(),
            ask_at: Duration::ZERO,
        }
    }

    /// Clients that are not in and whose submissions other mixes have.
    fn lacking(&self, evicted: &BTreeSet<u32>) -> BTreeSet<u32> {
        let named = self.collection.handed_over().values().flat_map(Members::iter);
        named.filter(|client| !self.collection.contains(*client) && !evicted.contains(client)).collect()
    }

    /// Who has the submission of `client`, beginning behind the mix `last`.
    fn next_source(&self, client: u32, last: usize) -> Option<usize> {
        let has = |(mix, members): (&usize, &Members)| {
            (members.contains(client) && !self.false_words.contains(&(*mix, client))).then_some(*mix)
        };
        let said = self.collection.handed_over();
        said.range(last + 1..).find_map(has).or_else(|| said.range(..=last).find_map(has))
    }
}

impl Mix {
    /// The entry tells a mix which rounds clients may hand over to; all of them, to one that comes back.
    pub(super) fn say_opened(&mut self, to: usize) {
        let Some(entry) = self.entry.as_ref().filter(|_| self.network.hands_over()) else { return };
        let open = entry.collection.iter().map(|open| open.round).chain(entry.gathering.keys().copied());
        for round in open.collect::<Vec<_>>() {
            if let Some(epoch) = self.epochs.document(round).map(|document| document.epoch) {
                self.send(to, PeerMessage::RoundOpened { epoch, round });
            }
        }
    }

    /// A round is closed, and what the entry has taken itself is peeled.
    pub(super) fn gather(&mut self, now: Duration, collection: Collection) {
        let round = collection.round;
        if let Some(entry) = self.entry.as_mut() {
            entry.gathering.insert(round, Gathering::new(collection));
        }
        self.gathered(now, round);
    }

    /// Another mix says whose submissions it has.
    pub(super) fn handed_over_to(&mut self, now: Duration, from: usize, round: u64, clients: Members) {
        if !clients.fits(self.network.roster.clients.len()) {
            return self.reject("malformed", 1);
        }
        let Some(entry) = self.entry.as_mut() else { return };
        let open = entry.collection.as_mut().filter(|open| open.round == round);
        let gathering = entry.gathering.get_mut(&round).map(|gathering| &mut gathering.collection);
        // Else the round was settled without it, or it is said again.
        if let Some(collection) = gathering.or(open) {
            collection.say_handed_over(from, clients);
            self.gathered(now, round);
        }
    }

    /// Asks for what is lacking; once nothing is, the round goes on.
    fn gathered(&mut self, now: Duration, round: u64) {
        let mixes = self.network.mixes();
        let evicted = self.convicts.evicted();
        let Some(gathering) = self.entry.as_ref().and_then(|entry| entry.gathering.get(&round)) else { return };
        let everybody = self.is_everybody(|client| gathering.collection.contains(client));
        let lacking = gathering.lacking(evicted);
        let all_said = gathering.collection.handed_over().len() + 1 == mixes;
        if !gathering.collection.is_settled() || !everybody && (!all_said || !lacking.is_empty()) {
            return self.ask_for_submissions(now, round, lacking);
        }
        if let Some(done) = self.entry.as_mut().and_then(|entry| entry.gathering.remove(&round)) {
            self.members_settled(now, done.collection);
        }
    }

    /// Who is in a round is settled at the entry: mix, or abort if they are too few.
    pub(super) fn members_settled(&mut self, now: Duration, done: Collection) {
        let round = done.round;
        let members = self.epochs.document(round).map_or(0, |document| document.members);
        let took = now.saturating_sub(done.opened_at);
        self.actions.push_back(Action::Note(Note::PhaseEnded { phase: Phase::Collect, took }));
        let enough = done.clients() >= self.quorum(members);
        if let Some(entry) = self.entry.as_mut() {
            entry.attendance.collected(now, done.clients(), enough);
        }
        if !enough {
            return self.abort_round(round, AbortReason::TooFewClients);
        }
        let collected = done.finish();
        if self.is_sealed() {
            return self.begin_list(now, round, collected);
        }
        let (members, input, segments) = collected.into_batch(self.network.roster.clients.len());
        self.mix(now, round, members, input, segments);
    }

    fn ask_for_submissions(&mut self, now: Duration, round: u64, lacking: BTreeSet<u32>) {
        let length = self.submission_bytes();
        let Some(gathering) = self.entry.as_mut().and_then(|entry| entry.gathering.get_mut(&round)) else { return };
        let again = now >= gathering.ask_at;
        let mut questions = Vec::new();
        for client in lacking {
            let last = gathering.coming.get(&client).map(|(from, _)| *from);
            let is_asked = last.is_some() || gathering.judging.contains_key(&client);
            let full = gathering.coming.len() >= ASKED;
            if gathering.judging.contains_key(&client) || is_asked && !again || !is_asked && full {
                continue;
            }
            let Some(from) = gathering.next_source(client, last.unwrap_or(0)) else { continue };
            let coming = Pieces::new(length);
            questions.extend(coming.missing().iter().map(|number| (from, client, *number)));
            gathering.coming.insert(client, (from, coming));
        }
        if again || !questions.is_empty() {
            gathering.ask_at = now + AGAIN;
        }
        for (from, client, number) in questions {
            self.send(from, PeerMessage::Ask { round, exhibit: Exhibit::Submission { client }, number });
        }
    }

    fn submission_bytes(&self) -> usize {
        let packets = self.network.parameters.packets_per_client as usize;
        packets * self.geometry.packet() + self.network.records_length()
    }

    /// Another mix shows a submission that the entry lacks.
    pub(super) fn submission_shown(&mut self, now: Duration, from: usize, round: u64, client: u32, piece: &Piece) {
        let (geometry, count) = (self.geometry, self.network.parameters.packets_per_client as usize);
        let Some(gathering) = self.entry.as_mut().and_then(|entry| entry.gathering.get_mut(&round)) else { return };
        let Some((_, coming)) = gathering.coming.get_mut(&client).filter(|(source, _)| *source == from) else { return };
        let bytes = match coming.take(piece) {
            Ok(None) => return,
            Ok(Some(bytes)) => Some(bytes),
            Err(_) => None,
        };
        gathering.coming.remove(&client);
        let whole = bytes.and_then(|bytes| Some((Submission::from_bytes(geometry, count, &bytes)?, bytes)));
        let Some((submission, bytes)) = whole else {
            gathering.false_words.insert((from, client));
            self.reject("bad_exhibit", 1);
            return self.gathered(now, round);
        };
        let attempt = gathering.collection.attempt_relayed();
        gathering.judging.insert(client, (from, bytes));
        self.actions.push_back(Action::Work(Job::Submission { round, client, submission, attempt }));
        self.gathered(now, round);
    }

    /// What another mix had is judged: taken, or its client's fault, or that mix's.
    pub(super) fn relayed_judged(&mut self, now: Duration, round: u64, client: u32, judged: Judged) {
        let Some(gathering) = self.entry.as_mut().and_then(|entry| entry.gathering.get_mut(&round)) else { return };
        let Some((from, bytes)) = gathering.judging.remove(&client) else { return };
        let count = judged.slots.len() as u64;
        match gathering.collection.take_relayed(client, judged) {
            Ok(()) => {
                self.counters.relayed += 1;
                self.actions.push_back(Action::Note(Note::Relayed));
            }
            Err(SubmissionFault::Packets { which, .. }) => {
                self.reject("bad_hand_over", count);
                return self.convict_sender(round, client, which, &bytes);
            }
            Err(fault) => {
                gathering.false_words.insert((from, client));
                self.reject(fault.reason(), count);
            }
        }
        self.gathered(now, round);
    }

    /// A client has signed what does not open at the entry, and handed it to a mix that now signs no list without it. The
    /// entry's onion key proves it. So the round is over: nothing of it has left the entry, and its secrets go, so that it never
    /// opens.
    fn convict_sender(&mut self, round: u64, client: u32, which: u32, bytes: &[u8]) {
        let evidence = self.epochs.signed(round).zip(self.epochs.onion_key(round)).and_then(|(document, key)| {
            let count = self.network.parameters.packets_per_client as usize;
            let Submission { packets, records } = Submission::from_bytes(self.geometry, count, bytes)?;
            let onions: Vec<&[u8]> = (0..Slots::len(&packets)).map(|i| packets.received(i)).collect();
            Evidence::of_submission(document, (round, client), &onions, &records, (which, key))
        });
        self.abort_round(round, AbortReason::BadLayer);
        self.epochs.erase(round);
        if let Some(evidence) = evidence {
            self.found(evidence);
        }
    }

    pub(super) fn gathering_wakes_at(&self) -> Option<Duration> {
        let entry = self.entry.as_ref()?;
        let waits = |gathering: &&Gathering| !gathering.lacking(self.convicts.evicted()).is_empty();
        entry.gathering.values().filter(waits).map(|gathering| gathering.ask_at).min()
    }

    /// Asks again for what has not come.
    pub(super) fn gathering_due(&mut self, now: Duration) {
        let rounds: Vec<u64> = self.entry.iter().flat_map(|entry| entry.gathering.keys().copied()).collect();
        rounds.into_iter().for_each(|round| self.gathered(now, round));
    }
}
