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
mod tests {
    use super::*;

    /// A party, a mix that echoes nothing by itself, and the relay between.
    struct Line {
        dialler: UdpSocket,
        mix: UdpSocket,
        relay: Relay,
        counts: Arc<RelayCounts>,
    }

    async fn socket() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port")
    }

    impl Line {
        async fn start() -> Self {
            let (dialler, mix, counts) = (socket().await, socket().await, Arc::<RelayCounts>::default());
            let relay = Relay::start(mix.local_addr().expect("bound"), 7, counts.clone()).await.expect("a port");
            dialler.connect(relay.address()).await.expect("reachable");
            Self { dialler, mix, relay, counts }
        }

        /// Sends `count` numbered datagrams to the mix, few enough that its socket holds them all, and returns those
        /// that came, in their order.
        async fn carry(&self, count: u32, impairment: Impairment) -> Vec<u32> {
            self.relay.impair(impairment);
            for number in 0..count {
                self.dialler.send(&number.to_le_bytes()).await.expect("sent");
                self.until(|line| line.seen(|counts| &counts.received) > number.into()).await;
            }
            self.until(|line| {
                let settled = line.seen(|counts| &counts.passed) + line.seen(|counts| &counts.dropped);
                settled == u64::from(count) + line.seen(|counts| &counts.duplicated)
            })
            .await;
            self.relay.impair(Impairment::NONE);
            self.dialler.send(&u32::MAX.to_le_bytes()).await.expect("sent");
            let mut came = Vec::new();
            loop {
                match u32::from_le_bytes(receive(&self.mix).await.0.try_into().expect("a number")) {
                    u32::MAX => return came,
                    number => came.push(number),
                }
            }
        }

        async fn until(&self, is_so: impl Fn(&Self) -> bool) {
            let patience = Instant::now() + Duration::from_secs(10);
            while !is_so(self) {
                assert!(Instant::now() < patience, "the relay stands still");
                tokio::task::yield_now().await;
            }
        }

        fn seen(&self, count: impl Fn(&RelayCounts) -> &AtomicU64) -> u64 {
            count(&self.counts).load(Ordering::Relaxed)
        }
    }

    async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut bytes = vec![0; 2048];
        let received = tokio::time::timeout(Duration::from_secs(10), socket.recv_from(&mut bytes)).await;
        let (length, source) = received.expect("in time").expect("received");
        bytes.truncate(length);
        (bytes, source)
    }

    #[tokio::test]
    async fn a_whole_link_passes_everything_both_ways() {
        let line = Line::start().await;
        line.dialler.send(b"there").await.expect("sent");
        let (bytes, party) = receive(&line.mix).await;
        assert_eq!(bytes, b"there");
        line.mix.send_to(b"back", party).await.expect("sent");
        assert_eq!(receive(&line.dialler).await.0, b"back");
        // A party that was started again has another port, and the mix does not notice.
        let again = socket().await;
        again.send_to(b"again", line.relay.address()).await.expect("sent");
        assert_eq!(receive(&line.mix).await, (b"again".to_vec(), party));
        line.mix.send_to(b"back again", party).await.expect("sent");
        assert_eq!(receive(&again).await.0, b"back again");
    }

    #[tokio::test]
    async fn a_tap_sees_sizes_and_ways_also_of_what_is_lost() {
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let mix = socket().await;
        let tap = Box::new(move |sighting: Sighting| {
            let _gone = sender.send((sighting.way, sighting.bytes));
        });
        let relay = Relay::tapped(mix.local_addr().expect("bound"), 7, Arc::default(), tap).await.expect("a port");
        let dialler = socket().await;
        dialler.send_to(b"there", relay.address()).await.expect("sent");
        let (_, party) = receive(&mix).await;
        relay.impair(Impairment::CUT);
        mix.send_to(b"and back", party).await.expect("sent");
        assert_eq!(seen.recv().await, Some((Way::ToMix, 5)));
        assert_eq!(seen.recv().await, Some((Way::ToDialler, 8)));
    }

    #[tokio::test]
    async fn strangers_do_not_answer_for_the_mix() {
        let line = Line::start().await;
        line.dialler.send(b"there").await.expect("sent");
        let (_, party) = receive(&line.mix).await;
        socket().await.send_to(b"not the mix", party).await.expect("sent");
        line.mix.send_to(b"the mix", party).await.expect("sent");
        assert_eq!(receive(&line.dialler).await.0, b"the mix");
    }

    #[tokio::test]
    async fn a_cut_link_passes_nothing_until_it_is_mended() {
        let line = Line::start().await;
        assert!(line.carry(20, Impairment::CUT).await.is_empty());
        assert_eq!(line.seen(|counts| &counts.dropped), 20);
        line.relay.impair(Impairment::NONE);
        line.dialler.send(b"mended").await.expect("sent");
        assert_eq!(receive(&line.mix).await.0, b"mended");
    }

    #[tokio::test]
    async fn loss_takes_its_share() {
        let line = Line::start().await;
        let came = line.carry(200, Impairment { loss: 0.2, ..Impairment::NONE }).await;
        // Within six standard deviations of 160.
        assert!((126..=194).contains(&came.len()), "{}", came.len());
        assert_eq!(line.seen(|counts| &counts.dropped), 200 - came.len() as u64);
        assert!(came.is_sorted());
    }

    #[tokio::test]
    async fn duplicates_come_twice() {
        let line = Line::start().await;
        let came = line.carry(100, Impairment { duplication: 0.5, ..Impairment::NONE }).await;
        assert_eq!(came.len() as u64, 100 + line.seen(|counts| &counts.duplicated));
        assert!((20..=80).contains(&line.seen(|counts| &counts.duplicated)));
    }

    #[tokio::test]
    async fn what_is_held_back_is_overtaken_and_arrives() {
        let line = Line::start().await;
        let held_back = Duration::from_millis(20);
        let mut came = line.carry(100, Impairment { reordering: 0.3, held_back, ..Impairment::NONE }).await;
        assert!(line.seen(|counts| &counts.reordered) > 5 && !came.is_sorted());
        came.sort_unstable();
        assert_eq!(came, Vec::from_iter(0..100));
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        let (now, mut waiting) = (Instant::now(), Waiting::default());
        let put =
            |waiting: &mut Waiting, bytes| (0..=WAITING).take_while(|_| waiting.put(now, Way::ToMix, bytes)).count();
        assert_eq!(put(&mut waiting, b"x"), WAITING);
        assert_eq!(waiting.due(), Some(now));
        while waiting.next(now).is_some() {}
        assert_eq!(put(&mut waiting, &vec![0; DATAGRAM]), WAITING_BYTES / DATAGRAM);
        assert!(waiting.next(now - Duration::from_secs(1)).is_none(), "not yet due");
    }
}
