//! The transport: QUIC connections between known identities, streams of frames, limits.
//!
//! Nothing here knows what a round is, and no message is interpreted. An [`Endpoint`] is one UDP
//! socket; it accepts and dials [`Connection`]s, both ends of which have proven their Ed25519
//! identity in the handshake. A connection carries streams: a [`Sender`] writes frames and raw
//! bytes, a [`Receiver`] reads them under limits. A [`Dialler`] keeps one connection standing.
//!
//! Whatever a stranger sends costs a bounded amount of work and memory and disturbs nobody else.

mod accept;
mod backlog;
mod connection;
mod dialler;
mod endpoint;
mod error;
mod limits;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod stream;
mod tls;
mod uniform;

pub use connection::Connection;
pub use dialler::{Backoff, Dialler};
pub use endpoint::{Admit, Dial, Endpoint, EndpointConfig};
pub use error::{CloseReason, NetError};
pub use limits::{Allowance, Limits};
pub use stream::{Receiver, Sender};

#[cfg(test)]
mod tests;
