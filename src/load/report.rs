//! What a measurement found, as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::LoadError;
use super::plot::{Axis, Panel, Series, draw};

/// What `mixload run` found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Clients played.
    pub clients: usize,
    /// Connections to the entry, and as many to the exit.
    pub connections: usize,
    /// Packets of each client in each round.
    pub packets_per_client: u64,
    /// Bytes of each message.
    pub payload: usize,
    /// Rounds that count: of these are all figures below but `warm_up`, `wrong`, `build_us` and `errors`.
    pub rounds: u64,
    /// Those before.
    pub warm_up: WarmUp,
    /// Seconds from the start of one round to the next; 0: back to back.
    pub round_seconds: f64,
    /// Whether rounds were sealed.
    pub sealed: bool,
    /// Messages submitted.
    pub sent: u64,
    /// Messages that arrived as they were sent, each counted once.
    pub delivered: u64,
    /// The others.
    pub lost: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Letters that no client had sent.
    pub wrong: u64,
    /// Messages that were not submitted: their packets were not built in time.
    pub missed: u64,
    /// Rounds whose verdict came and is not `stored`.
    pub not_stored: u64,
    /// From the first submission to the last letter.
    pub seconds: f64,
    /// `delivered` by `seconds`.
    pub messages_per_s: f64,
    /// From a message's submission, or from when it was due, until its recipient has its letter.
    pub latency_ms: Latency,
    /// Microseconds of one thread for a packet, built before rounds began.
    pub build_us: f64,
    /// The mixes.
    pub hop: Vec<Hop>,
    /// Processor seconds of this program while rounds ran.
    pub load_cpu_s: f64,
    /// Its peak memory, KiB.
    pub load_rss_kb: u64,
    /// What went wrong with how many conversations.
    pub errors: BTreeMap<String, u64>,
    /// The commit of the source tree that the program lies in.
    pub commit: String,
}

/// Rounds that were played before those that count.
#[derive(Clone, Debug, Serialize)]
pub struct WarmUp {
    /// How many.
    pub rounds: u64,
    /// Messages submitted.
    pub sent: u64,
    /// Messages that arrived as they were sent, each counted once.
    pub delivered: u64,
}

/// A mix while rounds ran; what is not known of it is null.
#[derive(Clone, Debug, Serialize)]
pub struct Hop {
    /// Its name.
    pub mix: String,
    /// Packets taken in, by the seconds of the run.
    pub packets_per_s: Option<f64>,
    /// Processor seconds.
    pub cpu_s: Option<f64>,
    /// Peak memory since it began, KiB: the pages of its store's file among it that the system has left there.
    pub rss_kb: Option<u64>,
    /// Memory of its own, which no file has, at the highest of twenty looks a second, KiB.
    pub anon_kb: Option<u64>,
}

/// What a measurement was made on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor, as the system calls it.
    pub cpu: String,
    /// Cores that this program may use.
    pub cores: usize,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let cpu = name.map_or_else(|| std::env::consts::ARCH.into(), |(_, name)| name.trim().into());
        Self { cpu, cores: std::thread::available_parallelism().map_or(1, usize::from) }
    }
}

/// Latencies, to three digits.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// The longest latency that is told from longer ones, microseconds.
const LONGEST_US: u64 = 3_600_000_000;

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are in order"))
    }
}

impl Latency {
    pub(super) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    /// The latency, in milliseconds, that this share of messages does not exceed.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1000.0
    }

    /// The share of messages, in per cent, that took up to so many milliseconds.
    fn curve(&self) -> Vec<(f64, f64)> {
        let (mut count, all) = (0, self.0.len().max(1));
        let mut point = |ms: f64, more: u64| {
            count += more;
            (ms, count as f64 * 100.0 / all as f64)
        };
        self.0
            .iter_recorded()
            .map(|step| point(step.value_iterated_to() as f64 / 1000.0, step.count_since_last_iteration()))
            .collect()
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Quantiles {
            p50: f64,
            p90: f64,
            p99: f64,
            max: f64,
        }
        let [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1.0].map(|share| self.quantile_ms(share));
        Quantiles { p50, p90, p99, max }.serialize(serializer)
    }
}

impl Report {
    /// Messages that were to be sent and neither were nor [`Report::missed`]: their clients had given up.
    pub fn unsent(&self) -> u64 {
        (self.clients as u64 * self.packets_per_client * self.rounds).saturating_sub(self.sent + self.missed)
    }

    /// Draws `latency.svg` and `hops.svg` into `dir`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn draw(&self, dir: &Path) -> Result<(), LoadError> {
        let latency = Panel {
            title: format!("{} messages of {} clients", self.delivered, self.clients),
            x: Axis { title: "milliseconds", log: true },
            y: Axis { title: "per cent of messages within", log: false },
            series: vec![Series { name: "letters".into(), points: self.latency_ms.curve(), colour: 0, faint: false }],
        };
        draw(&dir.join("latency.svg"), "Latency of messages", &[latency])?;
        let of_hops = |title: &str, y, pick: fn(&Hop) -> Option<f64>| {
            let points = (1..).zip(&self.hop).filter_map(|(number, hop)| Some((f64::from(number), pick(hop)?)));
            let series = Series { name: title.to_lowercase(), points: points.collect(), colour: 1, faint: false };
            let (x, y) = (Axis { title: "mix", log: false }, Axis { title: y, log: false });
            Panel { title: title.into(), x, y, series: vec![series] }
        };
        let panels = [
            of_hops("Throughput", "packets a second", |hop| hop.packets_per_s),
            of_hops("Processor time", "seconds", |hop| hop.cpu_s),
            of_hops("Memory without files", "MiB at most", |hop| Some(hop.anon_kb? as f64 / 1024.0)),
        ];
        draw(&dir.join("hops.svg"), "The mixes", &panels)
    }
}

/// The commit of the source tree that this program lies in, with `-dirty` if the tree has changes; `unknown` elsewhere.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let program = std::env::current_exe().ok()?;
        let output = Command::new("git").arg("-C").arg(program.parent()?).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return "unknown".into() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    if changed { format!("{commit}-dirty") } else { commit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_in_milliseconds() {
        let mut latency = Latency::default();
        (1..=100).for_each(|ms| latency.record(Duration::from_millis(ms)));
        let json = serde_json::to_value(&latency).expect("numbers");
        for (name, ms) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("max", 100.0)] {
            let told = json[name].as_f64().expect("a number");
            assert!((told - ms).abs() < 0.1, "{name}: {told}");
        }
        latency.record(Duration::MAX);
        assert!((latency.quantile_ms(1.0) - LONGEST_US as f64 / 1000.0).abs() < LONGEST_US as f64 / 1e5);
    }
}
