//! Connections of clients: a bidirectional stream per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use crate::mix::Event;
use crate::net::{Connection, NetError, Receiver, Sender};
use crate::packet::Slots;
use crate::round::Submission;
use crate::wire::{Refusal, Reply, Request};

use super::World;
use super::engine::Input;
use super::peers::next_number;

/// Memory for records is taken in pieces of this many bytes as they come: a round's, for most networks.
const PIECE: usize = 4096;

/// What the streams of one connection share.
#[derive(Clone, Default)]
struct Shared {
    /// A submission is being read: the memory of one is what a client may take.
    submitting: Arc<AtomicBool>,
}

impl World {
    /// Serves a client's connection until it is gone.
    pub(super) async fn serve_client(self, client: u32, connection: Connection) {
        let number = next_number();
        if self.inputs.send(Input::ClientUp { client, number }).await.is_err() {
            return;
        }
        let shared = Shared::default();
        while let Ok((send, receive)) = connection.accept_bi().await {
            let (world, shared, connection) = (self.clone(), shared.clone(), connection.clone());
            self.tasks.spawn(async move {
                tokio::select! {
                    // What goes wrong on a client's stream is that client's affair.
                    _ = world.serve_request(client, shared, send, receive) => {}
                    _ = connection.closed() => {}
                }
            });
        }
        let _ended = self.inputs.send(Input::ClientDown { client, number }).await;
    }

    async fn serve_request(
        self,
        client: u32,
        shared: Shared,
        mut send: Sender,
        mut receive: Receiver,
    ) -> Result<(), NetError> {
        let (request, submission) = match self.read_request(&shared, &mut receive).await {
            Ok(read) => read,
            Err(refusal) => {
                if refusal == Refusal::Malformed {
                    let _ended = self.inputs.send(Input::Event(Event::Malformed)).await;
                }
                send.message(&Reply::Refused(refusal)).await?;
                return send.finish();
            }
        };
        let (answer, answered) = oneshot::channel();
        let input = Input::Request { client, request, submission, answer };
        if self.inputs.send(input).await.is_err() {
            return Ok(());
        }
        // Dropped without an answer when the engine gives the request up.
        let Ok((reply, letters)) = answered.await else { return Ok(()) };
        send.message(&reply).await?;
        send.raw_chunk(letters.into()).await?;
        send.finish()
    }

    /// A request to its last byte, with what a submission or a hand-over has behind it; one of them at a time.
    async fn read_request(
        &self,
        shared: &Shared,
        receive: &mut Receiver,
    ) -> Result<(Request, Option<Submission>), Refusal> {
        let request: Request = receive.message().await.map_err(|_| Refusal::Malformed)?;
        if !matches!(request, Request::Submit { .. } | Request::HandOver { .. }) {
            receive.end().await.map_err(|_| Refusal::Malformed)?;
            return Ok((request, None));
        }
        if shared.submitting.swap(true, Ordering::AcqRel) {
            return Err(Refusal::Duplicate);
        }
        let read = self.read_submission(receive).await;
        shared.submitting.store(false, Ordering::Release);
        let submission = read.map_err(|_| Refusal::Malformed)?;
        receive.end().await.map_err(|_| Refusal::Malformed)?;
        Ok((request, Some(submission)))
    }

    async fn read_submission(&self, receive: &mut Receiver) -> Result<Submission, NetError> {
        let count = self.network.parameters.packets_per_client as usize;
        let mut packets = Slots::zeroed(self.geometry, count);
        for slot in 0..count {
            receive.raw(packets.received_mut(slot)).await?;
        }
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
