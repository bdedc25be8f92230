//! Connections of clients: a bidirectional stream per request, for the client at the other end or for one that it speaks for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::crypto::Signature;
use crate::mix::Event;
use crate::net::{CloseReason, Connection, NetError, Receiver, Sender};
use crate::packet::Slots;
use crate::round::Submission;
use crate::wire::{Attachment, Refusal, Reply, Request};

use super::engine::Input;
use super::peers::next_number;
use super::{Answer, World};

/// Memory for records is taken in pieces of this many bytes as they come: a round's, for most networks.
const PIECE: usize = 4096;

/// What the streams of one connection share.
struct Shared {
    connection: Connection,
    number: u64,
    /// Whom it speaks for: its own client, and those that are attached. Of each whether a submission is being read: the
    /// memory of one is what a client may take.
    clients: Mutex<BTreeMap<u32, Arc<AtomicBool>>>,
}

impl Shared {
    fn clients(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<AtomicBool>>> {
        // No invariant spans a panic in here.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a stream asks.
struct Asked {
    client: u32,
    request: Request,
    submission: Option<Submission>,
}

impl World {
    /// Serves a client's connection until it is gone.
    pub(super) async fn serve_client(self, client: u32, connection: Connection) {
        let number = next_number();
        if self.inputs.send(Input::ClientUp { client, number }).await.is_err() {
            return;
        }
        let clients = Mutex::new(BTreeMap::from([(client, Arc::default())]));
        let shared = Arc::new(Shared { connection: connection.clone(), number, clients });
        while let Ok((send, receive)) = connection.accept_bi().await {
            let (world, shared, connection) = (self.clone(), shared.clone(), connection.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    // What goes wrong on a client's stream is that client's affair.
                    _ = world.serve_request(client, &shared, send, receive) => {}
                    _ = connection.closed() => {}
                }
            });
        }
        let attached: Vec<u32> = shared.clients().keys().copied().collect();
        for client in attached {
            let _ended = self.inputs.send(Input::ClientDown { client, number }).await;
        }
    }

    async fn serve_request(
        self,
        own: u32,
        shared: &Shared,
        mut send: Sender,
        mut receive: Receiver,
    ) -> Result<(), NetError> {
        let asked = match self.read_request(own, shared, &mut receive).await {
            Ok(asked) => asked,
            Err(refusal) => {
                if refusal == Refusal::Malformed {
                    let _ended = self.inputs.send(Input::Event(Event::Malformed)).await;
                }
                send.message(&Reply::Refused(refusal)).await?;
                return send.finish();
            }
        };
        let Asked { client, request, submission } = asked;
        if let Request::Attach { client, signature } = request {
            let reply = self.attach(shared, client, &signature).await;
            send.message(&reply).await?;
            return send.finish();
        }
        let (answer, answered) = oneshot::channel();
        let input = Input::Request { client, number: shared.number, request, submission, answer };
        if self.inputs.send(input).await.is_err() {
            return Ok(());
        }
        // Dropped without an answer when the engine gives the request up.
        let Ok((reply, letters)) = answered.await else { return Ok(()) };
        send.message(&reply).await?;
        let Some((answer, turn)) = letters else { return send.finish() };
        match self.send_letters(&mut send, answer).await? {
            true => send.finish_holding(turn),
            false => Ok(()),
        }
    }

    /// Sends the places of an answer as the client takes them; `false` if the disk did not give all of them, so that the
    /// stream breaks off and the client polls again.
    async fn send_letters(&self, send: &mut Sender, mut answer: Answer) -> Result<bool, NetError> {
        send.raw_chunk(answer.take_first().into()).await?;
        while !answer.is_over() {
            let disk = self.disk.clone();
            let reading = tokio::task::spawn_blocking(move || (answer.next(&disk), answer));
            let Ok((piece, rest)) = reading.await else { return Ok(false) };
            match piece {
                Ok(piece) => send.raw_chunk(piece.into()).await?,
                Err(error) => {
                    tracing::error!(%error, "an answer to a poll broke off");
                    return Ok(false);
                }
            }
            answer = rest;
        }
        Ok(true)
    }

    /// A client lets the connection speak for it, or somebody says that it does: that costs a signature to find out, so it
    /// happens once a connection.
    async fn attach(&self, shared: &Shared, client: u32, signature: &Signature) -> Reply {
        let Some(entry) = self.network.roster.clients.get(client as usize) else {
            return Reply::Refused(Refusal::NotOnRoster);
        };
        if shared.clients().contains_key(&client) {
            return Reply::Attached { index: client };
        }
        if shared.clients().len() > shared.connection.may_attach() {
            return Reply::Refused(Refusal::Full);
        }
        let Ok(binding) = shared.connection.binding() else { return Reply::Refused(Refusal::Malformed) };
        let attachment = Attachment { network: self.network.id(), client, binding };
        if !attachment.is_signed_by(&entry.identity, signature) {
            let _ended = self.inputs.send(Input::Event(Event::Malformed)).await;
            shared.connection.close(CloseReason::Malformed);
            return Reply::Refused(Refusal::Malformed);
        }
        {
            let mut clients = shared.clients();
            if clients.len() > shared.connection.may_attach() {
                return Reply::Refused(Refusal::Full);
            }
            clients.insert(client, Arc::default());
            shared.connection.allow_clients(clients.len());
        }
        let _ended = self.inputs.send(Input::ClientUp { client, number: shared.number }).await;
        Reply::Attached { index: client }
    }

    /// A request to its last byte, with what a submission or a hand-over has behind it; one of them of a client at a time.
    async fn read_request(&self, own: u32, shared: &Shared, receive: &mut Receiver) -> Result<Asked, Refusal> {
        let mut request: Request = receive.message().await.map_err(|_| Refusal::Malformed)?;
        let mut client = own;
        if let Request::As { client: named } = request {
            client = u32::from_le_bytes(named);
            request = receive.message().await.map_err(|_| Refusal::Malformed)?;
            if matches!(request, Request::As { .. } | Request::Attach { .. }) {
                return Err(Refusal::Malformed);
            }
        }
        let Some(submitting) = shared.clients().get(&client).cloned() else { return Err(Refusal::NotRegistered) };
        if !matches!(request, Request::Submit { .. } | Request::HandOver { .. }) {
            receive.end().await.map_err(|_| Refusal::Malformed)?;
            return Ok(Asked { client, request, submission: None });
        }
        if submitting.swap(true, Ordering::AcqRel) {
            return Err(Refusal::Duplicate);
        }
        let read = self.read_submission(receive).await;
        submitting.store(false, Ordering::Release);
        let submission = read.map_err(|_| Refusal::Malformed)?;
        receive.end().await.map_err(|_| Refusal::Malformed)?;
        Ok(Asked { client, request, submission: Some(submission) })
    }

    async fn read_submission(&self, receive: &mut Receiver) -> Result<Submission, NetError> {
        let count = self.network.parameters.packets_per_client as usize;
        let mut packets = Slots::with_room(self.geometry, count);
        receive.each(count * self.geometry.packet(), |bytes| packets.append(bytes)).await?;
        let length = self.network.records_length();
        let mut records = Vec::new();
        while records.len() < length {
            let read = records.len();
            records.resize(length.min(read + PIECE), 0);
            receive.raw(&mut records[read..]).await?;
        }
        Ok(Submission { packets, records })
    }
}
