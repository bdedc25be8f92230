//! What goes wrong and when: drawn from a seed before anything runs.

use std::time::Duration;

use rand::{RngExt, SeedableRng};

use crate::crypto::Csprng;
use crate::sim::Impairment;

use super::Profile;

/// One thing that is done to a party or a link. Parties are numbered mixes first, entry first.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Kill -9.
    Kill { party: usize },
    /// Start what was killed, its monotonic clock this many seconds off if that is not 0.
    Start { party: usize, clock: i64 },
    /// SIGSTOP.
    Pause { party: usize },
    /// SIGCONT.
    Continue { party: usize },
    /// Impair a link, or make it whole again.
    Impair { link: usize, impairment: Impairment },
    /// No file of the party may grow by more than `room` bytes beyond its store's.
    Fill { party: usize, room: u64 },
    /// Files may grow again.
    Free { party: usize },
}

/// A step and its moment since the faults began.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub at: Duration,
    pub step: Step,
}

/// Who dials whom: what a link is numbered by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Link {
    pub from: usize,
    pub to: usize,
}

/// The parties of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub mixes: usize,
    pub clients: usize,
}

impl Shape {
    /// Every link of the network: a client dials entry and exit, a mix those behind it.
    pub(super) fn links(self) -> Vec<Link> {
        let exit = self.mixes - 1;
        let mesh = (0..self.mixes).flat_map(|from| (from + 1..self.mixes).map(move |to| Link { from, to }));
        let clients = self.mixes..self.mixes + self.clients;
        mesh.chain(clients.flat_map(|from| [Link { from, to: 0 }, Link { from, to: exit }])).collect()
    }

    pub(super) fn parties(self) -> usize {
        self.mixes + self.clients
    }
}

/// Everything that goes wrong in `time`, in order. Whatever begins ends, at the latest with `time`.
pub(super) fn draw(seed: u64, shape: Shape, time: Duration, profile: Profile) -> Vec<Moment> {
    let mut drawing = Drawing {
        random: Csprng::seed_from_u64(seed),
        shape,
        time,
        parties: vec![Duration::ZERO; shape.parties()],
        links: vec![Duration::ZERO; shape.links().len()],
        moments: Vec::new(),
    };
    match profile {
        Profile::All => drawing.everything(),
        Profile::Loss => drawing.bursts_and_kills(),
        Profile::Calm => {}
    }
    drawing.moments.sort_by_key(|moment| moment.at);
    drawing.moments
}

/// Mean seconds between two faults: several are under way at most times, and rounds still come through.
const FAULT_EVERY: f64 = 1.5;
/// Mean seconds between two kills beside bursts of loss.
const KILL_EVERY: f64 = 20.0;
/// Beyond what any connection outlives: the idle time-out is 16 s.
const LONG_PAUSE: (f64, f64) = (17.0, 20.0);
/// Loss in bursts and between them.
const BURST: f64 = 0.2;
const BETWEEN: f64 = 0.02;
/// Room that a full disk still has: from none to a few pages of the database, so that some commits end half-way.
const ROOM: u64 = 64 << 10;

struct Drawing {
    random: Csprng,
    shape: Shape,
    time: Duration,
    /// Until when something is wrong with each party, and each link.
    parties: Vec<Duration>,
    links: Vec<Duration>,
    moments: Vec<Moment>,
}

impl Drawing {
    fn everything(&mut self) {
        let mut at = Duration::ZERO;
        loop {
            at += self.about(FAULT_EVERY);
            if at >= self.time {
                return;
            }
            match self.random.random_range(0..29) {
                0..=7 => self.kill(at, 0),
                8..=9 => {
                    let clock = self.jump();
                    self.kill(at, clock);
                }
                10..=13 => self.pause(at),
                14..=17 => self.cut(at),
                18..=23 => self.impair(at),
                24..=27 => self.fill(at),
                // The machine goes down with all that run on it.
                _ => (0..self.shape.parties()).for_each(|party| self.kill_one(party, at, 0)),
            }
        }
    }

    fn bursts_and_kills(&mut self) {
        let mut at = Duration::ZERO;
        for loss in [BETWEEN, BURST].into_iter().cycle() {
            if at >= self.time {
                break;
            }
            for link in 0..self.links.len() {
                self.step(at, Step::Impair { link, impairment: Impairment { loss, ..Impairment::NONE } });
            }
            at += self.seconds(3.0, 12.0);
        }
        for link in 0..self.links.len() {
            self.step(self.time, Step::Impair { link, impairment: Impairment::NONE });
        }
        let mut at = self.about(KILL_EVERY);
        while at < self.time {
            self.kill(at, 0);
            at += self.about(KILL_EVERY);
        }
    }

    fn kill(&mut self, at: Duration, clock: i64) {
        let party = self.random.random_range(0..self.shape.parties());
        self.kill_one(party, at, clock);
    }

    fn kill_one(&mut self, party: usize, at: Duration, clock: i64) {
        let pause = self.seconds(0.0, 5.0);
        if let Some(end) = self.party(party, at, pause) {
            self.step(at, Step::Kill { party });
            self.step(end, Step::Start { party, clock });
        }
    }

    fn pause(&mut self, at: Duration) {
        let party = self.random.random_range(0..self.shape.parties());
        let (least, most) = if self.random.random_bool(0.1) { LONG_PAUSE } else { (0.1, 6.0) };
        let pause = self.seconds(least, most);
        if let Some(end) = self.party(party, at, pause) {
            self.step(at, Step::Pause { party });
            self.step(end, Step::Continue { party });
        }
    }

    fn fill(&mut self, at: Duration) {
        // The exit or a client: those that keep contents.
        let party = self.random.random_range(self.shape.mixes - 1..self.shape.parties());
        let (room, lasts) = (self.random.random_range(0..=ROOM), self.seconds(1.0, 8.0));
        if let Some(end) = self.party(party, at, lasts) {
            self.step(at, Step::Fill { party, room });
            self.step(end, Step::Free { party });
        }
    }

    fn cut(&mut self, at: Duration) {
        let lasts = self.seconds(0.5, 8.0);
        let link = self.random.random_range(0..self.links.len());
        self.link(link, at, lasts, Impairment::CUT);
    }

    fn impair(&mut self, at: Duration) {
        let lasts = self.seconds(1.0, 8.0);
        let spike = self.random.random_bool(0.3);
        let impairment = Impairment {
            loss: self.random.random_range(0.0..=0.2),
            duplication: self.random.random_range(0.0..=0.1),
            reordering: self.random.random_range(0.0..=0.2),
            held_back: self.millis(200),
            delay: if spike { self.millis(500) } else { Duration::ZERO },
        };
        // One link or many: what a single bad line does is not what a bad network does.
        let first = self.random.random_range(0..self.links.len());
        let last = self.random.random_range(first..self.links.len());
        for link in first..=last {
            self.link(link, at, lasts, impairment);
        }
    }

    fn link(&mut self, link: usize, at: Duration, lasts: Duration, impairment: Impairment) {
        if self.links[link] > at {
            return;
        }
        let end = (at + lasts).min(self.time);
        self.links[link] = end;
        self.step(at, Step::Impair { link, impairment });
        self.step(end, Step::Impair { link, impairment: Impairment::NONE });
    }

    /// When what begins `at` ends; `None` if something is wrong with the party already.
    fn party(&mut self, party: usize, at: Duration, lasts: Duration) -> Option<Duration> {
        if self.parties[party] > at {
            return None;
        }
        let end = (at + lasts).min(self.time);
        self.parties[party] = end;
        Some(end)
    }

    fn step(&mut self, at: Duration, step: Step) {
        self.moments.push(Moment { at, step });
    }

    /// Forward by a second to ten days, or back by as much as a machine has certainly been up.
    fn jump(&mut self) -> i64 {
        if self.random.random_bool(0.3) {
            -self.random.random_range(1..=20)
        } else {
            10_i64.pow(self.random.random_range(0..6))
        }
    }

    /// An exponentially distributed time with this mean in seconds: no moment is more likely than another.
    fn about(&mut self, mean: f64) -> Duration {
        let uniform: f64 = self.random.random_range(f64::EPSILON..1.0);
        Duration::from_secs_f64(-uniform.ln() * mean)
    }

    fn seconds(&mut self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(self.random.random_range(least..most))
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.random_range(1..=most))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SHAPE: Shape = Shape { mixes: 3, clients: 4 };
    const TIME: Duration = Duration::from_secs(3600);

    #[test]
    fn a_seed_repeats_its_schedule_and_another_does_not() {
        for profile in [Profile::All, Profile::Loss] {
            assert_eq!(draw(1, SHAPE, TIME, profile), draw(1, SHAPE, TIME, profile));
            assert_ne!(draw(1, SHAPE, TIME, profile), draw(2, SHAPE, TIME, profile));
        }
    }

    #[test]
    fn everybody_and_every_link_is_hit_and_whole_in_the_end() {
        let moments = draw(5, SHAPE, TIME, Profile::All);
        let (mut killed, mut paused, mut full, mut cut) =
            (HashSet::new(), HashSet::new(), HashSet::new(), HashSet::new());
        let mut wrong = HashSet::new();
        for Moment { at, step } in moments {
            assert!(at <= TIME);
            match step {
                Step::Kill { party } => assert!(killed.insert(party) | wrong.insert(party)),
                Step::Pause { party } => assert!(paused.insert(party) | wrong.insert(party)),
                Step::Fill { party, .. } => assert!(full.insert(party) | wrong.insert(party)),
                Step::Start { party, .. } | Step::Continue { party } | Step::Free { party } => {
                    assert!(wrong.remove(&party));
                }
                Step::Impair { link, impairment: Impairment::NONE } => assert!(wrong.remove(&(100 + link))),
                Step::Impair { link, impairment } => {
                    assert!(wrong.insert(100 + link));
                    if impairment == Impairment::CUT {
                        cut.insert(link);
                    }
                }
            }
        }
        assert_eq!((killed.len(), paused.len(), full.len(), cut.len()), (7, 7, 5, 11));
        assert!(wrong.is_empty());
    }

    #[test]
    fn bursts_hit_all_links_alike() {
        let moments = draw(5, SHAPE, TIME, Profile::Loss);
        let with = |loss| {
            moments
                .iter()
                .filter(|m| matches!(&m.step, Step::Impair { impairment, .. } if impairment.loss == loss))
                .count()
        };
        assert!(with(BURST) > 2000 && with(BETWEEN) > 2000 && with(0.0) == 11);
        assert!(moments.iter().any(|moment| matches!(moment.step, Step::Kill { .. })));
        let impaired = moments.iter().rfind(|moment| matches!(moment.step, Step::Impair { .. })).expect("many");
        assert!(impaired.at == TIME && matches!(impaired.step, Step::Impair { impairment: Impairment::NONE, .. }));
    }

    #[test]
    fn clients_dial_the_ends_and_mixes_those_behind_them() {
        let links = Shape { mixes: 3, clients: 2 }.links();
        let pairs: Vec<_> = links.into_iter().map(|link| (link.from, link.to)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (1, 2), (3, 0), (3, 2), (4, 0), (4, 2)]);
    }
}
