//! One round in preparation: from its ticket to its submission.

use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};
use zeroize::Zeroizing;

use crate::crypto::Csprng;
use crate::wire::EpochDocument;

use super::Built;

/// The longest margin between the last possible moment of submission and the close. Long enough for a slow uplink to
/// bring the packets over in an ordinary round, short enough to leave a long round its spread.
const MAX_MARGIN: Duration = Duration::from_secs(2);

/// The longest time in which what has no receipt is handed over: two seconds for a handshake with a mix that is far away, and
/// as long as [`MAX_MARGIN`] for the same bytes.
const MAX_HAND_OVER: Duration = Duration::from_secs(4);

/// A round that we take part in, until there is a receipt or nothing more can be done. At most one at a time: a new ticket
/// overtakes it.
pub(super) struct Turn {
    pub(super) round: u64,
    /// Whose keys it is built with, whatever documents come meanwhile.
    pub(super) document: Arc<EpochDocument>,
    pub(super) submit_at: Duration,
    /// When what has no receipt goes to the other mixes; `None` where none takes it.
    pub(super) hand_over_at: Option<Duration>,
    pub(super) closes_at: Duration,
    pub(super) stage: Stage,
}

/// How far the round's packets are.
pub(super) enum Stage {
    /// The outbox is being asked; the seed of the job, from which all its ephemeral keys come, is drawn already.
    Reserving { seed: Zeroizing<[u8; 32]> },
    /// The job is running.
    Building,
    /// They wait for their moment.
    Ready(Built),
    /// It came and the entry was away.
    Held(Built),
    /// They are with the entry, which has not said so.
    Submitted(Built),
}

impl Turn {
    /// Draws everything random about the round before anybody looks at what it will carry.
    pub(super) fn draw(
        rng: &mut Csprng,
        now: Duration,
        window: Duration,
        round: u64,
        document: Arc<EpochDocument>,
        hands_over: bool,
    ) -> Self {
        let hand_over = hands_over.then(|| window - (window / 4).min(MAX_HAND_OVER));
        let submit_at = now.saturating_add(moment(rng, window, hand_over.unwrap_or(window)));
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut_slice());
        let (hand_over_at, closes_at) = (hand_over.map(|after| now.saturating_add(after)), now.saturating_add(window));
        Self { round, document, submit_at, hand_over_at, closes_at, stage: Stage::Reserving { seed } }
    }

    /// When the engine must look at it again.
    pub(super) fn timeout(&self) -> Duration {
        match self.stage {
            Stage::Ready(_) => self.submit_at,
            Stage::Held(_) | Stage::Submitted(_) => self.hand_over_at.unwrap_or(self.closes_at),
            Stage::Reserving { .. } | Stage::Building => self.closes_at,
        }
    }

    /// The moment has come, and the entry is away.
    pub(super) fn hold(self) -> Self {
        match self.stage {
            Stage::Ready(built) => Self { stage: Stage::Held(built), ..self },
            _ => self,
        }
    }

    /// Whether it was sent to the entry.
    pub(super) fn is_submitted(&self) -> bool {
        matches!(self.stage, Stage::Submitted(_))
    }
}

/// A moment of submission, as an offset from the ticket's arrival: uniform in [w/10, b - m], where w is the time until
/// the close, b the time until what has no receipt is handed over - w where it is not - and m = w/5, at most 2 s: time for
/// the receipt. The first tenth is left out because the outbox is read and the packets are built in it: how long that
/// takes depends on what is carried, and an early moment would show it.
fn moment(rng: &mut Csprng, window: Duration, before: Duration) -> Duration {
    let latest = before - (window / 5).min(MAX_MARGIN);
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.random_range(micros(window / 10)..=micros(latest)))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn moments_are_uniform_between_the_lead_and_the_margin() {
        let mut rng = Csprng::seed_from_u64(7);
        let window = Duration::from_millis(1000);
        let mut bins = [0u32; 14];
        const DRAWS: u32 = 14_000;
        for _ in 0..DRAWS {
            let at = moment(&mut rng, window, window).as_micros() as u64;
            assert!((100_000..=800_000).contains(&at));
            bins[((at - 100_000) / 50_001) as usize] += 1;
        }
        let expected = f64::from(DRAWS) / bins.len() as f64;
        let chi: f64 = bins.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
        // The 99.9 % point of chi-square with 13 degrees of freedom.
        assert!(chi < 34.5, "chi-square {chi}, {bins:?}");
    }

    #[test]
    fn the_margin_is_bounded_and_no_window_is_too_short() {
        let mut rng = Csprng::seed_from_u64(8);
        let hour = Duration::from_secs(3600);
        let latest = (0..5000).map(|_| moment(&mut rng, hour, hour)).max().expect("drawn");
        assert!(latest > hour - Duration::from_secs(20) && latest <= hour - MAX_MARGIN);
        for window in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(1)] {
            assert!(moment(&mut rng, window, window - window / 4) <= window);
        }
    }
}
