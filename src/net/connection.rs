//! One standing connection to one proven identity.

use std::{sync::Arc, time::Duration};

use quinn::crypto::rustls::HandshakeData;
use rustls::pki_types::CertificateDer;
use tokio_util::task::TaskTracker;

use super::{CloseReason, Limits, NetError, Receiver, Sender, stream::Patience, tls};
use crate::crypto::Identity;

/// A handle to a connection; clones are the same connection.
///
/// It closes, as [`CloseReason::Done`], when the last handle and the last of its streams are dropped.
#[derive(Clone)]
pub struct Connection(Arc<Link>);

/// Label of [`Connection::binding`]; nothing else in TLS or here uses it.
const BINDING_LABEL: &[u8] = b"EXPORTER-mixnet-attach";

/// What the handles share; the endpoint watches it without keeping it.
pub(super) struct Link {
    pub(super) quic: quinn::Connection,
    peer: Identity,
    post_quantum: bool,
    pub(super) limits: Arc<Limits>,
    /// Finished streams whose bytes the peer has not acknowledged.
    pub(super) unacknowledged: TaskTracker,
}

impl Connection {
    /// Takes a connection whose handshake is complete.
    pub(super) fn new(
        quic: quinn::Connection,
        limits: Arc<Limits>,
        unacknowledged: TaskTracker,
    ) -> Result<Self, NetError> {
        let peer = quic
            .peer_identity()
            .and_then(|keys| keys.downcast::<Vec<CertificateDer<'static>>>().ok())
            .and_then(|keys| tls::identity(keys.first()?))
            .ok_or(NetError::WrongPeer)?;
        let protocol = quic
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok())
            .and_then(|data| data.protocol)
            .ok_or(NetError::WrongVersion)?;
        let post_quantum = protocol == tls::protocol_pq();
        Ok(Self(Arc::new(Link { quic, peer, post_quantum, limits, unacknowledged })))
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.0
    }

    /// Who is at the other end, proven in the handshake.
    pub fn peer(&self) -> Identity {
        self.0.peer
    }

    /// Whether the keys come from a post-quantum exchange (X25519MLKEM768). Never true wrongly; false also if a client
    /// had to offer a second group.
    pub fn post_quantum(&self) -> bool {
        self.0.post_quantum
    }

    /// The current estimate of the round-trip time.
    pub fn rtt(&self) -> Duration {
        self.0.quic.rtt()
    }

    /// Grants an accepted peer what a mix may have ([`Limits::mix`]) instead of what a client may.
    pub fn allow_mix(&self) {
        let (quic, mix) = (&self.0.quic, &self.0.limits.mix);
        quic.set_max_concurrent_bi_streams(mix.bidi_streams.into());
        quic.set_max_concurrent_uni_streams(mix.uni_streams.into());
        quic.set_receive_window(mix.window.into());
        quic.set_send_window(mix.window.into());
    }

    /// 32 bytes that only the two ends of this connection know, the same at both: what is signed over them is said on
    /// this connection and on no other (RFC 8446, section 7.5; `wire::Attachment`).
    ///
    /// # Errors
    /// None once the handshake is complete, which it is.
    pub fn binding(&self) -> Result<[u8; 32], NetError> {
        let mut binding = [0; 32];
        let exported = self.0.quic.export_keying_material(&mut binding, BINDING_LABEL, &[]);
        exported.map_err(|_| NetError::WrongVersion)?;
        Ok(binding)
    }

    /// Grants an accepted peer what so many clients may have ([`Limits::client`]), but no more memory than a mix.
    pub fn allow_clients(&self, count: usize) {
        let (quic, client, mix) = (&self.0.quic, &self.0.limits.client, &self.0.limits.mix);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let window = client.window.saturating_mul(count).clamp(client.window, mix.window.max(client.window));
        quic.set_max_concurrent_bi_streams(client.bidi_streams.saturating_mul(count).into());
        quic.set_receive_window(window.into());
        quic.set_send_window(window.into());
    }

    /// How many clients the peer may speak for beside itself: [`Limits::attached`].
    pub fn may_attach(&self) -> usize {
        self.0.limits.attached
    }

    /// Opens a stream to send on; the peer sees it when the first byte is sent.
    ///
    /// # Errors
    /// [`NetError::Slow`] if the peer grants no further stream within [`Limits::stream_idle`]; the connection's end.
    pub async fn open_uni(&self) -> Result<Sender, NetError> {
        let stream = self.patience().wait(self.0.quic.open_uni()).await??;
        Ok(Sender::new(stream, self.0.clone()))
    }

    /// Opens a stream to send and receive on; the peer sees it when the first byte is sent.
    ///
    /// # Errors
    /// As [`Connection::open_uni`].
    pub async fn open_bi(&self) -> Result<(Sender, Receiver), NetError> {
        let (send, receive) = self.patience().wait(self.0.quic.open_bi()).await??;
        Ok((Sender::new(send, self.0.clone()), Receiver::new(receive, self.0.clone())))
    }

    /// Waits for the peer to open a stream to us.
    ///
    /// # Errors
    /// The connection's end.
    pub async fn accept_uni(&self) -> Result<Receiver, NetError> {
        Ok(Receiver::new(self.0.quic.accept_uni().await?, self.0.clone()))
    }

    /// Waits for the peer to open a stream in both directions.
    ///
    /// # Errors
    /// The connection's end.
    pub async fn accept_bi(&self) -> Result<(Sender, Receiver), NetError> {
        let (send, receive) = self.0.quic.accept_bi().await?;
        Ok((Sender::new(send, self.0.clone()), Receiver::new(receive, self.0.clone())))
    }

    /// Waits for the connection's end and says why.
    pub async fn closed(&self) -> NetError {
        self.0.quic.closed().await.into()
    }

    /// Whether the connection still stands, as far as is known.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Closes the connection at once; bytes on their way are lost.
    pub fn close(&self, reason: CloseReason) {
        self.0.close(reason);
    }

    fn patience(&self) -> Patience {
        Patience::new(self.0.limits.stream_idle)
    }
}

impl Link {
    pub(super) fn is_open(&self) -> bool {
        self.quic.close_reason().is_none()
    }

    pub(super) fn close(&self, reason: CloseReason) {
        self.quic.close(reason.code(), &[]);
    }
}
