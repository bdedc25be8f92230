//! Peers that break every rule.

use std::time::{Duration, Instant};

use mixnet::blame::{Evidence, Guilty, Offence, SignedStatement};
use mixnet::crypto::Digest;
use mixnet::net::{Connection, Dial, NetError};
use mixnet::sim::{Loopback, Plan};
use mixnet::wire::{
    AbortReason, Attachment, Confirm, EpochCall, PeerMessage, Refusal, Reply, Request, Slot, Statement, frame,
};

use super::{plan, receive, rounds_go_on, send, start, stored};

/// Sends raw bytes as a request; the refusal, if the entry gives one, or what became of the stream.
async fn ask_raw(connection: &Connection, bytes: &[u8]) -> Result<Reply, NetError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.raw(bytes).await?;
    send.finish()?;
    receive.answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_of_every_kind_harm_nobody() {
    let home = tempfile::tempdir().expect("a directory");
    // Client 4 is admitted and hostile; the rounds are the others'.
    let plan = Plan { clients: 5, ..plan() };
    let mut network = Loopback::start(&plan, home.path()).expect("starts");
    for client in 0..4 {
        network.start_client(client).await.expect("starts");
    }
    let endpoint = network.endpoint(4).expect("a socket");
    let mixes = network.network.roster.mixes.clone();
    let entry = endpoint.connect(&mixes[0].address, mixes[0].identity, Dial::Client).await.expect("admitted");
    // With five registered the first epoch begins.
    let registered = ask_raw(&entry, &frame::write(&Request::Register)).await.expect("answered");
    assert_eq!(registered, Reply::Registered { index: 4 });
    rounds_go_on(&network, 1).await;

    let (packet, records) = (plan.geometry().packet(), network.network.records_length());
    let submit = frame::write(&Request::Submit { round: 1 });
    let requests = [
        Request::Register,
        Request::WaitForStart { epoch: u64::MAX },
        Request::NextRound { epoch: u64::MAX, after: u64::MAX, unsettled: 0 },
        Request::PollMessages { round: u64::MAX, capability: [0; 32], acknowledged: [0xff; 8], after: [0xff; 8] },
    ];
    let peer = PeerMessage::Abort { epoch: 1, round: 1, reason: AbortReason::Lost };
    let mut hostile: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![1],
        vec![0; 4],
        vec![0xff; 4],
        vec![0xff; 64],
        [&9u32.to_le_bytes(), [0xee; 9].as_slice()].concat(),
        frame::write(&peer),
        submit.clone(),
        [submit.as_slice(), &vec![0; packet]].concat(),
        [submit.as_slice(), &vec![0; packet * 2 + 1]].concat(),
        [submit.as_slice(), &vec![0; packet * 2]].concat(),
        [submit.as_slice(), &vec![0; packet * 2 + records - 1]].concat(),
        [submit.as_slice(), &vec![0; packet * 2 + records + 1]].concat(),
    ];
    hostile.extend(requests.iter().map(|request| [frame::write(request), vec![0]].concat()));
    hostile.extend(requests.iter().map(|request| {
        let mut cut = frame::write(request);
        cut.pop();
        cut
    }));
    for bytes in &hostile {
        let asked = tokio::time::timeout(Duration::from_secs(30), ask_raw(&entry, bytes)).await.expect("no stall");
        assert!(matches!(asked, Err(_) | Ok(Reply::Refused(_))), "{asked:?} to {} bytes", bytes.len());
    }
    // Exactly the bytes of a submission are read as one.
    let whole = [submit.as_slice(), &vec![0; packet * 2 + records]].concat();
    assert_eq!(ask_raw(&entry, &whole).await.expect("answered"), Reply::Refused(Refusal::Late));
    let wrong = ask_raw(&entry, &frame::write(&requests[3])).await.expect("answered");
    assert_eq!(wrong, Reply::Refused(Refusal::WrongMix));
    let exit = endpoint.connect(&mixes[2].address, mixes[2].identity, Dial::Client).await.expect("admitted");
    let polled = ask_raw(&exit, &frame::write(&requests[3])).await.expect("answered");
    assert_eq!(polled, Reply::Refused(Refusal::NotOnRoster), "nobody's capability");
    assert!(entry.is_open(), "a client's nonsense costs it the stream, not the network");

    rounds_go_on(&network, 2).await;
    send(&network, 0, "client-2", b"unharmed").await;
    assert_eq!(receive(&network, 1).await, [(Some("client-1".into()), b"unharmed".to_vec())]);
    let counted = network.observer(0).expect("runs").status().await.expect("runs").mix.rejected;
    assert!(counted["malformed"] as usize >= hostile.len() - 1, "{counted:?}");
    assert!(counted.contains_key("wrong_mix"), "{counted:?}");
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_in_the_handshake_and_the_middle_takes_nothing_but_what_is_handed_over() {
    let home = tempfile::tempdir().expect("a directory");
    let network = start(&plan(), 4, home.path()).await;
    let other = tempfile::tempdir().expect("a directory");
    let foreign = Loopback::start(&Plan { seed: 99, ..plan() }, other.path()).expect("starts");
    let stranger = foreign.endpoint(0).expect("a socket");
    for mix in &network.network.roster.mixes {
        let refused = stranger.connect(&mix.address, mix.identity, Dial::Client).await;
        assert!(matches!(refused, Err(NetError::NotAdmitted)), "{:?}", refused.err());
    }
    let middle = &network.network.roster.mixes[1];
    let client = network.endpoint(0).expect("a socket");
    let link = client.connect(&middle.address, middle.identity, Dial::Client).await.expect("a client is let in");
    for request in [Request::Register, Request::WaitForStart { epoch: 0 }] {
        let answer = ask_as(&link, None, &request).await;
        assert!(matches!(answer, Ok(Reply::Refused(Refusal::WrongMix))), "{answer:?}");
    }
    rounds_go_on(&network, 2).await;
    foreign.stop().await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_overtakes_a_hello_is_not_lost() {
    let home = tempfile::tempdir().expect("a directory");
    let mut network = Loopback::start(&plan(), home.path()).expect("starts");
    network.stop_mix(0).await;
    let exit = network.network.roster.mixes[2].clone();
    let entry = network.mix_endpoint(0).expect("a socket");
    let link = entry.connect(&exit.address, exit.identity, Dial::Mix).await.expect("admitted");
    let rounds = network.network.parameters.epoch_rounds;
    let call = PeerMessage::EpochCall(EpochCall { epoch: 1, previous: None, first_round: 1, rounds });
    let hello = PeerMessage::Hello { boot: [1; 16], epoch: 0 };
    for message in [call, hello] {
        let mut stream = link.open_uni().await.expect("open");
        stream.message(&message).await.expect("sent");
        stream.finish().expect("sent");
        // So that the call really is there first; nothing goes wrong if it is not.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let answered = async {
        loop {
            let message = link.accept_uni().await.expect("open").message().await.expect("a message");
            if let PeerMessage::EpochKeys { epoch, .. } = message {
                return epoch;
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), answered).await, Ok(1));
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mix_that_signs_two_things_for_one_stops_the_network_until_operators_act() {
    let home = tempfile::tempdir().expect("a directory");
    let mut network = start(&plan(), 4, home.path()).await;
    rounds_go_on(&network, 2).await;
    let exit = network.network.roster.mixes[2].clone();
    let epoch = network.observer(2).expect("runs").status().await.expect("runs").mix.epoch;
    network.stop_mix(1).await;
    // Who has taken the mix over signs two confirms of one round, and somebody shows both.
    let confirm = |transcript| {
        let slot = Slot { network: network.network.id(), epoch, round: 1 };
        let confirm = Confirm { slot, transcript: Digest([transcript; 32]), grounds: Digest([0; 32]) };
        let signature = confirm.sign(network.mix_key(1));
        SignedStatement::Confirm { hop: 2, confirm, signature }
    };
    let evidence = Evidence::equivocation(None, confirm(1), confirm(2)).expect("they differ");
    let taken_over = network.mix_endpoint(1).expect("a socket");
    let link = taken_over.connect(&exit.address, exit.identity, Dial::Mix).await.expect("admitted");
    let hello = PeerMessage::Hello { boot: [1; 16], epoch: 0 };
    for message in [hello, PeerMessage::Evidence { file: evidence.to_file() }] {
        let mut stream = link.open_uni().await.expect("open");
        stream.message(&message).await.expect("sent");
        stream.finish().expect("sent");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // The other mixes have it from the exit.
    let until = Instant::now() + Duration::from_secs(30);
    for mix in [0, 2] {
        let observer = network.observer(mix).expect("runs");
        while observer.status().await.expect("runs").mix.stopped.is_none() {
            assert!(Instant::now() < until, "mix {mix} goes on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let kept = || std::fs::read_dir(network.evidence(mix)).into_iter().flatten().flatten().map(|file| file.path());
        let kept = || kept().find(|path| path.extension().is_some_and(|it| it == "evidence"));
        while kept().is_none() {
            assert!(Instant::now() < until, "mix {mix} writes no file");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let file = std::fs::read(kept().expect("there")).expect("read");
        let finding = Evidence::from_file(&file).expect("whole").verify(&network.network).expect("holds");
        assert_eq!((finding.guilty, finding.offence), (Guilty::Mix(2), Offence::Equivocation));
    }
    // Also with the mix back nothing moves, until the operators of the others say so.
    drop(link);
    taken_over.close().await;
    network.start_mix(1).expect("starts");
    let before = stored(&network).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stored(&network).await, before);
    for mix in [0, 2] {
        assert_eq!(network.observer(mix).expect("runs").resume().await, Some(true));
        assert_eq!(network.observer(mix).expect("runs").readmit("client-1".into()).await, Some(false));
    }
    rounds_go_on(&network, 2).await;
    network.stop().await;
}

/// Asks over a stream of its own, for the attached client `of` if there is one.
async fn ask_as(connection: &Connection, of: Option<u32>, request: &Request) -> Result<Reply, NetError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    if let Some(client) = of {
        send.message(&Request::As { client: client.to_le_bytes() }).await?;
    }
    send.message(request).await?;
    send.finish()?;
    receive.answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_speaks_only_for_clients_that_signed_its_own_keys() {
    let home = tempfile::tempdir().expect("a directory");
    let network = start(&plan(), 0, home.path()).await;
    let endpoint = network.endpoint(0).expect("a socket");
    let entry = &network.network.roster.mixes[0];
    let dial = async || endpoint.connect(&entry.address, entry.identity, Dial::Client).await.expect("admitted");
    let attachment = |connection: &Connection, client: u32| Attachment {
        network: network.network.id(),
        client,
        binding: connection.binding().expect("it stands"),
    };
    let refused = Ok(Reply::Refused(Refusal::NotRegistered));
    let same = |a: &Result<Reply, NetError>, b: &Result<Reply, NetError>| match (a, b) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };

    // For a client that has not signed nothing is done, and a signature over another connection's keys is none.
    let former = dial().await;
    let stale = attachment(&former, 1).sign(&network.client_key(1));
    let connection = dial().await;
    assert!(same(&ask_as(&connection, Some(1), &Request::Register).await, &refused));
    let wrong = [
        (1, stale),
        (1, attachment(&connection, 1).sign(&network.client_key(0))),
        (2, attachment(&connection, 1).sign(&network.client_key(1))),
    ];
    for (client, signature) in wrong {
        let connection = dial().await;
        let answer = ask_as(&connection, None, &Request::Attach { client, signature }).await;
        assert!(!matches!(answer, Ok(Reply::Attached { .. })), "{answer:?}");
        assert!(!matches!(ask_as(&connection, Some(client), &Request::Register).await, Ok(Reply::Registered { .. })));
        assert!(!connection.is_open(), "it cost a signature to find out, once");
    }

    // With it the connection speaks for both, each under its own name.
    let connection = dial().await;
    let signature = attachment(&connection, 1).sign(&network.client_key(1));
    for _twice in 0..2 {
        let attached = ask_as(&connection, None, &Request::Attach { client: 1, signature }).await;
        assert!(matches!(attached, Ok(Reply::Attached { index: 1 })), "{attached:?}");
    }
    for (of, index) in [(None, 0), (Some(0), 0), (Some(1), 1)] {
        let registered = ask_as(&connection, of, &Request::Register).await;
        assert!(matches!(registered, Ok(Reply::Registered { index: told }) if told == index), "{registered:?}");
    }
    assert!(same(&ask_as(&connection, Some(2), &Request::Register).await, &refused));
    let nobody = Request::Attach { client: 4, signature };
    assert!(matches!(ask_as(&connection, None, &nobody).await, Ok(Reply::Refused(Refusal::NotOnRoster))));
    // A name within a name is none.
    let twice = ask_as(&connection, Some(1), &Request::As { client: [0; 4] }).await;
    assert!(matches!(twice, Ok(Reply::Refused(Refusal::Malformed))), "{twice:?}");

    // The client comes by itself: from now on it is there and nowhere else.
    let own = network.endpoint(1).expect("a socket");
    let own = own.connect(&entry.address, entry.identity, Dial::Client).await.expect("admitted");
    assert!(matches!(ask_as(&own, None, &Request::Register).await, Ok(Reply::Registered { index: 1 })));
    assert!(same(&ask_as(&connection, Some(1), &Request::Register).await, &refused));
    assert!(matches!(ask_as(&connection, None, &Request::Register).await, Ok(Reply::Registered { index: 0 })));
    network.stop().await;
}
