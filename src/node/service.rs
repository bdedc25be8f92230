//! The mix's control socket: how things are, and what its operator has decided.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::control::{Answer, Ask, ControlError, Failure, Listener, Stream};

use super::Observer;

/// Local programs served at once; further ones wait.
const CONNECTIONS: usize = 32;

/// Answers local programs until `stop`.
pub(super) async fn serve(observer: Observer, listener: Listener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Some(Ok(stream)) = stop.run_until_cancelled(listener.accept()).await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (observer, stop) = (observer.clone(), stop.clone());
        tokio::spawn(async move {
            if let Some(Err(error)) = stop.run_until_cancelled(answer(observer, stream)).await {
                tracing::debug!(%error, "a local program went away");
            }
            drop(place);
        });
    }
}

async fn answer(observer: Observer, mut stream: Stream) -> Result<(), ControlError> {
    loop {
        let answer = match stream.receive().await? {
            Ask::Status => match observer.status().await {
                Some(status) => Answer::Status(status.json()),
                None => Answer::Failed(Failure::Stopping),
            },
            Ask::Readmit { client } => decided(observer.readmit(client).await, Failure::NotEvicted),
            Ask::Resume => decided(observer.resume().await, Failure::NotStopped),
            _ => Answer::Failed(Failure::WrongDaemon),
        };
        stream.send(&answer).await?;
    }
}

fn decided(done: Option<bool>, otherwise: Failure) -> Answer {
    match done {
        Some(true) => Answer::Done,
        Some(false) => Answer::Failed(otherwise),
        None => Answer::Failed(Failure::Stopping),
    }
}
