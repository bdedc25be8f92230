//! A network of real processes, some of them not what they should be, with a few honest users: where experiments with villains take place.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::control::{Answer, Ask, Stream};
use crate::testnet::{Options, Programs, TestnetError};

use super::chaos::{Ledger, Network, Offer, Setting, User, Verdict};

/// Seconds of a round: short, for many rounds, and long enough for two busy cores.
const ROUND: f64 = 0.5;
/// The shortest payload there is.
const PAYLOAD: u64 = 256;
/// Rounds after which nothing comes twice any more.
const QUIET_ROUNDS: f64 = 6.0;
/// How often everybody is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(400);
/// A daemon that takes longer has something else to do.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// What a village is like.
pub(super) struct Setup<'a> {
    /// Where it lies; what an earlier one left there goes.
    pub dir: &'a Path,
    pub programs: &'a Programs,
    pub mixes: usize,
    /// Clients with users.
    pub honest: usize,
    /// Clients beside those.
    pub others: usize,
    pub packets_per_client: u64,
    /// Ports follow from it: villages beside each other must not look for the same.
    pub seed: u64,
    /// How many mixes together open a round, if not all.
    pub threshold: Option<u64>,
    /// What runs in place of a party's daemon, by its number: mixes first.
    pub wrappers: BTreeMap<usize, Vec<String>>,
}

/// A running network with users in it. Dropped, it kills every process.
pub(super) struct Village {
    pub network: Network,
    /// Each has the client of the same number.
    pub users: Vec<User>,
    ledger: Arc<Mutex<Ledger>>,
}

impl Village {
    pub(super) async fn start(setup: Setup<'_>) -> Result<Self, TestnetError> {
        // What is not there need not go, and what cannot be removed is found by whoever lays the network out.
        let _absent = std::fs::remove_dir_all(setup.dir);
        let options = Options {
            mixes: setup.mixes,
            clients: setup.honest + setup.others,
            payload: PAYLOAD,
            packets_per_client: setup.packets_per_client,
            round_seconds: Some(ROUND),
            submit_seconds: None,
            mix_delay_ms: (0, 20),
            base_port: None,
        };
        let setting = Setting { threshold: setup.threshold, wrappers: setup.wrappers, ..Setting::default() };
        let network = Network::start(setup.dir, &options, setup.programs, setup.seed, &setting).await?;
        let ledger = Arc::<Mutex<Ledger>>::default();
        let names = Arc::new(network.layout.clients.iter().map(|home| home.id.clone()).collect::<Vec<_>>());
        let user = |place: usize| {
            let control = network.layout.clients[place].control.clone();
            User::passive(place, control, names.clone(), &network.layout.network, ledger.clone())
        };
        let users = (0..setup.honest).map(user).collect();
        Ok(Self { network, users, ledger })
    }

    /// Every user writes to the next what `data` makes of its number.
    ///
    /// # Errors
    /// If a daemon takes a message not even after `patience`.
    pub(super) async fn write(&self, patience: Duration, data: impl Fn(u8) -> Vec<u8>) -> Result<(), String> {
        for (place, user) in self.users.iter().enumerate() {
            let next = &self.users[(place + 1) % self.users.len()].name;
            let data = data(place as u8);
            let parcel = user.parcel(next.clone(), true, None, &data);
            let until = Instant::now() + patience;
            while user.offer(parcel.clone(), &data).await != Offer::Accepted {
                if Instant::now() > until {
                    return Err(format!("{} takes no message", user.name));
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// A villain's machine is taken back: its own daemon starts from what is on its disk.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) async fn take_back(&mut self, party: usize) -> Result<(), String> {
        let party = &mut self.network.parties[party];
        party.kill().await;
        party.give_back();
        party.start(0).map_err(|error| error.to_string())
    }

    /// Operators tell their mixes `what`, users look at their inboxes and send again what is held; whether all that was accepted has
    /// arrived.
    pub(super) async fn go_on(&self, what: &[Ask]) -> bool {
        for home in &self.network.layout.mixes {
            for ask in what {
                tell(&home.control, ask).await;
            }
        }
        let mut done = true;
        for user in &self.users {
            let held = user.retry().await;
            done &= user.is_done().await && user.look().await && held.is_some_and(|held| held.is_empty());
        }
        done && self.ledger.lock().unwrap_or_else(PoisonError::into_inner).missing() == 0
    }

    /// What every inbox shows in the end, against what was accepted.
    pub(super) async fn compare(&self) -> Verdict {
        sleep(Duration::from_secs_f64(ROUND * QUIET_ROUNDS)).await;
        let mut all = Vec::new();
        for user in &self.users {
            all.extend(user.list(true).await.unwrap_or_default());
        }
        let ledger = std::mem::take(&mut *self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
        ledger.judge(Vec::new(), all, &Default::default())
    }
}

/// The words that run `program`, which is `mixlab`, as the daemon whose home is `home`, with `more` arguments.
pub(super) fn rogue<'a>(program: &Path, home: &Path, more: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let words = [program.display().to_string(), "rogue".into(), "--home".into(), home.display().to_string()];
    words.into_iter().chain(more.into_iter().map(str::to_owned)).chain(["--".into()]).collect()
}

/// The operator of a mix acts.
pub(super) async fn tell(control: &Path, what: &Ask) {
    let asked = async {
        let mut daemon = Stream::connect(control).await.ok()?;
        daemon.send(what).await.ok()?;
        daemon.receive::<Answer>().await.ok()
    };
    // Who does not answer is asked again.
    let _ = timeout(ANSWER, asked).await;
}
