//! The task that owns the engine.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::crypto::Backend;
use crate::mix::{Action, Event, Mix, Note, RequestId};
use crate::net::Connection;
use crate::round::Submission;
use crate::wire::{Network, PeerMessage, Record, Refusal, Reply, Request};

use super::answer::Answered;
use super::chores::{Due, answer_polls, write_records};
use super::intruder::Intrusion;
use super::jobs::Jobs;
use super::peers::Outgoing;
use super::status::{ClientTotals, EndedRound, LinkState, NodeStatus, OwedRound, Role};
use super::{Disk, Metrics, convicted};

/// What reaches the engine's task.
pub(super) enum Input {
    /// Something for the engine itself.
    Event(Event),
    /// A connection to another mix stands; it replaces an older one.
    PeerUp { mix: usize, number: u64, connection: Connection, outgoing: mpsc::Sender<Outgoing> },
    /// That connection is gone.
    PeerDown { mix: usize, number: u64 },
    /// A client asks on the connection of that number; answered through the channel, which is dropped if there is nothing to say.
    Request {
        client: u32,
        number: u64,
        request: Request,
        submission: Option<Submission>,
        answer: oneshot::Sender<Answered>,
    },
    /// A client's connection stands; it replaces an older one.
    ClientUp { client: u32, number: u64 },
    /// That connection is gone.
    ClientDown { client: u32, number: u64 },
    /// Somebody asks how things are.
    Status(oneshot::Sender<NodeStatus>),
    /// The operator lets an evicted client in again; whether there is one of that name.
    Readmit { client: String, answer: oneshot::Sender<bool> },
    /// The operator has acted on guilty mixes; whether anything stood still.
    Resume(oneshot::Sender<bool>),
    /// Whoever has taken the mix over does what it has put off.
    #[cfg(any(test, feature = "sim"))]
    Deeds(Vec<super::Deed>),
    /// For experiments, at the entry: take no submissions of these clients from now on.
    #[cfg(any(test, feature = "sim"))]
    Refuse(Vec<u32>),
    /// Finish what is under way, then say so.
    Stop(oneshot::Sender<()>),
    /// Stop now.
    End,
}

pub(super) struct Peer {
    number: u64,
    pub(super) connection: Connection,
    outgoing: mpsc::Sender<Outgoing>,
}

pub(super) struct Engine {
    pub(super) mix: Mix,
    pub(super) disk: Arc<Disk>,
    own: usize,
    backend: Backend,
    network: Arc<Network>,
    metrics: Arc<Metrics>,
    began: Instant,
    pub(super) peers: HashMap<usize, Peer>,
    clients: HashMap<u32, u64>,
    pending: HashMap<RequestId, oneshot::Sender<Answered>>,
    next_request: u64,
    /// Requests that nobody waits for any more are swept out when there are so many.
    sweep_at: usize,
    /// Records and jobs of which no result has come.
    under_way: usize,
    jobs: Jobs,
    /// Answers to the engine's own actions: never more than are under way.
    results: mpsc::UnboundedSender<Event>,
    finished: mpsc::UnboundedReceiver<Event>,
    records: mpsc::UnboundedSender<(u64, Record)>,
    /// To the threads that look into mailboxes. Requests that wait are bounded, so these are; of those that were given up since, 64 bytes
    /// each stay until the next turn.
    polls: std::sync::mpsc::Sender<Due>,
    /// The rounds that ended last, for `status`.
    recent: VecDeque<EndedRound>,
    stopping: Option<(oneshot::Sender<()>, Instant)>,
    /// Where evidence files go.
    evidence: Option<PathBuf>,
    pub(super) intrusion: Intrusion,
    /// Clients whose submissions a malicious entry does not take.
    #[cfg(any(test, feature = "sim"))]
    refused: Vec<u32>,
}

/// A mix that is not the entry stays for the verdicts of rounds that the entry still ends.
const LINGER: Duration = Duration::from_millis(800);
/// Rounds that `status` names, as many as a client's does.
const RECENT: usize = 32;

/// Inputs wait while so many records and jobs are under way: far more than honest rounds have, so that it is peers faster
/// than this mix's disk that are kept waiting.
const UNDER_WAY: usize = 16_384;

/// Fewest requests at which a sweep is worth its while.
const SWEEP: usize = 1024;

impl Engine {
    pub(super) fn new(
        mix: Mix,
        disk: Arc<Disk>,
        own: usize,
        backend: Backend,
        network: Arc<Network>,
        metrics: Arc<Metrics>,
        evidence: Option<PathBuf>,
    ) -> Self {
        let (results, finished) = mpsc::unbounded_channel();
        let (records, queue) = mpsc::unbounded_channel();
        let polls = answer_polls(&disk);
        write_records(disk.clone(), queue, results.clone(), metrics.clone());
        Self {
            mix,
            disk,
            own,
            backend,
            network,
            metrics,
            began: Instant::now(),
            peers: HashMap::new(),
            clients: HashMap::new(),
            pending: HashMap::new(),
            next_request: 0,
            sweep_at: SWEEP,
            under_way: 0,
            jobs: Jobs::default(),
            results,
            finished,
            records,
            polls,
            recent: VecDeque::new(),
            stopping: None,
            evidence,
            intrusion: Intrusion::default(),
            #[cfg(any(test, feature = "sim"))]
            refused: Vec::new(),
        }
    }

    /// Runs until [`Input::End`] or until nobody can send anything any more.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            self.act();
            let due = self.mix.poll_timeout().map(|at| self.began + at);
            let due = due.into_iter().chain(self.stopping.as_ref().map(|(_, at)| *at)).min();
            let timer = async move {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // Results first: they free memory, inputs take it.
            tokio::select! {
                biased;
                Some(event) = self.finished.recv() => {
                    self.under_way -= 1;
                    self.handle(event);
                }
                input = inputs.recv(), if self.under_way < UNDER_WAY => match input {
                    None | Some(Input::End) => return,
                    Some(input) => self.input(input),
                },
                () = timer => self.handle(Event::Timeout),
            }
            self.drained();
        }
    }

    fn handle(&mut self, event: Event) {
        if let Some(event) = self.hears(event) {
            self.mix.handle(self.began.elapsed(), event);
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.handle(event),
            Input::PeerUp { mix, number, connection, outgoing } => {
                if self.peers.insert(mix, Peer { number, connection, outgoing }).is_some() {
                    self.handle(Event::LinkDown { mix });
                }
                self.handle(Event::LinkUp { mix });
            }
            Input::PeerDown { mix, number } => {
                if self.peers.get(&mix).is_some_and(|peer| peer.number == number) {
                    self.peers.remove(&mix);
                    self.handle(Event::LinkDown { mix });
                }
            }
            Input::ClientUp { client, number } => {
                if self.clients.insert(client, number).is_some() {
                    self.handle(Event::ClientGone { client });
                }
            }
            Input::ClientDown { client, number } => {
                if self.clients.get(&client) == Some(&number) {
                    self.clients.remove(&client);
                    self.handle(Event::ClientGone { client });
                }
            }
            // A client is where it was heard of last.
            Input::Request { client, number, answer, .. } if self.clients.get(&client) != Some(&number) => {
                let _gone = answer.send((Reply::Refused(Refusal::NotRegistered), None));
            }
            #[cfg(any(test, feature = "sim"))]
            Input::Refuse(clients) => self.refused = clients,
            #[cfg(any(test, feature = "sim"))]
            Input::Request { client, request: Request::Submit { .. }, answer, .. }
                if self.refused.contains(&client) =>
            {
                let _gone = answer.send((Reply::Refused(Refusal::Late), None));
            }
            Input::Request { client, request, submission, answer, .. } => {
                self.next_request += 1;
                let id = RequestId(self.next_request);
                if self.pending.len() >= self.sweep_at {
                    self.pending.retain(|_, answer| !answer.is_closed());
                    self.sweep_at = (self.pending.len() * 2).max(SWEEP);
                }
                self.pending.insert(id, answer);
                self.handle(Event::Request { id, client, request, submission });
            }
            Input::Status(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.status());
            }
            Input::Readmit { client, answer } => {
                let evicted = self.mix.status().evicted;
                let known = evicted.into_iter().find(|index| self.client_name(*index) == client);
                if let Some(client) = known {
                    self.handle(Event::Readmit { client });
                }
                let _gone = answer.send(known.is_some());
            }
            Input::Resume(answer) => {
                let stood = self.mix.status().stopped.is_some();
                self.handle(Event::Resume);
                let _gone = answer.send(stood);
            }
            #[cfg(any(test, feature = "sim"))]
            Input::Deeds(deeds) => self.misbehave(deeds),
            Input::Stop(done) => {
                let linger = if self.own == 0 { Duration::ZERO } else { LINGER };
                self.stopping = Some((done, Instant::now() + linger));
                self.handle(Event::Stop);
            }
            Input::End => {}
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.mix.poll_action() {
            self.acts(action);
        }
    }

    /// Does what the engine wants done.
    pub(super) fn carry_out(&mut self, action: Action) {
        match action {
            Action::Send { to, message } => self.outgoing(to, Outgoing::Message(Box::new(message))),
            Action::Forward { to, batch } => self.outgoing(to, Outgoing::Batch(batch)),
            Action::Reply { id, reply } => {
                if let Some(pending) = self.pending.remove(&id) {
                    let _gone = pending.send((reply, None));
                }
            }
            Action::Poll { id, mailbox, acknowledged, after } => {
                if let Some(pending) = self.pending.remove(&id) {
                    let _ended = self.polls.send(Due { pending, mailbox, acknowledged, after });
                }
            }
            Action::Work(job) => {
                self.under_way += 1;
                self.jobs.run(job, self.results.clone());
            }
            Action::Persist { token, record } => {
                self.under_way += 1;
                let _ended = self.records.send((token, record));
            }
            Action::Convicted { finding, evidence } => {
                let (network, directory) = (self.network.clone(), self.evidence.clone());
                let tell = move || convicted::tell(&network, directory.as_deref(), &finding, &evidence);
                tokio::task::spawn_blocking(tell);
            }
            Action::Note(note) => self.note(&note),
        }
    }

    fn note(&mut self, note: &Note) {
        self.metrics.note(note);
        if let Note::RoundEnded { round, outcome, clients } = *note {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(EndedRound { round, outcome, clients });
        }
    }

    fn outgoing(&mut self, to: usize, outgoing: Outgoing) {
        let Some(peer) = self.peers.get(&to) else { return };
        if peer.outgoing.try_send(outgoing).is_err() {
            // A peer that takes nothing: a fresh link says again what still matters.
            peer.connection.close(crate::net::CloseReason::Done);
        }
    }

    fn status(&self) -> NodeStatus {
        let mixes = &self.network.roster.mixes;
        let mix = self.mix.status();
        let others = mixes.iter().enumerate().filter(|(place, _)| *place != self.own);
        let links = others.map(|(place, mix)| LinkState {
            peer: mix.id.clone(),
            up: self.peers.contains_key(&place),
            post_quantum: self.peers.get(&place).is_some_and(|peer| peer.connection.post_quantum()),
        });
        let role = Role::of(self.own, mixes.len());
        let owing = mix.owing.iter().map(|owing| OwedRound {
            round: owing.round,
            mixes: owing.mixes.iter().map(|place| mixes[*place].id.clone()).collect(),
        });
        NodeStatus {
            evicted: mix.evicted.iter().map(|index| self.client_name(*index).to_owned()).collect(),
            owing: owing.collect(),
            id: mixes[self.own].id.clone(),
            role,
            clients: ClientTotals {
                connected: self.clients.len() as u32,
                registered: mix.registered,
                start: self.network.parameters.start_clients,
                min: self.network.parameters.min_clients,
            },
            threshold: (self.network.parameters.threshold, mixes.len()),
            sealed: self.network.parameters.sealed,
            mix,
            recent: self.recent.clone(),
            links: links.collect(),
            mailbox: (role == Role::Exit)
                .then(|| (self.disk.totals().unwrap_or_default(), self.disk.losses().unwrap_or_default())),
            disk: self.disk.trouble(),
            x25519: self.backend,
        }
    }

    fn client_name(&self, index: u32) -> &str {
        self.network.roster.clients.get(index as usize).map_or("?", |client| &client.id)
    }

    /// Tells whoever asked for a stop when nothing is left to finish.
    fn drained(&mut self) {
        let over = |at: &Instant| Instant::now() >= *at;
        if self.mix.is_idle()
            && let Some((done, _)) = self.stopping.take_if(|(_, at)| over(at))
        {
            let _gone = done.send(());
        }
        if let Some((_, at)) = self.stopping.as_mut().filter(|(_, at)| over(at)) {
            *at = Instant::now() + Duration::from_millis(50);
        }
    }
}

/// The hello is part of the engine; drivers only carry it.
pub(super) fn is_batch(message: &PeerMessage) -> bool {
    matches!(message, PeerMessage::ForwardBatch(_))
}
