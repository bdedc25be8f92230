//! The task that owns the session.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::net::{Connection, NetError};
use crate::packet::Geometry;
use crate::session::{Action, Event, Link, RequestId, Session, Status};
use crate::wire::{LETTER_HEADER_BYTES, Network, Request};

use super::intruder::Intrusion;
use super::links::{Calls, ask};
use super::{Disk, Metrics, chores, contradicted};

/// What reaches the session's task.
pub(super) enum Input {
    /// Something for the session itself.
    Event(Event),
    /// A connection to the entry or the exit stands.
    LinkUp { link: Link, connection: Connection },
    /// It is gone.
    LinkDown { link: Link },
    /// Somebody asks how things are.
    Status(oneshot::Sender<Status>),
    /// Finish the round in hand, then say so.
    Stop(oneshot::Sender<()>),
    /// Stop now.
    End,
}

pub(super) struct Driver {
    session: Session,
    geometry: Geometry,
    network: Arc<Network>,
    metrics: Arc<Metrics>,
    began: Instant,
    connections: HashMap<bool, Connection>,
    calls: Calls,
    requests: HashMap<RequestId, AbortHandle>,
    /// Answers to the session's own actions: never more than actions under way, which rounds bound.
    results: mpsc::UnboundedSender<Event>,
    finished: mpsc::UnboundedReceiver<Event>,
    /// As bounded as what they answer to; see `chores`.
    chores: std::sync::mpsc::Sender<Action>,
    stopping: Option<oneshot::Sender<()>>,
    /// Where evidence files go.
    evidence: Arc<Path>,
    pub(super) intrusion: Intrusion,
}

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and there is one call")]
    pub(super) fn new(
        session: Session,
        disk: Arc<Disk>,
        network: Arc<Network>,
        geometry: Geometry,
        metrics: Arc<Metrics>,
        changed: watch::Sender<u64>,
        evidence: PathBuf,
        calls: Calls,
    ) -> Self {
        let (results, finished) = mpsc::unbounded_channel();
        let chores = chores::start(disk, results.clone(), changed);
        Self {
            session,
            geometry,
            network,
            metrics,
            began: Instant::now(),
            connections: HashMap::new(),
            calls,
            requests: HashMap::new(),
            results,
            finished,
            chores,
            stopping: None,
            evidence: evidence.into(),
            intrusion: Intrusion::default(),
        }
    }

    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            self.act();
            let due = self.session.poll_timeout().map(|at| self.began + at);
            let timer = async move {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(event) = self.finished.recv() => self.handle(event),
                input = inputs.recv() => match input {
                    None | Some(Input::End) => return,
                    Some(input) => self.input(input),
                },
                () = timer => self.handle(Event::Timeout),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        if let Event::Reply { id, .. } | Event::Failed { id } = &event {
            self.requests.remove(id);
        }
        self.session.handle(self.began.elapsed(), event);
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.handle(event),
            Input::LinkUp { link, connection } => {
                let post_quantum = connection.post_quantum();
                self.connections.insert(link == Link::Entry, connection);
                self.handle(Event::LinkUp { link, post_quantum });
            }
            Input::LinkDown { link } => {
                self.connections.remove(&(link == Link::Entry));
                self.handle(Event::LinkDown { link });
            }
            Input::Status(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(self.session.status().clone());
            }
            Input::Stop(done) => {
                self.stopping = Some(done);
                self.handle(Event::Stop);
            }
            Input::End => {}
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            for action in self.intrusion.does(action) {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Request { link, id, request } => self.request(link, id, request, Default::default()),
            Action::Submit { id, round, packets, records } => {
                self.request(Link::Entry, id, Request::Submit { round }, [packets, records]);
            }
            Action::Cancel { id } => {
                if let Some(task) = self.requests.remove(&id) {
                    task.abort();
                }
            }
            Action::HandOver { id, mix, round, packets, records } => {
                let (request, behind) = (Request::HandOver { round }, [packets, records]);
                match mix + 1 == self.network.mixes() {
                    true => self.request(Link::Exit, id, request, behind),
                    false => self.call(mix, id, request, behind),
                }
            }
            Action::Build(job) => {
                let (results, metrics) = (self.results.clone(), self.metrics.clone());
                rayon::spawn(move || {
                    let built = metrics.time_preparation(|| job.run());
                    let _ended = results.send(Event::Built(built));
                });
            }
            Action::Open(job) => {
                let results = self.results.clone();
                rayon::spawn(move || {
                    let _ended = results.send(Event::Opened(job.run()));
                });
            }
            Action::Contradicted(contradiction) => {
                let (network, directory) = (self.network.clone(), self.evidence.clone());
                tokio::task::spawn_blocking(move || contradicted::tell(&network, &directory, &contradiction));
            }
            Action::Note(note) => self.metrics.note(&note),
            Action::Stopped => {
                if let Some(done) = self.stopping.take() {
                    let _gone = done.send(());
                }
            }
            chore => {
                let _ended = self.chores.send(chore);
            }
        }
    }

    fn request(&mut self, link: Link, id: RequestId, request: Request, behind: [Vec<u8>; 2]) {
        let Some(connection) = self.connections.get(&(link == Link::Entry)).cloned() else {
            let _ended = self.results.send(Event::Failed { id });
            return;
        };
        self.ask(id, request, behind, async move { Ok(connection) });
    }

    /// Asks a mix that there may be no link to.
    fn call(&mut self, mix: usize, id: RequestId, request: Request, behind: [Vec<u8>; 2]) {
        let calls = self.calls.clone();
        self.ask(id, request, behind, async move { calls.call(mix).await });
    }

    fn ask(
        &mut self,
        id: RequestId,
        request: Request,
        behind: [Vec<u8>; 2],
        connection: impl Future<Output = Result<Connection, NetError>> + Send + 'static,
    ) {
        let results = self.results.clone();
        let place = LETTER_HEADER_BYTES + self.geometry.letter();
        let letters = self.network.parameters.poll_letters as usize * place;
        let task = tokio::spawn(async move {
            let answer = match connection.await {
                Ok(connection) => ask(&connection, &request, behind, letters).await,
                Err(error) => Err(error),
            };
            let event = match answer {
                Ok((reply, letters)) => Event::Reply { id, reply, letters },
                Err(error) => {
                    tracing::debug!(%error, "a request was not answered");
                    Event::Failed { id }
                }
            };
            let _ended = results.send(event);
        });
        self.requests.insert(id, task.abort_handle());
    }
}
