//! One network in a storm.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};

use crate::crypto::Csprng;
use crate::mix::Mix;
use crate::store::Table;

use super::super::{Plan, Violation, Witness, World};
use super::Control;
use super::users::Users;
use super::weather::Weather;

/// Commits that a crash takes back in the control without synchronisation.
const UNSYNCED: usize = 6;
/// Rounds after the storm in which everything must have arrived: every message may still fail and wait for its
/// verdict a few times, and a backlog goes out a few fragments a round.
const RECOVERY: u64 = 200;
/// Rounds after which nothing can come twice any more: a verdict, a poll, its acknowledgement.
const QUIET: u64 = 25;

/// Messages of one network that are described when they fail.
const DETAILS: usize = 5;

/// One network.
pub(super) struct Trial {
    world: World,
    rng: Csprng,
    users: Users,
    weather: Weather,
}

/// What one network came to.
#[derive(Default)]
pub(super) struct Outcome {
    pub rounds: u64,
    pub accepted: u64,
    pub delivered: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub corrupted: u64,
    pub held: u64,
    pub recovery: u64,
    pub violations: BTreeMap<Violation, u64>,
    pub faults: BTreeMap<&'static str, u64>,
    pub details: Vec<String>,
}

impl Outcome {
    pub(super) fn is_sound(&self) -> bool {
        self.lost + self.duplicated + self.corrupted == 0 && self.violations.is_empty()
    }
}

impl Trial {
    pub(super) fn new(seed: u64, control: Control, lose_disks: bool) -> Self {
        let mut rng = Csprng::seed_from_u64(seed ^ 0x5707_1234);
        let plan = Plan {
            mixes: rng.random_range(2..=4),
            clients: rng.random_range(3..=5),
            packets_per_client: rng.random_range(1..=3),
            mix_delay_ms: (0, rng.random_range(1..400)),
            min_share_permille: rng.random_range(300..=900),
            epoch_rounds: [2, 5, 12, 60][rng.random_range(0..4)],
            seed,
            ..Plan::default()
        };
        let pace = rng.random_range(1000..12_000);
        let weather = Weather::new(Csprng::seed_from_u64(seed ^ 0x3ea7_4e12), pace, lose_disks);
        let mut world = World::with_faults(plan, Weather::calm());
        world.witness = Some(Witness::default());
        match control {
            Control::None => {}
            Control::NoFsync => {
                world.mixes.iter().for_each(|mix| mix.kv.leave_unsynced(UNSYNCED));
                world.clients.iter().for_each(|client| client.kv.leave_unsynced(UNSYNCED));
            }
            Control::NoIdCheck => world.clients.iter().for_each(|client| client.kv.forget_names()),
            Control::ResendOnMissingReceipt => world.resend_without_receipt = true,
        }
        Self { world, rng, users: Users::default(), weather }
    }

    /// `rounds` in the storm, then the recovery.
    pub(super) fn run(mut self, rounds: u64) -> Outcome {
        // Storms that leave no quorum for long open no rounds: time is bounded as well.
        let end = self.round() * (rounds as u32).saturating_mul(20);
        while self.opened() < rounds && self.world.now() < end {
            self.weather.pass(&mut self.world);
            self.a_while(true);
        }
        self.weather.clear(&mut self.world);
        let healed = self.opened();
        let end = self.world.now() + self.round() * (RECOVERY as u32 * 2);
        while self.users.missing().next().is_some() && self.opened() < healed + RECOVERY && self.world.now() < end {
            self.a_while(false);
        }
        let recovery = self.opened() - healed;
        self.quiet_down();
        self.conclude(recovery)
    }

    /// Half a round or so, in which users do what users do.
    fn a_while(&mut self, sending: bool) {
        let time = Duration::from_micros(self.rng.random_range(1000..900_000));
        self.world.run_for(time);
        if sending {
            self.users.send(&mut self.world, &mut self.rng);
        }
        self.users.read(&self.world, &mut self.rng);
        self.users.retry(&self.world);
    }

    /// What could still come a second time comes now.
    fn quiet_down(&mut self) {
        let enough = self.opened() + QUIET;
        let end = self.world.now() + self.round() * (QUIET as u32 * 2);
        while self.opened() < enough && self.world.now() < end {
            self.a_while(false);
        }
    }

    fn conclude(mut self, recovery: u64) -> Outcome {
        let rounds = self.opened();
        let found = self.grown();
        let mut details = std::mem::take(&mut self.users.details);
        let Some(mut witness) = self.world.witness.take() else { return Outcome::default() };
        witness.conclude();
        found.into_iter().for_each(|what| witness.object(Violation::Grown, what));
        for (name, from, to) in self.users.missing() {
            let state = self.world.clients[from].disk.outbox.state(name);
            let state = state.map_or_else(|error| error.to_string(), |message| format!("{:?}", message.state));
            let journey = witness.journey(name).join("; ");
            details.push(format!("lost: {:02x?} from {from} to {to}, {state}: {journey}", &name[..4]));
        }
        details.truncate(DETAILS);
        details.extend(witness.details().iter().cloned());
        if self.users.missing().next().is_some() {
            details.extend(self.world.mixes.iter().map(|mix| {
                let status = mix.engine.as_ref().map(Mix::status);
                format!("opened {:?}, {status:?}", mix.disk.recover().map(|recovered| recovered.opened))
            }));
        }
        Outcome {
            rounds,
            accepted: self.users.accepted(),
            delivered: self.users.delivered(),
            lost: self.users.missing().count() as u64,
            duplicated: self.users.duplicated,
            corrupted: self.users.corrupted,
            held: self.users.held,
            recovery,
            violations: witness.violations().clone(),
            faults: std::mem::take(&mut self.weather.counts),
            details,
        }
    }

    /// Rows that should have gone when everything was delivered and nothing is sent, and have not.
    fn grown(&self) -> Vec<String> {
        let plan = &self.world.plan;
        let delay = plan.mixes + 3;
        // Dummies that are not yet acknowledged: each mailbox gets its share, and chance gives one more than that.
        let noise = (plan.mixes - 1) * plan.noise_packets as usize;
        let letters = (plan.clients * plan.packets_per_client as usize + noise) * (delay + 4) * 2;
        let none = [Table::Queue, Table::Fragments, Table::Partials, Table::Senders, Table::Unread];
        let mut bounds: Vec<(Table, usize)> = none.map(|table| (table, 0)).into();
        bounds.extend([(Table::Rounds, delay + 3), (Table::Letters, letters)]);
        let mixes = self.world.mixes.iter().enumerate().map(|(i, mix)| (format!("mix {i}"), &mix.kv));
        let clients = self.world.clients.iter().enumerate().map(|(i, client)| (format!("client {i}"), &client.kv));
        let mut found = Vec::new();
        for (name, disk) in mixes.chain(clients) {
            let rows = disk.rows();
            for (table, most) in &bounds {
                let there = rows.get(table).copied().unwrap_or(0);
                if there > *most {
                    found.push(format!("{name}: {there} rows of {table}"));
                }
            }
        }
        found
    }

    fn opened(&self) -> u64 {
        self.world.witness.as_ref().map_or(0, Witness::opened)
    }

    fn round(&self) -> Duration {
        Duration::from_millis(self.world.plan.round_ms.into())
    }
}
