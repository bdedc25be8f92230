//! T3 and T11: what shows on the links of clients, taken from the datagrams of real processes.
//!
//! A small network of real daemons runs on this machine. Every client's two links lead through relays that write down the
//! way, the size and the instant of each datagram, and nothing else. Users hand messages to some daemons and not to
//! others, by coins of the experimenter's; which rounds carried something the senders' daemons tell at the end. What the
//! record of a client and round shows is cut out by the public schedule, and a classifier learns from it (`real`), or the
//! flows of clients are compared (`flows`). The controls change the record and nothing behind it.

mod capture;
mod classifier;
mod features;
mod flows;
mod real;
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Outcome;
use crate::testnet::{Programs, TestnetError};

use capture::Capture;

/// What captures are wanted.
#[derive(Clone, Debug)]
pub struct Captures {
    /// How many rounds of one client there should be of each kind, with and without something to say. Bounds are wide where
    /// there are few: 2,000 are a measurement.
    pub client_rounds: usize,
    /// Clients, at least 3.
    pub clients: usize,
    /// Seconds of a round.
    pub round_seconds: f64,
    /// User bytes of a packet; a user's largest file takes eight.
    pub payload: u64,
    /// What users do follows from it.
    pub seed: u64,
    /// Where the network lies while it runs; what was there is deleted.
    pub dir: PathBuf,
    /// Where the features of all client-rounds go as CSV, for classifiers of others.
    pub samples: PathBuf,
    /// The programs to run.
    pub programs: Programs,
}

/// The shortest round that is reliable with a dozen daemons on two cores.
pub const ROUND_SECONDS: f64 = 0.25;
/// User bytes of a packet that make a round's packets a few datagrams, and so a poll's answer.
pub const PAYLOAD: u64 = 1024;
/// Mixes of the network.
const MIXES: usize = 3;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The network does not run.
    #[error(transparent)]
    Network(#[from] TestnetError),
    /// It stands still.
    #[error("no capture within {0:?}: the network stands still\nhelp: take longer rounds")]
    Slow(Duration),
    /// Daemons ended by themselves.
    #[error("{0}")]
    Died(String),
    /// A daemon does not say which rounds carried its messages.
    #[error("{0} does not say which rounds carried its messages")]
    Silent(String),
    /// Too few rounds came through.
    #[error("{good} of {wanted} rounds came through\nhelp: take longer rounds, or give the machine less else to do")]
    Few {
        /// Rounds that were opened in time and stored.
        good: usize,
        /// Rounds that there should have been.
        wanted: usize,
    },
    /// The samples cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Captures {
    /// Runs the network, then both experiments on what it has shown, and tells how it goes. Takes a minute beside its
    /// rounds, and every wait is bounded; dropped, it kills every process at once.
    ///
    /// # Errors
    /// If the network does not run as it should, or the samples cannot be written.
    pub async fn run(&self, tell: impl Fn(&str)) -> Result<Vec<Outcome>, CaptureError> {
        let capture = Capture::take(self, &tell).await?;
        tell(&format!("{} rounds of {} clients captured", capture.rounds.len(), capture.clients));
        let samples = features::samples(&capture, features::Knob::None);
        write(&self.samples, &features::csv(&samples))?;
        Ok(vec![real::outcome(&capture, &samples), flows::outcome(&capture)])
    }

    /// Rounds that give as many client-rounds as are wanted.
    fn rounds(&self) -> usize {
        (2 * self.client_rounds).div_ceil(self.clients)
    }
}

fn write(path: &Path, text: &str) -> Result<(), CaptureError> {
    std::fs::write(path, text).map_err(|source| CaptureError::Io { path: path.into(), source })
}
