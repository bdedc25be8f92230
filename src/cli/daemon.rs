//! What both daemons do around their work: wait for keys, publish their own, stop when told.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Home, KeyFile, Loading, NetworkFile, Role};
use crate::wire::Network;

use super::args::RunArgs;
use super::error::{CliError, Exit};
use super::harden::harden;
use super::{logs, output};

/// How often a daemon looks whether the keys of others have come.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What a process that a second signal ends exits with, as shells have it.
const SIGNALLED: i32 = 128;

/// The parts of `run` that come before the daemon's own.
pub(super) struct Preparation {
    /// The home, with everything over its settings that goes there.
    pub(super) home: Home,
    /// The network file.
    pub(super) file: NetworkFile,
    /// Cancelled when the daemon is to stop.
    pub(super) stop: CancellationToken,
    json: bool,
    published: Published,
}

/// Public key files that go again if the keys do.
#[derive(Default)]
struct Published(Vec<(KeyFile, std::path::PathBuf)>);

impl Preparation {
    /// Opens the home of a daemon, begins to log, and hardens the process. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the home or its network file cannot be used.
    pub(super) fn begin(role: Role, args: &RunArgs, home: &std::path::Path, json: bool) -> Result<Self, CliError> {
        let home = Home::open(home, args.settings.overrides())?;
        logs::start(home.log, home.log_level);
        harden();
        let stop = stop_on_signal()?;
        outlive_file_limits()?;
        if args.die_with_stdin {
            stop_with_stdin(stop.clone());
        }
        home.make_keys(role)?;
        let file = NetworkFile::read(&home.network)?;
        Ok(Self { home, file, stop, json, published: Published::default() })
    }

    /// Puts public keys where the network looks for them.
    ///
    /// # Errors
    /// If the directory cannot be written.
    pub(super) fn publish(&mut self, keys: impl IntoIterator<Item = KeyFile>) -> Result<(), CliError> {
        let dir = self.file.keys_dir();
        for key in keys {
            key.publish(&dir)?;
            if self.home.ephemeral {
                self.published.0.push((key, dir.clone()));
            }
        }
        Ok(())
    }

    /// The network, once the last public key is there; `None` if the daemon is told to stop before.
    ///
    /// # Errors
    /// If a key file holds something else.
    pub(super) async fn network(&self) -> Result<Option<Arc<Network>>, CliError> {
        let mut said = String::new();
        loop {
            match self.file.load()? {
                Loading::Complete(network) => return Ok(Some(Arc::new(network))),
                Loading::Missing(missing) => {
                    let what = missing.to_string();
                    if what != said {
                        tracing::warn!("{what}");
                        said = what;
                    }
                }
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await.is_none() {
                return Ok(None);
            }
        }
    }

    /// Says that the daemon serves, then waits until it is to stop.
    ///
    /// # Errors
    /// If a program asked for the word and no longer listens.
    pub(super) async fn serve(&self, role: &'static str) -> Result<(), CliError> {
        #[derive(Serialize)]
        struct Ready<'a> {
            ready: bool,
            id: &'a str,
            control: String,
        }
        tracing::info!(id = self.home.id, role, "serving");
        if self.json {
            let control = self.home.control.display().to_string();
            output::line(&output::json(&Ready { ready: true, id: &self.home.id, control }))?;
        }
        self.stop.cancelled().await;
        tracing::info!("stopping");
        Ok(())
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        for (key, dir) in &self.0 {
            if let Err(error) = key.withdraw(dir) {
                tracing::warn!("{error}");
            }
        }
    }
}

/// The first SIGTERM or SIGINT cancels, the second ends the process at once.
fn stop_on_signal() -> Result<CancellationToken, CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::io("listen for signals", &error));
    let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    for (kind, mut signal) in [(SignalKind::terminate(), terminate), (SignalKind::interrupt(), interrupt)] {
        let stop = stop.clone();
        tokio::spawn(async move {
            while received(&mut signal).await {
                if stop.is_cancelled() {
                    std::process::exit(SIGNALLED + kind.as_raw_value());
                }
                stop.cancel();
            }
        });
    }
    Ok(stop)
}

/// A file that may not grow any more, under a limit of the shell or a service manager, is an error of the disk like any
/// other: whoever listens for the signal is not ended by it.
fn outlive_file_limits() -> Result<(), CliError> {
    let kind = SignalKind::from_raw(nix::sys::signal::Signal::SIGXFSZ as i32);
    // Once listened for it stays so.
    signal(kind).map(drop).map_err(|error| CliError::io("listen for signals", &error))
}

async fn received(signal: &mut Signal) -> bool {
    signal.recv().await.is_some()
}

/// Cancels when the pipe at stdin ends: with the process that holds its other end.
fn stop_with_stdin(stop: CancellationToken) {
    // A thread of its own: the runtime would wait for one of its threads.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while std::io::stdin().read(&mut ignored).is_ok_and(|count| count > 0) {}
        stop.cancel();
    });
}

/// For a name that the network file does not list under `list`.
pub(super) fn not_listed(home: &Home, list: &str) -> CliError {
    CliError::new(
        Exit::Config,
        format!(
            "`{}` is not among the {list} of {}\nhelp: correct `id`, use the program for the other role, or list it \
             under `{list}`",
            home.id,
            home.network.display()
        ),
    )
}
