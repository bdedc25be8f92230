//! Endpoints against each other, on loopback and on the simulated network.

mod handshake;
mod limits;
mod simulated;
mod streams;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::{Runtime, TokioRuntime};

use super::{sim::SimNet, tls::Offer, *};
use crate::crypto::{Identity, IdentityKey};

/// The identity of the endpoint that accepts; diallers are 1, 2, ...
const SERVER: u8 = 100;
/// An identity that nobody admits.
const STRANGER: u8 = 50;

fn key(number: u8) -> Arc<IdentityKey> {
    Arc::new(IdentityKey::from_seed(&[number; 32]))
}

fn identity(number: u8) -> Identity {
    key(number).identity()
}

fn config(number: u8, listen: Option<SocketAddr>, limits: Limits) -> EndpointConfig {
    let stranger = identity(STRANGER);
    EndpointConfig { listen, identity: key(number), admit: Arc::new(move |who| *who != stranger), limits }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn server(limits: Limits) -> Endpoint {
    Endpoint::bind(config(SERVER, Some(loopback()), limits)).unwrap()
}

fn server_offering(offer: Offer) -> Endpoint {
    let socket = std::net::UdpSocket::bind(loopback()).unwrap();
    let socket = TokioRuntime.wrap_udp_socket(socket).unwrap();
    Endpoint::new(config(SERVER, Some(loopback()), Limits::default()), socket, offer).unwrap()
}

fn dialling(number: u8) -> Endpoint {
    Endpoint::bind(config(number, None, Limits::default())).unwrap()
}

fn address(endpoint: &Endpoint) -> String {
    endpoint.local_addr().unwrap().to_string()
}

async fn connect(from: &Endpoint, to: &Endpoint, dial: Dial) -> Result<Connection, NetError> {
    from.connect(&address(to), identity(SERVER), dial).await
}

/// Two endpoints and both ends of a connection between them.
struct Pair {
    server: Endpoint,
    client: Endpoint,
    /// The server's end.
    accepted: Connection,
    /// The client's end.
    dialled: Connection,
}

impl Pair {
    async fn new(server: Endpoint, client: Endpoint) -> Self {
        Self::dialled_as(Dial::Client, server, client).await
    }

    async fn dialled_as(dial: Dial, server: Endpoint, client: Endpoint) -> Self {
        let dialled = connect(&client, &server, dial).await.unwrap();
        let accepted = server.accept().await.unwrap();
        Self { server, client, accepted, dialled }
    }

    async fn loopback() -> Self {
        Self::new(server(Limits::default()), dialling(1)).await
    }

    async fn simulated(net: &SimNet) -> Self {
        Self::new(simulated_server(net), simulated_client(net, 1)).await
    }

    /// A stream from the client, on which it has sent `bytes` and no end, and the server's half of it.
    async fn stream(&self, bytes: &[u8]) -> (Sender, Receiver) {
        let (mut sender, _) = self.dialled.open_bi().await.unwrap();
        sender.raw(bytes).await.unwrap();
        (sender, self.accepted.accept_bi().await.unwrap().1)
    }
}

/// Fails instead of waiting for ever.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

fn at(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 4000))
}

fn simulated(net: &SimNet, number: u8, limits: Limits) -> Endpoint {
    let listen = (number == SERVER).then(|| at(number));
    Endpoint::on_socket(config(number, listen, limits), net.socket(at(number))).unwrap()
}

fn simulated_server(net: &SimNet) -> Endpoint {
    simulated(net, SERVER, Limits::default())
}

fn simulated_client(net: &SimNet, number: u8) -> Endpoint {
    simulated(net, number, Limits::default())
}
