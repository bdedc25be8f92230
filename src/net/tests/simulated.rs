use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};

use super::*;
use crate::{crypto::Csprng, net::sim::Weather, wire::Request};

const FOUL: Weather =
    Weather { latency: Duration::from_millis(40), jitter: Duration::from_millis(20), loss: 0.1, duplication: 0.1 };

#[tokio::test(start_paused = true)]
async fn a_stream_survives_foul_weather() {
    let net = SimNet::new(7, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    net.set_weather(FOUL);
    let mut sent = vec![0; 1 << 20];
    Csprng::seed_from_u64(7).fill_bytes(&mut sent);
    let start = Instant::now();
    let send = async {
        let (mut sender, _) = pair.dialled.open_bi().await.unwrap();
        sender.raw(&sent).await.unwrap();
        sender.finish().unwrap();
    };
    let receive = async {
        let (_, mut receiver) = pair.accepted.accept_bi().await.unwrap();
        let mut got = vec![0; sent.len()];
        receiver.raw(&mut got).await.unwrap();
        receiver.end().await.unwrap();
        got
    };
    let ((), got) = tokio::join!(send, receive);
    assert!(got == sent);
    // A megabyte on a clean link takes a second; here the weather was felt.
    assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_the_connection_and_the_dialler_comes_back() {
    let net = SimNet::new(8, Weather::FAIR);
    let server = simulated_server(&net);
    let client = simulated_client(&net, 1);
    let mut dialler = Dialler::new(client.clone(), address(&server), identity(SERVER), Dial::Mix, Backoff::default());
    let first = dialler.next().await.unwrap();
    let accepted = server.accept().await.unwrap();
    // Idle, but kept alive.
    sleep(Duration::from_secs(600)).await;
    assert!(first.is_open() && accepted.is_open());

    net.cut(at(SERVER));
    let start = Instant::now();
    // It begins anew with the first keep-alive that gets no answer (RFC 9000, section 10.1).
    let idle = Limits::default().idle_timeout + Limits::default().keep_alive;
    for end in [&first, &accepted] {
        let error = soon(end.closed()).await;
        assert!(matches!(error, NetError::Silent), "{error}");
        assert!(start.elapsed() <= idle + Duration::from_secs(1), "{:?}", start.elapsed());
    }
    let heal = async {
        sleep(Duration::from_secs(300)).await;
        net.heal(at(SERVER));
        Instant::now()
    };
    let (second, healed) = tokio::join!(dialler.next(), heal);
    assert!(second.unwrap().is_open());
    let longest = Backoff::default().cap + Limits::default().handshake_timeout + Duration::from_secs(1);
    assert!(healed.elapsed() <= longest, "{:?}", healed.elapsed());
    assert!(dialler.error().is_none());

    client.close().await;
    assert!(dialler.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_dialler_pauses_longer_after_each_failure() {
    let net = SimNet::new(9, Weather::FAIR);
    let client = simulated_client(&net, STRANGER);
    let server = simulated_server(&net);
    let mut dialler = Dialler::new(client, address(&server), identity(SERVER), Dial::Client, Backoff::default());
    // Refused at once each time: only the pauses bound how often it tries.
    tokio::select! {
        _ = dialler.next() => panic!("a stranger is refused"),
        () = sleep(Duration::from_secs(600)) => {}
    }
    assert!(matches!(dialler.error(), Some(NetError::NotAdmitted)));
    let attempts = server.handshakes();
    assert!((60..300).contains(&attempts), "{attempts} in 600 s");
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_noticed_before_the_idle_timeout() {
    let net = SimNet::new(10, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    // The old process is dead without a word; a new one has its address and its key.
    let _new = simulated_server(&net);
    let start = Instant::now();
    let (mut sender, _) = pair.dialled.open_bi().await.unwrap();
    sender.message(&Request::Register).await.unwrap();
    let error = soon(pair.dialled.closed()).await;
    assert!(matches!(error, NetError::Restarted), "{error}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn closing_delivers_what_was_sent() {
    let net = SimNet::new(11, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    let sent = vec![5; 200_000];
    let (mut sender, _) = pair.dialled.open_bi().await.unwrap();
    sender.raw(&sent).await.unwrap();
    sender.finish().unwrap();
    let receive = async {
        let (_, mut receiver) = pair.accepted.accept_bi().await.unwrap();
        let mut got = vec![0; sent.len()];
        receiver.raw(&mut got).await.unwrap();
        receiver.end().await.unwrap();
        got
    };
    let ((), got) = tokio::join!(pair.client.close(), receive);
    assert!(got == sent);
    let error = soon(pair.accepted.closed()).await;
    assert!(matches!(error, NetError::ClosedByPeer(CloseReason::Stopping)), "{error}");
}

/// Whoever has received much and acknowledged it in padded datagrams can still answer at once: those count as bytes in
/// flight until they are acknowledged in turn.
#[tokio::test(start_paused = true)]
async fn what_is_held_for_a_stream_goes_when_all_of_it_has_arrived() {
    let net = SimNet::new(12, Weather::FAIR);
    let pair = Pair::simulated(&net).await;
    let (sender, _receiver) = pair.stream(&[5; 1000]).await;
    net.cut(at(SERVER));
    let (held, mut gone) = tokio::sync::oneshot::channel::<()>();
    sender.finish_holding(held).unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(3), &mut gone).await.is_err(), "nothing arrives");
    net.heal(at(SERVER));
    assert!(soon(gone).await.is_err(), "dropped without a word");
    assert!(pair.dialled.is_open());
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_behind_padded_acknowledgements() {
    for bytes in [1 << 12, 1 << 16, 1 << 18, 1 << 20, 4 << 20] {
        let net = SimNet::new(9, Weather::FAIR);
        let pair = Pair::simulated(&net).await;
        let started = Instant::now();
        let ask = async {
            let (mut sender, mut receiver) = pair.dialled.open_bi().await.unwrap();
            sender.raw(&vec![7; bytes]).await.unwrap();
            sender.finish().unwrap();
            receiver.raw(&mut [0; 4096]).await.unwrap();
            receiver.end().await.unwrap();
            started.elapsed()
        };
        let answer = async {
            let (mut sender, mut receiver) = pair.accepted.accept_bi().await.unwrap();
            receiver.raw(&mut vec![0; bytes]).await.unwrap();
            receiver.end().await.unwrap();
            let taken = started.elapsed();
            sender.raw(&[8; 4096]).await.unwrap();
            sender.finish().unwrap();
            taken
        };
        let (done, taken) = soon(async { tokio::join!(ask, answer) }).await;
        // The way back is 20 ms; a side that waits for room waits for the other's next acknowledgement.
        assert!(done - taken < Duration::from_millis(30), "{bytes}: answered {:?} later", done - taken);
    }
}

/// Requests, answers, bulk either way, keep-alives, loss and what is sent again for it, and the close.
async fn varied_talk(net: &SimNet, pair: &Pair) {
    for (bytes, weather) in [(1, Weather::FAIR), (3000, Weather::FAIR), (200_000, FOUL), (1, FOUL)] {
        net.set_weather(weather);
        let ask = async {
            let (mut sender, mut receiver) = pair.dialled.open_bi().await.unwrap();
            sender.raw(&vec![7; bytes]).await.unwrap();
            sender.finish().unwrap();
            receiver.raw(&mut vec![0; 2 * bytes]).await.unwrap();
        };
        let answer = async {
            let (mut sender, mut receiver) = pair.accepted.accept_bi().await.unwrap();
            receiver.raw(&mut vec![0; bytes]).await.unwrap();
            sender.raw(&vec![8; 2 * bytes]).await.unwrap();
            sender.finish().unwrap();
        };
        tokio::join!(ask, answer);
        sleep(Duration::from_secs(12)).await;
    }
    pair.dialled.close(CloseReason::Stopping);
    soon(pair.accepted.closed()).await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_of_a_clients_link_have_one_size_whatever_they_carry() {
    for (dial, seed) in [(Dial::Client, 10), (Dial::Mix, 11)] {
        let net = SimNet::new(seed, Weather::FAIR);
        let pair = Pair::dialled_as(dial, simulated_server(&net), simulated_client(&net, 1)).await;
        sleep(Duration::from_secs(1)).await;
        let _handshake = net.take_sizes();
        varied_talk(&net, &pair).await;
        let sizes = net.take_sizes();
        // A mix's link, which is not padded, is the control: the same talk shows.
        match dial {
            Dial::Client => assert_eq!(sizes.keys().collect::<Vec<_>>(), [&1200], "{sizes:?}"),
            Dial::Mix => assert!(sizes.len() > 10, "{sizes:?}"),
        }
    }
}
