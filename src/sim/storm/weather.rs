//! The weather of a storm: which fault when, for how long, and its end.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;

use crate::crypto::Csprng;

use super::super::{Failing, Faults, Party, World};

/// Silence after which links are taken for broken. Shorter than in the daemons, as rounds are.
const SILENCE: Duration = Duration::from_secs(5);

/// Faults that begin and end.
pub(super) struct Weather {
    rng: Csprng,
    /// Milliseconds between two faults, on average.
    pace: u64,
    next: Duration,
    ends: Vec<(Duration, End)>,
    /// Whether a mix in front of the exit that crashes may lose its disk.
    lose_disks: bool,
    /// How often each kind has come.
    pub counts: BTreeMap<&'static str, u64>,
}

/// How a fault ends.
enum End {
    Start(Party),
    Silent(Party),
    Resume(Party),
    Heal(Party, Party),
    Disk(Party),
    Links,
}

impl Weather {
    /// Faults come `pace` milliseconds apart, on average.
    pub(super) fn new(rng: Csprng, pace: u64, lose_disks: bool) -> Self {
        Self { rng, pace, next: Duration::ZERO, ends: Vec::new(), lose_disks, counts: BTreeMap::new() }
    }

    /// What every link and clock does when nothing else is wrong.
    pub(super) fn calm() -> Faults {
        Faults { unnoticed: Duration::from_millis(300), segment: 3, clocks: true, ..Faults::default() }
    }

    /// Ends what is over and begins what is due.
    pub(super) fn pass(&mut self, world: &mut World) {
        for (_, end) in self.ends.extract_if(.., |(at, _)| *at <= world.now()).collect::<Vec<_>>() {
            end.happen(world);
        }
        if world.now() >= self.next {
            let pause = self.rng.random_range(0..=2 * self.pace);
            self.next = world.now() + Duration::from_millis(pause);
            self.strike(world);
        }
    }

    /// Ends everything at once.
    pub(super) fn clear(&mut self, world: &mut World) {
        for (_, end) in std::mem::take(&mut self.ends) {
            end.happen(world);
        }
        world.faults = Self::calm();
        for party in everybody(world) {
            heal_disk(world, party);
            world.resume(party);
            world.start(party);
        }
    }

    fn strike(&mut self, world: &mut World) {
        let party = self.anybody(world);
        let mix = Party::Mix(self.rng.random_range(0..world.mixes.len()));
        let exit = Party::Mix(world.mixes.len() - 1);
        let client = Party::Client(self.rng.random_range(0..world.clients.len()));
        let kind = self.rng.random_range(0..20);
        let name = match kind {
            0 => self.crash_mix(world, mix),
            1 => self.crash(world, client, "crash_client"),
            2..=3 => {
                // In the middle of a step: asked of the disk, and not done.
                world.run_until(Duration::from_secs(3), |world| world.is_writing(party));
                self.crash(world, party, "crash_while_writing")
            }
            4 => {
                for party in everybody(world) {
                    self.crash(world, party, "");
                }
                "crash_all"
            }
            5..=6 => self.pause(world, party),
            7..=8 => {
                let peers = world.peers(party);
                let other = peers[self.rng.random_range(0..peers.len())];
                world.partition(party, other);
                let end = self.lasts(world, 15_000);
                self.ends.push((end, End::Heal(party, other)));
                "partition"
            }
            9 => self.links(world, "loss", |faults, rng| {
                faults.loss = rng.random_range(0.0..0.04);
                faults.outage = Duration::from_millis(rng.random_range(1..3000));
            }),
            10 => self.links(world, "reordering", |faults, rng| {
                faults.jitter = Duration::from_millis(rng.random_range(20..900));
            }),
            11 => self.links(world, "duplication", |faults, rng| faults.duplication = rng.random_range(0.0..0.5)),
            12 => self.links(world, "delay", |faults, rng| {
                faults.latency = Duration::from_millis(rng.random_range(100..3000));
            }),
            13 => self.links(world, "slow_work", |faults, rng| {
                faults.work = Duration::from_millis(rng.random_range(5..900));
            }),
            14 => {
                // Up to a day, mostly less.
                let by = 10u64.pow(self.rng.random_range(1..=7)) * self.rng.random_range(1..9);
                world.jump_clock(party, Duration::from_millis(by));
                "clock_jump"
            }
            15 => self.disk(world, exit, Failing::FullForContent, "exit_full_for_content"),
            16 => {
                let failing = if self.rng.random() { Failing::Full } else { Failing::FullForContent };
                self.disk(world, client, failing, "client_full")
            }
            17 => self.disk(world, mix, Failing::Full, "mix_full"),
            18 => {
                let each = self.rng.random_range(2..9);
                match self.rng.random() {
                    true => self.disk(world, party, Failing::Each(each), "disk_fails_now_and_then"),
                    false => self.disk(world, party, Failing::Lies(each), "disk_takes_and_denies"),
                }
            }
            _ => {
                let delay = Duration::from_millis(self.rng.random_range(5..2500));
                disk(world, party).slow(delay);
                let end = self.lasts(world, 10_000);
                self.ends.push((end, End::Disk(party)));
                "disk_slow"
            }
        };
        *self.counts.entry(name).or_default() += 1;
    }

    fn crash_mix(&mut self, world: &mut World, party: Party) -> &'static str {
        self.crash(world, party, "");
        match party {
            Party::Mix(mix) if self.lose_disks && mix + 1 < world.mixes.len() => {
                world.lose_disk(mix);
                "disk_lost"
            }
            _ => "crash_mix",
        }
    }

    fn crash(&mut self, world: &mut World, party: Party, name: &'static str) -> &'static str {
        world.crash(party);
        let end = self.lasts(world, 12_000);
        self.ends.push((end, End::Start(party)));
        name
    }

    fn pause(&mut self, world: &mut World, party: Party) -> &'static str {
        world.pause(party);
        let end = self.lasts(world, 15_000);
        if end > world.now() + SILENCE {
            self.ends.push((world.now() + SILENCE, End::Silent(party)));
        }
        self.ends.push((end, End::Resume(party)));
        "pause"
    }

    fn disk(&mut self, world: &mut World, party: Party, failing: Failing, name: &'static str) -> &'static str {
        disk(world, party).fail(failing);
        let end = self.lasts(world, 12_000);
        self.ends.push((end, End::Disk(party)));
        name
    }

    fn links(
        &mut self,
        world: &mut World,
        name: &'static str,
        change: impl FnOnce(&mut Faults, &mut Csprng),
    ) -> &'static str {
        change(&mut world.faults, &mut self.rng);
        let end = self.lasts(world, 15_000);
        self.ends.push((end, End::Links));
        name
    }

    /// When what begins now ends: short more often than long.
    fn lasts(&mut self, world: &World, most_ms: u64) -> Duration {
        let share: f64 = self.rng.random();
        world.now() + Duration::from_millis(1 + (share * share * most_ms as f64) as u64)
    }

    fn anybody(&mut self, world: &World) -> Party {
        let all = everybody(world);
        all[self.rng.random_range(0..all.len())]
    }
}

impl End {
    fn happen(self, world: &mut World) {
        match self {
            End::Start(party) => world.start(party),
            End::Silent(party) if world.is_paused(party) => world.lose_links(party),
            End::Silent(_) => {}
            End::Resume(party) => world.resume(party),
            End::Heal(a, b) => world.heal(a, b),
            End::Disk(party) => heal_disk(world, party),
            End::Links => world.faults = Weather::calm(),
        }
    }
}

fn everybody(world: &World) -> Vec<Party> {
    let mixes = (0..world.mixes.len()).map(Party::Mix);
    mixes.chain((0..world.clients.len()).map(Party::Client)).collect()
}

fn disk(world: &World, party: Party) -> &super::super::SimDisk {
    match party {
        Party::Mix(mix) => &world.mixes[mix].kv,
        Party::Client(client) => &world.clients[client].kv,
    }
}

fn heal_disk(world: &World, party: Party) {
    disk(world, party).fail(Failing::Never);
    disk(world, party).slow(super::super::disk::COMMIT);
}
