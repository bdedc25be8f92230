//! A batch over the link between two mixes, by the code that mixes run: out of a shuffled batch, into slots to be peeled.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mixnet::crypto::{Csprng, Digest, IdentityKey};
use mixnet::net::{Connection, Dial, Endpoint, EndpointConfig, Limits};
use mixnet::node::{Emission, IncomingPackets, send_batch};
use mixnet::packet::{Geometry, Slots};
use mixnet::round::{OutgoingBatch, Shuffled};
use mixnet::wire::{BatchHeader, Members, PeerMessage};
use rand::SeedableRng;

use crate::PIECE;
use crate::ends::{Ends, Took};

pub(crate) struct Link {
    ends: Ends,
    _endpoints: (Endpoint, Endpoint),
    from: Connection,
    to: Connection,
    geometry: Geometry,
    batch: Arc<OutgoingBatch>,
}

/// `packets` as a mix hands them on that has just peeled them, under `header` with what it says of them filled in.
pub(crate) fn outgoing(geometry: Geometry, packets: &[u8], header: BatchHeader, key: &IdentityKey) -> OutgoingBatch {
    let peeled = |piece: &[u8]| {
        let packets = piece.chunks_exact(geometry.packet());
        let mut slots = Slots::zeroed(geometry, packets.len());
        slots.all_peeled_mut().zip(packets).for_each(|(slot, packet)| slot.copy_from_slice(packet));
        slots
    };
    let pieces = packets.chunks(PIECE * geometry.packet()).map(peeled).collect();
    let mut packets = Shuffled::new(&mut Csprng::seed_from_u64(header.round), geometry, pieces);
    let header = BatchHeader { count: packets.len() as u32, output: packets.digest(), ..header };
    OutgoingBatch { header: header.sign(key), packets }
}

impl Link {
    pub(crate) fn new(geometry: Geometry, packets: &[u8]) -> Self {
        let ends = Ends::new();
        let [receiving, sending] = [1, 2].map(|seed| Arc::new(IdentityKey::from_seed(&[seed; 32])));
        let bind = |key: &Arc<IdentityKey>, listen: Option<SocketAddr>| {
            let (identity, limits) = (key.clone(), Limits::default());
            Endpoint::bind(EndpointConfig { listen, identity, admit: Arc::new(|_| true), limits }).expect("a socket")
        };
        let accepting =
            ends.receiver.runtime.block_on(async { bind(&receiving, Some((Ipv4Addr::LOCALHOST, 0).into())) });
        let dialling = ends.sender.runtime.block_on(async { bind(&sending, None) });
        let address = accepting.local_addr().expect("an address").to_string();
        let (acceptor, dialler, expected) = (accepting.clone(), dialling.clone(), receiving.identity());
        let accepted = ends.receiver.runtime.spawn(async move { acceptor.accept().await.expect("a connection comes") });
        let connected = ends
            .sender
            .runtime
            .spawn(async move { dialler.connect(&address, expected, Dial::Mix).await.expect("a connection") });
        let from = ends.sender.runtime.block_on(connected).expect("a connection");
        let to = ends.receiver.runtime.block_on(accepted).expect("a connection");
        to.allow_mix();

        let header = BatchHeader {
            network: Digest([1; 32]),
            epoch: Digest([2; 32]),
            round: 1,
            hop: 1,
            count: 0,
            noise: 0,
            members: Members::none(1),
            input: Digest([3; 32]),
            output: Digest([4; 32]),
        };
        let batch = Arc::new(outgoing(geometry, packets, header, &sending));
        Self { ends, _endpoints: (accepting, dialling), from, to, geometry, batch }
    }

    /// What is sent arrives, in order.
    pub(crate) fn check(&self) {
        let (_, pieces) = self.transfer();
        let came = pieces.iter().flat_map(|slots| (0..slots.len()).map(|i| slots.received(i)));
        assert!(came.eq(self.batch.packets.packets()), "the link brings something else");
    }

    pub(crate) fn carry(&self) -> Took {
        let (took, pieces) = self.transfer();
        assert_eq!(pieces.iter().map(Slots::len).sum::<usize>(), self.batch.packets.len(), "all of it comes");
        took
    }

    fn transfer(&self) -> (Took, Vec<Slots>) {
        let (from, to, batch, geometry) = (self.from.clone(), self.to.clone(), self.batch.clone(), self.geometry);
        let send = async move { send_batch(&from, &batch, Emission::default()).await.expect("it is taken") };
        let receive = async move {
            let mut stream = to.accept_uni().await.expect("a stream");
            let message = stream.message().await.expect("a message");
            let PeerMessage::ForwardBatch(signed) = message else { unreachable!("nothing else is sent") };
            let mut packets = IncomingPackets::new(stream, geometry, signed.header.count as usize);
            let mut pieces = Vec::new();
            while let Some(slots) = packets.next().await.expect("they come") {
                pieces.push(slots);
            }
            pieces
        };
        self.ends.transfer(send, receive)
    }
}
