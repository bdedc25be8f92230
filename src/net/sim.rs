//! A simulated UDP network: latency, loss, reordering, duplication and cuts, drawn from a seed.
//!
//! [`SimNet::socket`] gives a socket for [`super::Endpoint::on_socket`]. Time is tokio's: with a paused clock a minute
//! of network takes milliseconds.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    future::Future,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::crypto::Csprng;

/// What happens to datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The least time that a datagram takes.
    pub latency: Duration,
    /// The most that it takes beyond, uniformly; more than the gap between datagrams reorders them.
    pub jitter: Duration,
    /// The share of datagrams that are lost, 0 to 1.
    pub loss: f64,
    /// The share of datagrams that arrive twice, 0 to 1.
    pub duplication: f64,
}

impl Weather {
    /// 20 ms, and nothing goes wrong.
    pub const FAIR: Self =
        Self { latency: Duration::from_millis(20), jitter: Duration::ZERO, loss: 0.0, duplication: 0.0 };
}

/// A handle to the network; clones are the same network.
#[derive(Clone)]
pub struct SimNet(Arc<Mutex<State>>);

struct State {
    random: Csprng,
    weather: Weather,
    cut: HashSet<SocketAddr>,
    inboxes: HashMap<SocketAddr, Inbox>,
    /// How many datagrams of which size were sent.
    sizes: BTreeMap<usize, u64>,
    /// Counts sockets, and datagrams, which may arrive at the same instant.
    count: u64,
}

/// Datagrams on their way to one socket.
struct Inbox {
    /// Which socket it belongs to.
    socket: u64,
    due: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>,
    reader: Option<Waker>,
}

/// Datagrams under way to one socket; a router drops more.
const INBOX: usize = 1 << 14;

impl SimNet {
    /// A network whose accidents follow from `seed`.
    pub fn new(seed: u64, weather: Weather) -> Self {
        let (random, cut, inboxes) = (Csprng::seed_from_u64(seed), HashSet::new(), HashMap::new());
        Self(Arc::new(Mutex::new(State { random, weather, cut, inboxes, sizes: BTreeMap::new(), count: 0 })))
    }

    /// A socket at `address`. An earlier one there is dead from now on, like that of a process that was killed:
    /// nothing leaves it or arrives.
    pub fn socket(&self, address: SocketAddr) -> Arc<dyn AsyncUdpSocket> {
        let mut net = self.lock();
        net.count += 1;
        let id = net.count;
        net.inboxes.insert(address, Inbox { socket: id, due: BTreeMap::new(), reader: None });
        Arc::new(SimSocket { net: self.clone(), id, address, timer: Mutex::new(Box::pin(sleep_until(Instant::now()))) })
    }

    /// From now on, for datagrams not yet sent.
    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Cuts an address off: nothing leaves it or arrives, not even what is under way.
    pub fn cut(&self, address: SocketAddr) {
        self.lock().cut.insert(address);
    }

    /// Connects an address again.
    pub fn heal(&self, address: SocketAddr) {
        self.lock().cut.remove(&address);
    }

    /// The sizes of all datagrams that were sent since this was asked last, and how many of each: what whoever watches the links
    /// sees.
    pub fn take_sizes(&self) -> BTreeMap<usize, u64> {
        std::mem::take(&mut self.lock().sizes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let copies = 1 + usize::from(self.random.random_bool(self.weather.duplication));
        for _ in 0..copies {
            let lost = self.random.random_bool(self.weather.loss);
            let delay = self.weather.latency + self.weather.jitter.mul_f64(self.random.random());
            let inbox = self.inboxes.get_mut(&to).filter(|inbox| inbox.due.len() < INBOX);
            let Some(inbox) = inbox.filter(|_| !lost && !self.cut.contains(&from)) else { continue };
            self.count += 1;
            inbox.due.insert((Instant::now() + delay, self.count), (from, datagram.to_vec()));
            if let Some(reader) = inbox.reader.take() {
                reader.wake();
            }
        }
    }

    fn is_alive(&self, socket: &SimSocket) -> bool {
        self.inboxes.get(&socket.address).is_some_and(|inbox| inbox.socket == socket.id)
    }

    /// The next datagram that has arrived, or when one will.
    fn receive(&mut self, at: SocketAddr) -> Result<(SocketAddr, Vec<u8>), Option<Instant>> {
        let cut = self.cut.contains(&at);
        let Some(inbox) = self.inboxes.get_mut(&at) else { return Err(None) };
        while let Some(first) = inbox.due.first_entry() {
            let due = first.key().0;
            if due > Instant::now() {
                return Err(Some(due));
            }
            let (from, datagram) = first.remove();
            if !cut && !self.cut.contains(&from) {
                return Ok((from, datagram));
            }
        }
        Err(None)
    }
}

struct SimSocket {
    net: SimNet,
    id: u64,
    address: SocketAddr,
    timer: Mutex<Pin<Box<Sleep>>>,
}

impl AsyncUdpSocket for SimSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut net = self.net.lock();
        if !net.is_alive(self) {
            return Ok(());
        }
        for datagram in transmit.contents.chunks(transmit.segment_size.unwrap_or(usize::MAX)) {
            *net.sizes.entry(datagram.len()).or_default() += 1;
            net.send(self.address, transmit.destination, datagram);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut net = self.net.lock();
            if !net.is_alive(self) {
                return Poll::Pending;
            }
            match net.receive(self.address) {
                Ok((from, datagram)) => {
                    // A datagram longer than the buffer is cut short, as by a kernel.
                    let length = datagram.len().min(buffers[0].len());
                    buffers[0][..length].copy_from_slice(&datagram[..length]);
                    meta[0] = RecvMeta { addr: from, len: length, stride: length, ..RecvMeta::default() };
                    return Poll::Ready(Ok(1));
                }
                Err(due) => {
                    if let Some(inbox) = net.inboxes.get_mut(&self.address) {
                        inbox.reader = Some(cx.waker().clone());
                    }
                    let Some(due) = due else { return Poll::Pending };
                    timer.as_mut().reset(due);
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimSocket").field(&self.address).finish()
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
