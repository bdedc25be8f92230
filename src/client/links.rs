//! The two links of a client, and requests over them.

use std::sync::Arc;

use tokio::sync::mpsc;
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
