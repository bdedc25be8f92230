//! Bytes over quinn and nothing else: written from where they lie, counted as they come, kept nowhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use mixnet::net::Limits;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::PrivateKeyDer;
use rustls::version::TLS13;
use socket2::{Domain, Protocol, Socket, Type};

use crate::ends::{Ends, Took};

/// Bytes of a write, as our link has it.
const WRITE_BYTES: usize = 256 << 10;
/// Chunks taken at a time, as many as quinn's own benchmark takes.
const CHUNKS: usize = 32;

pub(crate) struct Bare {
    ends: Ends,
    _endpoints: (Endpoint, Endpoint),
    from: Connection,
    to: Connection,
    bytes: Bytes,
}

impl Bare {
    /// Transport, socket buffers, cipher suite and key exchange are those of links between mixes.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let ends = Ends::new();
        let key = rcgen::generate_simple_self_signed(["bench.invalid".to_owned()]).expect("a certificate");
        let certificate = key.cert.der().clone();
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key");
        let server = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], private)
            .expect("a certificate and its key");
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a certificate");
        let client = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();

        let limits = Limits::default();
        let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server).expect("a suite")));
        server.transport_config(limits.dialling());
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).expect("a suite")));
        client.transport_config(limits.dialling());

        let accepting = ends.receiver.runtime.block_on(async { endpoint(&limits, Some(server)) });
        let dialling = ends.sender.runtime.block_on(async { endpoint(&limits, None) });
        let address = accepting.local_addr().expect("an address");
        let acceptor = accepting.clone();
        let accepted = ends
            .receiver
            .runtime
            .spawn(async move { acceptor.accept().await.expect("a connection comes").await.expect("a handshake") });
        let connecting = dialling.clone();
        let connected = ends.sender.runtime.spawn(async move {
            connecting.connect_with(client, address, "bench.invalid").expect("a dial").await.expect("a handshake")
        });
        let to = ends.receiver.runtime.block_on(accepted).expect("a connection");
        let from = ends.sender.runtime.block_on(connected).expect("a connection");
        Self { ends, _endpoints: (accepting, dialling), from, to, bytes: bytes.into() }
    }

    /// What is sent arrives.
    pub(crate) fn check(&self) {
        assert!(self.transfer(true).1 == self.bytes, "bare quinn brings something else");
    }

    pub(crate) fn carry(&self) -> Took {
        self.transfer(false).0
    }

    fn transfer(&self, kept: bool) -> (Took, Vec<u8>) {
        let (from, to, bytes, length) = (self.from.clone(), self.to.clone(), self.bytes.clone(), self.bytes.len());
        let send = async move {
            let mut stream = from.open_uni().await.expect("a stream");
            for at in (0..bytes.len()).step_by(WRITE_BYTES) {
                let write = bytes.slice(at..bytes.len().min(at + WRITE_BYTES));
                stream.write_chunk(write).await.expect("it is taken");
            }
            stream.finish().expect("it ends");
        };
        let receive = async move {
            let mut stream = to.accept_uni().await.expect("a stream");
            let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
            let (mut came, mut all) = (0, Vec::new());
            while let Some(count) = stream.read_chunks(&mut chunks).await.expect("it comes") {
                for chunk in &mut chunks[..count] {
                    came += chunk.len();
                    let chunk = std::mem::take(chunk);
                    if kept {
                        all.extend_from_slice(&chunk);
                    }
                }
            }
            (came, all)
        };
        let (took, (came, all)) = self.ends.transfer(send, receive);
        assert_eq!(came, length, "all of it comes");
        (took, all)
    }
}

fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    Arc::new(CryptoProvider { cipher_suites, kx_groups, ..aws_lc_rs::default_provider() })
}

fn endpoint(limits: &Limits, server: Option<ServerConfig>) -> Endpoint {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    // What the kernel grants is the same for both.
    let _ = socket.set_recv_buffer_size(limits.socket_buffer);
    let _ = socket.set_send_buffer_size(limits.socket_buffer);
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    Endpoint::new(EndpointConfig::default(), server, socket.into(), Arc::new(TokioRuntime)).expect("an endpoint")
}
