//! Candidates measured in turn, a slice of processor time each, so that whatever the machine does hits all of them alike.
//!
//! Figures of one run of a shared machine move by half between minutes; the ratio of two candidates whose slices alternate
//! moves by a few percent. So a row has the median over all slices with its tenth and ninetieth percentile, and the median
//! of the ratios of neighbouring slices.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// What is measured against others.
struct Candidate<'a> {
    name: String,
    /// How many things its work does.
    items: f64,
    /// Whose time is divided by this one's: the places of earlier candidates.
    against: Vec<usize>,
    work: Work<'a>,
    slices: Vec<f64>,
}

enum Work<'a> {
    /// Does it once, and says how long that took; what it prepares before is not in it.
    Done(Box<dyn FnMut() -> Duration + 'a>),
    /// What earlier candidates take together.
    Sum(Vec<usize>),
}

/// Candidates that are measured together.
#[derive(Default)]
pub struct Contest<'a> {
    candidates: Vec<Candidate<'a>>,
}

impl Candidate<'_> {
    /// Microseconds of one thing, in a slice in which an earlier candidate has taken what `earlier` says.
    fn slice(&mut self, earlier: impl Fn(usize) -> f64) -> f64 {
        let work = match &mut self.work {
            Work::Sum(parts) => return parts.iter().map(|part| earlier(*part)).sum(),
            Work::Done(work) => work,
        };
        let (mut took, mut times) = (Duration::ZERO, 0);
        while took < SLICE {
            took += work();
            times += 1;
        }
        took.as_secs_f64() * 1e6 / f64::from(times) / self.items
    }
}

/// What a candidate came to, in microseconds a thing.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The median of its slices.
    pub median: f64,
    /// Their tenth percentile.
    pub low: f64,
    /// Their ninetieth.
    pub high: f64,
    /// The candidate that it is compared with, and how many times as fast as that it is.
    pub ratio: Option<(String, f64)>,
}

/// Slices of each candidate.
const SLICES: usize = 15;
/// Processor time of a slice at the least.
const SLICE: Duration = Duration::from_millis(30);

impl<'a> Contest<'a> {
    /// Adds a candidate whose `work` does `items` things and says how long it took: [`processor_time`], or [`wall_time`] where a
    /// disk or another core is waited for. `against` are the places of earlier candidates that its ratios are to. Returns its
    /// own place.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        items: usize,
        against: &[usize],
        work: impl FnMut() -> Duration + 'a,
    ) -> usize {
        self.push(name.into(), items, against, Work::Done(Box::new(work)))
    }

    /// Adds what the earlier candidates `parts`, at their places, take together in each slice: nothing is done for it.
    pub fn add_sum(&mut self, name: impl Into<String>, parts: &[usize], against: &[usize]) -> usize {
        self.push(name.into(), 1, against, Work::Sum(parts.to_vec()))
    }

    fn push(&mut self, name: String, items: usize, against: &[usize], work: Work<'a>) -> usize {
        let (items, against) = (items as f64, against.to_vec());
        self.candidates.push(Candidate { name, items, against, work, slices: Vec::new() });
        self.candidates.len() - 1
    }

    /// Measures all of them: a row of each, or of each of its ratios.
    pub fn run(mut self) -> Vec<Row> {
        // Once unmeasured: caches, tables, the processor's clock.
        for candidate in &mut self.candidates {
            if let Work::Done(work) = &mut candidate.work {
                black_box(work());
            }
        }
        for slice in 0..SLICES {
            for place in 0..self.candidates.len() {
                let (before, candidate) = self.candidates.split_at_mut(place);
                let took = candidate[0].slice(|part| before[part].slices[slice]);
                candidate[0].slices.push(took);
            }
        }
        self.candidates.iter().flat_map(|candidate| self.rows(candidate)).collect()
    }

    fn rows(&self, candidate: &Candidate<'_>) -> Vec<Row> {
        let (low, median, high) = spread(&candidate.slices);
        let row = |ratio| Row { name: candidate.name.clone(), median, low, high, ratio };
        let ratios = candidate.against.iter().map(|place| {
            let other = &self.candidates[*place];
            let ratios = other.slices.iter().zip(&candidate.slices).map(|(theirs, own)| theirs / own);
            row(Some((other.name.clone(), spread(&ratios.collect::<Vec<f64>>()).1)))
        });
        if candidate.against.is_empty() { vec![row(None)] } else { ratios.collect() }
    }
}

/// Tenth percentile, median and ninetieth percentile.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    (at(0.1), at(0.5), at(0.9))
}

/// Processor time that `work` takes on this thread: what other programs take of the machine is not in it.
pub fn processor_time<T>(work: impl FnOnce() -> T) -> Duration {
    let now = || -> Duration { clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a thread has a clock").into() };
    let begun = now();
    black_box(work());
    now() - begun
}

/// Time that passes while `work` is done.
pub fn wall_time<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

/// Rows with what is needed to judge them, as one JSON object: `{schema, machine, kernel, load, commit, command, rows}`. `load` is how many
/// threads wanted a core in the last 5 minutes, the bench's own among them.
pub fn raw_data(rows: &[Row], command: &str) -> Value {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    json!({
        "schema": 2, "machine": machine(), "kernel": kernel("ostype") + " " + &kernel("osrelease"), "load": load(),
        "commit": commit(), "command": command, "rows": rows,
    })
}

/// Writes [`raw_data`] to `path`, whose directories are made.
///
/// # Errors
/// If the file cannot be written.
pub fn write_raw_data(rows: &[Row], command: &str, path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, format!("{:#}\n", raw_data(rows, command)))
}

impl fmt::Display for Row {
    /// A line of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { name, median, low, high, ratio } = self;
        write!(f, "{name:<44} {median:>11.3} us  ({low:.3} to {high:.3})")?;
        ratio.as_ref().map_or(Ok(()), |(to, ratio)| write!(f, "  {ratio:.2} x {to}"))
    }
}

impl Row {
    fn json(&self) -> Value {
        let round = |number: f64| (number * 1000.0).round() / 1000.0;
        let (to, ratio) = self.ratio.as_ref().map(|(to, ratio)| (to.as_str(), round(*ratio))).unzip();
        json!({
            "name": self.name, "median": round(self.median), "low": round(self.low), "high": round(self.high),
            "unit": "us", "ratio_to": to, "ratio": ratio,
        })
    }
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split(':').nth(1)?.trim().to_owned())
    };
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let flags = field("flags").unwrap_or_default();
    let avx512 = flags.split(' ').any(|flag| flag == "avx512dq");
    let model = field("model name").unwrap_or_else(|| "unknown processor".into());
    let (family, number) = (field("cpu family").unwrap_or_default(), field("model\t").unwrap_or_default());
    format!("{cores} cores of {model} (family {family}, model {number}), AVX-512 {}", if avx512 { "yes" } else { "no" })
}

fn kernel(what: &str) -> String {
    std::fs::read_to_string(Path::new("/proc/sys/kernel").join(what)).unwrap_or_default().trim().to_owned()
}

fn load() -> Option<f64> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    load.split_whitespace().nth(1)?.parse().ok()
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    if changed { format!("{commit} and changes") } else { commit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_spread_of_its_slices_and_the_ratio_of_neighbours() {
        let mut contest = Contest::default();
        let slow = contest.add("slow", 1, &[], || Duration::from_millis(40));
        contest.add("fast", 2, &[slow], || Duration::from_millis(40));
        let rows = contest.run();
        assert_eq!((rows[0].median, rows[0].low, rows[0].high), (40_000.0, 40_000.0, 40_000.0));
        assert!(rows[0].ratio.is_none());
        assert_eq!((rows[1].median, rows[1].ratio.clone()), (20_000.0, Some(("slow".into(), 2.0))));
        let json = raw_data(&rows, "cargo bench");
        assert_eq!(json["rows"][1]["ratio_to"], "slow");
        assert_eq!(json["rows"][1]["ratio"], 2.0);
        assert_eq!(json["rows"][0]["unit"], "us");
    }

    #[test]
    fn a_sum_is_that_of_its_parts_in_each_slice() {
        let mut contest = Contest::default();
        let one = contest.add("one", 1, &[], || Duration::from_millis(40));
        let other = contest.add("other", 2, &[], || Duration::from_millis(40));
        let sum = contest.add_sum("both", &[one, other], &[]);
        contest.add("whole", 1, &[sum], || Duration::from_millis(80));
        let rows = contest.run();
        assert_eq!(rows[2].median, 60_000.0);
        assert_eq!(rows[3].ratio.clone(), Some(("both".into(), 0.75)));
    }

    #[test]
    fn spread_is_of_sorted_values() {
        let values: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        assert_eq!(spread(&values), (1.0, 5.0, 9.0));
    }
}
