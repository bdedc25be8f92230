//! The two links of a client, those that it makes to hand something over, and requests over them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::net::{Backoff, Connection, Dial, Dialler, Endpoint, NetError};
use crate::session::Link;
use crate::wire::{Network, Reply, Request};

use super::driver::Input;

/// Keeps a connection to the entry and one to the exit until `stop`.
pub(super) fn keep(
    network: &Arc<Network>,
    endpoint: &Endpoint,
    inputs: &mpsc::Sender<Input>,
    stop: &CancellationToken,
) {
    let mixes = &network.roster.mixes;
    for (link, mix) in [(Link::Entry, mixes.first()), (Link::Exit, mixes.last())] {
        let Some(mix) = mix else { continue };
        let backoff = Backoff::default();
        let mut dialler = Dialler::new(endpoint.clone(), mix.address.clone(), mix.identity, Dial::Client, backoff);
        let (inputs, stop) = (inputs.clone(), stop.clone());
        tokio::spawn(async move {
            while let Some(Some(connection)) = stop.run_until_cancelled(dialler.next()).await {
                let up = Input::LinkUp { link, connection: connection.clone() };
                if inputs.send(up).await.is_err() {
                    return;
                }
                let why = connection.closed().await;
                tracing::info!(%why, "a link is down");
                if inputs.send(Input::LinkDown { link }).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A link that was made to hand something over stays for so long: an entry that refuses once may do so again, and the next
/// time no handshake is in the way.
const KEPT: Duration = Duration::from_secs(60);

/// Links to mixes that are neither entry nor exit, made when something is to be handed over. In an ordinary round there is none:
/// it would cost each mix in the middle a connection of every client, and show nobody anything that its entry does not know.
#[derive(Clone)]
pub(super) struct Calls {
    network: Arc<Network>,
    endpoint: Endpoint,
    standing: Arc<Mutex<HashMap<usize, (Connection, Instant)>>>,
}

impl Calls {
    pub(super) fn new(network: Arc<Network>, endpoint: Endpoint) -> Self {
        Self { network, endpoint, standing: Arc::default() }
    }

    /// A link to the mix at this place: the one that stands, or a new one.
    pub(super) async fn call(&self, mix: usize) -> Result<Connection, NetError> {
        let standing = self.standing().get(&mix).map(|(connection, _)| connection.clone());
        let connection = match standing.filter(Connection::is_open) {
            Some(connection) => connection,
            None => {
                let mix = &self.network.roster.mixes[mix];
                self.endpoint.connect(&mix.address, mix.identity, Dial::Client).await?
            }
        };
        self.standing().insert(mix, (connection.clone(), Instant::now()));
        let calls = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            let mut standing = calls.standing();
            if standing.get(&mix).is_some_and(|(_, used)| used.elapsed() >= KEPT) {
                standing.remove(&mix);
            }
        });
        Ok(connection)
    }

    /// No invariant spans a panic in here.
    fn standing(&self) -> MutexGuard<'_, HashMap<usize, (Connection, Instant)>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks over a stream of its own: the request, `behind` it a submission's packets and records; the reply, and behind [`Reply::Letters`] the
/// letters, `letters` bytes.
pub(super) async fn ask(
    connection: &Connection,
    request: &Request,
    behind: [Vec<u8>; 2],
    letters: usize,
) -> Result<(Reply, Vec<u8>), NetError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.message(request).await?;
    for bytes in behind {
        send.raw_chunk(bytes.into()).await?;
    }
    send.finish()?;
    let reply: Reply = receive.answer().await?;
    let mut bytes = Vec::new();
    if matches!(reply, Reply::Letters(_)) {
        bytes.resize(letters, 0);
        receive.raw(&mut bytes).await?;
    }
    receive.end().await?;
    Ok((reply, bytes))
}
