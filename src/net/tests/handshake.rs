use rustls::crypto::aws_lc_rs::kx_group;

use super::*;
use crate::net::{
    endpoint::runtime,
    tls::{Credentials, protocol, protocol_pq},
};

#[tokio::test]
async fn both_ends_know_each_other() {
    let pair = Pair::loopback().await;
    assert_eq!(pair.accepted.peer(), identity(1));
    assert_eq!(pair.dialled.peer(), identity(SERVER));
    assert!(pair.accepted.post_quantum() && pair.dialled.post_quantum());
}

#[tokio::test]
async fn both_ends_of_a_connection_and_nobody_else_know_its_binding() {
    let (server, client) = (server(Limits::default()), dialling(1));
    let first = Pair::new(server.clone(), client.clone()).await;
    let second = Pair::new(server, dialling(2)).await;
    let binding = |connection: &Connection| connection.binding().unwrap();
    assert_eq!(binding(&first.accepted), binding(&first.dialled));
    assert_eq!(binding(&second.accepted), binding(&second.dialled));
    assert_ne!(binding(&first.accepted), binding(&second.accepted));
    assert_ne!(binding(&first.accepted), [0; 32]);
}

#[tokio::test]
async fn one_socket_dials_as_whoever_it_has_the_key_of() {
    let (server, client) = (server(Limits::default()), dialling(1));
    for number in [3, 4] {
        let _dialled =
            client.connect_as(&key(number), &address(&server), identity(SERVER), Dial::Client).await.unwrap();
        assert_eq!(server.accept().await.unwrap().peer(), identity(number));
    }
    let stranger = client.connect_as(&key(STRANGER), &address(&server), identity(SERVER), Dial::Client).await;
    assert!(matches!(stranger.err(), Some(NetError::NotAdmitted)));
}

#[tokio::test]
async fn host_names_are_resolved() {
    let server = server(Limits::default());
    // A socket of IPv4, which passes over the addresses of IPv6 that the name has too.
    let client = Endpoint::bind(config(1, Some(loopback()), Limits::default())).unwrap();
    let name = format!("localhost:{}", server.local_addr().unwrap().port());
    client.connect(&name, identity(SERVER), Dial::Client).await.unwrap();

    let error = client.connect("no-such-host.invalid:1", identity(SERVER), Dial::Client).await.err().unwrap();
    assert!(matches!(error, NetError::Resolve { .. }), "{error}");
    let error = client.connect("[::1]:1", identity(SERVER), Dial::Client).await.err().unwrap();
    assert!(matches!(error, NetError::NoAddress(_)), "{error}");
}

#[tokio::test]
async fn strangers_are_refused_in_the_handshake() {
    let server = server(Limits::default());
    let error = connect(&dialling(STRANGER), &server, Dial::Client).await.err().unwrap();
    assert!(matches!(error, NetError::NotAdmitted), "{error}");

    let _client = connect(&dialling(1), &server, Dial::Client).await.unwrap();
    assert_eq!(server.accept().await.unwrap().peer(), identity(1), "the stranger was never handed out");
}

#[tokio::test]
async fn a_server_with_another_identity_is_refused() {
    let server = server(Limits::default());
    let client = dialling(1);
    for dial in [Dial::Client, Dial::Mix] {
        let error = client.connect(&address(&server), identity(7), dial).await.err().unwrap();
        assert!(matches!(error, NetError::WrongPeer), "{error}");
    }
}

#[tokio::test]
async fn nobody_passes_with_the_public_key_of_another() {
    let server = server(Limits::default());
    let socket = TokioRuntime.wrap_udp_socket(std::net::UdpSocket::bind(loopback()).unwrap()).unwrap();
    let quic = quinn::Endpoint::new_with_abstract_socket(Default::default(), None, socket, runtime()).unwrap();
    let mut errors = Vec::new();
    // An admitted key or the stranger's: the server's answer does not tell which is admitted.
    for other in [1, STRANGER] {
        let posing = Credentials::posing_as(&key(9), &identity(other));
        let config = quinn::ClientConfig::new(posing.client(identity(SERVER), Offer::post_quantum()));
        let to = server.local_addr().unwrap();
        let connection = quic.connect_with(config, to, "mixnet.invalid").unwrap().await.unwrap();
        errors.push(soon(connection.closed()).await.to_string());
    }
    assert_eq!(errors[0], errors[1]);

    let _client = connect(&dialling(2), &server, Dial::Client).await.unwrap();
    assert_eq!(server.accept().await.unwrap().peer(), identity(2));
}

#[tokio::test]
async fn another_protocol_version_is_refused_by_name() {
    let server = server(Limits::default());
    let offer = Offer { protocols: vec![b"mixnet/0".to_vec(), b"h3".to_vec()], ..Offer::post_quantum() };
    let error = dialling(1).handshake(server.local_addr().unwrap(), identity(SERVER), offer).await.err().unwrap();
    assert!(matches!(error, NetError::WrongVersion), "{error}");
}

fn without_mlkem() -> Endpoint {
    server_offering(Offer { groups: vec![kx_group::X25519], ..Offer::accepted() })
}

#[tokio::test]
async fn a_client_falls_back_and_says_so() {
    let pair = Pair::new(without_mlkem(), dialling(1)).await;
    assert!(!pair.dialled.post_quantum());
    assert!(!pair.accepted.post_quantum());
}

#[tokio::test]
async fn a_mix_does_not_fall_back() {
    let error = connect(&dialling(1), &without_mlkem(), Dial::Mix).await.err().unwrap();
    assert!(matches!(error, NetError::NoCommonGroup), "{error}");
}

#[tokio::test]
async fn nobody_is_post_quantum_by_name_alone() {
    for server in [server(Limits::default()), without_mlkem()] {
        let to = server.local_addr().unwrap();
        for groups in [vec![kx_group::X25519], vec![kx_group::X25519MLKEM768, kx_group::X25519]] {
            let lie = Offer { groups: groups.clone(), protocols: vec![protocol_pq()] };
            assert!(dialling(1).handshake(to, identity(SERVER), lie).await.is_err());
            let truth = Offer { groups, protocols: vec![protocol()] };
            assert!(!dialling(1).handshake(to, identity(SERVER), truth).await.unwrap().post_quantum());
        }
    }
}
