//! What an endpoint grants to its peers, and how it drives the wire.

use std::{sync::Arc, time::Duration};

use quinn::{AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

use super::{Dial, NetError, uniform};

/// What one peer may have open and in flight at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowance {
    /// Bidirectional streams that the peer may have open. It hears of room that finished streams make when that is
    /// more than an eighth.
    pub bidi_streams: u32,
    /// Unidirectional streams that the peer may have open.
    pub uni_streams: u32,
    /// Bytes that the peer may have sent and we not yet read, and as many that we have sent and the peer not
    /// acknowledged: the memory that one connection can hold, half of it each way.
    pub window: u32,
}

impl Allowance {
    /// For a client: a handful of requests, two of them held open for long (next round, poll), with rounds that
    /// overlap; no unidirectional stream. 1 MiB of window carries 10 MB/s over 100 ms of round trip, and bounds what
    /// 1,000 hostile clients of a roster can hold to 2 GiB.
    pub const CLIENT: Self = Self { bidi_streams: 16, uni_streams: 0, window: 1 << 20 };
    /// For a mix: a stream per message, batches of several rounds at once. 16 MiB of window carries 160 MB/s over
    /// 100 ms of round trip; a cascade has at most a dozen mixes.
    pub const MIX: Self = Self { bidi_streams: 16, uni_streams: 64, window: 16 << 20 };
}

/// The limits of an [`super::Endpoint`]; [`Limits::default`] is meant for production.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For an accepted peer, until [`super::Connection::allow_mix`].
    pub client: Allowance,
    /// For a dialled peer, which is always a mix, and for accepted mixes.
    pub mix: Allowance,
    /// Accepted connections in all. An idle one costs 44 kB.
    pub connections: usize,
    /// Accepted connections of one identity; the newest stay.
    pub per_identity: usize,
    /// Clients that one connection may speak for beside its own.
    pub attached: usize,
    /// Handshakes in progress from proven source addresses, and a quarter as many from unproven ones.
    pub half_open: usize,
    /// Handshakes in progress from one proven source: an IPv4 address or an IPv6 /64. Above it datagrams are dropped
    /// and the client's own retransmission is the queue.
    pub half_open_per_source: usize,
    /// A handshake that takes longer is given up.
    pub handshake_timeout: Duration,
    /// A connection on which nothing arrives for so long is lost.
    pub idle_timeout: Duration,
    /// The dialling side says something at least this often.
    pub keep_alive: Duration,
    /// How long the other end of a stream may keep a reader or writer waiting without moving bytes; see
    /// [`super::Receiver`].
    pub stream_idle: Duration,
    /// Upper bound for a mix's search for the MTU of a path that it dials, 1200 to 6000; the search is up to 1452
    /// without. Both ends need it. (With segmentation offload 8952 has been seen to stall.) On the links of clients
    /// nothing is searched for: all datagrams have 1200 bytes.
    pub mtu: Option<u16>,
    /// Segmentation offload. Some virtual network cards fail with it.
    pub segmentation_offload: bool,
    /// Bytes asked of the kernel for each socket buffer; it may grant less. 4 MiB are 10 ms at 3 Gbit/s.
    pub socket_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            client: Allowance::CLIENT,
            mix: Allowance::MIX,
            connections: 4096,
            per_identity: 1,
            // A household, an office, a small provider; 16 streams each are as many as 4,112.
            attached: 256,
            // At 1,000 handshakes a second and core, half a second of work.
            half_open: 512,
            // Many clients behind one address translator, or in one process.
            half_open_per_source: 256,
            // Four retransmissions at INITIAL_RTT.
            handshake_timeout: Duration::from_secs(5),
            // Three keep-alives may get lost.
            idle_timeout: Duration::from_secs(16),
            keep_alive: Duration::from_secs(5),
            stream_idle: Duration::from_secs(20),
            mtu: None,
            segmentation_offload: true,
            socket_buffer: 4 << 20,
        }
    }
}

/// Assumed before the first measurement: a lost first datagram is sent again after 0.3 s instead of a second. On slower
/// paths a few handshake datagrams are sent twice.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// Datagrams that the peer may take without an acknowledgement: one for each ninth, where QUIC alone has one for each
/// second. Fewer than the first window of a connection has (10, RFC 9002, section 7.2), so that no sender waits for the
/// timer of a receiver that has all there is.
const UNACKNOWLEDGED: u32 = 8;

/// Bounds of [`Limits::mtu`]: the least that QUIC needs, the most that has been seen to work with offload.
const MTU: std::ops::RangeInclusive<u16> = 1200..=6000;

impl Limits {
    pub(super) fn check(&self) -> Result<(), NetError> {
        match self.mtu {
            Some(mtu) if !MTU.contains(&mtu) => Err(NetError::Mtu(mtu)),
            _ => Ok(()),
        }
    }

    /// Of connections that we accept from whoever dials so: small until the peer is known to be a mix.
    pub(super) fn accepting(&self, dial: Dial) -> Arc<TransportConfig> {
        let mut transport = self.transport(&self.client);
        if dial == Dial::Client {
            uniform::make(&mut transport);
        }
        Arc::new(transport)
    }

    /// Of connections that we dial as a mix. The dialling side alone keeps them alive.
    pub fn dialling(&self) -> Arc<TransportConfig> {
        let mut transport = self.transport(&self.mix);
        transport.keep_alive_interval(Some(self.keep_alive));
        Arc::new(transport)
    }

    /// Of connections that we dial as a client: all datagrams have one size.
    pub(super) fn dialling_as_client(&self) -> Arc<TransportConfig> {
        let mut transport = self.transport(&self.mix);
        uniform::make(transport.keep_alive_interval(Some(self.keep_alive)));
        Arc::new(transport)
    }

    fn transport(&self, allowance: &Allowance) -> TransportConfig {
        let mut transport = TransportConfig::default();
        let idle = u32::try_from(self.idle_timeout.as_millis()).unwrap_or(u32::MAX);
        let mut acknowledgements = AckFrequencyConfig::default();
        acknowledgements.ack_eliciting_threshold(UNACKNOWLEDGED.into());
        let mut discovery = MtuDiscoveryConfig::default();
        if let Some(mtu) = self.mtu {
            discovery.upper_bound(mtu);
        }
        transport
            .max_concurrent_bidi_streams(allowance.bidi_streams.into())
            .max_concurrent_uni_streams(allowance.uni_streams.into())
            .receive_window(allowance.window.into())
            // Cannot be raised later for a single connection; the window of the connection binds.
            .stream_receive_window(self.mix.window.into())
            .send_window(allowance.window.into())
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
            .initial_rtt(INITIAL_RTT)
            .mtu_discovery_config(Some(discovery))
            .ack_frequency_config(Some(acknowledgements))
            .enable_segmentation_offload(self.segmentation_offload)
            // The spin bit shows round-trip times to whoever watches the path.
            .allow_spin(false)
            .datagram_receive_buffer_size(None);
        transport
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mtu_is_bounded() {
        for (mtu, good) in
            [(None, true), (Some(1199), false), (Some(1200), true), (Some(6000), true), (Some(6001), false)]
        {
            assert_eq!(Limits { mtu, ..Limits::default() }.check().is_ok(), good, "{mtu:?}");
        }
    }
}
