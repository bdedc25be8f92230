//! The load generator: how much a network carries, how long a message takes, what each hop costs.
//!
//! [`run`] plays any number of clients against mixes in processes of their own. The clients are real: each submits under
//! its own identity and polls its own mailbox, and every letter is opened and compared with what was sent, so that what
//! is called delivered has arrived. Only their habits are other than a `mixclient`'s: they build packets ahead of time,
//! submit at once or at moments spread over the round, keep nothing on disk, and write to each other all the time.
//!
//! [`Crew`] is who plays, [`Ground`] the network, `voice` a client's conversations, `stock` the packets built ahead,
//! `letters` what they carry and the proof that it came.

mod baseline;
mod crew;
mod documents;
mod game;
mod ground;
mod letters;
mod matrix;
mod plot;
mod process;
mod report;
mod run;
mod scale;
mod stock;
mod tally;
mod voice;

use std::path::PathBuf;

use crate::config::{ConfigError, FileError, KeyError};
use crate::net::NetError;
use crate::testnet::TestnetError;

pub use crew::Crew;
pub use ground::{Ground, Shape};
pub use letters::Traffic;
pub use matrix::{Cell, Matrix, MatrixOptions, Times, matrix};
pub use report::{Hop, Latency, Machine, Report, WarmUp, commit};
pub use run::{Options, Party, Progress, Stage, Tell, run};
pub use scale::{Scale, ScaleOptions, Step, scale};

#[cfg(any(test, feature = "sim"))]
pub(crate) use plot::{Axis, Panel, Series, draw};

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The network's files.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The processes of the network.
    #[error(transparent)]
    Testnet(#[from] TestnetError),
    /// A connection.
    #[error("{who} cannot talk to {mix}: {source}\nhelp: see whether the mix runs and its log")]
    Net {
        /// Which client.
        who: String,
        /// Which mix.
        mix: String,
        /// Why.
        source: NetError,
    },
    /// A mix answers something else than it should.
    #[error("{mix} answered {what} with {answer}\nhelp: see its log; the network file must be the one it runs with")]
    Answer {
        /// Which mix.
        mix: String,
        /// What was asked.
        what: &'static str,
        /// What it said.
        answer: String,
    },
    /// The network does not get going.
    #[error("the network does not start: {0}\nhelp: see the mixes' logs, and whether all of its clients are there")]
    Start(String),
    /// Rounds were under way, and then nothing came any more.
    #[error("nothing happened for {0} s while rounds were under way\nhelp: see the mixes' logs")]
    Stalled(u64),
    /// Keys of the clients to play are missing.
    #[error(
        "{} has keys of {found} of the {wanted} clients\nhelp: give --clients {found} or fewer, or --homes with the clients' homes", dir.display()
    )]
    Homes {
        /// Where they were looked for.
        dir: PathBuf,
        /// How many are there.
        found: usize,
        /// How many were asked for.
        wanted: usize,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Options(String),
    /// Something of the system.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl LoadError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<FileError> for LoadError {
    fn from(error: FileError) -> Self {
        Self::Config(error.into())
    }
}

impl From<KeyError> for LoadError {
    fn from(error: KeyError) -> Self {
        Self::Config(error.into())
    }
}
