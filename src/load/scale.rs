//! Cost against work: the same clients, more and more packets a round.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::plot::{Axis, Panel, Series, draw};
use super::report::{Hop, Machine, commit};
use super::{Ground, LoadError, Options, Shape, Tell, Traffic, run};

/// Which steps.
#[derive(Clone, Debug)]
pub struct ScaleOptions {
    /// Clients.
    pub clients: usize,
    /// Packets of a round, one step each; rounded up to a multiple of the clients.
    pub packets: Vec<u64>,
    /// Bytes of each message.
    pub bytes: usize,
    /// Rounds of each step.
    pub rounds: u64,
}

/// What `mixload scale` found.
#[derive(Clone, Debug, Serialize)]
pub struct Scale {
    /// Where.
    pub machine: Machine,
    /// Clients.
    pub clients: usize,
    /// Bytes of each message.
    pub payload: usize,
    /// From little to much.
    pub steps: Vec<Step>,
    /// The commit of the source tree that the program lies in.
    pub commit: String,
}

/// One number of packets.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Packets of a round.
    pub packets: u64,
    /// Rounds.
    pub rounds: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// Rounds whose verdict came and is not `stored`.
    pub not_stored: u64,
    /// What went wrong with how many conversations.
    pub errors: BTreeMap<String, u64>,
    /// From the first submission to the last letter, by all packets: microseconds.
    pub us_per_packet: f64,
    /// Processor time of all mixes, by all packets: microseconds.
    pub cpu_us_per_packet: f64,
    /// Peak memory of the mix that took most, KiB.
    pub rss_kb: u64,
    /// The same without what is a file's.
    pub anon_kb: u64,
    /// The mixes.
    pub hop: Vec<Hop>,
}

/// Measures every step in a network of its own in `dir`, and tells before each which it is.
///
/// # Errors
/// If a network does not start.
pub async fn scale(
    dir: &Path,
    options: &ScaleOptions,
    mut tell: impl FnMut(usize, usize, &str),
) -> Result<Scale, LoadError> {
    let quiet: Tell = std::sync::Arc::new(|_| {});
    let mut steps = Vec::new();
    for &packets in &options.packets {
        let each = packets.div_ceil(options.clients as u64);
        tell(steps.len(), options.packets.len(), &format!("{packets} packets a round"));
        let home = dir.join(packets.to_string());
        let shape = Shape {
            mixes: 3,
            clients: options.clients,
            payload: options.bytes.max(256) as u64,
            packets_per_client: each,
            rounds: options.rounds,
            round_seconds: 0.0,
            poll_letters: each + 1,
            sealed: true,
            mtu: None,
        };
        let ground = Ground::start(&home, &shape).await?;
        let once = Options {
            rounds: options.rounds,
            warm_up: 0,
            bytes: options.bytes,
            connections: None,
            traffic: Traffic::Ring,
            spread: false,
        };
        let report = match ground.crew(None, options.clients) {
            Ok(crew) => run(&ground, crew, &once, &quiet).await,
            Err(error) => Err(error),
        };
        ground.stop().await;
        let report = report?;
        std::fs::remove_dir_all(&home).map_err(LoadError::io(format!("remove {}", home.display())))?;
        let all = report.sent.max(1) as f64;
        steps.push(Step {
            packets: each * options.clients as u64,
            rounds: report.rounds,
            lost: report.lost,
            not_stored: report.not_stored,
            errors: report.errors,
            us_per_packet: report.seconds * 1e6 / all,
            cpu_us_per_packet: report.hop.iter().filter_map(|hop| hop.cpu_s).sum::<f64>() * 1e6 / all,
            rss_kb: report.hop.iter().filter_map(|hop| hop.rss_kb).max().unwrap_or_default(),
            anon_kb: report.hop.iter().filter_map(|hop| hop.anon_kb).max().unwrap_or_default(),
            hop: report.hop,
        });
    }
    let (clients, payload) = (options.clients, options.bytes);
    Ok(Scale { machine: Machine::this(), clients, payload, steps, commit: commit() })
}

impl Scale {
    /// Draws `scale.svg` into `dir`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn draw(&self, dir: &Path) -> Result<(), LoadError> {
        let line = |name: &str, colour: usize, pick: fn(&Step) -> f64| Series {
            name: name.into(),
            points: self.steps.iter().map(|step| (step.packets as f64, pick(step))).collect(),
            colour,
            faint: false,
        };
        let x = Axis { title: "packets a round", log: true };
        let time = Panel {
            title: "Time of a packet".into(),
            x,
            y: Axis { title: "microseconds", log: false },
            series: vec![
                line("from client to client", 0, |step| step.us_per_packet),
                line("processor time of three mixes", 1, |step| step.cpu_us_per_packet),
            ],
        };
        let memory = Panel {
            title: "Memory of a mix".into(),
            x,
            y: Axis { title: "MiB at most", log: true },
            series: vec![
                line("the mix that took most", 2, |step| step.rss_kb as f64 / 1024.0),
                line("without what is its store's file", 3, |step| step.anon_kb as f64 / 1024.0),
            ],
        };
        draw(&dir.join("scale.svg"), "Cost against work", &[time, memory])
    }
}
