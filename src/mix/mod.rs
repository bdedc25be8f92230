//! A mix's engine: events in, actions out.
//!
//! [`Mix`] holds no socket, clock, disk or thread. Its driver - the daemon, or the in-memory harness - calls
//! [`Mix::handle`] with each event and the present moment, then drains [`Mix::poll_action`], and calls again with
//! [`Event::Timeout`] at [`Mix::poll_timeout`]. Moments are durations since any fixed point of a monotonic clock.
//!
//! One file per concern: `agree` makes epochs, `entry` collects, `handover` takes what it refuses and `gather` fetches that, `tickets` tells
//! clients, `transit` takes in, mixes and forwards, `exit` opens and decides, `verdict` signs. The parts they use are in [`crate::epoch`] and [`crate::round`].

mod agree;
mod attendance;
mod blame;
mod entry;
mod equivocation;
mod event;
mod exit;
mod gather;
mod handover;
#[cfg(any(test, feature = "sim"))]
mod insider;
mod persisting;
mod sealing;
mod status;
mod tickets;
mod transit;
mod unsealed;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use crate::crypto::{Backend, Csprng, Identity, IdentityKey};
use crate::epoch::{Assent, Epochs};
use crate::packet::Geometry;
use crate::round::{Done, HandOvers, NoiseCounts, Struck};
use crate::wire::{Bond, Exhibit, Network, PeerMessage, Record, Recovered, Refusal, Reply, Verdict};

pub use blame::Owing;
pub use event::{Action, Event, Note, PersistError, RequestId};
pub use status::{LinkStatus, Status};

use blame::Convicts;
use entry::Entry;
use equivocation::Heard;
use exit::Exit;
use persisting::Persisting;
use sealing::{SaidBefore, Sealing};
use transit::Transit;

/// What a mix needs to know to begin.
pub struct MixConfig {
    /// The network.
    pub network: Arc<Network>,
    /// The packets' shape, from the network's parameters.
    pub geometry: Geometry,
    /// The mix's place in the cascade, from 0.
    pub own: usize,
    /// Its identity key.
    pub key: Arc<IdentityKey>,
    /// Which cryptographic backend does the work.
    pub backend: Backend,
    /// How much noise it adds to a round, at most what the network lets it.
    pub noise: NoiseCounts,
    /// Bytes of batches that the entry has on their way at once; two rounds overlap whatever they take.
    pub overlap_bytes: u64,
    /// What its disk holds.
    pub recovered: Recovered,
    /// Unix milliseconds at the zero of the monotonic clock: written into proposals, shown, never compared.
    pub started_at_ms: u64,
}

/// One mix of a cascade.
pub struct Mix {
    network: Arc<Network>,
    geometry: Geometry,
    own: usize,
    key: Arc<IdentityKey>,
    identities: Vec<Identity>,
    boot: [u8; 16],
    started_at_ms: u64,
    rng: Csprng,
    noise: Arc<NoiseCounts>,
    epochs: Epochs,
    links: Vec<Link>,
    transit: BTreeMap<u64, Transit>,
    /// Verdicts that this mix has signed (the exit: decided), of the newest rounds.
    signed: BTreeMap<u64, Verdict>,
    heard: Heard,
    assent: Assent,
    /// What clients hand over, and who waits for an answer; not at the entry.
    hand_overs: BTreeMap<u64, (HandOvers, Vec<(u32, RequestId)>)>,
    /// An epoch whose document is not here yet, and a round of it that is open.
    opened_early: Option<(u64, u64)>,
    /// Sealed rounds without a verdict of this mix's.
    sealings: BTreeMap<u64, Sealing>,
    /// What this run said in others.
    said_before: SaidBefore,
    /// What earlier runs said in sealed rounds without a verdict and this one cannot take back.
    bonds: BTreeMap<u64, Bond>,
    /// The first epoch of whose rounds every bond is there.
    remembers_from: Option<u64>,
    /// Who has been struck out of lists, by epoch.
    struck: BTreeMap<u64, Struck>,
    /// Who is out.
    convicts: Convicts,
    /// At the entry: an epoch in which it verifies every client's signature.
    verified_epoch: Option<u64>,
    /// The moment of the last event.
    now: Duration,
    entry: Option<Entry>,
    exit: Option<Exit>,
    persisting: BTreeMap<u64, (Persisting, Option<Record>)>,
    /// Records that the disk did not take, and when to try them again.
    repeats: Vec<(Duration, Record, Persisting)>,
    next_token: u64,
    actions: VecDeque<Action>,
    stopping: bool,
    counters: status::Counters,
}

/// A link to another mix.
#[derive(Clone, Copy, Default)]
struct Link {
    /// Its hello has come and it has not gone down since.
    up: bool,
    /// Which run of the peer's process the hello was from.
    boot: Option<[u8; 16]>,
}

impl Mix {
    /// A mix that has just been started; `rng` must be freshly seeded.
    pub fn new(config: MixConfig, mut rng: Csprng) -> Self {
        let MixConfig { network, geometry, own, key, backend, noise, overlap_bytes, recovered, started_at_ms } = config;
        let mut boot = [0; 16];
        rng.fill_bytes(&mut boot);
        let is_exit = own + 1 == network.mixes();
        let entry =
            (own == 0).then(|| Entry::recover(&network, network.overlap(geometry.stride(), overlap_bytes), &recovered));
        let signed: BTreeMap<u64, Verdict> =
            recovered.signed.into_iter().map(|verdict| (verdict.round, verdict)).collect();
        let exit = is_exit.then(Exit::default);
        Self {
            geometry,
            own,
            key,
            identities: network.mix_identities(),
            boot,
            started_at_ms,
            rng,
            noise: Arc::new(noise),
            epochs: Epochs::new(network.clone(), geometry, own, backend, recovered.chain),
            links: vec![Link::default(); network.mixes()],
            transit: BTreeMap::new(),
            signed,
            heard: Heard::default(),
            assent: Assent::new(recovered.epoch_signed),
            hand_overs: BTreeMap::new(),
            opened_early: None,
            sealings: BTreeMap::new(),
            said_before: SaidBefore::default(),
            bonds: recovered.bonds.into_iter().collect(),
            remembers_from: recovered.remembers_from,
            struck: BTreeMap::new(),
            convicts: Convicts::new(&network, recovered.convicted),
            verified_epoch: None,
            now: Duration::ZERO,
            entry,
            exit,
            persisting: BTreeMap::new(),
            repeats: Vec::new(),
            next_token: 0,
            actions: VecDeque::new(),
            stopping: false,
            counters: status::Counters::default(),
            network,
        }
    }

    /// Takes one event. Afterwards drain [`Mix::poll_action`] and ask [`Mix::poll_timeout`] again.
    pub fn handle(&mut self, now: Duration, event: Event) {
        self.now = now;
        match event {
            Event::LinkUp { mix } => self.link_up(mix),
            Event::LinkDown { mix } => self.link_down(now, mix),
            Event::Peer { from, message } => self.peer(now, from, message),
            Event::Batch { from, stream, header } => self.batch(now, from, stream, header),
            Event::Segment { from, stream, round, slots } => self.segment(from, stream, round, slots),
            Event::Request { id, client, request, submission } => self.request(now, id, client, request, submission),
            Event::Malformed => self.reject("malformed", 1),
            Event::ClientGone { client } => self.client_gone(client),
            Event::Worked(done) => self.worked(now, done),
            Event::Persisted { token, result } => self.persisted(now, token, result),
            Event::Timeout => {}
            Event::Stop => self.stop(now),
            Event::Readmit { client } => self.readmit_client(client),
            Event::Resume => self.resume(),
        }
        self.tick(now);
    }

    /// The next thing to do; `None` when all is said.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Mix::handle`] with [`Event::Timeout`] if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let delays = self.transit.iter().filter(|(round, _)| self.may_forward(**round));
        let delays = delays.filter_map(|(_, transit)| transit.wakes_at()).min();
        let entry = self.entry.as_ref().and_then(|entry| entry.wakes_at(self));
        let exit = self.exit.as_ref().and_then(Exit::wakes_at);
        let repeats = self.repeats.iter().map(|(at, _, _)| *at).min();
        let handed_over = [self.hand_overs_wake_at(), self.gathering_wakes_at()];
        [delays, entry, exit, repeats, self.blame_wakes_at()].into_iter().chain(handed_over).flatten().min()
    }

    /// Whether a stopping mix has nothing left to finish.
    pub fn is_idle(&self) -> bool {
        self.transit.values().all(Transit::is_over)
            && self.persisting.is_empty()
            && self.entry.as_ref().is_none_or(Entry::is_idle)
    }

    fn is_exit(&self) -> bool {
        self.exit.is_some()
    }

    fn exit_index(&self) -> usize {
        self.network.mixes() - 1
    }

    fn send(&mut self, to: usize, message: PeerMessage) {
        // A link that is down loses messages; whatever still matters is said again when it is up.
        if self.links[to].up {
            self.actions.push_back(Action::Send { to, message });
        }
    }

    fn broadcast(&mut self, message: &PeerMessage) {
        let own = self.own;
        for to in (0..self.network.mixes()).filter(|to| *to != own) {
            self.send(to, message.clone());
        }
    }

    fn reply(&mut self, id: RequestId, reply: Reply) {
        self.actions.push_back(Action::Reply { id, reply });
    }

    fn refuse(&mut self, id: RequestId, refusal: Refusal, reason: &'static str) {
        self.reject(reason, 1);
        self.reply(id, Reply::Refused(refusal));
    }

    fn reject(&mut self, reason: &'static str, count: u64) {
        self.counters.reject(reason, count);
        self.actions.push_back(Action::Note(Note::Rejected { reason, count }));
    }

    fn link_up(&mut self, mix: usize) {
        // Only a hello makes a link usable; ours goes out at once.
        self.links[mix].up = false;
        let hello = PeerMessage::Hello { boot: self.boot, epoch: self.epochs.whole_up_to() };
        self.actions.push_back(Action::Send { to: mix, message: hello });
    }

    fn link_down(&mut self, now: Duration, mix: usize) {
        self.links[mix].up = false;
        self.attempt_failed(now);
    }

    /// A peer shows itself: say again whatever it may have missed.
    fn hello(&mut self, now: Duration, from: usize, boot: [u8; 16], epoch: u64) {
        self.links[from] = Link { up: true, boot: Some(boot) };
        self.tell_what_is_missed(from, epoch);
        if let Some(entry) = self.entry.as_mut() {
            entry.attendance.progress(now);
            entry.attempt_at = entry.attempt_at.min(now);
        }
        self.restarted_peer(now, from);
        self.say_opened(from);
        self.resend_handed_over(from);
        self.resend_batches(from);
        self.resend_shares(from);
        self.say_again(from);
        self.resend_confirms(from);
        self.resend_verdicts(from);
    }

    fn peer(&mut self, now: Duration, from: usize, message: PeerMessage) {
        if !self.links[from].up && !matches!(message, PeerMessage::Hello { .. }) {
            // Streams are not ordered: what overtakes a hello is said again after it.
            return;
        }
        let from_entry = from == 0 && self.own != 0;
        match message {
            PeerMessage::Hello { boot, epoch } => self.hello(now, from, boot, epoch),
            PeerMessage::EpochCall(call) if from_entry => self.epoch_called(call),
            PeerMessage::EpochCommitments { epoch, dealings } if from_entry => self.epoch_committed(epoch, dealings),
            PeerMessage::EpochOpening { epoch, opening } if self.own == 0 => {
                self.epoch_opening(now, from, epoch, opening);
            }
            PeerMessage::EpochSubShares(sub_shares) => self.epoch_sub_shares(now, from, sub_shares),
            PeerMessage::EpochProposal { document, openings } if from_entry => self.epoch_proposed(document, openings),
            PeerMessage::EpochComplete(signed) => self.epoch_shown(now, from, signed),
            PeerMessage::EpochKeys { epoch, keys } if self.own == 0 => self.epoch_keys(now, from, epoch, keys),
            PeerMessage::EpochSignature { epoch, signature, .. } if self.own == 0 => {
                self.epoch_signature(now, from, epoch, signature);
            }
            PeerMessage::EpochRefusal { epoch, reason, newest } if self.own == 0 => {
                self.epoch_refused(now, epoch, reason, newest);
            }
            PeerMessage::BatchAccepted { round, digest } if from == self.own + 1 => {
                self.batch_accepted(now, round, digest);
            }
            PeerMessage::List { header, piece } if from_entry => self.list_comes(header, &piece),
            PeerMessage::SecondList(second) if from_entry => self.second_list(now, second),
            PeerMessage::ListComplete(complete) if from_entry => self.list_complete(now, complete),
            PeerMessage::ListHeader(header) if self.own != 0 => self.list_told(&header),
            PeerMessage::ListSignature(signature) if self.own == 0 => self.list_signed(now, from, &signature),
            PeerMessage::ListComplaint(complaint) if self.own == 0 => self.list_complained(now, from, complaint),
            PeerMessage::BatchHeader(header) => self.batch_told(now, from, header),
            PeerMessage::Echoes { header, piece } => self.echoes_come(now, from, &header, &piece),
            PeerMessage::EchoHeader(header) => self.echoes_told(now, from, &header),
            PeerMessage::Confirm { confirm, grounds, signature } => {
                self.confirmed_by(now, from, confirm, grounds, signature);
            }
            PeerMessage::Accusation { accusation, signature } => self.accused_by(from, accusation, signature),
            PeerMessage::Burnt { burnt, signature } => self.burnt_by(from, &burnt, &signature),
            PeerMessage::OnionKey { key, signature } => self.onion_key_of(from, &key, &signature),
            PeerMessage::Headers(headers) => self.headers_shown(headers),
            PeerMessage::RoundOpened { epoch, round } if from_entry => self.round_opened(now, epoch, round),
            PeerMessage::HandedOver { round, clients } if self.own == 0 => {
                self.handed_over_to(now, from, round, clients);
            }
            PeerMessage::Ask { round, exhibit: Exhibit::Submission { client }, number } if from_entry => {
                self.submission_asked(round, client, number);
            }
            PeerMessage::Show { round, exhibit: Exhibit::Submission { client }, piece } if self.own == 0 => {
                self.submission_shown(now, from, round, client, &piece);
            }
            PeerMessage::Ask { round, exhibit, number } => self.asked(from, round, exhibit, number),
            PeerMessage::Show { round, exhibit, piece } => self.shown_by(now, from, round, exhibit, &piece),
            PeerMessage::Evidence { file } => self.evidence_shown(&file),
            PeerMessage::Release { epoch, round, transcript, share, signature } if self.is_exit() => {
                self.released(from, (epoch, round), transcript, &share, &signature);
            }
            PeerMessage::Abort { epoch, round, reason } if self.is_exit() => {
                self.abort_asked(epoch, round, reason);
            }
            PeerMessage::Decision { verdict, signature } => self.decision(from, verdict, signature),
            PeerMessage::VerdictSignature { round, signature } if self.own == 0 => {
                self.verdict_signature(from, round, signature);
            }
            PeerMessage::VerdictComplete(signed) if from_entry => self.verdict_completed(signed),
            _ => self.reject("unexpected", 1),
        }
    }

    fn worked(&mut self, now: Duration, done: Done) {
        match done {
            Done::Submission { round, client, judged } => self.submission_judged(now, round, client, judged),
            Done::HandOver { round, client, result } => self.hand_over_judged(round, client, result),
            Done::Segment { round, peeled } => self.segment_peeled(now, round, peeled),
            Done::Shuffled { round, batch, digest } => self.batch_digested(now, round, batch, digest),
            Done::Open { round, letters } => self.opened(round, letters),
            Done::List { round, result } => self.list_checked(now, round, result),
            Done::FirstEchoes { round, segments, echoes } => self.echoes_begun(now, round, segments, &echoes),
            Done::Back { round, result } => self.echoes_returned(now, round, result),
            Done::CheckEchoes { round, result } => self.echoes_checked(now, round, result),
            Done::Restored { round, onions } => self.onions_restored(round, onions),
            Done::Case { round, result } => self.case_made(now, round, result),
            Done::Replayed { round, until, ruling } => self.replayed(now, round, until, ruling),
            Done::Closed { round, ruling } => self.closed(now, round, ruling),
        }
    }

    /// Everything that may have become due.
    fn tick(&mut self, now: Duration) {
        self.persist_again(now);
        self.forward_due(now);
        self.exit_due(now);
        self.agree_due(now);
        self.entry_due(now);
        self.hand_overs_due(now);
        self.gathering_due(now);
        self.blame_due(now);
    }

    fn stop(&mut self, now: Duration) {
        self.stopping = true;
        self.stop_collecting(now);
    }
}
