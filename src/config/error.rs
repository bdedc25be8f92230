//! What can be wrong with a configuration, one variant per cause.

use std::path::PathBuf;

use crate::crypto::{Backend, PointError};

use super::{ContactError, FileError, Invalid};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key file is missing, unsafe or not a key: exit code 5 where the others are 3.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A contact, or the list of them, cannot be used.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// The file is not the YAML it should be; the text holds the place in the source.
    #[error("{0}")]
    Yaml(String),
    /// Values are out of their ranges or contradict each other.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
    /// There is no network file.
    #[error("there is no network file {}\nhelp: write one after config/network.example.yaml, or correct `network` in config.yaml", .0.display())]
    NoNetwork(PathBuf),
    /// The home is no directory.
    #[error("{} is no home directory\nhelp: make it with `init --home {}`", .0.display(), .0.display())]
    NoHome(PathBuf),
    /// No `id` is set for a home.
    #[error("{}: `id` is missing\nhelp: write `id: NAME`, the name that the network file gives you", .0.display())]
    NoId(PathBuf),
    /// An id breaks the rules for names.
    #[error("`{0}` is not a name\nhelp: use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit")]
    BadId(String),
    /// `init` for a home that belongs to somebody else.
    #[error("{} is the home of `{has}`, not of `{wanted}`\nhelp: give another directory, or the id `{has}`", dir.display())]
    OtherId {
        /// The home.
        dir: PathBuf,
        /// Whose it is.
        has: String,
        /// Whose it should be.
        wanted: String,
    },
    /// An override that no setting has the name of.
    #[error("there is no setting `{}`\nhelp: the settings are {}", .0, super::SETTINGS.join(", "))]
    NoSetting(String),
    /// An override whose value is of the wrong kind.
    #[error("`{name}` cannot be `{value}`: {reason}\nhelp: config/home.example.yaml explains every setting")]
    BadSetting {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        reason: String,
    },
    /// Metrics would be served to the world.
    #[error(
        "`metrics` is {0}, not a loopback address\nhelp: write `metrics: 127.0.0.1:PORT`; metrics help an attacker, \
         so anything else needs `metrics_public: true`"
    )]
    MetricsPublic(std::net::SocketAddr),
    /// This processor cannot run the backend asked for.
    #[error(
        "`x25519` is `{0}`, and this processor has no {what}\nhelp: write `x25519: auto`, or `aws-lc`",
        what = match .0 {
            Backend::Lanes4 => "AVX2 and FMA",
            Backend::Ifma => "AVX-512 F, DQ and IFMA",
            _ => "AVX-512 F and DQ",
        }
    )]
    NoBackend(Backend),
}

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written, or others could have.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds something else.
    #[error("{} is not `{expected}`\nhelp: restore it from a backup, or remove it and run `init` for a new key", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A public key file holds something else, or the key of another name.
    #[error("{} is not the public key that its name says\nhelp: remove it; its owner publishes it again when it starts", .0.display())]
    MalformedPublic(PathBuf),
    /// No key pair could be made.
    #[error("no identity key could be made: {0}\nhelp: this is a fault of the cryptographic library; please report it")]
    Generate(String),
    /// A key file and the network file say different things.
    #[error("{} holds another key than the network file gives `{id}`\nhelp: correct or remove one of the two", path.display())]
    Disagrees {
        /// The key file.
        path: PathBuf,
        /// Whose key it should be.
        id: String,
    },
    /// A public key that no seal may use.
    #[error("the key of {owner} cannot be used: {source}\nhelp: ask its owner for the key again, or for a new one")]
    Unusable {
        /// Whose it is.
        owner: String,
        /// What is wrong with it.
        source: PointError,
    },
    /// Two entries have one key or mailbox.
    #[error("{first} and {second} have the same key\nhelp: give each its own; a copied home is one home too many")]
    Twice {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// More mailbox files than clients.
    #[error(
        "{found} mailbox files in {} for {clients} clients\nhelp: remove the mailbox-*.pub that no home publishes any more",
        dir.display()
    )]
    TooManyMailboxes {
        /// The directory of key files.
        dir: PathBuf,
        /// How many there are.
        found: usize,
        /// How many there should be.
        clients: usize,
    },
}

/// A rule that a network file breaks, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Name of the file, line and source snippet; empty when there is no source.
    pub place: String,
    /// The rule.
    pub cause: Invalid,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cause = self.cause.to_string();
        match cause.split_once("\nhelp: ") {
            Some((what, help)) => write!(f, "error: {what}{}\nhelp: {help}", self.place),
            None => write!(f, "error: {cause}{}", self.place),
        }
    }
}
