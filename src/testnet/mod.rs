//! A whole network on one machine: mixes and clients as child processes on loopback.
//!
//! [`Layout`] is what lies on disk: homes, network file, contacts. [`Children`] are the processes. [`ready`] waits
//! until rounds run, and [`demo`] sends messages and files through them.

mod children;
pub mod demo;
mod layout;
mod watch;

use std::path::PathBuf;
use std::process::ExitStatus;

use crate::config::{ConfigError, ContactError, FileError, KeyError};

pub use children::{Children, Ended, Programs, daemon, last_words};
pub use layout::{Layout, Options, PortOf, free_ports};
pub use watch::{ready, status};

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestnetError {
    /// The options ask for a network that cannot be.
    #[error("{0}")]
    Options(ConfigError),
    /// The directory holds a network that was made with other options.
    #[error(
        "{} holds a network with other settings\nhelp: give the options it was made with, or another --dir",
        .0.display()
    )]
    OtherSettings(PathBuf),
    /// A network runs in the directory.
    #[error("{name} in {} is running\nhelp: stop it first, or give another --dir", dir.display())]
    Running {
        /// One of its daemons.
        name: String,
        /// The directory.
        dir: PathBuf,
    },
    /// The ports asked for are taken.
    #[error("the UDP port {0} is taken\nhelp: give another --base-port, or none to take any that are free")]
    Port(u16),
    /// A program is not beside this one.
    #[error("there is no {}\nhelp: build all programs with `cargo build`", .0.display())]
    NoProgram(PathBuf),
    /// Something of the file system or the system.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A home cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A process ended that should not have.
    #[error("{name} ended ({status}); its last words:\n{log}\nhelp: its log is {}", path.display())]
    Died {
        /// Whose process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
        /// Its log.
        path: PathBuf,
    },
    /// Rounds do not run.
    #[error("no round was stored within {seconds} s: {missing}\nhelp: the logs are {}/*/log", dir.display())]
    NotReady {
        /// How long it took.
        seconds: u64,
        /// What was still missing.
        missing: String,
        /// The network's directory.
        dir: PathBuf,
    },
}

impl TestnetError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<KeyError> for TestnetError {
    fn from(error: KeyError) -> Self {
        Self::Config(error.into())
    }
}

impl From<ContactError> for TestnetError {
    fn from(error: ContactError) -> Self {
        Self::Config(error.into())
    }
}

impl From<FileError> for TestnetError {
    fn from(error: FileError) -> Self {
        Self::Config(error.into())
    }
}
