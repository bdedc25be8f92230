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
    let put = |waiting: &mut Waiting, bytes| (0..=WAITING).take_while(|_| waiting.put(now, Way::ToMix, bytes)).count();
    assert_eq!(put(&mut waiting, b"x"), WAITING);
    assert_eq!(waiting.due(), Some(now));
    while waiting.next(now).is_some() {}
    assert_eq!(put(&mut waiting, &vec![0; DATAGRAM]), WAITING_BYTES / DATAGRAM);
    assert!(waiting.next(now - Duration::from_secs(1)).is_none(), "not yet due");
}
