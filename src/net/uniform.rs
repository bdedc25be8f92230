//! The links of clients: all datagrams behind the handshake have one size, whatever they hold.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};
use quinn::{ConnectionId, TransportConfig};
use quinn_proto::{ConnectionIdGenerator, RandomConnectionIdGenerator, RttEstimator};

use super::Dial;

/// Bytes of UDP payload of every such datagram: what every path carries (RFC 9000, section 14).
const BYTES: u16 = 1200;

/// What may be in flight at least. A padded acknowledgement counts as in flight until it is acknowledged in turn, which
/// happens only when the other side has something to send; with an ordinary window a dozen of them, or two after a loss,
/// would keep a side from sending anything else. This is one for each ninth datagram of half a megabyte, and few enough
/// bytes for what stands at the slow end of any path.
const ROOM: u64 = 64 << 10;

/// Bytes of the connection id that a mix makes up for its first datagram; a client's has 20. It tells the accepting side
/// before the handshake that the link needs no padding. Whoever lies about it has a link that is not padded towards it; nobody
/// else can change it, for the handshake covers it.
const MIX_ID: usize = 16;

/// Pads datagrams to one size: neither acknowledgements nor requests nor the ends of what is longer show how long they are.
///
/// No larger size is searched for: probes would have sizes of their own and come when the search wants, and the datagrams
/// that probe for a loss are padded to the least size only.
pub(super) fn make(transport: &mut TransportConfig) {
    transport
        .initial_mtu(BYTES)
        .min_mtu(BYTES)
        .mtu_discovery_config(None)
        .pad_to_mtu(true)
        .congestion_controller_factory(Arc::new(Roomy(Arc::default())));
}

/// As whom the sender of a first datagram with this connection id dials.
pub(super) fn dialled_as(first: ConnectionId) -> Dial {
    if first.len() == MIX_ID { Dial::Mix } else { Dial::Client }
}

/// A connection id for a mix's first datagram.
pub(super) fn mix_id() -> ConnectionId {
    RandomConnectionIdGenerator::new(MIX_ID).generate_cid()
}

/// Cubic, which never leaves less than [`ROOM`].
struct Roomy(Arc<CubicConfig>);

impl ControllerFactory for Roomy {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(WithRoom(self.0.clone().build(now, current_mtu)))
    }
}

struct WithRoom(Box<dyn Controller>);

impl Controller for WithRoom {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.0.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.0.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_packet_num_acked: Option<u64>) {
        self.0.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.0.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.0.window().max(ROOM)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self(self.0.clone_box()))
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window().max(ROOM)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
