//! Noise: packets that a mix adds to its batch, as a heartbeat and as a floor under the crowd of a round.

use rand::Rng;
use rand::seq::IndexedRandom;
use zeroize::Zeroizing;

use crate::crypto::Csprng;
use crate::packet::{Address, Body, Builder, Echo, Ephemerals, Geometry, MessageId, NO_EXTRA, Order, Recipe, Slots};
use crate::wire::{BatchHeader, Network};

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

    /// `count` onions of the mix at `hop` (1 to L - 1), which the network bounds.
    ///
    /// Each is a client's dummy from its envelope inwards: to a mailbox drawn uniformly from all, sealed to that
    /// mailbox's own letter key. Under a key nobody has, a recipient that works with the exit would know every letter
    /// that it cannot open for noise, and honest recipients would count it as damage; so it gets a dummy, which may be
    /// anybody's.
    ///
    /// # Panics
    /// If `hop` is no mix before the exit, or the network has no mailbox.
    pub fn draw(rng: &mut Csprng, builder: &Builder, hop: u8, network: &Network, count: usize) -> Self {
        let geometry = builder.geometry();
        assert!((1..geometry.mixes()).contains(&usize::from(hop)), "the exit hands on to nobody");
        let parameters = &network.parameters;
        let expiry = builder.context().epoch.saturating_add(u64::from(parameters.retention_epochs));
        let order = |_| {
            let mailbox = network.roster.mailboxes.choose(rng).expect("a network has mailboxes");
            let mut message = MessageId([0; 16]);
            rng.fill_bytes(&mut message.0);
            let to = Address { mailbox: mailbox.id, letter_key: mailbox.letter_key };
            let recipe = Recipe { to, body: Body::dummy(message, expiry, &parameters.dummy_payload), sender: None };
            Order { ephemerals: Ephemerals::draw(rng, geometry, hop + 1), recipe }
        };
        let orders: Vec<Order<'_>> = (0..count).map(order).collect();
        let mut packets = Vec::new();
        let mut slots = Slots::zeroed(geometry, count);
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

/// Why the numbers in a round's batch headers cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoiseError {
    /// The batch holds other packets than the listed ones and the declared noise.
    #[error("the batch of hop {hop} holds {count} packets, not {listed} listed ones and {noise} of noise")]
    Count {
        /// Whose batch.
        hop: u8,
        /// What it holds.
        count: u32,
        /// How many were listed.
        listed: u32,
        /// What it declares.
        noise: u32,
    },
    /// More noise than the network lets the mixes so far add.
    #[error("hop {hop} declares {noise} packets of noise, and the mixes so far may have added {most}")]
    TooMuch {
        /// Whose batch.
        hop: u8,
        /// What it declares.
        noise: u32,
        /// What can be.
        most: u64,
    },
    /// Less noise than the mix before declared: something was dropped.
    #[error("hop {hop} declares {noise} packets of noise, and took in {before}")]
    Dropped {
        /// Whose batch.
        hop: u8,
        /// What it declares.
        noise: u32,
        /// What the header before declared.
        before: u32,
    },
}

/// How much noise the mix of `header` has added to a round of `listed` packets, in a network whose mixes add at most
/// `most` each. `before` is the header of the hop before, if there is one and it is known; without it the answer is
/// that of all mixes so far.
///
/// # Errors
/// If the numbers cannot be.
pub fn noise_added(
    listed: u32,
    most: u32,
    before: Option<&BatchHeader>,
    header: &BatchHeader,
) -> Result<u32, NoiseError> {
    let BatchHeader { hop, count, noise, .. } = *header;
    if listed.checked_add(noise) != Some(count) {
        return Err(NoiseError::Count { hop, count, listed, noise });
    }
    let (before, mixes) = before.map_or((0, hop), |header| (header.noise, 1));
    let added = noise.checked_sub(before).ok_or(NoiseError::Dropped { hop, noise, before })?;
    let most = u64::from(before) + u64::from(most) * u64::from(mixes);
    if u64::from(noise) > most { Err(NoiseError::TooMuch { hop, noise, most }) } else { Ok(added) }
}
