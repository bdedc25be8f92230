//! Noise: packets that a mix adds to its batch, as a heartbeat and as a floor under the crowd of a round.

mod budget;
mod counts;

use std::sync::Arc;

use rand::Rng;
use zeroize::Zeroizing;

use crate::crypto::Csprng;
use crate::packet::{Address, Body, Builder, Echo, Ephemerals, Geometry, MessageId, NO_EXTRA, Order, Recipe, Slots};
use crate::wire::Network;

pub use budget::Budget;
pub use counts::NoiseCounts;

/// What a job needs to make a mix's noise of one round.
pub struct NoisePlan {
    /// Of the round's packets.
    pub builder: Builder,
    /// The mix that makes it, 1 to L - 1.
    pub hop: u8,
    /// Its network.
    pub network: Arc<Network>,
    /// How much, drawn when it is made: once for each round, by the mix that makes the batch.
    pub counts: Arc<NoiseCounts>,
}

impl NoisePlan {
    pub(super) fn draw(&self, rng: &mut Csprng) -> Noise {
        Noise::draw(rng, &self.builder, self.hop, &self.network, &self.counts)
    }
}

/// Packets of a mix's own, to be shuffled among those it has peeled, with the echoes that must come back for them.
pub struct Noise {
    pub(super) packets: Slots,
    pub(super) echoes: Zeroizing<Vec<Echo>>,
}

impl Noise {
    /// No packet.
    pub fn none(geometry: Geometry) -> Self {
        Self { packets: Slots::zeroed(geometry, 0), echoes: Zeroizing::default() }
    }

    /// Onions of the mix at `hop` (1 to L - 1), as many as `counts` comes to in a round, which the network bounds.
    ///
    /// Each is a client's dummy from its envelope inwards: to a mailbox drawn uniformly from all, sealed to that
    /// mailbox's own letter key. Under a key nobody has, a recipient that works with the exit would know every letter
    /// that it cannot open for noise, and honest recipients would count it as damage; so it gets a dummy, which may be
    /// anybody's.
    ///
    /// # Panics
    /// If `hop` is no mix before the exit, or the network has no mailbox.
    pub fn draw(rng: &mut Csprng, builder: &Builder, hop: u8, network: &Network, counts: &NoiseCounts) -> Self {
        let geometry = builder.geometry();
        assert!((1..geometry.mixes()).contains(&usize::from(hop)), "the exit hands on to nobody");
        let (parameters, mailboxes) = (&network.parameters, &network.roster.mailboxes);
        let expiry = builder.context().epoch.saturating_add(u64::from(parameters.retention_epochs));
        let recipients = counts.recipients(rng, mailboxes.len());
        let order = |place: &u32| {
            let mailbox = mailboxes[*place as usize];
            let mut message = MessageId([0; 16]);
            rng.fill_bytes(&mut message.0);
            let to = Address { mailbox: mailbox.id, letter_key: mailbox.letter_key };
            let recipe = Recipe { to, body: Body::dummy(message, expiry, &parameters.dummy_payload), sender: None };
            Order { ephemerals: Ephemerals::draw(rng, geometry, hop + 1), recipe }
        };
        let orders: Vec<Order<'_>> = recipients.iter().map(order).collect();
        let mut packets = Vec::new();
        let mut slots = Slots::zeroed(geometry, orders.len());
        let echoes = Zeroizing::new(builder.build_all(&orders, hop + 1, NO_EXTRA, &mut packets));
        for (slot, packet) in slots.all_peeled_mut().zip(packets.chunks_exact(geometry.packet())) {
            slot.copy_from_slice(packet);
        }
        Self { packets: slots, echoes }
    }

    /// How many packets: what the batch's header declares on top of what came in.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}
