//! A batch at a mix: taking it in, shuffling it, delaying it, handing it on.

use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};

use crate::crypto::{Csprng, Defence, Digest};
use crate::packet::Slots;
use crate::round::{Intake, Job, Noise, NoisePlan, OutgoingBatch, PeeledSegment, Phase, Shuffled};
use crate::threshold::JointKeyError;
use crate::wire::{AbortReason, BatchHeader, Members, PeerMessage, SignedBatchHeader};

use super::{Action, Mix, Note};

/// One round's batch at this mix.
pub(super) struct Transit {
    stage: Stage,
    since: Duration,
    /// The header it came in with; none at the entry.
    incoming: Option<SignedBatchHeader>,
    pub members: Members,
    input: Digest,
}

enum Stage {
    /// Arriving and being peeled.
    Intake(Box<Intake>),
    /// Shuffled, and the digest of the new order is being computed; at the exit, its echoes.
    Digesting,
    /// The mix delay runs.
    Delayed(Duration, Arc<OutgoingBatch>),
    /// On its way; kept until the next mix has it.
    Forwarding(Arc<OutgoingBatch>),
    /// The next mix has it.
    Forwarded,
    /// Whole at the exit, which waits for t mixes to release their shares.
    Sealed(Shuffled),
    /// The exit opens its envelopes, and then decides.
    Opening,
    /// Not to be mixed: the exit is asked to abort it.
    Void(AbortReason),
}

impl Transit {
    /// When its delay is over.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Delayed(until, _) => Some(*until),
            _ => None,
        }
    }

    /// Whether this mix has nothing more to do for it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Forwarded | Stage::Void(_))
    }

    pub(super) fn phase(&self) -> Phase {
        match self.stage {
            Stage::Intake(_) => Phase::Collect,
            Stage::Digesting | Stage::Delayed(..) => Phase::Mix,
            Stage::Forwarding(_) => Phase::Forward,
            Stage::Sealed(_) => Phase::Confirm,
            Stage::Opening => Phase::Open,
            Stage::Forwarded | Stage::Void(_) => Phase::Verdict,
        }
    }

    /// Whether the batch has been handed out, so that the exit may hold what it says it holds.
    pub(super) fn was_forwarded(&self) -> bool {
        matches!(self.stage, Stage::Forwarding(_) | Stage::Forwarded)
    }

    /// The digest of the batch that came in.
    pub(super) fn input(&self) -> Digest {
        self.input
    }

    /// Whether its batch is whole and being worked on.
    pub(super) fn is_digesting(&self) -> bool {
        matches!(self.stage, Stage::Digesting)
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening)
    }

    /// Whether the next mix has it.
    pub(super) fn was_taken(&self) -> bool {
        matches!(self.stage, Stage::Forwarded)
    }

    /// The batch that arrives.
    pub(super) fn intake(&self) -> Option<&Intake> {
        match &self.stage {
            Stage::Intake(intake) => Some(intake),
            _ => None,
        }
    }

    pub(super) fn void(&self) -> Option<AbortReason> {
        match self.stage {
            Stage::Void(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Mix {
    /// A batch begins to arrive.
    pub(super) fn batch(&mut self, now: Duration, from: usize, stream: u64, header: SignedBatchHeader) {
        if let Err(reason) = self.check_header(from, &header) {
            return self.reject(reason, 1);
        }
        if !self.numbers_hold(from, &header) {
            return;
        }
        let round = header.header.round;
        let digest = header.header.output;
        let Some(known) = self.transit.get_mut(&round) else {
            return self.begin_intake(now, from, stream, header);
        };
        let again = known.incoming.as_ref().is_some_and(|incoming| incoming.header != header.header);
        if again && !self.network.defences.stands(Defence::OnceRule) {
            self.transit.remove(&round);
            return self.begin_intake(now, from, stream, header);
        }
        match (&mut known.stage, &known.incoming) {
            (Stage::Void(_), _) => {}
            (Stage::Intake(intake), _) => {
                if intake.restart(&header, stream).is_err() {
                    let known = intake.header().clone();
                    self.second_batch(&known, &header);
                }
            }
            (_, Some(incoming)) if incoming.header == header.header => {
                // The acknowledgement was lost with the link.
                self.send(from, PeerMessage::BatchAccepted { round, digest });
            }
            // What is released or opened cannot be taken back; its evidence stands all the same.
            (_, Some(incoming)) => {
                let known = incoming.clone();
                self.second_batch(&known, &header);
            }
            _ => self.reject("second_batch", 1),
        }
    }

    /// What a header must be before anything is done for it, but for its numbers.
    fn check_header(&self, from: usize, signed: &SignedBatchHeader) -> Result<(), &'static str> {
        let header = &signed.header;
        let document = self.epochs.document(header.round).ok_or("wrong_round")?;
        let sound = from + 1 == self.own
            && usize::from(header.hop) == from + 1
            && header.network == self.network.id()
            && header.epoch == document.digest()
            && header.members.fits(self.network.roster.clients.len())
            && signed.is_signed_by(&self.identities[from]);
        if sound { Ok(()) } else { Err("bad_batch") }
    }

    fn begin_intake(&mut self, now: Duration, from: usize, stream: u64, header: SignedBatchHeader) {
        let round = header.header.round;
        let most = self.network.parameters.verdict_rounds as usize * 2;
        let members = self.epochs.document(round).map_or(0, |document| document.members);
        let Some(peeler) =
            self.epochs.peeler(round).filter(|_| !self.signed.contains_key(&round) && !self.is_deciding(round))
        else {
            self.compare_late_batch(from, &header);
            return self.reject("wrong_round", 1);
        };
        if self.transit.len() >= most {
            return self.reject("full", 1);
        }
        if !self.note_batch(from, &header) {
            return;
        }
        let transit = Transit {
            since: now,
            members: header.header.members.clone(),
            input: header.header.output,
            incoming: Some(header.clone()),
            stage: Stage::Intake(Box::new(Intake::new(header.clone(), peeler, stream).with(self.network.defences))),
        };
        self.transit.insert(round, transit);
        self.actions.push_back(Action::Note(Note::RoundBegan));
        if header.header.members.count() < self.quorum(members) {
            return self.void(round, AbortReason::TooFewClients);
        }
        self.advance(now, round);
    }

    pub(super) fn segment(&mut self, from: usize, stream: u64, round: u64, slots: Slots) {
        let Some(Transit { stage: Stage::Intake(intake), .. }) = self.transit.get_mut(&round) else { return };
        if from + 1 != self.own || slots.geometry() != self.geometry {
            return self.reject("unexpected", 1);
        }
        let count = slots.len() as u64;
        match intake.segment(stream, slots) {
            Ok(None) => {}
            Ok(Some(job)) => {
                self.counters.packets_in += count;
                self.actions.push_back(Action::Note(Note::PacketsIn(count)));
                self.actions.push_back(Action::Work(job));
            }
            Err(error) => self.void_intake(round, error),
        }
    }

    pub(super) fn segment_peeled(&mut self, now: Duration, round: u64, peeled: PeeledSegment) {
        let Some(Transit { stage: Stage::Intake(intake), .. }) = self.transit.get_mut(&round) else { return };
        let whole = match intake.peeled(peeled) {
            Ok(None) => return,
            Ok(Some(segments)) => segments,
            Err(error) => return self.void_intake(round, error),
        };
        let (digest, hashes) = (intake.batch(), intake.hashes().to_vec());
        self.keep_hashes(round, self.own, hashes);
        self.send(self.own - 1, PeerMessage::BatchAccepted { round, digest });
        self.phase_ended(now, round, Phase::Collect);
        match (self.is_exit(), self.is_sealed()) {
            (true, true) => {
                if let Some(transit) = self.transit.get_mut(&round) {
                    transit.stage = Stage::Digesting;
                }
                self.actions.push_back(Action::Work(Job::FirstEchoes { round, segments: whole }));
            }
            (true, false) => self.seal_envelopes(round, whole),
            (false, _) => self.shuffle(round, whole),
        }
    }

    /// The entry's round becomes a batch.
    pub(super) fn mix(&mut self, now: Duration, round: u64, members: Members, input: Digest, segments: Vec<Slots>) {
        let transit = Transit { stage: Stage::Digesting, since: now, incoming: None, members, input };
        self.transit.insert(round, transit);
        self.shuffle(round, segments);
    }

    fn shuffle(&mut self, round: u64, segments: Vec<Slots>) {
        let (Some(builder), Some(transit)) = (self.epochs.builder(round), self.transit.get_mut(&round)) else { return };
        let (network, hop) = (self.network.clone(), self.own as u8 + 1);
        let noise = Box::new(NoisePlan { builder, hop, network, counts: self.noise.clone() });
        transit.stage = Stage::Digesting;
        let rng = Box::new(Csprng::from_rng(&mut self.rng));
        self.actions.push_back(Action::Work(Job::Shuffle { round, rng, segments, noise }));
    }

    /// The exit shuffles too, before it opens and stores.
    pub(super) fn seal_envelopes(&mut self, round: u64, segments: Vec<Slots>) {
        let (defences, geometry) = (self.network.defences, self.geometry);
        let batch = Shuffled::by_a_mix(&mut self.rng, defences, geometry, segments, Noise::none(geometry));
        if let Some(transit) = self.transit.get_mut(&round) {
            transit.stage = Stage::Sealed(batch);
        }
        self.release_own(round);
        if !self.is_sealed() {
            self.open_released(round);
        }
    }

    /// Opens a round whose batch is whole once t shares of its secret are there.
    pub(super) fn open_released(&mut self, round: u64) {
        let Some(transit) = self.transit.get_mut(&round).filter(|it| matches!(it.stage, Stage::Sealed(_))) else {
            return;
        };
        let Some(shares) = self.exit.as_ref().and_then(|exit| exit.shares(round)) else { return };
        match self.epochs.envelope_key(round, shares) {
            Ok(key) => {
                if let Stage::Sealed(batch) = std::mem::replace(&mut transit.stage, Stage::Opening) {
                    self.actions.push_back(Action::Work(Job::Open { round, batch, key: Box::new(key) }));
                }
            }
            Err(JointKeyError::TooFewShares { .. }) => {}
            // Each was checked when it came: only a key that is gone is left.
            Err(_) if self.is_sealed() => self.end_unopened(round, AbortReason::Lost),
            Err(_) => self.void(round, AbortReason::Lost),
        }
    }

    pub(super) fn batch_digested(&mut self, now: Duration, round: u64, mut batch: Shuffled, output: Digest) {
        let Some(document) = self.epochs.document(round) else { return };
        let (lo, hi) = self.network.parameters.mix_delay_ms;
        let own = batch.noise().count() as u32;
        let Some(transit) = self.transit.get_mut(&round).filter(|transit| transit.is_digesting()) else { return };
        let header = BatchHeader {
            network: document.network,
            epoch: document.digest(),
            round,
            hop: self.own as u8 + 1,
            count: batch.len() as u32,
            noise: transit.incoming.as_ref().map_or(0, |incoming| incoming.header.noise) + own,
            members: transit.members.clone(),
            input: transit.input,
            output,
        };
        let header = header.sign(&self.key);
        let (path, hashes) = (batch.take_return_path(), batch.take_hashes());
        let batch = Arc::new(OutgoingBatch { header: header.clone(), packets: batch });
        let delay = Duration::from_micros(self.rng.random_range(u64::from(lo) * 1000..=u64::from(hi) * 1000));
        transit.stage = Stage::Delayed(now + delay, batch.clone());
        self.keep_path(round, path, &header);
        self.keep_noise(round, &batch.packets);
        self.keep_hashes(round, self.own + 1, hashes);
        self.keep_batch(round, batch);
    }

    /// Hands on every batch whose delay is over.
    pub(super) fn forward_due(&mut self, now: Duration) {
        let due = |transit: &Transit| transit.wakes_at().is_some_and(|until| now >= until);
        let due = self.transit.iter().filter(|(round, transit)| due(transit) && self.may_forward(**round));
        let rounds: Vec<u64> = due.map(|(round, _)| *round).collect();
        for round in rounds {
            let Some(transit) = self.transit.get_mut(&round) else { continue };
            let Stage::Delayed(_, batch) = &transit.stage else { continue };
            let batch = batch.clone();
            transit.stage = Stage::Forwarding(batch.clone());
            self.phase_ended(now, round, Phase::Mix);
            let count = batch.packets.len() as u64;
            self.counters.packets_out += count;
            self.actions.push_back(Action::Note(Note::PacketsOut(count)));
            self.forward(batch);
        }
    }

    fn forward(&mut self, batch: Arc<OutgoingBatch>) {
        let to = self.own + 1;
        if self.links[to].up {
            self.actions.push_back(Action::Forward { to, batch });
        }
    }

    /// The next mix is back: it gets the same bytes.
    pub(super) fn resend_batches(&mut self, to: usize) {
        if to != self.own + 1 {
            return;
        }
        let forwarding = self.transit.values().filter_map(|transit| match &transit.stage {
            Stage::Forwarding(batch) => Some(batch.clone()),
            _ => None,
        });
        forwarding.collect::<Vec<_>>().into_iter().for_each(|batch| self.forward(batch));
    }

    /// The next mix owns the batch.
    pub(super) fn batch_accepted(&mut self, now: Duration, round: u64, digest: Digest) {
        let Some(transit) = self.transit.get_mut(&round) else { return };
        if let Stage::Forwarding(batch) = &transit.stage
            && batch.header.header.output == digest
        {
            transit.stage = Stage::Forwarded;
            self.phase_ended(now, round, Phase::Forward);
            match self.is_sealed() {
                true => self.handed_on(now, round),
                false => self.release(round),
            }
        }
    }

    /// The round's data goes.
    pub(super) fn forget_batch(&mut self, round: u64, reason: AbortReason) {
        if let Some(transit) = self.transit.get_mut(&round) {
            transit.stage = Stage::Void(reason);
        }
    }

    /// This round must not be opened: its data goes, the exit is asked to abort it.
    pub(super) fn void(&mut self, round: u64, reason: AbortReason) {
        if self.is_released(round) {
            // Nobody can take back what is released: the exit decides.
            return;
        }
        let epoch = self.epochs.document(round).map_or(0, |document| document.epoch);
        self.forget_batch(round, reason);
        if !self.is_burning(round) {
            self.let_go(round);
        }
        if self.is_exit() {
            self.abort_asked(epoch, round, reason);
        } else {
            self.send(self.exit_index(), PeerMessage::Abort { epoch, round, reason });
        }
    }

    pub(super) fn phase_ended(&mut self, now: Duration, round: u64, phase: Phase) {
        if let Some(transit) = self.transit.get_mut(&round) {
            let took = now.saturating_sub(transit.since);
            transit.since = now;
            self.actions.push_back(Action::Note(Note::PhaseEnded { phase, took }));
        }
    }
}
