//! The client's place on the roster, as verdicts of earlier rounds name it.

use super::super::Table;
use super::row::{TOTALS, Totals};
use super::{Outbox, StoreError};

const SEATS: &[u8] = b"seats";

impl Outbox {
    /// From the next round on this client has roster index `index`. Returns its places as (first round, index), oldest
    /// first, as far back as rounds wait for their verdict: a verdict lists clients by the roster of its own round, and
    /// operators may change the roster before it comes.
    ///
    /// # Errors
    /// If the store fails.
    pub fn sit(&self, index: u32) -> Result<Vec<(u64, u32)>, StoreError> {
        let unsettled = self.oldest_unsettled()?;
        self.store.step(|step| {
            let next = step.record::<Totals>(Table::Meta, TOTALS)?.unwrap_or_default().next_round;
            let mut seats: Vec<(u64, u32)> = step.record(Table::Meta, SEATS)?.unwrap_or_default();
            // Most starts change nothing, and need no room on the disk.
            let first = match seats.last() {
                Some((_, last)) if *last == index => return Ok(seats),
                Some(_) => next,
                None => 0,
            };
            seats.push((first, index));
            let oldest = unsettled.unwrap_or(next);
            let stale = seats.iter().filter(|(first, _)| *first <= oldest).count().saturating_sub(1);
            seats.drain(..stale);
            step.put_record(Table::Meta, SEATS, &seats);
            Ok(seats)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_place_is_known_until_its_rounds_are_settled() {
        let outbox = Outbox::new(Store::memory(), 1 << 20);
        assert_eq!(outbox.sit(4).expect("memory"), [(0, 4)]);
        for round in [10, 11] {
            outbox.reserve(round, 1, 1, u64::MAX).expect("a new round");
        }
        assert_eq!(outbox.sit(4).expect("memory"), [(0, 4)]);
        assert_eq!(outbox.sit(5).expect("memory"), [(0, 4), (12, 5)]);
        assert_eq!(outbox.sit(2).expect("memory"), [(0, 4), (12, 5), (12, 2)], "never used, and the later one counts");
        outbox.settle(10, true).expect("memory");
        assert_eq!(outbox.sit(2).expect("memory"), [(0, 4), (12, 5), (12, 2)]);
        outbox.settle(11, true).expect("memory");
        assert_eq!(outbox.sit(2).expect("memory"), [(0, 4), (12, 5), (12, 2)], "what is not needed goes with a change");
        assert_eq!(outbox.sit(3).expect("memory"), [(12, 3)]);
    }
}
