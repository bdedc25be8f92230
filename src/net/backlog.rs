//! A UDP socket that loses less: datagrams that the system's buffer has no room for wait in ours.
//!
//! At the beginning of a round thousands of clients send within a moment. The task that receives takes turns with those that
//! answer, a few dozen datagrams a turn, and meanwhile the system's buffer, which few operators can enlarge, would drop thousands:
//! each comes again after a timeout of its sender, as more work and too late for its round.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// Memory of what waits, at most, and one reception more; the system's buffer fills behind it, and drops. Ten thousand clients that
/// send four datagrams of 1,200 bytes each, at once, are 58 MB.
const ROOM: usize = 64 << 20;

/// Memory of a datagram beside its bytes, at most: whoever sends empty ones fills the room no later. It has a place in the queue, 104 bytes,
/// of which half may be free when the queue has grown, and the allocator's own 16 to 32.
const EACH: usize = 256;

/// Receptions in a turn beyond the one that was asked for: with 32 datagrams each, half of what a system's buffer of 4 MiB
/// holds, and half of what tokio lets a task have in a turn.
const RECEPTIONS: usize = 64;

/// Bytes that the system joins into one piece, on average of a reception, where they are a batch on its way between mixes or letters for a
/// client, which come in pieces of up to 64 KiB. What a client sends at a time is a few datagrams.
const JOINED: usize = 8 << 10;

/// A socket with a queue behind it, for as long as more comes than is taken.
#[derive(Debug)]
pub(super) struct Backlog {
    socket: Arc<dyn AsyncUdpSocket>,
    queue: Mutex<Queue>,
}

/// What has come and was not asked for yet, in order.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(RecvMeta, Box<[u8]>)>,
    /// What that takes of [`ROOM`].
    taken: usize,
    /// Where the system writes to.
    buffer: Vec<u8>,
    /// Whether what came last [`is_bulk`].
    bulk: bool,
}

impl Backlog {
    /// Takes whatever comes to `socket`.
    pub(super) fn behind(socket: Arc<dyn AsyncUdpSocket>) -> Arc<Self> {
        Arc::new(Self { socket, queue: Mutex::default() })
    }
}

impl Queue {
    /// Takes what the system has, while there is room and it is not bulk; that waits where it is, until all before it has gone.
    fn fill(&mut self, cx: &mut Context<'_>, socket: &dyn AsyncUdpSocket, count: usize, each: usize) {
        if self.buffer.len() != count * each {
            // The system gives pages when they are written to.
            self.buffer = vec![0; count * each];
        }
        let mut metas = vec![RecvMeta::default(); count];
        let mut pieces: Vec<_> = self.buffer.chunks_exact_mut(each).map(IoSliceMut::new).collect();
        for _ in 0..RECEPTIONS {
            if self.bulk || self.taken >= ROOM {
                return;
            }
            // An error is of one datagram that went wrong, or comes again when the socket is asked next.
            let Poll::Ready(Ok(received)) = socket.poll_recv(cx, &mut pieces, &mut metas) else { return };
            self.bulk = is_bulk(&metas[..received]);
            for (meta, piece) in metas.iter().zip(&pieces).take(received) {
                self.taken += meta.len + EACH;
                self.waiting.push_back((*meta, piece[..meta.len].into()));
            }
        }
    }

    /// Gives the first ones, as many as there is place for.
    fn give(&mut self, pieces: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let count = self.waiting.len().min(pieces.len()).min(metas.len());
        for ((piece, place), (meta, bytes)) in pieces.iter_mut().zip(metas).zip(self.waiting.drain(..count)) {
            piece[..meta.len].copy_from_slice(&bytes);
            *place = meta;
            self.taken -= meta.len + EACH;
        }
        if self.waiting.is_empty() {
            // Its memory goes with it, that of the buffer stays for the next time.
            (self.waiting, self.taken, self.bulk) = Default::default();
        }
        count
    }
}

/// Whether the system has joined many datagrams of few senders. How much of those is on the way is for congestion control to bound: 64 MiB
/// would be seconds, in which connections go silent. And megabytes are better not copied once more. Where the system joins nothing,
/// flow control bounds what a sender has on the way: 1 MiB of a client, 16 MiB of a mix.
fn is_bulk(metas: &[RecvMeta]) -> bool {
    metas.iter().map(|meta| meta.len).sum::<usize>() >= metas.len() * JOINED
}

impl AsyncUdpSocket for Backlog {
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        pieces: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // No invariant spans a panic in here.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let each = pieces.iter().map(|piece| piece.len()).min().unwrap_or_default();
        if !queue.waiting.is_empty() {
            queue.fill(cx, &*self.socket, pieces.len(), each);
            return Poll::Ready(Ok(queue.give(pieces, metas)));
        }
        let received = ready!(self.socket.poll_recv(cx, pieces, metas))?;
        if received == pieces.len() && !is_bulk(&metas[..received]) {
            // There may be more than was asked for.
            queue.fill(cx, &*self.socket, received, each);
        }
        Poll::Ready(Ok(received))
    }

    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use quinn::{Runtime, TokioRuntime};
    use socket2::{Domain, Socket, Type};

    use super::*;

    /// A socket of the system that holds a few datagrams, and one that sends to it.
    fn small() -> (Arc<dyn AsyncUdpSocket>, std::net::UdpSocket) {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        // The kernel rounds up to its least.
        socket.set_recv_buffer_size(16 << 10).expect("small");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("free");
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("free");
        sender.connect(socket.local_addr().expect("bound").as_socket().expect("an address")).expect("no route needed");
        (TokioRuntime.wrap_udp_socket(socket.into()).expect("usable"), sender)
    }

    /// The numbers in the next datagrams, at most two.
    async fn two(socket: &dyn AsyncUdpSocket) -> Vec<u32> {
        let mut bytes = [[0; 1500]; 2];
        let mut pieces = bytes.each_mut().map(|piece| IoSliceMut::new(piece));
        let mut metas = [RecvMeta::default(); 2];
        // The runtime hears of what has come when it is its turn.
        tokio::task::yield_now().await;
        let count = poll_fn(|cx| socket.poll_recv(cx, &mut pieces, &mut metas)).await.expect("no error");
        assert!(metas[..count].iter().all(|meta| meta.len == 1200 && meta.stride == 1200));
        pieces[..count].iter().map(|piece| u32::from_le_bytes(*piece.first_chunk().expect("longer"))).collect()
    }

    /// Whether everything arrives, in order, at whoever takes two whenever three have come.
    async fn is_all_there(socket: &dyn AsyncUdpSocket, sender: &std::net::UdpSocket) -> bool {
        const DATAGRAMS: u32 = 300;
        let mut received = Vec::new();
        for number in 0..DATAGRAMS {
            let mut datagram = [0; 1200];
            datagram[..4].copy_from_slice(&number.to_le_bytes());
            sender.send(&datagram).expect("sent");
            if number % 3 == 2 {
                received.extend(two(socket).await);
            }
        }
        // All have been delivered, or dropped: this one, which is behind them, is not dropped.
        while received.last() != Some(&DATAGRAMS) {
            sender.send(&[DATAGRAMS.to_le_bytes(); 300].concat()).expect("sent");
            received.extend(two(socket).await);
        }
        received.dedup();
        received == (0..=DATAGRAMS).collect::<Vec<_>>()
    }

    #[tokio::test]
    async fn what_comes_faster_than_it_is_taken_waits() {
        let (socket, sender) = small();
        assert!(!is_all_there(&*socket, &sender).await, "the system's buffer alone holds it");
        let (socket, sender) = small();
        assert!(is_all_there(&*Backlog::behind(socket), &sender).await);
    }

    /// A socket to which pieces of so many bytes have always come, in datagrams of 1,200 bytes that the system has joined.
    #[derive(Debug, Default)]
    struct Flood(AtomicUsize);

    impl AsyncUdpSocket for Flood {
        fn poll_recv(
            &self,
            _: &mut Context<'_>,
            pieces: &mut [IoSliceMut<'_>],
            metas: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            let len = self.0.load(Relaxed);
            metas.iter_mut().for_each(|meta| *meta = RecvMeta { len, stride: 1200, ..RecvMeta::default() });
            Poll::Ready(Ok(pieces.len()))
        }

        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            unreachable!("nobody sends")
        }

        fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
            unreachable!("nobody sends")
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(([127, 0, 0, 1], 1).into())
        }
    }

    /// What waits behind a [`Flood`].
    struct Flooded(Arc<Flood>, Arc<Backlog>);

    impl Flooded {
        fn new() -> Self {
            let flood = Arc::<Flood>::default();
            Self(flood.clone(), Backlog::behind(flood))
        }

        /// So many turns take 32 pieces each, while pieces of so many bytes come: how many wait then, and their memory.
        fn after(&self, turns: usize, bytes: usize) -> (usize, usize) {
            let Self(flood, backlog) = self;
            flood.0.store(bytes, Relaxed);
            let mut memory = vec![0; 32 << 16];
            let mut cx = Context::from_waker(std::task::Waker::noop());
            for _ in 0..turns {
                let mut pieces: Vec<_> = memory.chunks_exact_mut(1 << 16).map(IoSliceMut::new).collect();
                let taken = backlog.poll_recv(&mut cx, &mut pieces, &mut [RecvMeta::default(); 32]);
                assert!(matches!(taken, Poll::Ready(Ok(32))));
            }
            let queue = backlog.queue.lock().expect("not poisoned");
            let held = queue.waiting.capacity() * size_of::<(RecvMeta, Box<[u8]>)>();
            (queue.waiting.len(), held + queue.waiting.iter().map(|(_, bytes)| bytes.len() + 32).sum::<usize>())
        }
    }

    #[test]
    fn what_waits_has_bounded_memory_however_small_datagrams_are() {
        for bytes in [0, 1, 1200] {
            let flooded = Flooded::new();
            let (before, after) = (flooded.after(150, bytes), flooded.after(50, bytes));
            assert_eq!(before, after, "it has come to an end");
            let most = ROOM + 32 * (bytes + EACH);
            assert!((10_000..).contains(&before.0) && before.1 <= most, "{bytes}: {before:?}");
        }
    }

    #[test]
    fn only_bulk_passes_it_by() {
        assert!(Flooded::new().after(1, 2400).0 > 0, "of a client's datagrams the system may join a few");
        assert_eq!(Flooded::new().after(1, 60_000).0, 0);
    }

    /// `mixload run` with 64 clients of 3 MB each lost whole rounds to a queue that went on to fill once something was in it.
    #[test]
    fn what_waits_drains_while_bulk_comes() {
        let flooded = Flooded::new();
        let (waiting, _) = flooded.after(10, 1200);
        assert!(waiting > 0);
        // The first turn takes 32 pieces of bulk to know it by.
        assert_eq!(flooded.after(1, 60_000).0, waiting);
        assert_eq!(flooded.after(1 + waiting / 32, 60_000), (0, 0));
        assert!(flooded.after(2, 1200).0 > 0, "and takes again what is none");
    }
}
