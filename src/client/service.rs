//! The client's control socket: messages in, messages out, how things are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{ContactError, Contacts};
use crate::control::{
    Answer, Ask, ControlError, Crowd, Failure, Incoming, Listed, Listener, MessageKind, Place, Progress, Stream,
};
use crate::session::{self, Event, content::Content};
use crate::store::{Entry, MessageState, OutboxMessage, StoreError};
use crate::wire::Network;

use super::Disk;
use super::driver::Input;
use super::prepare::Names;
use super::status;

/// Local programs served at once; further ones wait.
const CONNECTIONS: usize = 32;

#[derive(Clone)]
pub(super) struct Service {
    pub network: Arc<Network>,
    pub id: String,
    pub disk: Arc<Disk>,
    pub contacts: Arc<Contacts>,
    pub inputs: mpsc::Sender<Input>,
    /// Counts what the disk has done: whoever waits for a message looks again when it changes.
    pub changes: watch::Receiver<u64>,
    pub names: Arc<Names>,
}

/// The letter keys by which the session knows senders.
pub(super) fn letter_keys(contacts: &Contacts) -> Result<session::Contacts, ContactError> {
    Ok(contacts.list()?.into_iter().map(|contact| (contact.mailbox, contact.letter_key)).collect())
}

impl Service {
    /// Serves local programs until `stop`.
    pub(super) async fn run(self, listener: Listener, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        while let Some(Ok(stream)) = stop.run_until_cancelled(listener.accept()).await {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let (service, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                let served = stop.run_until_cancelled(service.serve(stream)).await;
                if let Some(Err(error)) = served {
                    tracing::debug!(%error, "a local program went away");
                }
                drop(place);
            });
        }
    }

    async fn serve(mut self, mut stream: Stream) -> Result<(), ControlError> {
        loop {
            let answer = match stream.receive().await? {
                Ask::Status => self.status().await,
                Ask::PrepareMessage(outgoing) => self.prepare(&mut stream, outgoing).await?,
                Ask::AwaitStored { message } => self.await_stored(message).await,
                Ask::PollMessages { all, wait_ms } => self.poll(&mut stream, all, wait_ms).await?,
                Ask::MarkRead { messages } => {
                    self.on_disk(move |disk| disk.inbox.mark_read(&messages)).await.map(|()| Answer::Done)
                }
                Ask::Contacts => self.know_contacts().await.map(|()| Answer::Done),
                Ask::Retry { message } => {
                    let epoch = self.session().await.map_or(0, |status| status.epoch);
                    self.on_disk(move |disk| disk.outbox.retry(&message, epoch)).await.map(|()| Answer::Done)
                }
                Ask::Drop { message } => {
                    self.on_disk(move |disk| disk.outbox.drop_message(&message)).await.map(|()| Answer::Done)
                }
                Ask::Outbox { all } => self.list(&mut stream, all).await?,
                Ask::Readmit { .. } | Ask::Resume => Err(Failure::WrongDaemon),
            };
            stream.send(&answer.unwrap_or_else(Answer::Failed)).await?;
        }
    }

    /// Runs `work` on a thread that may wait for the disk.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let disk = self.disk.clone();
        let done = tokio::task::spawn_blocking(move || work(&disk)).await.map_err(|_| Failure::Stopping)?;
        done.map_err(|error| match error {
            StoreError::OutboxFull => Failure::OutboxFull,
            StoreError::Full => Failure::DiskFull,
            StoreError::NoMessage | StoreError::Expired | StoreError::MessageExists => Failure::NoMessage,
            error => {
                tracing::error!(%error, "the disk failed");
                Failure::Disk
            }
        })
    }

    pub(super) async fn session(&self) -> Option<session::Status> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Status(answer)).await.ok()?;
        answered.await.ok()
    }

    async fn status(&self) -> Result<Answer, Failure> {
        let session = self.session().await.ok_or(Failure::Stopping)?;
        let kept = self.on_disk(status::Kept::read).await?;
        Ok(Answer::Status(status::json(&self.id, &self.network.parameters, &session, &kept)))
    }

    /// Shows the messages of the outbox.
    async fn list(&self, stream: &mut Stream, all: bool) -> Result<Result<Answer, Failure>, ControlError> {
        let messages = match self.on_disk(|disk| disk.outbox.list()).await {
            Ok(messages) => messages,
            Err(failure) => return Ok(Err(failure)),
        };
        for message in messages.into_iter().filter(|message| all || message.state != MessageState::Stored) {
            let to = self.contacts.by_mailbox(&message.to).ok().flatten();
            let state = match message.state {
                MessageState::Queued => Place::Queued,
                MessageState::InFlight => Place::InFlight,
                MessageState::Stored => Place::Stored,
                MessageState::Held => Place::Held,
            };
            let OutboxMessage { message, bytes, packets, resends, .. } = message;
            let to = to.map(|contact| contact.name);
            stream.send(&Answer::Listed(Listed { message, to, bytes, packets, state, resends })).await?;
        }
        Ok(Ok(Answer::End))
    }

    /// Lets the session know everybody who is a contact by now, so that their letters have a sender.
    pub(super) async fn know_contacts(&self) -> Result<(), Failure> {
        let contacts = self.contacts.clone();
        let keys = tokio::task::spawn_blocking(move || letter_keys(&contacts)).await;
        let keys = keys.map_err(|_| Failure::Stopping)?.map_err(unreadable)?;
        let event = Input::Event(Event::Contacts(Arc::new(keys)));
        self.inputs.send(event).await.map_err(|_| Failure::Stopping)
    }

    /// Among whom a message went in `rounds`, as far as the session remembers them.
    async fn crowd(&self, rounds: &[u64]) -> Crowd {
        let ended = self.session().await.map(|session| session.rounds).unwrap_or_default();
        let its = ended.iter().filter(|ended| rounds.contains(&ended.round));
        Crowd { sealed: self.network.parameters.sealed, clients: its.filter_map(|ended| ended.clients).min() }
    }

    async fn await_stored(&mut self, message: [u8; 16]) -> Result<Answer, Failure> {
        loop {
            self.changes.borrow_and_update();
            let state = self.on_disk(move |disk| disk.outbox.state(&message)).await?;
            if matches!(state.state, MessageState::Stored | MessageState::Held) {
                let stored = state.state == MessageState::Stored;
                let crowd = self.crowd(&state.rounds).await;
                return Ok(Answer::Progress(Progress { stored, rounds: state.rounds, crowd, resends: state.resends }));
            }
            self.changes.changed().await.map_err(|_| Failure::Stopping)?;
        }
    }

    /// Sends what is there; waits for a first message if there is none.
    async fn poll(
        &mut self,
        stream: &mut Stream,
        all: bool,
        wait_ms: u64,
    ) -> Result<Result<Answer, Failure>, ControlError> {
        let until = tokio::time::Instant::now() + Duration::from_millis(wait_ms.min(MAX_WAIT_MS));
        let entries = loop {
            self.changes.borrow_and_update();
            let entries = self.on_disk(move |disk| if all { disk.inbox.all() } else { disk.inbox.unread() }).await;
            match entries {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => break entries,
                Err(failure) => return Ok(Err(failure)),
            }
            match tokio::time::timeout_at(until, self.changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(Err(Failure::Stopping)),
                Err(_) => return Ok(Ok(Answer::End)),
            }
        };
        for entry in entries {
            if let Err(failure) = self.show(stream, entry).await? {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(Answer::End))
    }

    async fn show(&self, stream: &mut Stream, entry: Entry) -> Result<Result<(), Failure>, ControlError> {
        let message = entry.message;
        let read = self.on_disk(move |disk| {
            let mut bytes = Vec::new();
            disk.inbox.read(&message, &mut bytes).map(|_| bytes)
        });
        let bytes = match read.await {
            Ok(bytes) => bytes,
            // Read and forgotten since it was listed.
            Err(Failure::NoMessage) => return Ok(Ok(())),
            Err(failure) => return Ok(Err(failure)),
        };
        let (kind, name, data) = match Content::decode(&bytes) {
            Ok(Content::Text(data)) => (MessageKind::Text, "", data),
            Ok(Content::File { name, data }) => (MessageKind::File, name, data),
            // Not one of ours; the user gets the bytes as they came.
            Err(_) => (MessageKind::File, "unknown", bytes.as_slice()),
        };
        let contact = entry.sender.and_then(|sender| self.contacts.by_mailbox(&sender).ok().flatten());
        let incoming = Incoming {
            message,
            from: contact.map(|contact| contact.name),
            kind,
            name: name.to_owned(),
            round: entry.round,
            crowd: self.crowd(&[entry.round]).await,
            bytes: data.len() as u64,
        };
        stream.send(&Answer::Message(incoming)).await?;
        stream.raw(data).await?;
        Ok(Ok(()))
    }
}

pub(super) fn unreadable(error: ContactError) -> Failure {
    tracing::error!(%error, "the contacts cannot be read");
    Failure::Disk
}

/// A day: longer waits are asked again.
const MAX_WAIT_MS: u64 = 86_400_000;
