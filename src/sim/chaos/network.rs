//! A network of real processes whose every link leads through a relay of its own.

use std::collections::BTreeMap;
use std::fs::{create_dir_all, write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use nix::sys::signal::Signal;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::config::NetworkFile;
use crate::sim::{Impairment, Relay, RelayCounts, Sighting, Tap};
use crate::testnet::{Layout, Options, Programs, TestnetError};
use crate::wire::CHAIN_KEPT;

use super::process::Process;
use super::schedule::{Link, Shape, Step};

/// Rounds of an epoch: few, so that epochs turn while things go wrong.
const EPOCH_ROUNDS: u64 = 16;
/// Where nothing goes wrong, everything that is kept for a time is kept as short as can be, so that it has its full size
/// after minutes and whatever grows on is seen.
const CALM_HISTORY: u64 = CHAIN_KEPT as u64 * EPOCH_ROUNDS;
const CALM_RETENTION: u64 = 16;
/// Bytes of messages beyond which a client forgets those that were read: few, so that its disk is soon as full as it
/// will ever be, and many enough for the largest messages that users write by themselves.
const INBOX_BYTES: u64 = 1 << 20;

/// The processes, their homes, and what stands between them.
pub(in crate::sim) struct Network {
    pub layout: Layout,
    pub counts: Arc<RelayCounts>,
    /// Mixes first, entry first.
    pub parties: Vec<Process>,
    relays: Vec<Relay>,
}

/// How often everything was done.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(in crate::sim) struct Done {
    pub kills: u64,
    pub pauses: u64,
    pub partitions: u64,
    pub impairments: u64,
    pub disk_full: u64,
    pub clock_jumps: u64,
}

/// What the processes of one role take up: resident memory of one on average, disk of all.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(in crate::sim) struct RoleUsage {
    pub running: u64,
    pub rss_kib: u64,
    /// Of it, what is not the database's file.
    pub rss_anon_kib: u64,
    pub disk_kib: u64,
}

/// What is special about a network.
#[derive(Clone, Debug, Default)]
pub(in crate::sim) struct Setting {
    /// Nothing goes wrong: what is kept for a time is kept as short as can be.
    pub calm: bool,
    /// How many mixes together open a round, if not all.
    pub threshold: Option<u64>,
    /// What runs in place of a party's daemon.
    pub wrappers: BTreeMap<usize, Vec<String>>,
    /// Who is shown the datagrams on the links of clients.
    pub watcher: Option<UnboundedSender<OnLink>>,
    /// Rounds of an epoch, if not few.
    pub epoch_rounds: Option<u64>,
}

/// A datagram on the link of a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::sim) struct OnLink {
    /// The client's number, from 0.
    pub client: usize,
    /// Whether its link to the exit is meant, and not that to the entry.
    pub exit: bool,
    pub sighting: Sighting,
}

impl Setting {
    fn tap(&self, shape: Shape, link: Link) -> Tap {
        match (self.watcher.clone(), link.from.checked_sub(shape.mixes)) {
            (Some(watcher), Some(client)) => Box::new(move |sighting| {
                // Whoever watched may have seen enough.
                let _gone = watcher.send(OnLink { client, exit: link.to != 0, sighting });
            }),
            _ => Box::new(|_| ()),
        }
    }
}

impl Network {
    /// Lays a network out in `dir` and starts everybody.
    pub(in crate::sim) async fn start(
        dir: &Path,
        options: &Options,
        programs: &Programs,
        seed: u64,
        setting: &Setting,
    ) -> Result<Self, TestnetError> {
        let mut layout = Layout::prepare(dir, options)?;
        layout.network.epoch_rounds = setting.epoch_rounds.unwrap_or(EPOCH_ROUNDS);
        layout.network.threshold = setting.threshold.or(layout.network.threshold);
        if setting.calm {
            layout.network.history_rounds = CALM_HISTORY;
            layout.network.retention_epochs = CALM_RETENTION;
        }
        layout.network.keys_dir = Some(layout.dir.join("keys"));
        let io = |what: &str, path: &Path| {
            let what = format!("{what} {}", path.display());
            |source| TestnetError::Io { what, source }
        };
        create_dir_all(layout.dir.join("keys")).map_err(io("make", &layout.dir))?;
        for home in &layout.clients {
            let path = home.dir.join("config.yaml");
            write(&path, format!("id: {}\ninbox_bytes: {INBOX_BYTES}\n", home.id)).map_err(io("write", &path))?;
        }
        let counts = Arc::<RelayCounts>::default();
        let shape = Shape { mixes: options.mixes, clients: options.clients };
        let mut relays = Vec::new();
        let mut files: Vec<NetworkFile> = vec![layout.network.clone(); shape.parties()];
        for (number, link) in shape.links().into_iter().enumerate() {
            let address = &layout.network.mixes[link.to].address;
            let mix: SocketAddr = address.parse().expect("the layout writes addresses of this machine");
            let random = seed.wrapping_mul(1 << 16).wrapping_add(number as u64);
            let relay = Relay::tapped(mix, random, counts.clone(), setting.tap(shape, link))
                .await
                .map_err(io("relay to", Path::new(address)))?;
            files[link.from].mixes[link.to].address = relay.address().to_string();
            relays.push(relay);
        }
        let mixes = layout.mixes.iter().map(|home| (home, &programs.mixnode));
        let clients = layout.clients.iter().map(|home| (home, &programs.mixclient));
        let mut parties = Vec::new();
        for (place, ((home, program), file)) in mixes.chain(clients).zip(files).enumerate() {
            // A home's own network file goes before the one beside it.
            let path = home.dir.join("network.yaml");
            write(&path, file.to_yaml()).map_err(io("write", &path))?;
            let wrapper = setting.wrappers.get(&place).cloned().unwrap_or_default();
            parties.push(Process::new(home.clone(), program, wrapper));
        }
        for party in &mut parties {
            party.start(0)?;
        }
        Ok(Self { layout, counts, parties, relays })
    }

    /// Takes a step of the schedule; what the machine cannot do is left out.
    pub(super) async fn step(&mut self, step: &Step, done: &mut Done) -> Result<(), TestnetError> {
        match *step {
            Step::Kill { party } => {
                self.parties[party].kill().await;
                done.kills += 1;
            }
            Step::Start { party, clock } => {
                self.parties[party].start(clock)?;
                done.clock_jumps += u64::from(clock != 0);
            }
            Step::Pause { party } => {
                self.parties[party].signal(Signal::SIGSTOP);
                done.pauses += 1;
            }
            Step::Continue { party } => self.parties[party].signal(Signal::SIGCONT),
            Step::Impair { link, impairment } => {
                self.relays[link].impair(impairment);
                match impairment {
                    Impairment::NONE => {}
                    Impairment::CUT => done.partitions += 1,
                    _ => done.impairments += 1,
                }
            }
            Step::Fill { party, room } => done.disk_full += u64::from(self.parties[party].limit(Some(room)).await),
            Step::Free { party } => {
                self.parties[party].limit(None).await;
            }
        }
        Ok(())
    }

    /// Starts again whoever has ended by itself, and says so.
    pub(in crate::sim) fn look_for_dead(&mut self) -> Result<Vec<String>, TestnetError> {
        let mut said = Vec::new();
        for party in &mut self.parties {
            if let Some(words) = party.obituary() {
                party.start(0)?;
                said.push(words);
            }
        }
        Ok(said)
    }

    /// Stops everybody, clients first; what there is to say of those that did not stop well.
    pub(in crate::sim) async fn stop(&mut self) -> Vec<String> {
        let mixes = self.layout.mixes.len();
        let mut said = Vec::new();
        let (mixes, clients) = self.parties.split_at_mut(mixes);
        for group in [clients, mixes] {
            // All are told before the first is waited for: mixes wait for each other's verdicts.
            group.iter().for_each(|party| party.signal(Signal::SIGTERM));
            for party in group {
                said.extend(party.wait().await);
            }
        }
        said
    }

    /// What everybody takes up at present, by role.
    pub(in crate::sim) fn usage(&self) -> BTreeMap<&'static str, RoleUsage> {
        let exit = self.layout.mixes.len() - 1;
        let mut roles = BTreeMap::<&'static str, RoleUsage>::new();
        for (place, party) in self.parties.iter().enumerate() {
            let role = match place {
                0 => "entry",
                place if place < exit => "middle",
                place if place == exit => "exit",
                _ => "client",
            };
            let Some(usage) = party.usage() else { continue };
            let sum = roles.entry(role).or_default();
            sum.running += 1;
            sum.rss_kib += usage.resident_kib;
            sum.rss_anon_kib += usage.anonymous_kib;
            sum.disk_kib += usage.disk_kib;
        }
        for sum in roles.values_mut() {
            sum.rss_kib /= sum.running;
            sum.rss_anon_kib /= sum.running;
        }
        roles
    }
}
