//! `network.yaml`: the file that everybody in a network shares.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::crypto::{Digest, Identity, Label, MailboxId, PublicKey, derive};
use crate::wire::Parameters;

use super::source::Source;
use super::{ConfigError, FileError, Loading, Problem, hex_text, limits, roster};

/// A network file as it is written; every key is explained in `config/network.example.yaml`.
///
/// Ranges and contradictions are [`Invalid`](super::Invalid); [`NetworkFile::read`] has found none.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// The network's name, which all seals and signatures are bound to.
    pub network: String,
    /// Packets that close a round before its deadline; by default all that its clients send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_round: Option<u64>,
    /// Registered clients at which the first epoch starts; by default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_clients: Option<u64>,
    /// Distinct clients below which a round aborts.
    pub min_clients: u64,
    /// The share of an epoch's members below which a round aborts, 0 to 1.
    #[serde(default = "default_min_share")]
    pub min_share: f64,
    /// Seconds from the start of one round to the next; 0: it opens when the one before is collected.
    pub round_seconds: f64,
    /// Seconds from a round's start in which submissions are taken; by default 0.8 of the round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submit_seconds: Option<f64>,
    /// Bounds of each mix's random delay before forwarding, milliseconds.
    #[serde(default = "default_mix_delay_ms")]
    pub mix_delay_ms: (u64, u64),
    /// User bytes in a packet.
    pub payload: u64,
    /// Packets that each client sends in each round.
    pub packets_per_client: u64,
    /// The most packets of its own that each mix but the exit may add to a round.
    #[serde(default = "default_noise_packets")]
    pub noise_packets: u64,
    /// What each of them draws how many from; by default always `noise_packets`.
    #[serde(default)]
    pub noise: NoiseLine,
    /// Where clients' dummies go.
    #[serde(default)]
    pub dummies: DummyLine,
    /// The bytes that a dummy carries.
    #[serde(default)]
    pub dummy_payload: String,
    /// The largest message, bytes.
    #[serde(default = "default_max_message")]
    pub max_message: u64,
    /// Rounds in an epoch.
    #[serde(default = "default_epoch_rounds")]
    pub epoch_rounds: u64,
    /// D: the verdict of round r opens round r + D; by default L + 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict_rounds: Option<u64>,
    /// Epochs for which letters are kept.
    #[serde(default = "default_retention_epochs")]
    pub retention_epochs: u64,
    /// Letters in a poll answer; by default one more than three times what cover and noise bring a round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_letters: Option<u64>,
    /// Letters that one mailbox holds.
    #[serde(default = "default_mailbox_letters")]
    pub mailbox_letters: u64,
    /// How many mixes together open a round; by default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u64>,
    /// Whether rounds are opened only when everybody's packets are proven to be in them.
    #[serde(default = "yes")]
    pub sealed: bool,
    /// Rounds whose verdicts mixes keep.
    #[serde(default = "default_history_rounds")]
    pub history_rounds: u64,
    /// Where public key files are; relative to the network file, whose directory is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_dir: Option<PathBuf>,
    /// The cascade, entry first, exit last.
    pub mixes: Vec<MixLine>,
    /// The clients that the network admits.
    pub clients: Vec<ClientLine>,
    /// The mailboxes, without owners; by default those whose files are in `keys_dir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailboxes: Option<Vec<MailboxLine>>,
    #[serde(skip)]
    source: Source,
}

/// What mixes draw how much noise they add to a round from, in packets.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum NoiseLine {
    /// `noise_packets` each time.
    #[default]
    Constant,
    /// None at all.
    None,
    /// Poisson's distribution.
    Poisson {
        /// Its mean.
        mean: f64,
    },
    /// Laplace's distribution, rounded, and cut off at 0.
    Laplace {
        /// Its middle.
        mean: f64,
        /// Its scale.
        scale: f64,
    },
}

/// Where clients' dummies go.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DummyLine {
    /// Each to a mailbox drawn uniformly from all.
    #[default]
    Uniform,
    /// To nobody: the exit drops them.
    Dropped,
    /// To the client itself. Refused, with the reason, as somebody may think of it.
    #[serde(rename = "self")]
    Own,
}

/// A mix in a network file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MixLine {
    /// Its name.
    pub id: String,
    /// Where it listens, `host:port`.
    pub address: String,
    /// Its public key, unless that is a file in `keys_dir`.
    #[serde(default, with = "hex_text", skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// A client in a network file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientLine {
    /// Its name.
    pub id: String,
    /// Its public key, unless that is a file in `keys_dir`.
    #[serde(default, with = "hex_text", skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The static key of its list records, unless that is a file in `keys_dir`.
    #[serde(default, with = "hex_text", skip_serializing_if = "Option::is_none")]
    pub list_key: Option<PublicKey>,
    /// Accepted and unused: nobody connects to a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A mailbox in a network file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxLine {
    /// Where letters go.
    #[serde(with = "hex_text::required")]
    pub id: MailboxId,
    /// Whom they are sealed to.
    #[serde(with = "hex_text::required")]
    pub letter_key: PublicKey,
}

impl NetworkFile {
    /// Reads and checks the file at `path`, at most 16 MiB.
    ///
    /// # Errors
    /// If it cannot be read, is not the YAML it should be, or breaks a rule; all broken rules are told.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::read(path).map_err(|error| match error {
            ConfigError::File(FileError::Missing(path)) => ConfigError::NoNetwork(path),
            other => other,
        })?;
        Self::checked(source)
    }

    /// As [`NetworkFile::read`], of a text; `path` is what messages call it and what `keys_dir` is relative to.
    ///
    /// # Errors
    /// As [`NetworkFile::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Self::checked(Source::new(path, text)?)
    }

    /// The template of the local test network; mixes, clients and whatever a flag says are to be replaced.
    pub fn testnet() -> Self {
        let template = include_str!("../../config/testnet.yaml");
        Self::parse(template, Path::new("testnet.yaml")).expect("a test reads the template")
    }

    /// The file's text, without comments.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("numbers, texts and lists of them have a YAML form")
    }

    /// The parameters of the wire.
    ///
    /// # Errors
    /// Every rule that is broken.
    pub fn parameters(&self) -> Result<Parameters, ConfigError> {
        limits::parameters(self).map_err(|broken| {
            let place = |cause: super::Invalid| Problem { place: self.source.place(&cause.key()), cause };
            ConfigError::Invalid(broken.into_iter().map(place).collect())
        })
    }

    /// The network, if every public key is there by now; otherwise whose are missing. Reads `keys_dir` anew.
    ///
    /// # Errors
    /// If a rule is broken or a key file holds something else: waiting would not help.
    pub fn load(&self) -> Result<Loading, ConfigError> {
        roster::load(self)
    }

    /// The 32 bytes that every seal is bound to, as [`Network::id`](crate::wire::Network::id).
    pub fn id(&self) -> Digest {
        derive(Label::Network, self.network.as_bytes())
    }

    /// The directory of public key files.
    pub fn keys_dir(&self) -> PathBuf {
        let beside = match self.source.path().parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        self.keys_dir.as_ref().map_or_else(|| beside.into(), |dir| beside.join(dir))
    }

    fn checked(source: Source) -> Result<Self, ConfigError> {
        let file = Self { source: source.clone(), ..source.parse()? };
        file.parameters()?;
        Ok(file)
    }
}

fn default_min_share() -> f64 {
    0.9
}

/// More than the time that peeling differs by from round to round.
fn default_mix_delay_ms() -> (u64, u64) {
    (0, 50)
}

/// A client whom an attacker has cut out from all others is still one of three in what an honest mix hands on; and a heartbeat
/// that costs less than a client.
fn default_noise_packets() -> u64 {
    2
}

/// 64 MiB.
fn default_max_message() -> u64 {
    64 << 20
}

fn yes() -> bool {
    true
}

/// One minute of one-second rounds.
fn default_epoch_rounds() -> u64 {
    60
}

/// A day of one-minute epochs.
fn default_retention_epochs() -> u64 {
    1440
}

/// Four and a half hours of one-second rounds, 8 MB at 1,000 clients.
fn default_history_rounds() -> u64 {
    16_384
}

/// Four packets a round and the noise of two mixes among four clients (the test network) bring a mailbox five letters a round
/// on average: 65,536 letters are 13,107 rounds, most of the time for which verdicts are kept, in which an owner may be away.
fn default_mailbox_letters() -> u64 {
    65_536
}
