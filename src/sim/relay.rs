//! A UDP relay that stands between two real processes and does to their datagrams what a bad network does. It can be
//! tapped.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::crypto::Csprng;

/// What a relay does to datagrams, in both directions alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Probability that one is lost; 1 cuts the link.
    pub loss: f64,
    /// Probability that one comes twice.
    pub duplication: f64,
    /// Probability that one is held back for [`Self::held_back`], so that later ones overtake it.
    pub reordering: f64,
    /// How long such a one is held back at most; drawn for each.
    pub held_back: Duration,
    /// What every one is delayed by: a spike, if it lasts for a moment.
    pub delay: Duration,
}

impl Impairment {
    /// Everything passes at once.
    pub const NONE: Self =
        Self { loss: 0.0, duplication: 0.0, reordering: 0.0, held_back: Duration::ZERO, delay: Duration::ZERO };
    /// Nothing passes.
    pub const CUT: Self = Self { loss: 1.0, ..Self::NONE };
}

/// What relays have done, together.
#[derive(Debug, Default)]
pub struct RelayCounts {
    /// Datagrams that came, from either side.
    pub received: AtomicU64,
    /// Datagrams handed on, copies included.
    pub passed: AtomicU64,
    /// Datagrams lost at random or on a cut link.
    pub dropped: AtomicU64,
    /// Datagrams that came twice.
    pub duplicated: AtomicU64,
    /// Datagrams that were held back.
    pub reordered: AtomicU64,
    /// Datagrams dropped because too many were waiting.
    pub overflowed: AtomicU64,
}

/// A datagram as whoever watches the link sees it: nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Where it went.
    pub way: Way,
    /// Bytes of UDP payload.
    pub bytes: usize,
    /// When it came to the relay.
    pub at: Instant,
}

/// Takes what is seen on a link; it must not wait.
pub type Tap = Box<dyn FnMut(Sighting) + Send>;

/// A relay in front of one mix, for one party that dials it. It stops when dropped.
pub struct Relay {
    address: SocketAddr,
    impairment: watch::Sender<Impairment>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay on a port of its own that hands datagrams on to `mix` and the answers back to whoever sent the
    /// last; what it draws follows from `seed`. Needs a tokio runtime.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn start(mix: SocketAddr, seed: u64, counts: Arc<RelayCounts>) -> io::Result<Self> {
        Self::tapped(mix, seed, counts, Box::new(|_| ())).await
    }

    /// As [`Relay::start`]; `tap` is shown each datagram as it comes, before anything is done to it.
    ///
    /// # Errors
    /// If there is no port.
    pub async fn tapped(mix: SocketAddr, seed: u64, counts: Arc<RelayCounts>, tap: Tap) -> io::Result<Self> {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = near.local_addr()?;
        let (impairment, weather) = watch::channel(Impairment::NONE);
        let link = Link {
            near,
            far,
            mix,
            dialler: None,
            weather,
            random: Csprng::seed_from_u64(seed),
            waiting: Waiting::default(),
            counts,
            tap,
        };
        Ok(Self { address, impairment, task: tokio::spawn(link.run()) })
    }

    /// Where the party dials.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Impairs the link from now on, as this says and no longer as before.
    pub fn impair(&self, impairment: Impairment) {
        self.impairment.send_replace(impairment);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The direction of a datagram.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Way {
    /// From the party that dials.
    ToMix,
    /// To it.
    ToDialler,
}

struct Link {
    /// Where the party dials.
    near: UdpSocket,
    /// Where the mix sees the party.
    far: UdpSocket,
    mix: SocketAddr,
    /// The last source on the near side: a party that was started again has another port.
    dialler: Option<SocketAddr>,
    weather: watch::Receiver<Impairment>,
    random: Csprng,
    waiting: Waiting,
    counts: Arc<RelayCounts>,
    tap: Tap,
}

/// Above the largest datagram.
const DATAGRAM: usize = 65_536;
/// After an error of a socket, which is none to end for: a port that nobody listens on says so.
const AFTER_ERROR: Duration = Duration::from_millis(5);

impl Link {
    async fn run(mut self) {
        let (mut from_dialler, mut from_mix) = (vec![0; DATAGRAM], vec![0; DATAGRAM]);
        loop {
            let due = self.waiting.due();
            let timer = async move {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.near.recv_from(&mut from_dialler) => match received {
                    Ok((length, source)) => {
                        self.dialler = Some(source);
                        self.take(Way::ToMix, &from_dialler[..length]).await;
                    }
                    Err(_) => tokio::time::sleep(AFTER_ERROR).await,
                },
                received = self.far.recv_from(&mut from_mix) => match received {
                    // Anybody on this machine can write to a port.
                    Ok((length, source)) if source == self.mix => self.take(Way::ToDialler, &from_mix[..length]).await,
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(AFTER_ERROR).await,
                },
                () = timer => {
                    while let Some((way, datagram)) = self.waiting.next(Instant::now()) {
                        self.pass(way, &datagram).await;
                    }
                }
            }
        }
    }

    /// Draws what becomes of a datagram.
    async fn take(&mut self, way: Way, datagram: &[u8]) {
        add(&self.counts.received);
        (self.tap)(Sighting { way, bytes: datagram.len(), at: Instant::now() });
        let weather = *self.weather.borrow();
        if self.random.random_bool(weather.loss) {
            add(&self.counts.dropped);
            return;
        }
        let mut copies = 1;
        if self.random.random_bool(weather.duplication) {
            add(&self.counts.duplicated);
            copies = 2;
        }
        for _ in 0..copies {
            let mut delay = weather.delay;
            if self.random.random_bool(weather.reordering) {
                add(&self.counts.reordered);
                delay += self.random.random_range(Duration::ZERO..=weather.held_back);
            }
            if delay.is_zero() {
                self.pass(way, datagram).await;
            } else if !self.waiting.put(Instant::now() + delay, way, datagram) {
                add(&self.counts.overflowed);
            }
        }
    }

    async fn pass(&mut self, way: Way, datagram: &[u8]) {
        let sent = match (way, self.dialler) {
            (Way::ToMix, _) => self.far.send_to(datagram, self.mix).await,
            (Way::ToDialler, Some(dialler)) => self.near.send_to(datagram, dialler).await,
            (Way::ToDialler, None) => return,
        };
        // A network tells nobody what it could not deliver.
        if sent.is_ok() {
            add(&self.counts.passed);
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Datagrams that are held back, the first due first.
#[derive(Default)]
struct Waiting {
    queue: BTreeMap<(Instant, u64), (Way, Vec<u8>)>,
    bytes: usize,
    taken: u64,
}

/// A second of 4 Mbit/s in full datagrams, more than a link of a small network carries.
const WAITING: usize = 4096;
/// As much as a send window, so that a delayed batch still fits.
const WAITING_BYTES: usize = 16 << 20;

impl Waiting {
    /// Whether there was room for it.
    fn put(&mut self, at: Instant, way: Way, datagram: &[u8]) -> bool {
        if self.queue.len() == WAITING || self.bytes + datagram.len() > WAITING_BYTES {
            return false;
        }
        self.taken += 1;
        self.bytes += datagram.len();
        self.queue.insert((at, self.taken), (way, datagram.to_vec()));
        true
    }

    fn due(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next that is due at `now`.
    fn next(&mut self, now: Instant) -> Option<(Way, Vec<u8>)> {
        let first = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (way, datagram) = first.remove();
        self.bytes -= datagram.len();
        Some((way, datagram))
    }
}

#[cfg(test)]
mod tests;
