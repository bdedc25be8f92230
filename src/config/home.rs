//! A home: the directory of one mix or client, with its settings, its keys and its contacts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::crypto::Backend;

use super::{
    ClientSecrets, ConfigError, Contacts, FileError, KeyError, LogFormat, LogLevel, Metrics, MixSecrets, Settings,
    files, is_name,
};

/// What a home is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// `mixnode`: an identity key.
    Mix,
    /// `mixclient`: an identity key, a letter key, a list key and a capability.
    Client,
}

/// A directory, mode 0700, of one mix or client: `config.yaml`, secret keys, `contacts.txt`, and what its stores keep.
///
/// Everything is resolved: paths are usable as they are, defaults are filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Home {
    /// The directory.
    pub dir: PathBuf,
    /// The name in the network file.
    pub id: String,
    /// The network file; by default `network.yaml` in the home, or else in its parent.
    pub network: PathBuf,
    /// The directory of the secret keys; by default the home.
    pub keys: PathBuf,
    /// Where a mix listens, if not at its address in the network file.
    pub listen: Option<SocketAddr>,
    /// The control socket; by default `control.sock` in the home.
    pub control: PathBuf,
    /// The largest datagram that is tried on a path; by default what any Ethernet carries.
    pub mtu: u16,
    /// Megabits a second at which a mix hands a batch on; by default 0: as fast as the link takes it.
    pub emission_mbit: u64,
    /// Bytes that may wait in a client's outbox; by default [`OUTBOX_BYTES`].
    pub outbox_bytes: u64,
    /// Bytes of messages beyond which a client's inbox forgets those that were read; by default [`INBOX_BYTES`].
    pub inbox_bytes: u64,
    /// Clients in a round below which a client's `status` warns; by default 0, so that it never does.
    pub privacy_floor: u64,
    /// Rounds that a client's message waits on average before it leaves; by default 0, so that it leaves with the next.
    pub wait_rounds: u64,
    /// Where metrics are served, on loopback unless the settings say `metrics_public`; by default nowhere.
    pub metrics: Option<SocketAddr>,
    /// The form of log lines.
    pub log: LogFormat,
    /// The least severe log lines that are written.
    pub log_level: LogLevel,
    /// Whether the keys live in memory only. What was published of them is to be withdrawn at the end.
    pub ephemeral: bool,
    /// What a mix computes X25519 with; this processor has it.
    pub x25519: Backend,
}

impl Home {
    /// Opens the home in `dir`; `overrides` go over its `config.yaml` as [`Settings::override_with`] says.
    ///
    /// # Errors
    /// If there is none, others may enter it, or its settings are wrong. Keys are looked at when they are loaded.
    pub fn open<N, V>(dir: &Path, overrides: impl IntoIterator<Item = (N, V)>) -> Result<Self, ConfigError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        if !dir.is_dir() {
            return Err(ConfigError::NoHome(dir.into()));
        }
        files::check_dir(dir).map_err(KeyError::File)?;
        let config = dir.join(CONFIG_NAME);
        let mut settings = match Settings::read(&config) {
            // A home of keys and variables only, as containers have it.
            Err(ConfigError::File(FileError::Missing(_))) => Settings::default(),
            settings => settings?,
        };
        settings.override_with(overrides)?;
        Self::resolve(dir, settings)
    }

    /// Makes the home in `dir`, or completes it: what is there stays. `network`, relative to the working directory, is
    /// written into a new `config.yaml`. An ephemeral home gets no keys.
    ///
    /// # Errors
    /// If `dir` is not this user's alone, is the home of another id, or cannot be written.
    pub fn init(dir: &Path, role: Role, id: &str, network: Option<&Path>) -> Result<Self, ConfigError> {
        if !is_name(id) {
            return Err(ConfigError::BadId(id.chars().take(64).flat_map(char::escape_debug).collect()));
        }
        files::create_dir(dir).map_err(KeyError::File)?;
        let config = dir.join(CONFIG_NAME);
        if !config.exists() {
            let network = network.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
            files::create_secret(&config, config_text(id, network.as_deref()).as_bytes())?;
        }
        let home = Self::open::<&str, &str>(dir, [])?;
        if home.id != id {
            return Err(ConfigError::OtherId { dir: dir.into(), has: home.id, wanted: id.into() });
        }
        home.make_keys(role)?;
        Ok(home)
    }

    /// Makes those secret keys that are not there yet; none if it is ephemeral.
    ///
    /// # Errors
    /// If their directory is not this user's alone or cannot be written.
    pub fn make_keys(&self, role: Role) -> Result<(), KeyError> {
        if self.ephemeral {
            return Ok(());
        }
        files::create_dir(&self.keys)?;
        match role {
            Role::Mix => MixSecrets::create(&self.keys),
            Role::Client => ClientSecrets::create(&self.keys),
        }
    }

    /// The secrets of a mix: from its files, or new ones if it is ephemeral.
    ///
    /// # Errors
    /// If a file is missing, unsafe or not a key.
    pub fn mix_secrets(&self) -> Result<MixSecrets, KeyError> {
        if self.ephemeral { MixSecrets::generate() } else { MixSecrets::load(&self.keys) }
    }

    /// The secrets of a client: from its files, or new ones if it is ephemeral.
    ///
    /// # Errors
    /// If a file is missing, unsafe or not a key.
    pub fn client_secrets(&self) -> Result<ClientSecrets, KeyError> {
        if self.ephemeral { ClientSecrets::generate() } else { ClientSecrets::load(&self.keys) }
    }

    /// The contacts in `contacts.txt`.
    pub fn contacts(&self) -> Contacts {
        Contacts::at(&self.dir.join("contacts.txt"))
    }

    fn resolve(dir: &Path, settings: Settings) -> Result<Self, ConfigError> {
        let id = settings.id.ok_or_else(|| ConfigError::NoId(dir.join(CONFIG_NAME)))?;
        if !is_name(&id) {
            return Err(ConfigError::BadId(id.chars().take(64).flat_map(char::escape_debug).collect()));
        }
        let metrics = match settings.metrics.unwrap_or_default() {
            Metrics::Off => None,
            Metrics::At(address) => Some(address),
        };
        if let Some(address) = metrics.filter(|address| !address.ip().is_loopback())
            && settings.metrics_public != Some(true)
        {
            return Err(ConfigError::MetricsPublic(address));
        }
        Ok(Self {
            dir: dir.into(),
            id,
            network: settings.network.unwrap_or_else(|| default_network(dir)),
            keys: settings.keys.unwrap_or_else(|| dir.into()),
            listen: settings.listen,
            control: settings.control.unwrap_or_else(|| dir.join("control.sock")),
            mtu: settings.mtu.unwrap_or(MTU),
            emission_mbit: settings.emission_mbit.unwrap_or(0),
            outbox_bytes: settings.outbox_bytes.unwrap_or(OUTBOX_BYTES),
            inbox_bytes: settings.inbox_bytes.unwrap_or(INBOX_BYTES),
            privacy_floor: settings.privacy_floor.unwrap_or(0),
            wait_rounds: settings.wait_rounds.unwrap_or(0),
            metrics,
            log: settings.log.unwrap_or_default(),
            log_level: settings.log_level.unwrap_or_default(),
            ephemeral: settings.ephemeral.unwrap_or(false),
            x25519: settings.x25519.unwrap_or_default().backend()?,
        })
    }
}

/// Bytes that may wait in a client's outbox if nobody says otherwise: a dozen of the largest messages of the test network.
pub const OUTBOX_BYTES: u64 = 1 << 30;

/// Bytes of messages beyond which a client's inbox forgets those that were read, if nobody says otherwise: as many as may
/// wait to be sent.
pub const INBOX_BYTES: u64 = OUTBOX_BYTES;

/// The largest UDP payload that is tried if nobody says otherwise: an Ethernet frame less IPv6 and UDP headers.
const MTU: u16 = 1452;

const CONFIG_NAME: &str = "config.yaml";

/// In the home if it is there, else beside it, as the test network and several homes on one machine have it.
fn default_network(dir: &Path) -> PathBuf {
    let within = dir.join("network.yaml");
    if within.exists() { within } else { dir.join("../network.yaml") }
}

/// The commented example with this id.
fn config_text(id: &str, network: Option<&Path>) -> String {
    let mut text = String::new();
    for line in include_str!("../../config/home.example.yaml").lines() {
        match (line.split_once(':').map(|(key, _)| key), network) {
            (Some("id"), _) => text.push_str(&format!("id: {id}")),
            (Some("#network"), Some(network)) => {
                // JSON strings are YAML strings, whatever is in the path.
                let quoted = serde_json::Value::from(network.to_string_lossy()).to_string();
                text.push_str(&format!("network: {quoted}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}
