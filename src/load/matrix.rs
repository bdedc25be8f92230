//! The benchmark of the first description: few clients, messages from tiny to large, one round at a time.
//!
//! Client 1 sends to client 2 and all others to themselves; everybody submits with the ticket, mixes do not delay, the
//! exit's durable commit counts. Each cell has a network of its own; its first round warms up and is not counted.

use std::path::Path;

use serde::Serialize;

use super::baseline;
use super::plot::{Axis, Panel, Series, draw};
use super::report::{Machine, commit};
use super::{Ground, LoadError, Options, Party, Shape, Tell, Traffic};

/// Which cells.
#[derive(Clone, Debug)]
pub struct MatrixOptions {
    /// Numbers of clients.
    pub clients: Vec<usize>,
    /// Bytes of messages.
    pub bytes: Vec<usize>,
    /// Rounds measured in each cell; the median counts.
    pub rounds: usize,
}

/// What `mixload matrix` found.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// Where.
    pub machine: Machine,
    /// Rounds of each cell; the median counts.
    pub rounds: usize,
    /// Every number of clients with every size.
    pub cells: Vec<Cell>,
    /// The commit of the source tree that the program lies in.
    pub commit: String,
}

/// One number of clients, one size.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Clients.
    pub clients: usize,
    /// Bytes of each message.
    pub bytes: usize,
    /// As networks are.
    pub sealed: Times,
    /// Without sealing: what that costs is the difference.
    pub unsealed: Times,
    /// Without any protection.
    pub baseline: Times,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// A client's work on one message; none without protection.
    pub prepare_ms: f64,
    /// From the opening of the round at the entry, which comes before it receives anything, until all letters are on the
    /// exit's disk.
    pub mix_ms: f64,
    /// From a submission until its recipient has the letter; the last of the round.
    pub end_to_end_ms: f64,
}

/// Mixes of the benchmark, and relays of what it is compared with.
const HOPS: usize = 3;

/// Measures every cell in networks in `dir`, and tells before each which it is.
///
/// # Errors
/// If a network does not start, or a message is lost.
pub async fn matrix(
    dir: &Path,
    options: &MatrixOptions,
    mut tell: impl FnMut(usize, usize, &str),
) -> Result<Matrix, LoadError> {
    let quiet: Tell = std::sync::Arc::new(|_| {});
    let mut cells = Vec::new();
    for &bytes in &options.bytes {
        for &clients in &options.clients {
            tell(
                cells.len(),
                options.bytes.len() * options.clients.len(),
                &format!("{clients} clients, {bytes} bytes"),
            );
            let home = dir.join(format!("{clients}-{bytes}"));
            let sealed = cell(&home.join("sealed"), clients, bytes, options.rounds, true, &quiet).await?;
            let unsealed = cell(&home.join("unsealed"), clients, bytes, options.rounds, false, &quiet).await?;
            let mut passed = Vec::new();
            for round in 0..=options.rounds {
                let times = baseline::pass(&home, Traffic::Pair, clients, bytes, HOPS).await?;
                let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
                if round > 0 {
                    passed.push(Times {
                        prepare_ms: 0.0,
                        mix_ms: ms(times.relays),
                        end_to_end_ms: ms(times.end_to_end),
                    });
                }
            }
            cells.push(Cell { clients, bytes, sealed, unsealed, baseline: median(&passed) });
            std::fs::remove_dir_all(&home).map_err(LoadError::io(format!("remove {}", home.display())))?;
        }
    }
    Ok(Matrix { machine: Machine::this(), rounds: options.rounds, cells, commit: commit() })
}

async fn cell(
    dir: &Path,
    clients: usize,
    bytes: usize,
    rounds: usize,
    sealed: bool,
    tell: &Tell,
) -> Result<Times, LoadError> {
    let shape = Shape {
        mixes: HOPS,
        clients,
        payload: bytes.max(256) as u64,
        packets_per_client: 1,
        rounds: rounds as u64 + 1,
        round_seconds: 0.0,
        // The second client gets two.
        poll_letters: 3,
        sealed,
        mtu: None,
    };
    let ground = Ground::start(dir, &shape).await?;
    let measured = rounds_of(&ground, clients, bytes, rounds, tell).await;
    ground.stop().await;
    measured
}

async fn rounds_of(
    ground: &Ground,
    clients: usize,
    bytes: usize,
    rounds: usize,
    tell: &Tell,
) -> Result<Times, LoadError> {
    let options = Options { rounds: 1, warm_up: 0, bytes, connections: None, traffic: Traffic::Pair, spread: false };
    let mut party = Party::gather(ground.crew(None, clients)?, None, tell).await?;
    let mut times = Vec::new();
    for round in 0..=rounds {
        let report = party.play(ground, &options, tell).await?;
        if report.lost > 0 || report.wrong > 0 {
            let text = format!("{} of {} messages were lost: {:?}", report.lost, report.sent, report.errors);
            return Err(LoadError::Start(text));
        }
        let (began, ended) = ground.last_round().await.ok_or_else(|| LoadError::Start("no metrics".into()))?;
        if round > 0 {
            times.push(Times {
                prepare_ms: report.build_us / 1000.0,
                mix_ms: (ended - began) * 1000.0,
                end_to_end_ms: report.latency_ms.quantile_ms(1.0),
            });
        }
    }
    Ok(median(&times))
}

/// Of each figure by itself.
fn median(times: &[Times]) -> Times {
    let of = |pick: fn(&Times) -> f64| {
        let mut values: Vec<f64> = times.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Times {
        prepare_ms: of(|times| times.prepare_ms),
        mix_ms: of(|times| times.mix_ms),
        end_to_end_ms: of(|times| times.end_to_end_ms),
    }
}

/// A panel's title and what it shows.
type Figure = (&'static str, fn(&Times) -> f64);

/// The three figures as panels, in this order.
const FIGURES: [Figure; 3] = [
    ("Preparation of a message", |times| times.prepare_ms),
    ("Mix latency", |times| times.mix_ms),
    ("End to end", |times| times.end_to_end_ms),
];

impl Matrix {
    /// Draws `metrics_vs_num_of_clients.svg` and `metrics_vs_message_size.svg` into `dir`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn draw(&self, dir: &Path) -> Result<(), LoadError> {
        let (clients, bytes) = (|cell: &Cell| cell.clients as f64, |cell: &Cell| cell.bytes as f64);
        let clients_axis = Axis { title: "clients", log: false };
        let bytes_axis = Axis { title: "bytes of a message", log: true };
        let panels = self.panels(clients_axis, clients, bytes, |bytes| format!("{bytes} B"));
        draw(&dir.join("metrics_vs_num_of_clients.svg"), "Metrics against the number of clients", &panels)?;
        let panels = self.panels(bytes_axis, bytes, clients, |clients| format!("{clients} clients"));
        draw(&dir.join("metrics_vs_message_size.svg"), "Metrics against the size of messages", &panels)
    }

    fn panels(
        &self,
        x: Axis,
        along: fn(&Cell) -> f64,
        across: fn(&Cell) -> f64,
        name: fn(f64) -> String,
    ) -> Vec<Panel> {
        let mut lines: Vec<f64> = self.cells.iter().map(across).collect();
        lines.sort_by(f64::total_cmp);
        lines.dedup();
        let panel = |(title, pick): Figure| {
            let mut series = Vec::new();
            for (colour, line) in lines.iter().enumerate() {
                let of_line = || self.cells.iter().filter(|cell| across(cell) == *line);
                let points = |times: fn(&Cell) -> &Times| {
                    let mut points: Vec<_> = of_line().map(|cell| (along(cell), pick(times(cell)))).collect();
                    points.sort_by(|a, b| a.0.total_cmp(&b.0));
                    points
                };
                let name = name(*line);
                series.push(Series { name: name.clone(), points: points(|cell| &cell.sealed), colour, faint: false });
                let unprotected = points(|cell| &cell.baseline);
                if unprotected.iter().any(|(_, y)| *y > 0.0) {
                    series.push(Series {
                        name: format!("{name}, unencrypted"),
                        points: unprotected,
                        colour,
                        faint: true,
                    });
                }
            }
            Panel { title: title.into(), x, y: Axis { title: "milliseconds", log: true }, series }
        };
        FIGURES.into_iter().map(panel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_each_figure_by_itself() {
        let times = |a, b, c| Times { prepare_ms: a, mix_ms: b, end_to_end_ms: c };
        let median = median(&[times(1.0, 9.0, 5.0), times(3.0, 7.0, 6.0), times(2.0, 8.0, 4.0)]);
        assert_eq!((median.prepare_ms, median.mix_ms, median.end_to_end_ms), (2.0, 8.0, 5.0));
    }

    #[test]
    fn both_figures_show_every_line() {
        let times = Times { prepare_ms: 0.5, mix_ms: 3.0, end_to_end_ms: 4.0 };
        let cell = |(clients, bytes)| Cell { clients, bytes, sealed: times, unsealed: times, baseline: times };
        let cells = [(2, 10), (4, 10), (2, 1_000_000), (4, 1_000_000)].map(cell).to_vec();
        let matrix = Matrix { machine: Machine::this(), rounds: 1, cells, commit: "c".into() };
        let dir = tempfile::tempdir().expect("a directory");
        matrix.draw(dir.path()).expect("drawn");
        for (name, parts) in [
            ("metrics_vs_num_of_clients.svg", ["10 B", "1000000 B, unencrypted", "Mix latency", "clients"]),
            (
                "metrics_vs_message_size.svg",
                ["2 clients", "4 clients, unencrypted", "End to end", "bytes of a message"],
            ),
        ] {
            let text = std::fs::read_to_string(dir.path().join(name)).expect("drawn");
            parts.iter().for_each(|part| assert!(text.contains(part), "{name}: {part}"));
        }
    }
}
