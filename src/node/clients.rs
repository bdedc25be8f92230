//! Connections of clients: a bidirectional stream per request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::oneshot;

use crate::net::{Connection, NetError, Receiver, Sender};
use crate::packet::Slots;
use crate::wire::{Refusal, Reply, Request};

use super::World;
use super::engine::Input;
use super::peers::next_number;

/// What the streams of one connection share.
#[derive(Clone, Default)]
struct Shared {
    /// Up to where letters have been handed out on this connection.
    served: Arc<AtomicU64>,
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
        let request: Request = match receive.message().await {
            Ok(request) => request,
            Err(error) => {
                send.message(&Reply::Refused(Refusal::Malformed)).await?;
                send.finish()?;
                return Err(error);
            }
        };
        let packets = match request {
            Request::Submit { .. } => {
                if shared.submitting.swap(true, Ordering::AcqRel) {
                    send.message(&Reply::Refused(Refusal::Duplicate)).await?;
                    return send.finish();
                }
                let read = self.read_packets(&mut receive).await;
                shared.submitting.store(false, Ordering::Release);
                Some(read?)
            }
            _ => None,
        };
        receive.end().await?;
        let (answer, answered) = oneshot::channel();
        let input = Input::Request { client, request, packets, served: shared.served, answer };
        if self.inputs.send(input).await.is_err() {
            return Ok(());
        }
        // Dropped without an answer when the engine gives the request up.
        let Ok((reply, letters)) = answered.await else { return Ok(()) };
        send.message(&reply).await?;
        send.raw_chunk(letters.into()).await?;
        send.finish()
    }

    async fn read_packets(&self, receive: &mut Receiver) -> Result<Slots, NetError> {
        let count = self.network.parameters.packets_per_client as usize;
        let mut slots = Slots::zeroed(self.geometry, count);
        for slot in 0..count {
            receive.raw(slots.received_mut(slot)).await?;
        }
        Ok(slots)
    }
}
