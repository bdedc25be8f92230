//! What a command ends with: one text on stderr, one exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::client::ClientError;
use crate::config::{ConfigError, ContactError, FileError, KeyError};
use crate::control::{ControlError, Failure};
use crate::load::LoadError;
use crate::net::NetError;
use crate::node::NodeError;
use crate::store::StoreError;

/// The exit codes; scripts rely on them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// It is done.
    Ok = 0,
    /// A check failed, or something that no other code is for.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A configuration is missing or wrong.
    Config = 3,
    /// The network or a local connection fails.
    Network = 4,
    /// A key is missing, open to others, or somebody else's.
    Identity = 5,
    /// It may work later: no daemon answers, or it is busy.
    TryAgain = 75,
}

/// The exit codes as every `--help` ends.
pub(super) const EXIT_CODES: &str = "Exit codes:
  0   it is done
  1   a check failed, or the system did
  2   wrong usage
  3   the configuration is missing or wrong
  4   the network or a local connection fails
  5   a key is missing, open to others, or somebody else's
  75  try again: no daemon answers, or it is busy";

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub struct CliError {
    /// What the process exits with.
    pub exit: Exit,
    text: String,
}

impl CliError {
    /// An error with this text; what to do next stands behind `help: ` on a line of its own.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }

    /// As [`CliError::new`] for the system's refusal to do `what`.
    pub fn io(what: &str, error: &io::Error) -> Self {
        Self::new(Exit::Failed, format!("cannot {what}: {error}"))
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A broken rule comes as a compiler's message, which begins so already.
        let prefix = if self.text.starts_with("error: ") { "" } else { "error: " };
        write!(f, "{prefix}{}", self.text)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let exit = match error {
            ConfigError::Key(_) => Exit::Identity,
            _ => Exit::Config,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        Self::new(Exit::Identity, error.to_string())
    }
}

impl From<ContactError> for CliError {
    fn from(error: ContactError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::InUse(_) | StoreError::Full => Exit::TryAgain,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<NetError> for CliError {
    fn from(error: NetError) -> Self {
        let exit = match error {
            NetError::Key(_) => Exit::Identity,
            _ => Exit::Network,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<LoadError> for CliError {
    fn from(error: LoadError) -> Self {
        let text = error.to_string();
        match error {
            LoadError::Config(error) => error.into(),
            LoadError::Testnet(error) => error.into(),
            LoadError::Options(_) => Self::new(Exit::Usage, text),
            LoadError::Homes { .. } => Self::new(Exit::Config, text),
            LoadError::Io { .. } => Self::new(Exit::Failed, text),
            _ => Self::new(Exit::Network, text),
        }
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> Self {
        let exit = match error {
            ControlError::NotRunning(_) | ControlError::InUse(_) => Exit::TryAgain,
            ControlError::TooLong(_) => Exit::Config,
            _ => Exit::Network,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let exit = match failure {
            Failure::UnknownContact | Failure::TooLarge | Failure::BadName | Failure::WrongDaemon => Exit::Usage,
            Failure::OutboxFull | Failure::DiskFull | Failure::Stopping => Exit::TryAgain,
            Failure::Disk | Failure::NoMessage | Failure::NotEvicted | Failure::NotStopped => Exit::Failed,
        };
        Self::new(exit, failure.to_string())
    }
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Net(error) => error.into(),
            NodeError::Store(error) => error.into(),
            NodeError::NotInNetwork => Self::new(Exit::Identity, error.to_string()),
            NodeError::Geometry => Self::new(Exit::Config, error.to_string()),
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        use crate::session::SessionError;
        match error {
            ClientError::Net(error) => error.into(),
            ClientError::Store(error) => error.into(),
            ClientError::Control(error) => error.into(),
            ClientError::Contacts(error) => error.into(),
            ClientError::Session(SessionError::NotOnRoster) => Self::new(Exit::Identity, error.to_string()),
            ClientError::Session(_) | ClientError::Geometry => Self::new(Exit::Config, error.to_string()),
        }
    }
}
