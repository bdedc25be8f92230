//! A client's conversations with the entry and the exit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::crypto::{Digest, IdentityKey};
use crate::net::{Connection, Dial, Endpoint, NetError, Receiver};
use crate::wire::{Attachment, MixEntry, PollAnswer, Reply, Request, Start, Ticket};

use super::LoadError;
use super::stock::Submission;

/// Attempts at a connection: mixes take so many handshakes at a time, and drop what is beyond.
const ATTEMPTS: u32 = 12;
/// Handshakes under way at a time.
pub(super) const HANDSHAKES: usize = 96;

/// A connection to one mix, as one client.
#[derive(Clone)]
pub(super) struct Voice {
    connection: Connection,
    /// For whom, if not for whom the connection is.
    attached: Option<u32>,
    who: Arc<str>,
    mix: Arc<str>,
}

impl Voice {
    /// Connects to `mix` as the owner of `key`; `places` bounds the handshakes under way.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        mix: &MixEntry,
        key: &IdentityKey,
        who: &Arc<str>,
        places: &Semaphore,
    ) -> Result<Self, LoadError> {
        let mut attempt = 1;
        let connection = loop {
            // The semaphore is not closed.
            let _place = places.acquire().await;
            match endpoint.connect_as(key, &mix.address, mix.identity, Dial::Client).await {
                Ok(connection) => break connection,
                Err(source) if attempt == ATTEMPTS => {
                    return Err(LoadError::Net { who: who.to_string(), mix: mix.id.clone(), source });
                }
                Err(_) => attempt += 1,
            }
            drop(_place);
            sleep(Duration::from_millis(100 * u64::from(attempt))).await;
        };
        Ok(Self { connection, attached: None, who: who.clone(), mix: mix.id.as_str().into() })
    }

    /// The same connection, as the client of roster index `client` in `network`, which lets it.
    ///
    /// # Errors
    /// If the mix does not.
    pub(super) async fn attach(&self, network: Digest, client: u32, key: &IdentityKey) -> Result<Self, LoadError> {
        let binding = self.connection.binding().map_err(|source| self.failed(source))?;
        let signature = Attachment { network, client, binding }.sign(key);
        match self.ask(&Request::Attach { client, signature }, []).await?.0 {
            Reply::Attached { index } if index == client => Ok(Self { attached: Some(client), ..self.clone() }),
            other => Err(self.unexpected("an attachment", &other)),
        }
    }

    fn failed(&self, source: NetError) -> LoadError {
        LoadError::Net { who: self.who.to_string(), mix: self.mix.to_string(), source }
    }

    /// Asks, and waits for the answer however long it is held back; the receiver has what follows it.
    async fn ask(
        &self,
        request: &Request,
        body: impl IntoIterator<Item = Bytes>,
    ) -> Result<(Reply, Receiver), LoadError> {
        let asked = async {
            let (mut send, mut receive) = self.connection.open_bi().await?;
            if let Some(client) = self.attached {
                send.message(&Request::As { client: client.to_le_bytes() }).await?;
            }
            send.message(request).await?;
            for chunk in body {
                send.raw_chunk(chunk).await?;
            }
            send.finish()?;
            Ok((receive.answer().await?, receive))
        };
        asked.await.map_err(|source: NetError| self.failed(source))
    }

    fn unexpected(&self, what: &'static str, reply: &Reply) -> LoadError {
        let answer = match reply {
            Reply::Refused(refusal) => format!("`{refusal}`"),
            _ => "something else".into(),
        };
        LoadError::Answer { mix: self.mix.to_string(), what, answer }
    }

    /// Takes part.
    pub(super) async fn register(&self) -> Result<(), LoadError> {
        match self.ask(&Request::Register, []).await?.0 {
            Reply::Registered { .. } => Ok(()),
            other => Err(self.unexpected("a registration", &other)),
        }
    }

    /// Waits until the network runs.
    pub(super) async fn start(&self, epoch: u64) -> Result<Start, LoadError> {
        match self.ask(&Request::WaitForStart { epoch }, []).await?.0 {
            Reply::Start(start) => Ok(start),
            other => Err(self.unexpected("the wait for its start", &other)),
        }
    }

    /// Waits for the next round behind `after`.
    pub(super) async fn next_round(&self, epoch: u64, after: u64, unsettled: u64) -> Result<Ticket, LoadError> {
        match self.ask(&Request::NextRound { epoch, after, unsettled }, []).await?.0 {
            Reply::Ticket(ticket) => Ok(ticket),
            other => Err(self.unexpected("the wait for a round", &other)),
        }
    }

    /// Submits to a round.
    pub(super) async fn submit(&self, round: u64, submission: Submission) -> Result<(), LoadError> {
        match self.ask(&Request::Submit { round }, [submission.packets, submission.records]).await?.0 {
            Reply::Receipt(receipt) if receipt.round == round => Ok(()),
            other => Err(self.unexpected("a submission", &other)),
        }
    }

    /// Polls for what lies behind `cursor`, which is acknowledged with it, once `round` is decided; `places` bytes follow
    /// each answer.
    pub(super) async fn poll(
        &self,
        round: u64,
        capability: &[u8; 32],
        cursor: u64,
        places: usize,
    ) -> Result<(PollAnswer, Vec<u8>), LoadError> {
        let cursor = cursor.to_le_bytes();
        let request = Request::PollMessages { round, capability: *capability, acknowledged: cursor, after: cursor };
        let (reply, mut receive) = self.ask(&request, []).await?;
        let Reply::Letters(answer) = reply else { return Err(self.unexpected("a poll", &reply)) };
        let mut letters = vec![0; places];
        let read = async {
            receive.raw(&mut letters).await?;
            receive.end().await
        };
        read.await.map_err(|source| self.failed(source))?;
        Ok((answer, letters))
    }
}
