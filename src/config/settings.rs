//! `config.yaml`: what one daemon wants for itself. Flags override the environment, which overrides the file.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Serialize, de::IntoDeserializer};

use crate::crypto::Backend;

use super::{ConfigError, source::Source};

/// The names of all settings: keys of `config.yaml`, flags with `-` for `_`, variables `MIXNET_` + upper case.
pub const SETTINGS: [&str; 17] = [
    "id",
    "network",
    "keys",
    "listen",
    "control",
    "mtu",
    "emission_mbit",
    "outbox_bytes",
    "inbox_bytes",
    "privacy_floor",
    "wait_rounds",
    "metrics",
    "metrics_public",
    "log",
    "log_level",
    "ephemeral",
    "x25519",
];

/// What the environment and a home's `config.yaml` may set; every key is explained in `config/home.example.yaml`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name under which the network file lists this mix or client.
    pub id: Option<String>,
    /// The network file; in `config.yaml` relative to the home.
    pub network: Option<PathBuf>,
    /// The directory of the secret key files; in `config.yaml` relative to the home.
    pub keys: Option<PathBuf>,
    /// Where a mix listens, if that is not the address that others reach it at.
    pub listen: Option<SocketAddr>,
    /// The control socket; in `config.yaml` relative to the home.
    pub control: Option<PathBuf>,
    /// The largest datagram that is tried on a path.
    pub mtu: Option<u16>,
    /// Megabits a second at which a mix hands a batch on.
    pub emission_mbit: Option<u64>,
    /// Bytes that may wait in a client's outbox.
    pub outbox_bytes: Option<u64>,
    /// Bytes of messages beyond which a client's inbox forgets those that were read.
    pub inbox_bytes: Option<u64>,
    /// Clients in a round below which `status` warns.
    pub privacy_floor: Option<u64>,
    /// Rounds that a client's message waits on average before it leaves.
    pub wait_rounds: Option<u64>,
    /// Where metrics are served.
    pub metrics: Option<Metrics>,
    /// Whether metrics may be served beyond loopback.
    pub metrics_public: Option<bool>,
    /// The form of log lines.
    pub log: Option<LogFormat>,
    /// The least severe log lines that are written.
    pub log_level: Option<LogLevel>,
    /// Whether the keys live in memory only.
    pub ephemeral: Option<bool>,
    /// What a mix computes X25519 with.
    pub x25519: Option<X25519>,
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metrics {
    /// Nowhere.
    #[default]
    Off,
    /// Over HTTP at this address.
    At(SocketAddr),
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// The least severe log lines that are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the usual ones")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// What a mix computes X25519 with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum X25519 {
    /// The fastest that the processor has.
    #[default]
    Auto,
    /// [`Backend::Ifma`].
    Ifma,
    /// [`Backend::Lanes`].
    Lanes,
    /// [`Backend::Lanes4`].
    Lanes4,
    /// [`Backend::AwsLc`].
    AwsLc,
    /// [`Backend::Dalek`].
    Dalek,
}

impl X25519 {
    /// The backend.
    ///
    /// # Errors
    /// If this processor does not have it.
    pub(super) fn backend(self) -> Result<Backend, ConfigError> {
        let backend = match self {
            X25519::Auto => Backend::default(),
            X25519::Ifma => Backend::Ifma,
            X25519::Lanes => Backend::Lanes,
            X25519::Lanes4 => Backend::Lanes4,
            X25519::AwsLc => Backend::AwsLc,
            X25519::Dalek => Backend::Dalek,
        };
        if backend.is_available() { Ok(backend) } else { Err(ConfigError::NoBackend(backend)) }
    }
}

impl Settings {
    /// Reads `config.yaml`; relative paths in it are taken from its directory.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut settings: Self = Source::read(path)?.parse()?;
        let home = path.parent().unwrap_or(Path::new("."));
        for place in [&mut settings.network, &mut settings.keys, &mut settings.control].into_iter().flatten() {
            *place = home.join(&*place);
        }
        Ok(settings)
    }

    /// Puts `overrides` over these settings, one by one, so that later ones win: give the environment's, then the
    /// flags'. A name may have `-` for `_`; relative paths stay relative to the working directory.
    ///
    /// # Errors
    /// If a name is unknown or a value of the wrong kind.
    pub fn override_with<N, V>(&mut self, overrides: impl IntoIterator<Item = (N, V)>) -> Result<(), ConfigError>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        for (name, value) in overrides {
            let (name, value) = (name.as_ref(), value.as_ref());
            let wanted = name.replace('-', "_");
            let Some(known) = SETTINGS.into_iter().find(|known| *known == wanted) else {
                return Err(ConfigError::NoSetting(name.chars().take(64).flat_map(char::escape_debug).collect()));
            };
            self.set(known, value).map_err(|reason| ConfigError::BadSetting {
                name: known,
                value: value.chars().take(64).flat_map(char::escape_debug).collect(),
                reason,
            })?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "id" => self.id = Some(value.into()),
            "network" => self.network = Some(value.into()),
            "keys" => self.keys = Some(value.into()),
            "listen" => self.listen = Some(typed(value)?),
            "control" => self.control = Some(value.into()),
            "mtu" => self.mtu = Some(value.parse().map_err(|_| "expected 1200 to 6000")?),
            "emission_mbit" => self.emission_mbit = Some(number(value)?),
            "outbox_bytes" => self.outbox_bytes = Some(number(value)?),
            "inbox_bytes" => self.inbox_bytes = Some(number(value)?),
            "privacy_floor" => self.privacy_floor = Some(number(value)?),
            "wait_rounds" => self.wait_rounds = Some(number(value)?),
            "metrics" => self.metrics = Some(typed(value)?),
            "metrics_public" => self.metrics_public = Some(switch(value)?),
            "log" => self.log = Some(typed(value)?),
            "log_level" => self.log_level = Some(typed(value)?),
            "ephemeral" => self.ephemeral = Some(switch(value)?),
            "x25519" => self.x25519 = Some(typed(value)?),
            other => return Err(format!("`{other}` is no setting")),
        }
        Ok(())
    }
}

/// The overrides in an environment: `MIXNET_LOG_LEVEL=debug` is `("log_level", "debug")`. Variables that name no
/// setting are left out: other programs have their own with this prefix.
pub fn environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(&'static str, String)> {
    let setting = |name: &OsString| {
        let name = name.to_str()?.strip_prefix("MIXNET_")?;
        SETTINGS.into_iter().find(|setting| setting.to_ascii_uppercase() == name)
    };
    let known = variables.into_iter().filter_map(|(name, value)| Some((setting(&name)?, value)));
    known.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect()
}

impl FromStr for Metrics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| "expected `off` or ADDRESS:PORT".into()),
        }
    }
}

impl TryFrom<String> for Metrics {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Metrics> for String {
    fn from(metrics: Metrics) -> Self {
        match metrics {
            Metrics::Off => "off".into(),
            Metrics::At(address) => address.to_string(),
        }
    }
}

fn typed<'a, T: Deserialize<'a>>(value: &'a str) -> Result<T, String> {
    let deserializer: StrDeserializer<'a, ValueError> = value.into_deserializer();
    T::deserialize(deserializer).map_err(|error| {
        // What is expected, without the value once more: it may be long, and hold what moves a terminal's cursor.
        let text = error.to_string();
        text.rsplit_once(", expected ").map_or(text.clone(), |(_, expected)| format!("expected {expected}"))
    })
}

fn number(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| "expected a number".into())
}

fn switch(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "expected `true` or `false`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_beat_the_environment_which_beats_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, "id: from-file\nlog: text\nlog_level: warn\nmetrics: off\n").expect("writable");
        let mut settings = Settings::read(&path).expect("valid");
        let variables = [("MIXNET_LOG", "json"), ("MIXNET_LOG_LEVEL", "debug"), ("MIXNET_PORT_80", "x"), ("HOME", "/")];
        let environment = environment(variables.map(|(name, value)| (name.into(), value.into())));
        settings.override_with(environment).expect("valid");
        settings.override_with([("log-level", "trace")]).expect("valid");
        assert_eq!(settings.id.as_deref(), Some("from-file"));
        assert_eq!(settings.log, Some(LogFormat::Json));
        assert_eq!(settings.log_level, Some(LogLevel::Trace));
        assert_eq!(settings.metrics, Some(Metrics::Off));
    }

    #[test]
    fn the_list_of_settings_is_that_of_the_struct_and_each_can_be_overridden() {
        let json = serde_json::to_value(Settings::default()).expect("serialisable");
        let mut keys: Vec<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut settings = SETTINGS.to_vec();
        keys.sort_unstable();
        settings.sort_unstable();
        assert_eq!(keys, settings);
        for name in SETTINGS {
            let value = match name {
                "listen" | "metrics" => "127.0.0.1:1",
                "metrics_public" | "ephemeral" => "true",
                "log" => "json",
                "log_level" => "error",
                "x25519" => "dalek",
                "emission_mbit" | "outbox_bytes" | "inbox_bytes" | "privacy_floor" | "wait_rounds" => "1",
                "mtu" => "1452",
                _ => "x",
            };
            let mut settings = Settings::default();
            settings.override_with([(name, value)]).expect("valid");
            assert_ne!(settings, Settings::default(), "{name}");
        }
    }

    #[test]
    fn what_is_no_setting_or_no_value_is_refused_by_name() {
        let mut settings = Settings::default();
        let refused = [
            ("log-leve", "info", "log-leve"),
            ("log", "xml", "xml"),
            ("log_level", "\u{1b}[2J", "expected one of `error`"),
            ("listen", "nowhere", "nowhere"),
            ("metrics", "9000", "`off` or"),
            ("outbox_bytes", "1 GiB", "a number"),
            ("inbox_bytes", "-1", "a number"),
            ("mtu", "jumbo", "1200 to 6000"),
            ("ephemeral", "yes", "`true` or"),
            ("x25519", "ring", "expected one of `auto`"),
        ];
        for (name, value, part) in refused {
            let error = settings.override_with([(name, value)]).expect_err(name).to_string();
            assert!(error.contains(part) && error.contains("help: "), "{error}");
            assert!(!error.contains('\u{1b}'), "{error:?}");
        }
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_backend_is_the_one_asked_for_or_an_error() {
        assert_eq!(X25519::Auto.backend().ok(), Some(Backend::default()));
        assert_eq!(X25519::AwsLc.backend().ok(), Some(Backend::AwsLc));
        assert_eq!(X25519::Dalek.backend().ok(), Some(Backend::Dalek));
        for (setting, named) in [X25519::Ifma, X25519::Lanes, X25519::Lanes4].into_iter().zip(Backend::IN_LANES) {
            match setting.backend() {
                Ok(backend) => assert!(backend == named && backend.is_available()),
                Err(error) => assert!(!named.is_available() && error.to_string().contains("help: ")),
            }
        }
    }

    #[test]
    fn paths_of_the_file_start_at_the_home() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, "network: ../network.yaml\nkeys: /secret\n").expect("writable");
        let settings = Settings::read(&path).expect("valid");
        assert_eq!(settings.network, Some(dir.path().join("../network.yaml")));
        assert_eq!(settings.keys, Some("/secret".into()));
        assert_eq!(settings.control, None);
    }
}
