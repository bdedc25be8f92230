//! `sphinx-packet`: Sphinx as Nym's mixes have used it for years. Three hops.

use std::time::Duration;

use sphinx_packet::SphinxPacket;
use sphinx_packet::constants::{DESTINATION_ADDRESS_LENGTH, IDENTIFIER_LENGTH, NODE_ADDRESS_LENGTH};
use sphinx_packet::header::delays::Delay;
use sphinx_packet::packet::ProcessedPacketData;
use sphinx_packet::packet::builder::SphinxPacketBuilder;
use sphinx_packet::payload::PAYLOAD_OVERHEAD_SIZE;
use sphinx_packet::route::{Destination, DestinationAddressBytes, Node, NodeAddressBytes};
use x25519_dalek_3::{PublicKey, StaticSecret};

use mixnet::sim::processor_time;

const HOPS: usize = 3;
/// Packets that are parsed before, and unwrapped in the time that counts.
pub const BATCH: usize = 32;

pub struct Sphinx {
    secrets: Vec<StaticSecret>,
    route: Vec<Node>,
    destination: Destination,
    message: Vec<u8>,
}

impl Sphinx {
    pub fn new(message: &[u8]) -> Self {
        let secrets: Vec<StaticSecret> = (0..HOPS).map(|_| StaticSecret::random()).collect();
        let node = |(place, secret): (usize, &StaticSecret)| {
            Node::new(NodeAddressBytes::from_bytes([place as u8; NODE_ADDRESS_LENGTH]), PublicKey::from(secret))
        };
        let route = secrets.iter().enumerate().map(node).collect();
        let destination = DestinationAddressBytes::from_bytes([9; DESTINATION_ADDRESS_LENGTH]);
        let destination = Destination::new(destination, [4; IDENTIFIER_LENGTH]);
        Self { secrets, route, destination, message: message.to_vec() }
    }

    pub fn build(&self) -> SphinxPacket {
        let delays = [Delay::new_from_nanos(0); HOPS];
        SphinxPacketBuilder::new()
            .with_payload_size(self.message.len() + PAYLOAD_OVERHEAD_SIZE)
            .build_packet(&self.message, &self.route, &self.destination, &delays)
            .expect("a packet")
    }

    /// Takes a packet through all hops, and holds what comes out against what went in.
    pub fn check(&self) {
        let mut packet = self.build();
        for (hop, secret) in self.secrets.iter().enumerate() {
            match packet.process(secret).expect("it unwraps").data {
                ProcessedPacketData::ForwardHop { next_hop_packet, .. } => packet = next_hop_packet,
                ProcessedPacketData::FinalHop { payload, .. } => {
                    assert_eq!(hop + 1, HOPS);
                    let out = payload.recover_plaintext().expect("its payload");
                    return assert_eq!(out, self.message, "what came out is not what went in");
                }
            }
        }
        panic!("no hop was the last");
    }

    /// The first mix's time for a batch; parsing, and the set that would refuse replays, are not in it.
    pub fn unwrap(&self) -> impl FnMut() -> Duration + '_ {
        let bytes: Vec<Vec<u8>> = (0..BATCH).map(|_| self.build().to_bytes()).collect();
        move || {
            let packets: Vec<SphinxPacket> =
                bytes.iter().map(|bytes| SphinxPacket::from_bytes(bytes).expect("a packet")).collect();
            processor_time(|| {
                let next = packets.into_iter().map(|packet| packet.process(&self.secrets[0]).expect("it unwraps"));
                next.collect::<Vec<_>>()
            })
        }
    }
}
