//! The command line: flags, output for people and for programs, exit codes.
//!
//! [`mixnode`], [`mixclient`] and [`mixload`] are the programs. Data goes to stdout, everything else to stderr; with `--json`
//! stdout holds objects only, one a line, each with `"schema": 1`. [`Exit`] lists the exit codes.

mod args;
mod check;
mod contact;
mod daemon;
mod error;
mod evidence;
mod harden;
mod init;
mod local;
mod logs;
mod measure;
mod mixclient;
mod mixload;
mod mixnode;
mod noise;
mod operator;
mod outbox;
mod output;
mod recv;
mod run;
mod saving;
mod send;
mod series;
mod status;
mod testnet;
mod web;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use nix::sys::signal::Signal;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

pub use error::{CliError, Exit};

/// What `main` of the program `mixnode` does with its arguments, the program's name first.
pub fn mixnode(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    conclude(parse::<mixnode::Arguments>(arguments).and_then(mixnode::run))
}

/// What `main` of the program `mixclient` does with its arguments, the program's name first.
pub fn mixclient(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    conclude(parse::<mixclient::Arguments>(arguments).and_then(mixclient::run))
}

/// What `main` of the program `mixload` does with its arguments, the program's name first.
pub fn mixload(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    conclude(parse::<mixload::Arguments>(arguments).and_then(mixload::run))
}

/// A command that did not do what it was asked to, or that has said all there is to say.
enum Ending {
    Error(CliError),
    Said(Exit),
}

impl<T: Into<CliError>> From<T> for Ending {
    fn from(error: T) -> Self {
        Self::Error(error.into())
    }
}

fn parse<A: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<A, Ending> {
    A::try_parse_from(arguments).map_err(|error| {
        // A closed stdout or stderr: nobody reads it.
        let _unread = error.print();
        Ending::Said(if error.use_stderr() { Exit::Usage } else { Exit::Ok })
    })
}

fn conclude(result: Result<(), Ending>) -> ExitCode {
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(Ending::Said(exit)) => exit.into(),
        Err(Ending::Error(error)) => {
            output::note(&error.to_string());
            error.exit.into()
        }
    }
}

/// Runs a daemon on all cores.
fn on_all_cores<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    drive(Builder::new_multi_thread(), work)
}

/// Runs a command that talks to a daemon.
fn on_one_core<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    drive(Builder::new_current_thread(), work)
}

/// A write beyond what the system lets this process write into one file is an error, like a full disk, and not its end:
/// any handler in place of the default has that effect.
fn survive_file_limit() {
    if let Err(error) = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32)) {
        tracing::warn!(%error, "a limit on file sizes would end this process");
    }
}

fn drive<T>(mut builder: Builder, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime: Runtime = builder.enable_all().build().map_err(|error| CliError::io("start threads", &error))?;
    let result = runtime.block_on(async {
        survive_file_limit();
        work.await
    });
    // A thread that waits for a disk that is gone must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}
