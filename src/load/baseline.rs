//! What the matrix is compared with: the same messages over the same number of hops, without any protection.
//!
//! Plain TCP on loopback, every relay waits for a round's messages and hands them on as they came: no encryption, no
//! padding, no shuffle, nothing checked. The last one writes them to a file and waits until the disk has them, then
//! sends each to its recipient. The relays are tasks of this process, which makes them faster than processes are.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{LoadError, Traffic};

/// One round of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// From the first byte at the first relay until the last message is on disk.
    pub relays: Duration,
    /// From the first byte sent until the last recipient has its message.
    pub end_to_end: Duration,
}

/// from u32 | length u32, little-endian, then the message.
const HEAD: usize = 8;

/// Sends one round of messages of `bytes` bytes from `clients` clients through `hops` relays.
///
/// # Errors
/// If the system gives no sockets or no file in `dir`.
pub(super) async fn pass(
    dir: &Path,
    traffic: Traffic,
    clients: usize,
    bytes: usize,
    hops: usize,
) -> Result<Passed, LoadError> {
    let io = || LoadError::io("pass messages on without protection");
    let mut listeners = Vec::new();
    for _ in 0..=hops {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.map_err(io())?);
    }
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>().map_err(io())?;
    // The recipients' listener stands behind the last relay.
    let recipients = listeners.pop();
    let path = dir.join("baseline");
    let mut relays = JoinSet::new();
    for (at, listener) in listeners.into_iter().enumerate() {
        let (next, path, sources) = (addresses[at + 1], path.clone(), if at == 0 { clients } else { 1 });
        let is_last = at + 1 == hops;
        relays.spawn(async move {
            let came = collect(&listener, sources, clients, bytes).await?;
            let (began, messages) = came;
            if is_last {
                let stored = store(path, messages.clone()).await?;
                deliver(next, &messages, traffic, clients).await?;
                return Ok((began, stored));
            }
            TcpStream::connect(next).await?.write_all(&messages.concat()).await?;
            Ok::<_, std::io::Error>((began, Instant::now()))
        });
    }
    let began = Instant::now();
    let mut senders = JoinSet::new();
    let entry = addresses[0];
    for from in 0..clients {
        senders.spawn(async move {
            let mut message = vec![0; HEAD + bytes];
            message[..4].copy_from_slice(&(from as u32).to_le_bytes());
            message[4..HEAD].copy_from_slice(&(bytes as u32).to_le_bytes());
            TcpStream::connect(entry).await?.write_all(&message).await
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.map_err(std::io::Error::other).flatten().map_err(io())?;
    }
    let Some(recipients) = recipients else { return Err(LoadError::Options("no relays".into())) };
    collect(&recipients, clients, clients, bytes).await.map_err(io())?;
    let end_to_end = began.elapsed();
    let (mut first, mut last) = (Instant::now(), began);
    while let Some(relay) = relays.join_next().await {
        let (began, stored) = relay.map_err(std::io::Error::other).flatten().map_err(io())?;
        (first, last) = (first.min(began), last.max(stored));
    }
    Ok(Passed { relays: last.saturating_duration_since(first), end_to_end })
}

/// `messages` messages from `sources` connections, and when the first byte came.
async fn collect(
    listener: &TcpListener,
    sources: usize,
    messages: usize,
    bytes: usize,
) -> std::io::Result<(Instant, Vec<Arc<[u8]>>)> {
    let mut reading = JoinSet::new();
    for _ in 0..sources {
        let (mut stream, _) = listener.accept().await?;
        reading.spawn(async move {
            let (mut came, mut began) = (Vec::new(), None);
            for _ in 0..messages / sources {
                let mut message = vec![0; HEAD + bytes];
                stream.read_exact(&mut message[..HEAD]).await?;
                began.get_or_insert_with(Instant::now);
                stream.read_exact(&mut message[HEAD..]).await?;
                came.push(Arc::<[u8]>::from(message));
            }
            Ok::<_, std::io::Error>((began.unwrap_or_else(Instant::now), came))
        });
    }
    let (mut began, mut all) = (Instant::now(), Vec::new());
    while let Some(read) = reading.join_next().await {
        let (first, came) = read.map_err(std::io::Error::other).flatten()?;
        began = began.min(first);
        all.extend(came);
    }
    Ok((began, all))
}

async fn store(path: std::path::PathBuf, messages: Vec<Arc<[u8]>>) -> std::io::Result<Instant> {
    let written = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        messages.iter().try_for_each(|message| file.write_all(message))?;
        file.sync_data()?;
        Ok(Instant::now())
    });
    written.await.map_err(std::io::Error::other)?
}

/// A connection for each message, as each recipient has one of its own.
async fn deliver(
    to: std::net::SocketAddr,
    messages: &[Arc<[u8]>],
    traffic: Traffic,
    clients: usize,
) -> std::io::Result<()> {
    let mut sending = JoinSet::new();
    for message in messages {
        let message = message.clone();
        let from = u32::from_le_bytes(*message.first_chunk().expect("a head has 8 bytes")) as usize;
        debug_assert!(traffic.recipient(from, clients) < clients);
        sending.spawn(async move { TcpStream::connect(to).await?.write_all(&message).await });
    }
    while let Some(sent) = sending.join_next().await {
        sent.map_err(std::io::Error::other).flatten()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_pass_every_relay_and_reach_the_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let passed = pass(dir.path(), Traffic::Pair, 4, 1000, 3).await.expect("loopback");
        assert!(passed.relays <= passed.end_to_end && passed.relays > Duration::ZERO, "{passed:?}");
        assert_eq!(std::fs::metadata(dir.path().join("baseline")).expect("stored").len(), 4 * (1000 + HEAD as u64));
    }
}
