//! How many clients are usually there, and when those that are there stop waiting for the rest.
//!
//! A round needs a share of its epoch's members, so that nobody can hold most of them back and watch the few that pass.
//! Without more, members that leave for good would stop the network for ever. So, after a pause without a round, the
//! next epoch is made for those that are still there; the pause doubles each time, so that whoever cuts clients off
//! thins the crowd ever more slowly, and in plain view: each verdict and document tells its size.

use std::time::Duration;

use crate::wire::Parameters;

/// The first pause is no shorter, so that nobody is left behind who only lost a link: a client notices that after 16 s of
/// silence at the latest, dials again within 10 s, and gives a handshake 5 s. Twice that.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);
/// Doublings of the pause: a minute becomes eight hours.
const MOST_DOUBLINGS: u32 = 9;

/// What the entry knows of its clients' attendance.
#[derive(Default)]
pub(super) struct Attendance {
    /// Distinct clients in the last round that was collected.
    last: Option<u32>,
    /// When the network last got on.
    progress_at: Duration,
    /// Pauses since an epoch last ran its course.
    pauses: u32,
    /// The present members are waited for no longer.
    shrinking: bool,
}

impl Attendance {
    /// A round was collected with so many distinct clients, and they were `enough` or not.
    pub(super) fn collected(&mut self, now: Duration, clients: u32, enough: bool) {
        self.last = Some(clients);
        if enough {
            self.progress(now);
        }
    }

    /// Something other than clients held the network up until now.
    pub(super) fn progress(&mut self, now: Duration) {
        self.progress_at = now;
        self.shrinking = false;
    }

    /// An epoch begins, in place of one that ran its `course` or not.
    pub(super) fn epoch_began(&mut self, now: Duration, course: bool) {
        self.pauses = match (course, self.shrinking) {
            (true, _) => 0,
            (false, true) => (self.pauses + 1).min(MOST_DOUBLINGS),
            (false, false) => self.pauses,
        };
        self.progress(now);
    }

    /// The last collected round, if any, was too small for a quorum.
    pub(super) fn was_short_of(&self, quorum: u32) -> bool {
        self.last.is_some_and(|last| last < quorum)
    }

    /// Waits no longer for the members of the present epoch.
    pub(super) fn shrink(&mut self) {
        self.shrinking = true;
    }

    /// Whether the present members are waited for no longer.
    pub(super) fn is_shrinking(&self) -> bool {
        self.shrinking
    }

    /// When the waiting has been long enough.
    pub(super) fn shrinks_at(&self, parameters: &Parameters) -> Duration {
        let rounds = Duration::from_millis(parameters.span_ms().into()) * parameters.verdict_rounds * 2;
        self.progress_at + rounds.max(SHORTEST_PAUSE) * (1 << self.pauses)
    }

    /// The members of an epoch that `there` clients ask for: as many as took part in the last round, for whoever only
    /// asks and never submits must not be waited for.
    pub(super) fn members(&self, there: u32, min_clients: u32) -> u32 {
        self.last.unwrap_or(there).max(min_clients).min(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Plan;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_until_an_epoch_runs_its_course() {
        let parameters = Plan::default().network().0.parameters.clone();
        let mut attendance = Attendance::default();
        let pause = attendance.shrinks_at(&parameters);
        assert_eq!(pause, SHORTEST_PAUSE);
        for doublings in 1..=12 {
            attendance.shrink();
            attendance.epoch_began(SECOND * 7, false);
            assert!(!attendance.is_shrinking());
            assert_eq!(attendance.shrinks_at(&parameters), SECOND * 7 + pause * (1 << doublings.min(MOST_DOUBLINGS)));
        }
        attendance.epoch_began(SECOND * 9, false);
        assert_eq!(
            attendance.shrinks_at(&parameters),
            SECOND * 9 + pause * (1 << MOST_DOUBLINGS),
            "a lost key is no crowd"
        );
        attendance.epoch_began(SECOND * 9, true);
        assert_eq!(attendance.shrinks_at(&parameters), SECOND * 9 + pause);
    }

    #[test]
    fn members_are_those_who_take_part() {
        let mut attendance = Attendance::default();
        assert_eq!(attendance.members(9, 2), 9, "nothing is known yet");
        attendance.collected(SECOND, 5, true);
        assert_eq!(attendance.members(9, 2), 5);
        assert_eq!(attendance.members(4, 2), 4);
        attendance.collected(SECOND, 1, false);
        assert_eq!(attendance.members(9, 2), 2, "never below the least");
        assert!(attendance.was_short_of(2) && !attendance.was_short_of(1));
    }
}
