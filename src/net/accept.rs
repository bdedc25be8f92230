//! The accepting side: a bounded number of handshakes at once, then a bounded number of connections.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::TaskTracker;

use super::{CloseReason, Connection, Dial, Limits, connection::Link, uniform};
use crate::crypto::Identity;

/// Takes what comes in at a socket and hands out the connections that stand.
pub(super) struct Acceptor {
    pub(super) quic: quinn::Endpoint,
    /// For whoever dials as a mix, in place of what the endpoint has for clients.
    pub(super) for_mixes: Arc<quinn::ServerConfig>,
    pub(super) limits: Arc<Limits>,
    pub(super) unacknowledged: TaskTracker,
    pub(super) accepted: mpsc::Sender<Connection>,
}

impl Acceptor {
    /// Runs until the endpoint closes. Every handshake is a task of its own, so a slow one delays nobody.
    pub(super) async fn run(self) {
        let Self { quic, for_mixes, limits, unacknowledged, accepted } = self;
        let handshakes = Arc::new(Mutex::new(Handshakes::default()));
        let roll = Arc::new(Mutex::new(Roll::default()));
        while let Some(incoming) = quic.accept().await {
            let proven = incoming.remote_address_validated();
            let place = Place::take(&handshakes, &limits, incoming.remote_address(), proven);
            let Some(place) = place else {
                match proven {
                    // Silence: the client's retransmission tries again.
                    true => incoming.ignore(),
                    // Costs us nothing to remember, and shows whether the source address is the sender's own.
                    false => drop(incoming.retry()),
                }
                continue;
            };
            let (for_mixes, limits, unacknowledged) = (for_mixes.clone(), limits.clone(), unacknowledged.clone());
            let (roll, accepted) = (roll.clone(), accepted.clone());
            tokio::spawn(async move {
                let handshake = async {
                    match uniform::dialled_as(incoming.orig_dst_cid()) {
                        Dial::Client => incoming.accept()?.await,
                        Dial::Mix => incoming.accept_with(for_mixes)?.await,
                    }
                };
                let Ok(Ok(quic)) = timeout(limits.handshake_timeout, handshake).await else { return };
                let Ok(connection) = Connection::new(quic, limits.clone(), unacknowledged) else { return };
                if lock(&roll).enter(&connection, &limits) {
                    // Fails only when the endpoint is gone.
                    let _ = accepted.send(connection).await;
                }
                drop(place);
            });
        }
    }
}

/// The handshakes in progress.
#[derive(Default)]
struct Handshakes {
    /// From source addresses that may be forged.
    unproven: usize,
    /// From sources that have shown that they receive what is sent to them.
    proven: usize,
    per_source: HashMap<IpAddr, usize>,
}

/// A place among the [`Handshakes`], given back on drop.
struct Place {
    handshakes: Arc<Mutex<Handshakes>>,
    source: Option<IpAddr>,
}

impl Place {
    /// Takes a place if there is one. Forged sources fill only the unproven places; when those are taken, everybody
    /// proves its address first, and then a quota for each source means something.
    fn take(handshakes: &Arc<Mutex<Handshakes>>, limits: &Limits, from: SocketAddr, proven: bool) -> Option<Self> {
        let mut now = lock(handshakes);
        let source = proven.then(|| source(from));
        match source {
            None if now.unproven >= limits.half_open / 4 => return None,
            None => now.unproven += 1,
            Some(source) => {
                let of_source = now.per_source.get(&source).copied().unwrap_or(0);
                if now.proven >= limits.half_open || of_source >= limits.half_open_per_source {
                    return None;
                }
                now.per_source.insert(source, of_source + 1);
                now.proven += 1;
            }
        }
        Some(Self { handshakes: handshakes.clone(), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = lock(&self.handshakes);
        let Some(source) = self.source else {
            now.unproven -= 1;
            return;
        };
        now.proven -= 1;
        if let Some(count) = now.per_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                now.per_source.remove(&source);
            }
        }
    }
}

/// What one sender of datagrams controls: an IPv4 address, or an IPv6 network of 64 bits.
fn source(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The accepted connections that stand.
#[derive(Default)]
struct Roll(HashMap<Identity, Vec<Weak<Link>>>);

impl Roll {
    /// Enters a connection, closing the oldest of its identity if there are too many: a peer that has restarted must
    /// not wait until its old connection has timed out. Says whether it is in; if not, the connection is closed.
    fn enter(&mut self, connection: &Connection, limits: &Limits) -> bool {
        let own = self.0.entry(connection.peer()).or_default();
        own.retain(stands);
        while !own.is_empty() && own.len() >= limits.per_identity {
            if let Some(oldest) = own.remove(0).upgrade() {
                oldest.close(CloseReason::Superseded);
            }
        }
        if self.len() >= limits.connections {
            self.0.retain(|_, links| {
                links.retain(stands);
                !links.is_empty()
            });
        }
        if self.len() >= limits.connections {
            connection.close(CloseReason::Full);
            return false;
        }
        self.0.entry(connection.peer()).or_default().push(Arc::downgrade(connection.link()));
        true
    }

    fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

fn stands(link: &Weak<Link>) -> bool {
    link.upgrade().is_some_and(|link| link.is_open())
}

/// No invariant spans a panic in here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_each_source_and_given_back() {
        let limits = Limits { half_open: 8, half_open_per_source: 3, ..Limits::default() };
        let handshakes = Arc::new(Mutex::new(Handshakes::default()));
        let take = |address: &str, proven| Place::take(&handshakes, &limits, address.parse().unwrap(), proven);

        let held: Vec<_> = (0..3).map(|_| take("192.0.2.1:1", true).unwrap()).collect();
        assert!(take("192.0.2.1:2", true).is_none());
        assert!(take("[::ffff:192.0.2.1]:2", true).is_none(), "the same source, mapped");
        let others: Vec<_> = (0..3).map(|i| take(&format!("[2001:db8::{i}]:1"), true).unwrap()).collect();
        assert!(take("[2001:db8::ffff:1]:1", true).is_none(), "the same /64");
        let more: Vec<_> = (0..2).map(|i| take(&format!("198.51.100.{i}:1"), true).unwrap()).collect();
        assert!(take("203.0.113.1:1", true).is_none(), "8 in all");

        // Forged sources have places of their own, and fill no others.
        let forged: Vec<_> = (0..2).map(|i| take(&format!("203.0.113.{i}:1"), false).unwrap()).collect();
        assert!(take("203.0.113.9:1", false).is_none());

        drop((held, others, more, forged));
        assert!(take("192.0.2.1:1", true).is_some());
        let now = lock(&handshakes);
        assert_eq!((now.proven, now.unproven, now.per_source.len()), (0, 0, 0));
    }
}
