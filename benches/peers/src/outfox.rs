//! `nym-outfox`: Outfox, with the four hops that it is fixed to.

use std::time::Duration;

use nym_outfox::packet::OutfoxPacket;
use outfox_types::constants::NODE_ADDRESS_LENGTH;
use outfox_types::route::{Destination, DestinationAddressBytes, Node, NodeAddressBytes};
use x25519_dalek_2::{PublicKey, StaticSecret};

use mixnet::sim::processor_time;

const HOPS: usize = 4;
/// Packets that are parsed before, and unwrapped in the time that counts.
pub const BATCH: usize = 32;

pub struct Outfox {
    secrets: Vec<StaticSecret>,
    route: [Node; HOPS],
    destination: Destination,
    message: Vec<u8>,
}

impl Outfox {
    pub fn new(message: &[u8]) -> Self {
        let secrets: Vec<StaticSecret> = (0..HOPS).map(|_| StaticSecret::random()).collect();
        let route = std::array::from_fn(|place| {
            let address = NodeAddressBytes::from_bytes([place as u8; NODE_ADDRESS_LENGTH]);
            Node::new(address, PublicKey::from(&secrets[place]))
        });
        let destination = Destination::new(DestinationAddressBytes::from_bytes([9; NODE_ADDRESS_LENGTH]), [4; 16]);
        Self { secrets, route, destination, message: message.to_vec() }
    }

    pub fn build(&self) -> OutfoxPacket {
        OutfoxPacket::build(&self.message, &self.route, &self.destination, Some(self.message.len())).expect("a packet")
    }

    /// Takes a packet through all hops, and holds what comes out against what went in.
    pub fn check(&self) {
        let mut packet = self.build();
        for secret in &self.secrets {
            packet.decode_next_layer(secret).expect("it unwraps");
        }
        let out = packet.recover_plaintext().expect("its payload");
        assert_eq!(out, self.message, "what came out is not what went in");
    }

    /// The first mix's time for a batch; parsing, and the set that would refuse replays, are not in it.
    pub fn unwrap(&self) -> impl FnMut() -> Duration + '_ {
        let bytes: Vec<Vec<u8>> = (0..BATCH).map(|_| self.build().to_bytes().expect("bytes")).collect();
        move || {
            let mut packets: Vec<OutfoxPacket> =
                bytes.iter().map(|bytes| OutfoxPacket::try_from(bytes.as_slice()).expect("a packet")).collect();
            processor_time(|| {
                for packet in &mut packets {
                    packet.decode_next_layer(&self.secrets[0]).expect("it unwraps");
                }
            })
        }
    }
}
