//! How long a message waits although a round would take it, so that "written now" is not "sent next".

use std::sync::{Mutex, PoisonError};

use rand::RngExt;

use crate::crypto::{Csprng, os_csprng};
use crate::store::StoreError;

/// Lets messages begin to leave a random number of rounds after they were accepted.
///
/// In each round a gate opens with probability 1 / (`mean` + 1), and what was accepted before it opened may leave, in the
/// order of acceptance. Whenever a message is written, the number of rounds until then is geometric, with this mean, and
/// independent of the moment: the gate has no memory. Messages that are written between two openings leave together. Nothing
/// of this is on the disk; after a restart what has not begun to leave waits as if it had just been written. What has begun
/// waits no more.
#[derive(Default)]
pub(super) struct Gate {
    mean: u64,
    /// The generator, there once it is needed, and how many messages had been accepted when the gate last opened.
    state: Mutex<(Option<Csprng>, u64)>,
}

impl Gate {
    /// Messages wait for `mean` rounds on average; with 0 they do not wait.
    pub(super) fn new(mean: u64) -> Self {
        Self { mean, state: Mutex::default() }
    }

    /// For one more round: how many of all messages that were ever `accepted` may leave. If that cannot be read the gate
    /// stays as it is.
    pub(super) fn ripe(&self, accepted: impl FnOnce() -> Result<u64, StoreError>) -> u64 {
        if self.mean == 0 {
            return u64::MAX;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (generator, ripe) = &mut *state;
        let opens = generator.get_or_insert_with(os_csprng).random_range(0..=self.mean) == 0;
        if opens && let Ok(accepted) = accepted() {
            *ripe = accepted;
        }
        *ripe
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// In how many rounds each of `messages` did not leave, with `mean`; one is accepted before each round.
    fn waits(mean: u64, messages: u64) -> Vec<u64> {
        let gate = Gate { mean, state: Mutex::new((Some(Csprng::seed_from_u64(4)), 0)) };
        let (mut waits, mut round) = (Vec::new(), 0);
        while (waits.len() as u64) < messages {
            round += 1;
            let ripe = gate.ripe(|| Ok(round)).min(round);
            // The n-th was accepted before round n, counted from 1.
            waits.extend((waits.len() as u64..ripe).map(|n| round - (n + 1)));
        }
        waits.truncate(messages as usize);
        waits
    }

    #[test]
    fn a_message_waits_for_a_geometric_number_of_rounds() {
        assert!(waits(0, 100).iter().all(|wait| *wait == 0));
        let (mean, messages) = (4, 400_000);
        let waits = waits(mean, messages);
        // In a round the gate opens with probability p = 1/5: P(wait >= k) = (1 - p)^k. Messages share openings: about one in
        // five has one of its own, so that 400,000 of them tell as much as 80,000 that did not, at least.
        for k in 0..20 {
            let expected = 0.8f64.powi(k);
            let found = waits.iter().filter(|wait| **wait >= k as u64).count() as f64 / messages as f64;
            let sigma = (expected * (1.0 - expected) / 80_000.0).sqrt();
            assert!((found - expected).abs() <= 5.0 * sigma, "{k}: {found} for {expected}");
        }
    }

    #[test]
    fn a_disk_that_cannot_be_read_opens_no_gate() {
        let gate = Gate::new(1);
        assert!((0..100).all(|_| gate.ripe(|| Err(StoreError::NoMessage)) == 0));
        assert!((0..200).any(|_| gate.ripe(|| Ok(7)) == 7), "wrong once in 2^200");
    }
}
