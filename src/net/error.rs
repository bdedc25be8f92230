//! Why something on the network failed, one variant per cause.

use std::io;

use quinn::{ConnectError, ConnectionError, ReadError, TransportErrorCode, VarInt, WriteError};
use rustls::AlertDescription;

use crate::wire::{codec::CodecError, frame::FrameError};

/// Why an endpoint, a connection or a stream failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The UDP socket cannot be had.
    #[error("cannot bind the UDP socket: {0}; choose another address, or stop the process that uses it")]
    Bind(#[source] io::Error),
    /// The identity key does not serve for TLS.
    #[error("the identity key cannot be used for TLS: {0}; create a new one")]
    Key(#[source] rustls::Error),
    /// [`crate::net::Limits::mtu`] is out of its bounds.
    #[error("mtu {0} is not between 1200 and 6000")]
    Mtu(u16),
    /// The name of a peer has no address.
    #[error("cannot resolve {address}: {source}; check the address in the network file")]
    Resolve {
        /// As it was given.
        address: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The name resolves to no address that the socket's family can reach.
    #[error("{0} has no address that this socket can reach; listen on an address of the same family")]
    NoAddress(String),
    /// Nobody answered within the handshake timeout.
    #[error("no answer; the peer is down, or a firewall drops its UDP port")]
    Unreachable,
    /// The peer has another identity than expected.
    #[error("the peer does not hold the expected identity; check its address and identity in the network file")]
    WrongPeer,
    /// The peer does not admit our identity.
    #[error("the peer does not admit this identity; ask its operator to put it into the network file")]
    NotAdmitted,
    /// The peer speaks another version of the protocol.
    #[error("the peer speaks another version of the protocol; update the older of the two")]
    WrongVersion,
    /// The peer has no key exchange in common with us.
    #[error("the peer has no post-quantum key exchange; update it")]
    NoCommonGroup,
    /// The peer takes no connection now.
    #[error("the peer takes no new connection now; try again later")]
    Busy,
    /// The connection has gone silent for longer than the idle timeout.
    #[error("the connection went silent")]
    Silent,
    /// The peer has forgotten the connection: it has restarted.
    #[error("the peer has restarted")]
    Restarted,
    /// The peer closed the connection.
    #[error("the peer closed the connection: {0}")]
    ClosedByPeer(CloseReason),
    /// We closed the connection, or the endpoint.
    #[error("the connection was closed here")]
    ClosedHere,
    /// The peer broke the rules of QUIC or TLS, or says that we did.
    #[error("the transport failed: {0}")]
    Transport(String),
    /// The other end of a stream moves fewer bytes than the limits ask for.
    #[error("the stream is too slow")]
    Slow,
    /// The stream ended in the middle of something.
    #[error("the stream ended early")]
    Truncated,
    /// The stream goes on where it should have ended.
    #[error("trailing bytes on the stream")]
    Trailing,
    /// The sender gave the stream up.
    #[error("the sender gave the stream up")]
    Abandoned,
    /// The receiver does not want the rest of the stream.
    #[error("the receiver stopped the stream")]
    Stopped,
    /// What came is no frame of the expected message.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Why a connection is closed, as the other side is told: an application error code of QUIC.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CloseReason {
    /// There is nothing more to say.
    #[error("done")]
    Done,
    /// The process stops.
    #[error("it is stopping")]
    Stopping,
    /// A newer connection of the same identity took its place.
    #[error("a newer connection of the same identity took its place; is another process using this identity?")]
    Superseded,
    /// There are too many connections.
    #[error("it has too many connections; try again later")]
    Full,
    /// The link needs a post-quantum key exchange.
    #[error("it wants a post-quantum key exchange; update this side")]
    NotPostQuantum,
    /// What came was not well-formed.
    #[error("it got something malformed")]
    Malformed,
    /// A code this version does not know.
    #[error("for a reason this version does not know")]
    Unknown,
}

impl CloseReason {
    pub(super) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            // Also what QUIC says when the last handle of a connection is dropped.
            Self::Done => 0,
            Self::Stopping => 1,
            Self::Superseded => 2,
            Self::Full => 3,
            Self::NotPostQuantum => 4,
            Self::Malformed => 5,
            Self::Unknown => 6,
        })
    }

    fn from_code(code: VarInt) -> Self {
        match code.into_inner() {
            0 => Self::Done,
            1 => Self::Stopping,
            2 => Self::Superseded,
            3 => Self::Full,
            4 => Self::NotPostQuantum,
            5 => Self::Malformed,
            _ => Self::Unknown,
        }
    }
}

impl From<ConnectionError> for NetError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::VersionMismatch => Self::WrongVersion,
            // Detected here: an alert for access is our own verifier's.
            ConnectionError::TransportError(error) => match alert(error.code) {
                Some(AlertDescription::AccessDenied) => Self::WrongPeer,
                Some(AlertDescription::NoApplicationProtocol) => Self::WrongVersion,
                Some(AlertDescription::HandshakeFailure) => Self::NoCommonGroup,
                _ => Self::Transport(error.to_string()),
            },
            ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
                _ if close.error_code == TransportErrorCode::CONNECTION_REFUSED => Self::Busy,
                Some(AlertDescription::AccessDenied) => Self::NotAdmitted,
                Some(AlertDescription::NoApplicationProtocol) => Self::WrongVersion,
                Some(AlertDescription::HandshakeFailure) => Self::NoCommonGroup,
                _ => Self::Transport(close.to_string()),
            },
            ConnectionError::ApplicationClosed(close) => Self::ClosedByPeer(CloseReason::from_code(close.error_code)),
            ConnectionError::Reset => Self::Restarted,
            ConnectionError::TimedOut => Self::Silent,
            ConnectionError::LocallyClosed => Self::ClosedHere,
            error @ ConnectionError::CidsExhausted => Self::Transport(error.to_string()),
        }
    }
}

impl From<ConnectError> for NetError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::EndpointStopping => Self::ClosedHere,
            error => Self::Transport(error.to_string()),
        }
    }
}

impl From<ReadError> for NetError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) => Self::Abandoned,
            ReadError::ConnectionLost(error) => error.into(),
            ReadError::ClosedStream => Self::Truncated,
            error => Self::Transport(error.to_string()),
        }
    }
}

impl From<WriteError> for NetError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(_) => Self::Stopped,
            WriteError::ConnectionLost(error) => error.into(),
            error => Self::Transport(error.to_string()),
        }
    }
}

impl From<CodecError> for NetError {
    fn from(error: CodecError) -> Self {
        Self::Frame(error.into())
    }
}

/// The TLS alert in a transport error code (RFC 9001, section 4.8).
fn alert(code: TransportErrorCode) -> Option<AlertDescription> {
    let code = u64::from(code).checked_sub(0x100)?;
    Some(AlertDescription::from(u8::try_from(code).ok()?))
}
