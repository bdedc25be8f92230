//! What there is to see of an outbox.

use super::super::{MessageName, StoreError, Table};
use super::row::{self, Message, Totals, messages};
use super::{MessageState, Outbox, OutboxCounts, OutboxMessage};

impl Outbox {
    /// A message.
    ///
    /// # Errors
    /// [`StoreError::NoMessage`] if it is unknown or so long stored that it is forgotten.
    pub fn state(&self, name: &MessageName) -> Result<OutboxMessage, StoreError> {
        let row: Option<Message> = self.store.record(Table::Messages, name)?;
        row.map(|row| row.show(*name)).ok_or(StoreError::NoMessage)
    }

    /// All messages in the order of acceptance, of the stored ones the newest [`HISTORY_KEPT`](super::HISTORY_KEPT).
    ///
    /// # Errors
    /// If the store fails.
    pub fn list(&self) -> Result<Vec<OutboxMessage>, StoreError> {
        self.in_order(|_| true)
    }

    /// The messages that wait for their user, in the order of acceptance.
    ///
    /// # Errors
    /// If the store fails.
    pub fn held(&self) -> Result<Vec<OutboxMessage>, StoreError> {
        self.in_order(|row| row.state() == MessageState::Held)
    }

    fn in_order(&self, wanted: impl FnMut(&Message) -> bool) -> Result<Vec<OutboxMessage>, StoreError> {
        let mut found = messages(self.store.kv(), wanted)?;
        found.sort_by_key(|(_, row)| row.order);
        Ok(found.into_iter().map(|(name, row)| row.show(name)).collect())
    }

    /// The bytes that count against the limit, and the limit.
    ///
    /// # Errors
    /// If the store fails.
    pub fn room(&self) -> Result<(u64, u64), StoreError> {
        let totals: Totals = self.store.record(Table::Meta, row::TOTALS)?.unwrap_or_default();
        Ok((totals.bytes, self.limit))
    }

    /// How many messages are where.
    ///
    /// # Errors
    /// If the store fails.
    pub fn counts(&self) -> Result<OutboxCounts, StoreError> {
        let totals: Totals = self.store.record(Table::Meta, row::TOTALS)?.unwrap_or_default();
        let mut counts = OutboxCounts { stored: totals.stored, resent: totals.resent, ..OutboxCounts::default() };
        // One at a time: programs ask often, and there may be many.
        messages(self.store.kv(), |row| {
            match row.state() {
                MessageState::Queued => counts.queued += 1,
                MessageState::InFlight => counts.in_flight += 1,
                MessageState::Held => counts.held += 1,
                MessageState::Stored => {}
            }
            false
        })?;
        Ok(counts)
    }
}
