//! Keeps one connection standing.

use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep};

use super::{Connection, Dial, Endpoint, NetError};
use crate::crypto::{Csprng, Identity, os_csprng};

/// How long to pause between attempts to connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The least pause after a failure. After a connection is lost the first attempt waits a random part of it, so that
    /// not everybody comes at once when a mix restarts.
    pub initial: Duration,
    /// The longest pause.
    pub cap: Duration,
    /// A connection that has stood for so long was a success: pauses begin anew.
    pub stable: Duration,
}

impl Default for Backoff {
    /// 0.25 s to 10 s: a restarted mix has its peers back within a few rounds; 1,000 clients of a mix that is down for
    /// long make 200 attempts a second.
    fn default() -> Self {
        Self { initial: Duration::from_millis(250), cap: Duration::from_secs(10), stable: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The pause after one more failure: uniform between `initial` and three times the `previous` pause, `cap` at most.
    /// `draw` is uniform over all 64-bit numbers. Draws that differ keep those apart who failed together.
    pub fn pause(&self, previous: Duration, draw: u64) -> Duration {
        let low = self.initial.min(self.cap);
        let high = previous.saturating_mul(3).clamp(low, self.cap);
        low + part(high - low, draw)
    }

    /// The pause before the first attempt after a connection is lost: uniform from nothing to `initial`.
    pub fn spread(&self, draw: u64) -> Duration {
        part(self.initial.min(self.cap), draw)
    }
}

/// `draw` 2^-64 parts of `whole`.
fn part(whole: Duration, draw: u64) -> Duration {
    // Spans are far below the 584 years that 64 bits of nanoseconds hold.
    let whole = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(((u128::from(whole) * u128::from(draw)) >> 64) as u64)
}

/// Keeps one connection to one identity at one address, which is resolved anew for each attempt.
pub struct Dialler {
    endpoint: Endpoint,
    address: String,
    identity: Identity,
    dial: Dial,
    backoff: Backoff,
    random: Csprng,
    pause: Duration,
    current: Option<(Connection, Instant)>,
    error: Option<NetError>,
}

impl Dialler {
    /// Nothing is dialled before [`Dialler::next`].
    pub fn new(endpoint: Endpoint, address: String, identity: Identity, dial: Dial, backoff: Backoff) -> Self {
        let (random, pause) = (os_csprng(), Duration::ZERO);
        Self { endpoint, address, identity, dial, backoff, random, pause, current: None, error: None }
    }

    /// Waits until the last connection is gone, then dials until the next one stands; `None` once the endpoint is
    /// closed. May be cancelled and called again.
    pub async fn next(&mut self) -> Option<Connection> {
        if let Some((connection, since)) = &self.current {
            self.error = Some(connection.closed().await);
            if since.elapsed() >= self.backoff.stable {
                self.pause = Duration::ZERO;
            }
            self.current = None;
            let first = self.backoff.spread(self.random.next_u64());
            self.pause = self.pause.max(first);
        }
        loop {
            if self.endpoint.is_closed() {
                return None;
            }
            sleep(self.pause).await;
            // Counted before the attempt, so that a caller who cancels and calls again does not skip the pause.
            self.pause = self.backoff.pause(self.pause, self.random.next_u64());
            match self.endpoint.connect(&self.address, self.identity, self.dial).await {
                Ok(connection) => {
                    self.error = None;
                    self.current = Some((connection.clone(), Instant::now()));
                    return Some(connection);
                }
                Err(error) => self.note(error),
            }
        }
    }

    /// Why there is no connection now: what ended the last one, or the last attempt.
    pub fn error(&self) -> Option<&NetError> {
        self.error.as_ref()
    }

    /// Logs an error when it is not the same as before.
    fn note(&mut self, error: NetError) {
        let text = error.to_string();
        if self.error.as_ref().is_none_or(|before| before.to_string() != text) {
            tracing::warn!(address = self.address, error = text, "cannot connect");
        }
        self.error = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_never_beyond() {
        let backoff = Backoff::default();
        let mut random = Csprng::seed_from_u64(1);
        let (mut pause, mut longest) = (Duration::ZERO, Duration::ZERO);
        for failure in 0..10_000 {
            pause = backoff.pause(pause, random.next_u64());
            assert!((backoff.initial..=backoff.cap).contains(&pause), "{pause:?} after {failure} failures");
            longest = longest.max(pause);
        }
        assert!(longest > backoff.cap / 2);

        // The greatest draws, and a cap that only the type bounds.
        let endless = Backoff { cap: Duration::MAX, ..backoff };
        let mut pause = Duration::ZERO;
        for _ in 0..10_000 {
            let next = endless.pause(pause, u64::MAX);
            assert!(next >= pause.min(Duration::from_nanos(u64::MAX - 1)));
            pause = next;
        }
        assert_eq!(Backoff { cap: Duration::ZERO, ..backoff }.pause(Duration::MAX, u64::MAX), Duration::ZERO);
    }

    #[test]
    fn pauses_are_jittered() {
        let backoff = Backoff::default();
        let previous = Duration::from_secs(1);
        let at = |draw| backoff.pause(previous, draw);
        assert_eq!(at(0), backoff.initial);
        assert!(at(u64::MAX) > Duration::from_millis(2999));
        assert!(at(u64::MAX / 4) < at(u64::MAX / 2));
        assert_eq!(backoff.spread(0), Duration::ZERO);
        assert!(backoff.spread(u64::MAX) < backoff.initial && backoff.spread(u64::MAX) > backoff.initial / 2);
    }
}
