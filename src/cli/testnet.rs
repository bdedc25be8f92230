//! `testnet`: a network on this machine.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::{Args, value_parser};
use rand::Rng;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::config::ConfigError;
use crate::crypto::{os_csprng, to_hex};
use crate::testnet::demo::{self, Moment};
use crate::testnet::{Children, Layout, Options, Programs, TestnetError, ready};

use super::error::{CliError, Exit};
use super::{Ending, on_one_core, output};

/// Arguments of `testnet`.
#[derive(Args, Debug)]
#[command(
    after_help = "Prints `ready` once rounds run. Stop it with Ctrl-C or SIGTERM. Homes are DIR/mix-1 ..., DIR/client-1 ...,
each with its log; DIR/pids.json has the process ids.

Examples:
  mixnode testnet --demo
  mixnode testnet --dir net --clients 8 --round 0.5
  mixclient --home net/client-1 send client-2 \"hello\"
  mixclient --home net/client-2 recv --timeout 20"
)]
pub(super) struct TestnetArgs {
    /// Where the network lies; one that is there goes on [default: a new one that goes at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Mixes, 2 to 7
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = value_parser!(u16).range(2..=7))]
    mixes: u16,
    /// Clients, 2 to 10000, a process each
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u16).range(2..=10_000))]
    clients: u16,
    /// User bytes in a packet
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    payload: u64,
    /// Packets that each client sends in each round
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    packets_per_client: u64,
    /// Seconds from the start of one round to the next [default: 1, or more if a round has more than 40 MiB to move]
    #[arg(long, value_name = "SECONDS")]
    round: Option<f64>,
    /// Seconds from a round's start in which submissions are taken [default: 0.8 of the round]
    #[arg(long, value_name = "SECONDS")]
    submit: Option<f64>,
    /// Bounds of each mix's random delay, in milliseconds
    #[arg(long, value_name = "LO,HI", default_value = "0,50", value_parser = bounds)]
    mix_delay: (u64, u64),
    /// The first of the mixes' UDP ports [default: any that are free]
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,
    /// Send a message, a reply and a file both ways, then stop; exit 0 only if all arrived intact
    #[arg(long)]
    demo: bool,
}

/// Runs a network until it is told to stop or has shown what it can.
///
/// # Errors
/// If it cannot run, or the demonstration fails.
pub(super) fn run(args: &TestnetArgs, json: bool) -> Result<(), Ending> {
    let options = Options {
        mixes: args.mixes.into(),
        clients: args.clients.into(),
        payload: args.payload,
        packets_per_client: args.packets_per_client,
        round_seconds: args.round,
        submit_seconds: args.submit,
        mix_delay_ms: args.mix_delay,
        base_port: args.base_port,
    };
    let programs = Programs::siblings()?;
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => temporary()?,
    };
    let ran = on_one_core(async {
        let mut network = Network::start(&dir, &options, &programs, json).await?;
        let result = network.run(args.demo).await;
        network.stop().await;
        result
    });
    if args.dir.is_none() && ran.is_ok() {
        std::fs::remove_dir_all(&dir).map_err(|error| CliError::io("remove the network's directory", &error))?;
    }
    Ok(ran?)
}

struct Network {
    began: Instant,
    layout: Layout,
    children: Children,
    programs: Programs,
    signals: [Signal; 2],
    json: bool,
}

#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    dir: &'a Path,
    seconds: f64,
}

#[derive(Serialize)]
struct Told<'a> {
    seconds: f64,
    what: &'a str,
}

#[derive(Serialize)]
struct Shown {
    ok: bool,
    seconds: f64,
}

impl Network {
    async fn start(dir: &Path, options: &Options, programs: &Programs, json: bool) -> Result<Self, CliError> {
        let began = Instant::now();
        let listen = |kind| signal(kind).map_err(|error| CliError::io("listen for signals", &error));
        let signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?];
        let layout = Layout::prepare(dir, options)?;
        let children = Children::start(&layout, programs)?;
        Ok(Self { began, layout, children, programs: programs.clone(), signals, json })
    }

    async fn run(&mut self, show: bool) -> Result<(), CliError> {
        let [terminate, interrupt] = &mut self.signals;
        tokio::select! {
            result = ready(&self.layout) => result?,
            ended = self.children.next_death() => return Err(self.children.obituary(ended?).into()),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
        self.say_ready()?;
        if show { self.demonstrate().await } else { self.stay().await }
    }

    async fn demonstrate(&mut self) -> Result<(), CliError> {
        let (tell, mut told) = mpsc::unbounded_channel();
        let json = self.json;
        let [terminate, interrupt] = &mut self.signals;
        let ended = tokio::select! {
            ended = demo::run(&self.layout, self.began, tell) => ended.map_err(|error| error.to_string()),
            ended = self.children.next_death() => Err(self.children.obituary(ended?).to_string()),
            _ = terminate.recv() => Err("it was told to stop".into()),
            _ = interrupt.recv() => Err("it was told to stop".into()),
            result = async { while let Some(moment) = told.recv().await { print(&moment, json)?; } Ok(()) } => return result,
        };
        while let Ok(moment) = told.try_recv() {
            print(&moment, json)?;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        if json {
            output::line(&output::json(&Shown { ok: ended.is_ok(), seconds }))?;
        }
        ended.map_err(|reason| {
            let dir = self.layout.dir.display();
            CliError::new(Exit::Failed, format!("the demonstration failed: {reason}\nhelp: the logs are {dir}/*/log"))
        })?;
        if json { Ok(()) } else { output::line(&format!("{seconds:6.1} s  everything arrived intact")) }
    }

    async fn stay(&mut self) -> Result<(), CliError> {
        loop {
            let [terminate, interrupt] = &mut self.signals;
            tokio::select! {
                ended = self.children.next_death() => {
                    let ended = ended?;
                    let name = ended.name.clone();
                    output::note(&self.children.obituary(ended).to_string());
                    let program = if name.starts_with("mix-") { &self.programs.mixnode } else { &self.programs.mixclient };
                    let home = self.layout.dir.join(name);
                    output::note(&format!("to start it again: {} run --home {}", program.display(), home.display()));
                }
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
            }
        }
    }

    fn say_ready(&self) -> Result<(), CliError> {
        let (dir, client) = (self.layout.dir.display(), self.programs.mixclient.display());
        let seconds = self.began.elapsed().as_secs_f64();
        let (mixes, clients) = (self.layout.mixes.len(), self.layout.clients.len());
        let network = &self.layout.network;
        output::note(&format!(
            "{mixes} mixes and {clients} clients run in {dir}: rounds of {} s, {} packets of {} bytes from each client\n\
             to send:    {client} --home {dir}/client-1 send client-2 \"hello\"\n\
             to receive: {client} --home {dir}/client-2 recv --timeout 20\n\
             to stop:    Ctrl-C, or SIGTERM to process {}",
            network.round_seconds,
            network.packets_per_client,
            network.payload,
            std::process::id(),
        ));
        match self.json {
            true => output::line(&output::json(&Ready { ready: true, dir: &self.layout.dir, seconds })),
            false => output::line("ready"),
        }
    }

    async fn stop(self) {
        for ended in self.children.stop().await {
            output::note(&format!("{} did not stop well: {}", ended.name, ended.status));
        }
    }
}

impl From<TestnetError> for CliError {
    fn from(error: TestnetError) -> Self {
        let exit = match &error {
            TestnetError::Options(_) | TestnetError::OtherSettings(_) => Exit::Usage,
            TestnetError::Running { .. } => Exit::TryAgain,
            TestnetError::Config(ConfigError::Key(_)) => Exit::Identity,
            TestnetError::Config(_) => Exit::Config,
            TestnetError::Port(_) | TestnetError::NotReady { .. } => Exit::Network,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

fn print(moment: &Moment, json: bool) -> Result<(), CliError> {
    let seconds = moment.at.as_secs_f64();
    output::line(&match json {
        true => output::json(&Told { seconds, what: &moment.what }),
        false => format!("{seconds:6.1} s  {}", moment.what),
    })
}

/// A new directory that nobody else may enter.
fn temporary() -> Result<PathBuf, CliError> {
    let mut name = [0; 8];
    os_csprng().fill_bytes(&mut name);
    let dir = std::env::temp_dir().join(format!("mixnet-testnet-{}", to_hex(&name)));
    let made = DirBuilder::new().mode(0o700).create(&dir);
    made.map_err(|error| CliError::io(&format!("make {}", dir.display()), &error))?;
    Ok(dir)
}

/// `LO,HI`.
fn bounds(text: &str) -> Result<(u64, u64), String> {
    let (low, high) = text.split_once(',').ok_or("give two numbers of milliseconds, LO,HI")?;
    let number = |text: &str| text.trim().parse().map_err(|_| format!("`{text}` is not a number of milliseconds"));
    Ok((number(low)?, number(high)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_two_numbers() {
        assert_eq!(bounds("0,50"), Ok((0, 50)));
        assert_eq!(bounds("5, 5"), Ok((5, 5)));
        for wrong in ["", "5", "a,b", "1,2,3", "-1,2"] {
            assert!(bounds(wrong).is_err(), "{wrong}");
        }
    }
}
