//! A batch on the link between two mixes: its header, then the packets, a piece at a time.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::crypto::BATCH;
use crate::net::{Connection, NetError, Receiver};
use crate::packet::{Geometry, Slots};
use crate::round::OutgoingBatch;
use crate::wire::PeerMessage;

/// Bytes that are written at a time: large enough for the socket, small enough to overlap.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes that are peeled at a time, at most, unless a packet is longer.
const PEEL_BYTES: usize = 2 << 20;
/// Packets that are peeled at a time, at most: more would gain nothing.
const PEEL_PACKETS: usize = BATCH;
/// Pieces of a small batch end where a vector of the lanes does.
const LANES: usize = 8;

/// What a constant rate lets go in as long goes together: timers are no finer than milliseconds.
const TICK: Duration = Duration::from_millis(5);

/// How fast a batch leaves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Emission {
    /// 0: as fast as the link takes it.
    bytes_per_s: u64,
}

impl Emission {
    /// A stream of a constant rate, whatever else the mix does; 0: as fast as the link takes it.
    pub fn mbit(mbit: u64) -> Self {
        Self { bytes_per_s: mbit.saturating_mul(1_000_000 / 8) }
    }

    /// Packets of `size` bytes that go together.
    fn piece(self, size: usize) -> usize {
        let tick = u128::from(self.bytes_per_s) * TICK.as_millis() / 1000;
        match self.bytes_per_s {
            0 => PIECE_BYTES.div_ceil(size),
            _ => (tick.min(PIECE_BYTES as u128) as usize / size).max(1),
        }
    }

    /// How long after the first byte that behind `before` others goes; `None` if it need not wait.
    fn after(self, before: usize) -> Option<Duration> {
        let micros = (before as u128 * 1_000_000).checked_div(self.bytes_per_s.into())?;
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }
}

/// Sends `batch` on a stream of its own.
///
/// # Errors
/// The stream's or the connection's end; a slow peer.
pub async fn send_batch(connection: &Connection, batch: &OutgoingBatch, emission: Emission) -> Result<(), NetError> {
    let mut stream = connection.open_uni().await?;
    stream.message(&PeerMessage::ForwardBatch(batch.header.clone())).await?;
    let packets = &batch.packets;
    let size = packets.geometry().packet();
    let (in_a_piece, began) = (emission.piece(size), Instant::now());
    for first in (0..packets.len()).step_by(in_a_piece) {
        if let Some(after) = emission.after(first * size) {
            sleep_until(began + after).await;
        }
        let piece = first..packets.len().min(first + in_a_piece);
        // Room for all of it at once: a buffer that grows is copied as often as it does.
        let mut gathered = Vec::with_capacity(piece.len() * size);
        piece.for_each(|index| gathered.extend_from_slice(packets.packet(index)));
        stream.raw_chunk(Bytes::from(gathered)).await?;
    }
    stream.finish()
}

/// The packets behind a batch's header, copied once, into the slots in which they will be peeled.
pub struct IncomingPackets {
    stream: Receiver,
    geometry: Geometry,
    left: usize,
    piece: usize,
}

impl IncomingPackets {
    /// `count` packets that come on `stream`, whose header has been read.
    pub fn new(stream: Receiver, geometry: Geometry, count: usize) -> Self {
        let piece = piece(count, geometry.packet(), rayon::current_num_threads());
        Self { stream, geometry, left: count, piece }
    }

    /// The next ones, as many as are peeled at a time; `None` behind the last, where the stream must end.
    ///
    /// # Errors
    /// As [`Receiver::raw`] and [`Receiver::end`].
    pub async fn next(&mut self) -> Result<Option<Slots>, NetError> {
        if self.left == 0 {
            self.stream.end().await?;
            return Ok(None);
        }
        let count = self.left.min(self.piece);
        let mut slots = Slots::with_room(self.geometry, count);
        self.stream.each(count * self.geometry.packet(), |bytes| slots.append(bytes)).await?;
        self.left -= count;
        Ok(Some(slots))
    }
}

/// How many of `count` packets of `size` bytes are peeled at a time: enough to fill a batch, so few that every core gets
/// some of a small one and that memory is bounded.
fn piece(count: usize, size: usize, cores: usize) -> usize {
    let share = count.div_ceil(cores.max(1)).next_multiple_of(LANES);
    share.min(PEEL_PACKETS).min(PEEL_BYTES / size).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_rate_is_one_from_the_first_packet_to_the_last() {
        for (mbit, size) in [(1, 600), (8, 2400), (100, 2400), (10_000, 2400), (8, 1 << 20)] {
            let emission = Emission::mbit(mbit);
            let piece = emission.piece(size) * size;
            let most = (mbit as usize * 125_000 / 200).clamp(size, PIECE_BYTES.max(size));
            assert!(piece <= most, "{piece} bytes at once, {mbit} Mbit/s");
            for number in [0, 1, 7, 1000] {
                let after = emission.after(number * piece).expect("it waits").as_secs_f64();
                let due = (number * piece) as f64 * 8.0 / (mbit as f64 * 1e6);
                assert!((after - due).abs() < 2e-6, "piece {number} after {after} s, not {due}");
            }
        }
        assert_eq!((Emission::default(), Emission::default().after(1 << 30)), (Emission::mbit(0), None));
        assert_eq!(Emission::mbit(u64::MAX).piece(2400), PIECE_BYTES / 2400);
    }

    #[test]
    fn pieces_fill_lanes_use_all_cores_and_stay_small() {
        assert_eq!(piece(100_000, 2400, 2), 512);
        assert_eq!(piece(600, 2400, 2), 304, "two cores, whole vectors");
        assert_eq!(piece(3, 2400, 4), 8);
        assert_eq!(piece(0, 2400, 2), 1);
        assert_eq!(piece(100_000, 33_000, 2), 63);
        assert_eq!(piece(100_000, 4 << 20, 2), 1);
    }
}
