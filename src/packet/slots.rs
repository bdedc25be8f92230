//! A flat buffer of packets, each with room for the filler behind it.

use std::ops::Range;

use bytes::Bytes;

use crate::crypto::PrfKey;

use super::area::Area;
use super::{Geometry, SEAL_BYTES};

/// `count` packets in one allocation, one every [`Geometry::stride`] bytes.
///
/// Peeling is in place: slot `i` holds the packet received in its first W bytes and, once peeled, the
/// packet to forward in its last W, so that nothing moves. Beside it peeling leaves the layer's echo key, so that
/// the way back needs no second key agreement.
pub struct Slots {
    geometry: Geometry,
    bytes: Area,
    /// One a slot; zero until it is peeled. Each clears itself.
    echo_keys: Vec<PrfKey>,
}

impl Slots {
    /// `count` slots of zeros.
    pub fn zeroed(geometry: Geometry, count: usize) -> Self {
        let echo_keys = (0..count).map(|_| PrfKey::from_bytes([0; 32])).collect();
        Self { geometry, bytes: Area::zeroed(count * geometry.stride()), echo_keys }
    }

    /// None yet, with room for `count`: [`Slots::append`] fills it.
    pub fn with_room(geometry: Geometry, count: usize) -> Self {
        let bytes = Area::with_room(count * geometry.stride());
        Self { geometry, bytes, echo_keys: Vec::with_capacity(count) }
    }

    /// Puts the next bytes of packets as received, whole or in parts, behind those that are there: a slot is one once all
    /// of its W bytes have come. Beyond the room that there is it takes more.
    pub fn append(&mut self, mut received: &[u8]) {
        let (packet, stride) = (self.geometry.packet(), self.geometry.stride());
        while !received.is_empty() {
            let filled = self.bytes.len() % stride;
            let (now, later) = received.split_at(received.len().min(packet - filled));
            self.bytes.extend(now);
            if filled + now.len() == packet {
                self.bytes.extend_zeros(SEAL_BYTES);
                self.echo_keys.push(PrfKey::from_bytes([0; 32]));
            }
            received = later;
        }
    }

    /// Copies whole packets, one after the other; `None` if `packets` is not a whole number of them.
    pub fn from_packets(geometry: Geometry, packets: &[u8]) -> Option<Self> {
        if !packets.len().is_multiple_of(geometry.packet()) {
            return None;
        }
        let mut slots = Self::with_room(geometry, packets.len() / geometry.packet());
        slots.append(packets);
        Some(slots)
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.geometry.stride()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The packets' shape.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The packet received in slot `i`, W bytes; to be filled before peeling.
    pub fn received_mut(&mut self, i: usize) -> &mut [u8] {
        let at = i * self.geometry.stride();
        &mut self.bytes[at..at + self.geometry.packet()]
    }

    /// All slots as [`Slots::received`], in order.
    pub fn all_received(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.received(i))
    }

    /// The packet received in slot `i`, W bytes. After peeling only its first 48 bytes are still those received.
    pub fn received(&self, i: usize) -> &[u8] {
        let at = i * self.geometry.stride();
        &self.bytes[at..at + self.geometry.packet()]
    }

    /// The ephemeral key of the packet received in slot `i`, before or after peeling.
    pub fn ephemeral(&self, i: usize) -> [u8; 32] {
        self.received(i)[..32].try_into().expect("a packet begins with a 32-byte key")
    }

    /// The packet that peeling slot `i` left, W bytes.
    pub fn peeled(&self, i: usize) -> &[u8] {
        &self.bytes[self.peeled_at(i)]
    }

    /// Where in the memory of [`Slots::into_bytes`] it lies.
    pub fn peeled_at(&self, i: usize) -> Range<usize> {
        let at = i * self.geometry.stride() + SEAL_BYTES;
        at..at + self.geometry.packet()
    }

    /// The memory of all slots, to be shared in pieces.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.bytes)
    }

    /// As [`Slots::peeled`], to open an envelope in place.
    pub fn peeled_mut(&mut self, i: usize) -> &mut [u8] {
        let at = self.peeled_at(i);
        &mut self.bytes[at]
    }

    /// As [`Slots::peeled_mut`], of all slots in order.
    pub fn all_peeled_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.bytes.chunks_exact_mut(self.geometry.stride()).map(|slot| &mut slot[SEAL_BYTES..])
    }

    /// The echo keys of the slots, in order: of peeled slots, until they are taken.
    pub fn echo_keys(&self) -> &[PrfKey] {
        &self.echo_keys
    }

    /// Takes the echo keys away, to be kept when the packets have left.
    pub fn take_echo_keys(&mut self) -> Vec<PrfKey> {
        std::mem::take(&mut self.echo_keys)
    }

    /// Each slot whole with its echo key, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&mut [u8], &mut PrfKey)> {
        assert_eq!(self.echo_keys.len(), self.len(), "keys are taken from packets that have left");
        self.bytes.chunks_exact_mut(self.geometry.stride()).zip(&mut self.echo_keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_in_parts_of_any_length() {
        let geometry = Geometry::new(3, 256).expect("in range");
        let count = 5;
        let packets: Vec<u8> = (0..count * geometry.packet()).map(|at| (at % 251) as u8).collect();
        for part in [1, SEAL_BYTES, geometry.packet() - 1, geometry.packet(), geometry.stride(), packets.len()] {
            let mut slots = Slots::with_room(geometry, count);
            for (came, bytes) in packets.chunks(part).enumerate() {
                assert_eq!(slots.len(), came * part / geometry.packet(), "whole ones alone");
                slots.append(bytes);
            }
            assert!(slots.all_received().eq(packets.chunks_exact(geometry.packet())), "in parts of {part}");
            assert_eq!((slots.len(), slots.echo_keys().len()), (count, count));
        }
    }
}
