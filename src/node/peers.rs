//! Connections to other mixes: a unidirectional stream per message or batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, mpsc, watch};

use crate::mix::Event;
use crate::net::{CloseReason, Connection, NetError, Receiver};
use crate::round::OutgoingBatch;
use crate::wire::{PeerMessage, SignedBatchHeader};

use super::World;
use super::batch::{Emission, IncomingPackets, send_batch};
use super::engine::{Input, is_batch};

/// What goes to another mix.
pub(super) enum Outgoing {
    Message(Box<PeerMessage>),
    Batch(Arc<OutgoingBatch>),
}

/// Messages that wait for a link: several rounds' worth. A link that takes none of them is given up.
const WAITING: usize = 256;
/// Messages and batches that are being written to one mix, as many as it lets us have streams; the others wait in order.
const WRITTEN: usize = 64;

static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Numbers connections and streams; never the same twice in a process.
pub(super) fn next_number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// Whether a connection's hello has reached the engine, which takes nothing before it. Streams overtake each other; the
/// few that a peer may have open wait here for the hello.
#[derive(Clone)]
struct Greeting(Arc<watch::Sender<bool>>);

impl Default for Greeting {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Greeting {
    fn hear(&self) {
        self.0.send_replace(true);
    }

    async fn heard(&self) {
        // The sender is this very value: it is not dropped.
        let _ = self.0.subscribe().wait_for(|heard| *heard).await;
    }
}

impl World {
    /// Serves a connection to another mix until it is gone.
    pub(super) async fn serve_mix(self, mix: usize, connection: Connection) {
        if !connection.post_quantum() {
            tracing::warn!(mix = self.network.roster.mixes[mix].id, "refused a link that is not post-quantum");
            return connection.close(CloseReason::NotPostQuantum);
        }
        connection.allow_mix();
        let number = next_number();
        let (outgoing, mut waiting) = mpsc::channel(WAITING);
        let up = Input::PeerUp { mix, number, connection: connection.clone(), outgoing };
        if self.inputs.send(up).await.is_err() {
            return;
        }
        tracing::info!(mix = self.network.roster.mixes[mix].id, "link up");
        let places = Arc::new(Semaphore::new(WRITTEN));
        let writer = async {
            // A place first: what has been taken out of the queue no longer counts as waiting.
            while let Ok(place) = places.clone().acquire_owned().await
                && let Some(outgoing) = waiting.recv().await
            {
                let (connection, emission) = (connection.clone(), self.emission);
                self.tasks.spawn(async move {
                    let _place = place;
                    if let Err(error) = send(&connection, outgoing, emission).await {
                        // A link on which something was lost is not one: the next says it again.
                        tracing::debug!(%error, "a message to a mix was not sent");
                        connection.close(CloseReason::Done);
                    }
                });
            }
        };
        let greeting = Greeting::default();
        let reader = async {
            while let Ok(stream) = connection.accept_uni().await {
                let (world, connection, inputs) = (self.clone(), connection.clone(), self.inputs.clone());
                let greeting = greeting.clone();
                self.tasks.spawn(async move {
                    if let Err(error) = world.receive(mix, stream, &greeting).await {
                        tracing::debug!(%error, "a message from a mix was not read");
                        if connection.is_open() {
                            let _ended = inputs.send(Input::Event(Event::Malformed)).await;
                        }
                        connection.close(CloseReason::Malformed);
                    }
                });
            }
        };
        tokio::select! {
            () = writer => {}
            () = reader => {}
        }
        connection.close(CloseReason::Done);
        let _ended = self.inputs.send(Input::PeerDown { mix, number }).await;
        tracing::info!(mix = self.network.roster.mixes[mix].id, "link down");
    }

    async fn receive(self, from: usize, mut stream: Receiver, greeting: &Greeting) -> Result<(), NetError> {
        let message: PeerMessage = stream.message().await?;
        let is_hello = matches!(message, PeerMessage::Hello { .. });
        if !is_hello {
            greeting.heard().await;
        }
        if let PeerMessage::ForwardBatch(header) = message {
            return self.receive_batch(from, header, stream).await;
        }
        debug_assert!(!is_batch(&message));
        stream.end().await?;
        let _ended = self.inputs.send(Input::Event(Event::Peer { from, message })).await;
        if is_hello {
            greeting.hear();
        }
        Ok(())
    }

    /// Gives a batch to the engine, a piece at a time.
    async fn receive_batch(self, from: usize, header: SignedBatchHeader, stream: Receiver) -> Result<(), NetError> {
        let (round, number) = (header.header.round, next_number());
        let count = (header.header.count as usize).min(self.network.most_packets(from + 1));
        if self.inputs.send(Input::Event(Event::Batch { from, stream: number, header })).await.is_err() {
            return Ok(());
        }
        let mut packets = IncomingPackets::new(stream, self.geometry, count);
        while let Some(slots) = packets.next().await? {
            let event = Event::Segment { from, stream: number, round, slots };
            if self.inputs.send(Input::Event(event)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

async fn send(connection: &Connection, outgoing: Outgoing, emission: Emission) -> Result<(), NetError> {
    match outgoing {
        Outgoing::Message(message) => {
            let mut stream = connection.open_uni().await?;
            stream.message(&*message).await?;
            stream.finish()
        }
        Outgoing::Batch(batch) => send_batch(connection, &batch, emission).await,
    }
}
