use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    crypto::Csprng,
    net::sim::Weather,
    wire::{Reply, Request},
};

#[tokio::test]
async fn the_newest_connection_of_an_identity_wins() {
    let server = server(Limits::default());
    let (old_process, new_process) = (dialling(1), dialling(1));
    let old = connect(&old_process, &server, Dial::Client).await.unwrap();
    let other = Pair::new(server.clone(), dialling(2)).await;
    let new = connect(&new_process, &server, Dial::Client).await.unwrap();
    let error = soon(old.closed()).await;
    assert!(matches!(error, NetError::ClosedByPeer(CloseReason::Superseded)), "{error}");
    let (mut sender, _) = new.open_bi().await.unwrap();
    sender.message(&Request::Register).await.unwrap();
    assert!(new.is_open() && other.dialled.is_open());
}

#[tokio::test]
async fn connections_are_bounded_in_all() {
    let server = server(Limits { connections: 2, ..Limits::default() });
    let first = Pair::new(server.clone(), dialling(1)).await;
    let second = Pair::new(server.clone(), dialling(2)).await;
    let surplus = dialling(3);
    let refused = match connect(&surplus, &server, Dial::Client).await {
        Ok(connection) => soon(connection.closed()).await,
        Err(error) => error,
    };
    assert!(matches!(refused, NetError::ClosedByPeer(CloseReason::Full)), "{refused}");
    assert!(first.dialled.is_open() && second.dialled.is_open());

    // Whoever is in may come again, and whoever leaves makes room.
    let again = Pair::new(server.clone(), dialling(2)).await;
    again.dialled.close(CloseReason::Done);
    again.accepted.closed().await;
    Pair::new(server, dialling(3)).await;
}

/// The simulated clock runs on only when nobody has anything to do: a time-out means "never".
#[tokio::test(start_paused = true)]
async fn streams_are_capped_until_the_peer_is_a_mix() {
    let net = SimNet::new(1, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    let mut open = Vec::new();
    for _ in 0..Allowance::CLIENT.bidi_streams {
        open.push(pair.dialled.open_bi().await.unwrap());
    }
    assert!(matches!(soon(pair.dialled.open_bi()).await, Err(NetError::Slow)));
    assert!(matches!(soon(pair.dialled.open_uni()).await, Err(NetError::Slow)));

    // Finished streams make room for others; the peer hears of it by eighths of the allowance.
    for (mut sender, mut receiver) in open.drain(..3) {
        sender.message(&Request::Register).await.unwrap();
        sender.finish().unwrap();
        let (mut answer, mut request) = pair.accepted.accept_bi().await.unwrap();
        request.message::<Request>().await.unwrap();
        request.end().await.unwrap();
        answer.message(&Reply::Registered { index: 0 }).await.unwrap();
        answer.finish().unwrap();
        receiver.message::<Reply>().await.unwrap();
        receiver.end().await.unwrap();
    }
    for _ in 0..3 {
        open.push(pair.dialled.open_bi().await.unwrap());
    }
    assert!(matches!(soon(pair.dialled.open_bi()).await, Err(NetError::Slow)));

    pair.accepted.allow_mix();
    pair.dialled.open_uni().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn bytes_in_flight_are_capped_until_the_peer_is_a_mix() {
    let net = SimNet::new(2, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    let window = Allowance::CLIENT.window as usize;
    // Nobody reads: the window fills, the writer waits, and then gives up.
    let (mut sender, _receiver) = pair.stream(&vec![0; window]).await;
    assert!(matches!(soon(sender.raw(&[0])).await, Err(NetError::Slow)));
    pair.accepted.allow_mix();
    let (mut sender, _receiver) = pair.stream(&vec![0; 4 * window]).await;
    sender.raw(&[0]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dribbling_peer_holds_a_stream_for_a_bounded_time() {
    let net = SimNet::new(3, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    let (mut sender, mut receiver) = pair.stream(&1000u32.to_le_bytes()).await;
    let dribble = async {
        for _ in 0..1000 {
            sleep(Duration::from_secs(5)).await;
            sender.raw(&[0]).await.unwrap();
        }
    };
    let start = Instant::now();
    let error = tokio::select! {
        error = receiver.message::<Request>() => error.unwrap_err(),
        () = dribble => panic!("the dribbler was borne"),
    };
    assert!(matches!(error, NetError::Slow), "{error}");
    assert!(start.elapsed() < Limits::default().stream_idle + Duration::from_secs(1));
    assert!(pair.dialled.is_open());
}

#[tokio::test(start_paused = true)]
async fn only_an_answer_may_take_long_to_begin() {
    let net = SimNet::new(4, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    let (mut request, mut answer) = pair.dialled.open_bi().await.unwrap();
    request.message(&Request::Register).await.unwrap();
    let (mut sender, mut receiver) = pair.accepted.accept_bi().await.unwrap();
    receiver.message::<Request>().await.unwrap();
    let hour = async {
        sleep(Duration::from_secs(3600)).await;
        sender.message(&Reply::Registered { index: 0 }).await.unwrap();
    };
    let (answer, ()) = tokio::join!(answer.answer::<Reply>(), hour);
    answer.unwrap();
    let error = soon(receiver.message::<Request>()).await.unwrap_err();
    assert!(matches!(error, NetError::Slow), "{error}");
}

#[tokio::test(start_paused = true)]
async fn half_open_handshakes_block_nobody() {
    let net = SimNet::new(5, Weather::FAIR);
    let limits = Limits { half_open: 8, ..Limits::default() };
    let server = simulated(&net, SERVER, limits.clone());
    // More than there are unproven places; each says hello and then nothing more, though it is answered.
    let silent: Vec<_> = (1..=4).map(|number| simulated_client(&net, number)).collect();
    let attempts: Vec<_> = silent
        .iter()
        .map(|client| {
            let (client, to) = (client.clone(), address(&server));
            tokio::spawn(async move { client.connect(&to, identity(SERVER), Dial::Client).await.is_ok() })
        })
        .collect();
    // The hellos arrive, the answers do not.
    sleep(Weather::FAIR.latency + Duration::from_millis(1)).await;
    (1..=4).for_each(|number| net.cut(at(number)));

    let start = Instant::now();
    let client = simulated_client(&net, 9);
    connect(&client, &server, Dial::Client).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(server.accept().await.unwrap().peer(), identity(9));
    for attempt in attempts {
        assert!(!attempt.await.unwrap());
    }
}

#[tokio::test]
async fn garbage_from_strangers_disturbs_nobody() {
    let pair = Pair::loopback().await;
    let stranger = std::net::UdpSocket::bind(loopback()).unwrap();
    let mut random = Csprng::seed_from_u64(6);
    let to = pair.server.local_addr().unwrap();
    for i in 0..2000 {
        let mut datagram = vec![0; 1 + random.next_u32() as usize % 1400];
        random.fill_bytes(&mut datagram);
        // Now and then something that begins like QUIC 1: a short header, an initial packet.
        match i % 4 {
            0 => datagram[0] = 0x40 | datagram[0] & 0x3f,
            1 if datagram.len() > 1200 => datagram[..6].copy_from_slice(&[0xc0, 0, 0, 0, 1, 8]),
            _ => {}
        }
        stranger.send_to(&datagram, to).unwrap();
    }
    let exchange = async {
        let (mut sender, mut receiver) = pair.stream(&[1; 100_000]).await;
        sender.message(&Request::Register).await.unwrap();
        sender.finish().unwrap();
        receiver.raw(&mut [0; 100_000]).await.unwrap();
        receiver.message::<Request>().await.unwrap();
        receiver.end().await.unwrap();
        connect(&dialling(2), &pair.server, Dial::Client).await.unwrap();
    };
    soon(exchange).await;
    assert!(pair.dialled.is_open() && pair.accepted.is_open());
    assert!(!pair.client.is_closed());
}

#[tokio::test]
async fn a_raised_mtu_is_found_and_carries_batches() {
    let limits = Limits { mtu: Some(6000), ..Limits::default() };
    let client = Endpoint::bind(config(1, None, limits.clone())).unwrap();
    let pair = Pair::dialled_as(Dial::Mix, server(limits), client).await;
    pair.accepted.allow_mix();
    let batch = vec![3; 8 << 20];
    let send = async {
        let (mut sender, _) = pair.dialled.open_bi().await.unwrap();
        sender.raw(&batch).await.unwrap();
        sender.finish().unwrap();
    };
    let receive = async {
        let (_, mut receiver) = pair.accepted.accept_bi().await.unwrap();
        let mut got = vec![0; batch.len()];
        receiver.raw(&mut got).await.unwrap();
        receiver.end().await.unwrap();
        got
    };
    let ((), got) = soon(async { tokio::join!(send, receive) }).await;
    assert!(got == batch);
    let mtu = pair.dialled.link().quic.stats().path.current_mtu;
    assert!((1453..=6000).contains(&mtu), "{mtu}");
}
