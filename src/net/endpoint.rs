//! One UDP socket with an identity: accepts and dials connections.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Weak},
    time::Duration,
};

use aws_lc_rs::hmac;
use quinn::{
    AsyncUdpSocket, ClientConfig, ConnectionId, ConnectionIdGenerator, NoneTokenStore, Runtime, ServerConfig,
    TokioRuntime, ValidationTokenConfig,
};
use rand::Rng;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::lookup_host,
    sync::{Mutex, mpsc},
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    CloseReason, Connection, Limits, NetError,
    accept::Acceptor,
    backlog::Backlog,
    tls::{Credentials, Offer},
    uniform,
};
use crate::{
    crypto::{Csprng, Identity, IdentityKey, os_csprng},
    wire::Layout,
};

/// Which identities may connect. Asked in the handshake, often and from any thread: it must answer at once.
pub type Admit = Arc<dyn Fn(&Identity) -> bool + Send + Sync>;

/// What an [`Endpoint`] is made from.
#[derive(Clone)]
pub struct EndpointConfig {
    /// Where to accept connections; `None` only dials.
    pub listen: Option<SocketAddr>,
    /// Who we are.
    pub identity: Arc<IdentityKey>,
    /// Who may connect to us.
    pub admit: Admit,
    /// What peers are granted.
    pub limits: Limits,
}

/// In which role we dial; the peer is always a mix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dial {
    /// As a mix: the link must be post-quantum.
    Mix,
    /// As a client: post-quantum if the mix can.
    Client,
}

/// A handle to a bound socket and its connections; clones are the same endpoint.
///
/// When the last handle is dropped all connections close, without waiting for anything.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    quic: quinn::Endpoint,
    credentials: Credentials,
    limits: Arc<Limits>,
    dialling_as_mix: Arc<quinn::TransportConfig>,
    dialling_as_client: Arc<quinn::TransportConfig>,
    accepted: Mutex<mpsc::Receiver<Connection>>,
    unacknowledged: TaskTracker,
    socket: Weak<dyn AsyncUdpSocket>,
}

/// Connections that stand and wait to be taken by [`Endpoint::accept`]; behind them handshakes queue in their places.
const ACCEPT_QUEUE: usize = 64;
/// What [`Endpoint::close`] waits for sent bytes and for goodbyes, each: a few round trips of any path.
const CLOSING: Duration = Duration::from_secs(2);
/// How often [`Endpoint::release`] looks: what drives the socket says nothing when it drops it.
const LOOK: Duration = Duration::from_millis(5);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;
/// In place of a server name, which is never sent: peers are known by their keys.
const NO_NAME: &str = "mixnet.invalid";

impl Endpoint {
    /// Binds a socket and begins to accept, if asked to. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`NetError::Bind`], [`NetError::Key`] or [`NetError::Mtu`].
    pub fn bind(config: EndpointConfig) -> Result<Self, NetError> {
        let socket = match config.listen {
            Some(address) => udp(address, &config.limits),
            // Both families, or what there is.
            None => udp((Ipv6Addr::UNSPECIFIED, 0).into(), &config.limits)
                .or_else(|_| udp((Ipv4Addr::UNSPECIFIED, 0).into(), &config.limits)),
        };
        let socket = socket.and_then(|socket| TokioRuntime.wrap_udp_socket(socket)).map_err(NetError::Bind)?;
        Self::new(config, Backlog::behind(socket), Offer::accepted())
    }

    /// [`Endpoint::bind`] on a socket of a simulated network.
    ///
    /// # Errors
    /// As [`Endpoint::bind`].
    #[cfg(any(test, feature = "sim"))]
    pub fn on_socket(config: EndpointConfig, socket: Arc<dyn AsyncUdpSocket>) -> Result<Self, NetError> {
        Self::new(config, socket, Offer::accepted())
    }

    pub(super) fn new(config: EndpointConfig, socket: Arc<dyn AsyncUdpSocket>, offer: Offer) -> Result<Self, NetError> {
        config.limits.check()?;
        let EndpointConfig { listen, identity, admit, limits } = config;
        let limits = Arc::new(limits);
        let credentials = Credentials::new(&identity)?;
        let server = listen.map(|_| server_config(&credentials, admit, offer, &limits));
        let for_mixes = server.clone().map(|mut server| {
            server.transport_config(limits.accepting(Dial::Mix));
            Arc::new(server)
        });
        let handle = Arc::downgrade(&socket);
        let quic =
            quinn::Endpoint::new_with_abstract_socket(socket_config(&identity, &limits), server, socket, runtime())
                .map_err(NetError::Bind)?;
        let unacknowledged = TaskTracker::new();
        let (sender, accepted) = mpsc::channel(ACCEPT_QUEUE);
        if let Some(for_mixes) = for_mixes {
            let (quic, limits, unacknowledged) = (quic.clone(), limits.clone(), unacknowledged.clone());
            tokio::spawn(Acceptor { quic, for_mixes, limits, unacknowledged, accepted: sender }.run());
        }
        Ok(Self(Arc::new(Inner {
            quic,
            credentials,
            dialling_as_mix: limits.dialling(),
            dialling_as_client: limits.dialling_as_client(),
            limits,
            accepted: Mutex::new(accepted),
            unacknowledged,
            socket: handle,
        })))
    }

    /// The next connection of an admitted peer, with the allowance of a client; `None` once the endpoint is closed, or
    /// if it only dials.
    pub async fn accept(&self) -> Option<Connection> {
        self.0.accepted.lock().await.recv().await
    }

    /// Dials `address`, a `host:port`, and waits until the peer has admitted us. Several addresses of one name are
    /// tried in turn and share the handshake timeout.
    ///
    /// # Errors
    /// Each cause has its variant; with several addresses, that of the last one.
    pub async fn connect(&self, address: &str, expected: Identity, dial: Dial) -> Result<Connection, NetError> {
        self.connect_with(&self.0.credentials, address, expected, dial).await
    }

    /// As [`Endpoint::connect`], as the owner of `key` instead of the endpoint's own identity: one socket for many.
    ///
    /// # Errors
    /// As [`Endpoint::connect`]; [`NetError::Key`].
    pub async fn connect_as(
        &self,
        key: &IdentityKey,
        address: &str,
        expected: Identity,
        dial: Dial,
    ) -> Result<Connection, NetError> {
        self.connect_with(&Credentials::new(key)?, address, expected, dial).await
    }

    async fn connect_with(
        &self,
        own: &Credentials,
        address: &str,
        expected: Identity,
        dial: Dial,
    ) -> Result<Connection, NetError> {
        let addresses = self.resolve(address).await?;
        let share = self.0.limits.handshake_timeout / addresses.len() as u32;
        let mut result = Err(NetError::NoAddress(address.into()));
        for address in addresses {
            let dialled = timeout(share, self.dial(own, address, expected, dial)).await;
            result = dialled.unwrap_or(Err(NetError::Unreachable));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Where the socket is bound.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.quic.local_addr()
    }

    /// Whether [`Endpoint::close`] has been called.
    pub fn is_closed(&self) -> bool {
        self.0.unacknowledged.is_closed()
    }

    /// Waits until peers have what was sent on finished streams, then closes all connections as
    /// [`CloseReason::Stopping`] and waits until the peers can know; 2 s for each at most. Until the streams are
    /// through, connections work as before.
    pub async fn close(&self) {
        self.0.unacknowledged.close();
        let _ = timeout(CLOSING, self.0.unacknowledged.wait()).await;
        self.0.quic.close(CloseReason::Stopping.code(), &[]);
        let _ = timeout(CLOSING, self.0.quic.wait_idle()).await;
    }

    /// Gives this handle back and waits until the socket is free for another to bind, which it is when all handles and
    /// connections are gone; 2 s at most.
    pub async fn release(self) {
        let socket = self.0.socket.clone();
        drop(self);
        let freed = async {
            while socket.strong_count() > 0 {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(CLOSING, freed).await;
    }

    /// Handshakes begun by others since the start.
    #[cfg(test)]
    pub(super) fn handshakes(&self) -> u64 {
        self.0.quic.stats().accepted_handshakes
    }

    async fn resolve(&self, address: &str) -> Result<Vec<SocketAddr>, NetError> {
        let failed = |source| NetError::Resolve { address: address.into(), source };
        let found = timeout(self.0.limits.handshake_timeout, lookup_host(address))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(failed)?;
        let both = self.local_addr().map_err(failed)?.is_ipv6();
        let usable: Vec<_> = found.filter(|address| both || address.is_ipv4()).take(MAX_ADDRESSES).collect();
        match usable.is_empty() {
            true => Err(NetError::NoAddress(address.into())),
            false => Ok(usable),
        }
    }

    async fn dial(
        &self,
        own: &Credentials,
        address: SocketAddr,
        expected: Identity,
        dial: Dial,
    ) -> Result<Connection, NetError> {
        match self.handshake_as(own, address, expected, dial, Offer::post_quantum()).await {
            Err(NetError::NoCommonGroup) if dial == Dial::Client => {
                self.handshake_as(own, address, expected, dial, Offer::fallback()).await
            }
            result => result,
        }
    }

    #[cfg(test)]
    pub(super) async fn handshake(
        &self,
        address: SocketAddr,
        expected: Identity,
        offer: Offer,
    ) -> Result<Connection, NetError> {
        self.handshake_as(&self.0.credentials, address, expected, Dial::Client, offer).await
    }

    async fn handshake_as(
        &self,
        own: &Credentials,
        address: SocketAddr,
        expected: Identity,
        dial: Dial,
        offer: Offer,
    ) -> Result<Connection, NetError> {
        let Inner { quic, limits, unacknowledged, .. } = &*self.0;
        let transport = match dial {
            Dial::Mix => &self.0.dialling_as_mix,
            Dial::Client => &self.0.dialling_as_client,
        };
        let mut config = ClientConfig::new(own.client(expected, offer));
        config.transport_config(transport.clone()).token_store(Arc::new(NoneTokenStore));
        if dial == Dial::Mix {
            config.initial_dst_cid_provider(Arc::new(uniform::mix_id));
        }
        let connection = quic.connect_with(config, address, NO_NAME)?.await?;
        admitted(&connection).await?;
        Connection::new(connection, limits.clone(), unacknowledged.clone())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.quic.close(CloseReason::Stopping.code(), &[]);
    }
}

/// A server looks at our key only after the handshake is complete on this side. Waits for its HANDSHAKE_DONE (RFC 9001,
/// section 4.1.2), of which quinn has but a count.
async fn admitted(connection: &quinn::Connection) -> Result<(), NetError> {
    let done = async {
        let mut pause = Duration::from_millis(1);
        while connection.stats().frame_rx.handshake_done == 0 {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    };
    tokio::select! {
        error = connection.closed() => Err(error.into()),
        () = done => Ok(()),
    }
}

pub(super) fn runtime() -> Arc<dyn Runtime> {
    Arc::new(TokioRuntime)
}

fn udp(address: SocketAddr, limits: &Limits) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // The kernel gives what it is configured to give; less is slower, not wrong.
    let _ = socket.set_recv_buffer_size(limits.socket_buffer);
    let _ = socket.set_send_buffer_size(limits.socket_buffer);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn server_config(credentials: &Credentials, admit: Admit, offer: Offer, limits: &Limits) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(credentials.server(admit, offer));
    let mut no_tokens = ValidationTokenConfig::default();
    no_tokens.sent(0);
    config
        .transport_config(limits.accepting(Dial::Client))
        .validation_token_config(no_tokens)
        // The acceptor takes what comes in at once, so few ever wait, and each with no more than its hello.
        .max_incoming(limits.half_open)
        .incoming_buffer_size(16 << 10)
        .incoming_buffer_size_total(4 << 20);
    config
}

fn socket_config(identity: &IdentityKey, limits: &Limits) -> quinn::EndpointConfig {
    // The same after a restart, so that peers of the old process learn at once that it is gone. Nobody else can have
    // this signature, and it is never shown.
    let secret = Layout::new("mixnet v1 stateless reset").sign(identity);
    let mut config = quinn::EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &secret.0)));
    config.cid_generator(|| Box::new(RandomIds(os_csprng()))).supported_versions(vec![QUIC_V1]);
    if let Some(mtu) = limits.mtu {
        config.max_udp_payload_size(mtu).expect("checked to be 1200 at least");
    }
    config
}

/// RFC 9000.
const QUIC_V1: u32 = 1;

/// Connection ids of 8 random bytes, which no restart can tell from those of the process before.
struct RandomIds(Csprng);

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; 8];
        self.0.fill_bytes(&mut id);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
