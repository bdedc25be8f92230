//! `docs/performance.md`: what the benches found on one machine, held against what is asked of them.

use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// What is and what is not an equal job, and how everything was measured.
const JOBS: &str = include_str!("performance/jobs.md");

/// A bench that writes raw data.
struct Bench {
    name: &'static str,
    /// The directory of its package.
    package: &'static str,
    arguments: &'static [&'static str],
    /// What it is about.
    title: &'static str,
}

const BENCHES: [Bench; 5] = [
    Bench {
        name: "peers",
        package: "benches/peers",
        arguments: &["bench"],
        title: "Beside other mix networks' packets and X25519 of libraries",
    },
    Bench { name: "hop", package: ".", arguments: &["bench", "--bench", "hop"], title: "A hop, part by part" },
    Bench {
        name: "mix",
        package: ".",
        arguments: &["bench", "--bench", "mix"],
        title: "A whole mix over QUIC, its parts, and its link beside bare quinn",
    },
    Bench {
        name: "sealed",
        package: ".",
        arguments: &["bench", "--bench", "sealed"],
        title: "What sealing a round adds at each mix",
    },
    Bench { name: "store", package: ".", arguments: &["bench", "--bench", "store"], title: "The exit's disk" },
];

/// A ratio that is asked for.
struct Bound {
    what: &'static str,
    bench: &'static str,
    /// The first that this processor could run counts.
    of: &'static [&'static str],
    /// Of several the fastest one counts.
    against: &'static [&'static str],
    /// The same on the clock, where that is another row: `of`, and whom it is against.
    on_the_clock: Option<(&'static str, &'static str)>,
    least: f64,
    aim: Option<f64>,
}

const BOUNDS: [Bound; 8] = [
    Bound {
        what: "X25519, batch of 512, against x25519-dalek",
        bench: "peers",
        of: &["X25519 ifma", "X25519 lanes"],
        against: &["X25519 dalek"],
        on_the_clock: None,
        least: 5.0,
        aim: Some(6.0),
    },
    Bound {
        what: "X25519, batch of 512, against the best library",
        bench: "peers",
        of: &["X25519 ifma", "X25519 lanes"],
        against: &["X25519 graviola", "X25519 aws-lc"],
        on_the_clock: None,
        least: 2.1,
        aim: Some(2.5),
    },
    Bound {
        what: "Peel, replay set included, against sphinx-packet unwrap",
        bench: "peers",
        of: &["2048 B: peel, ifma", "2048 B: peel, lanes"],
        against: &["2048 B: sphinx-packet unwrap"],
        on_the_clock: None,
        least: 10.0,
        aim: Some(12.0),
    },
    Bound {
        what: "Peel, replay set included, against nym-outfox unwrap",
        bench: "peers",
        of: &["2048 B: peel, ifma", "2048 B: peel, lanes"],
        against: &["2048 B: nym-outfox unwrap"],
        on_the_clock: None,
        least: 5.0,
        aim: Some(6.0),
    },
    Bound {
        what: "Peel without AVX-512 lanes against sphinx-packet unwrap",
        bench: "peers",
        of: &["2048 B: peel, lanes4"],
        against: &["2048 B: sphinx-packet unwrap"],
        on_the_clock: None,
        least: 5.0,
        aim: None,
    },
    Bound {
        what: "All cores against one, batch of 100,000",
        bench: "hop",
        of: &["peel/2048/all cores, the busiest"],
        against: &["peel/2048/one core"],
        on_the_clock: Some(("peel/2048/all cores, on the clock", "peel/2048/one core, on the clock")),
        least: 1.85,
        aim: None,
    },
    Bound {
        what: "A whole mix over QUIC against the budget of its parts",
        bench: "mix",
        of: &["whole mix"],
        against: &["budget"],
        on_the_clock: None,
        least: 0.75,
        aim: None,
    },
    Bound {
        what: "Link goodput against bare quinn, both ends together",
        bench: "mix",
        of: &["link"],
        against: &["bare quinn"],
        on_the_clock: Some(("link, on the clock", "bare quinn, on the clock")),
        least: 0.85,
        aim: None,
    },
];

/// Raw data of a bench, as [`super::raw_data`] makes it.
#[derive(Deserialize)]
struct Raw {
    machine: String,
    kernel: String,
    load: Option<f64>,
    commit: String,
    command: String,
    rows: Vec<RawRow>,
}

#[derive(Deserialize)]
struct RawRow {
    name: String,
    median: f64,
    low: f64,
    high: f64,
    ratio_to: Option<String>,
    ratio: Option<f64>,
}

impl Raw {
    fn ratio(&self, of: &str, to: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == of && row.ratio_to.as_deref() == Some(to))?.ratio
    }
}

/// Runs the benches of a checkout and writes what they found.
pub struct Performance {
    /// The checkout.
    pub root: PathBuf,
    /// Where `performance.md` and, in a directory beside it, raw data go.
    pub out: PathBuf,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerformanceError {
    /// A bench does not run, or found something wrong.
    #[error("the bench `{0}` has failed")]
    Bench(&'static str),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What a bench has written is no raw data.
    #[error("{path}: {source}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl Performance {
    /// Runs all benches, one after the other, and copies their raw data. Takes about ten minutes, once everything is built.
    ///
    /// # Errors
    /// If a bench fails, or its raw data cannot be copied.
    pub fn measure(&self) -> Result<(), PerformanceError> {
        for bench in &BENCHES {
            let ended = Command::new("cargo").args(bench.arguments).current_dir(self.root.join(bench.package)).status();
            if !ended.is_ok_and(|status| status.success()) {
                return Err(PerformanceError::Bench(bench.name));
            }
        }
        for bench in &BENCHES {
            let (from, to) = (self.root.join(bench.package).join("target/bench").join(bench.file()), self.raw(bench));
            let copied = std::fs::create_dir_all(self.out.join("performance")).and_then(|()| std::fs::copy(&from, &to));
            copied.map_err(|source| PerformanceError::File { path: from, source })?;
        }
        Ok(())
    }

    /// Writes the document from the raw data that is there; whether every bound is met.
    ///
    /// # Errors
    /// If raw data is missing or none, or the document cannot be written.
    pub fn write(&self) -> Result<bool, PerformanceError> {
        let read = |bench: &'static Bench| {
            let path = self.raw(bench);
            let text = std::fs::read(&path).map_err(|source| PerformanceError::File { path: path.clone(), source })?;
            let raw = serde_json::from_slice(&text).map_err(|source| PerformanceError::Json { path, source })?;
            Ok((bench, raw))
        };
        let found = BENCHES.iter().map(read).collect::<Result<Vec<(&Bench, Raw)>, _>>()?;
        let (document, met) = document(&found);
        let path = self.out.join("performance.md");
        std::fs::write(&path, document).map_err(|source| PerformanceError::File { path, source })?;
        Ok(met)
    }

    fn raw(&self, bench: &Bench) -> PathBuf {
        self.out.join(Path::new("performance")).join(bench.file())
    }
}

impl Bench {
    fn file(&self) -> String {
        format!("{}.json", self.name)
    }
}

fn document(found: &[(&Bench, Raw)]) -> (String, bool) {
    let mut text = String::from(
        "# Performance\n\n`cargo run --release --features sim --bin mixlab -- performance` runs the benches and writes this file \
         and `performance/*.json`, its raw data;\nnothing in it is changed by hand.\n\n",
    );
    let mut say = |line: fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    let all = |field: fn(&Raw) -> &str| {
        let different: BTreeSet<&str> = found.iter().map(|(_, raw)| field(raw)).collect();
        different.into_iter().collect::<Vec<_>>().join("; ")
    };
    say(format_args!("- machine: {}", all(|raw| &raw.machine)));
    say(format_args!("- kernel: {}", all(|raw| &raw.kernel)));
    say(format_args!("- commit: {}", all(|raw| &raw.commit)));
    for (bench, raw) in found {
        let load = raw.load.map_or_else(|| "unknown".into(), |load| format!("{load:.1}"));
        say(format_args!(
            "- [{name}](performance/{name}.json): `{}`; load over its last five minutes, its own included: {load}",
            raw.command,
            name = bench.name,
        ));
    }

    say(format_args!("\n## What is asked, and what was found\n"));
    say(format_args!("| ratio | found | on the clock | at least | aimed at | met |\n|---|---|---|---|---|---|"));
    let mut missed = Vec::new();
    for bound in &BOUNDS {
        let ratio = bound.found(found);
        let met = ratio.is_some_and(|ratio| ratio >= bound.least);
        if !met {
            missed.push(bound.what);
        }
        let ratio = ratio.map_or_else(|| "not measured".into(), |ratio| format!("{ratio:.2}"));
        let aim = bound.aim.map_or_else(String::new, |aim| format!("{aim}"));
        let met = if met { "yes" } else { "**no**" };
        let clock = bound.found_on_the_clock(found).map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        say(format_args!("| {} | {ratio} | {clock} | {} | {aim} | {met} |", bound.what, bound.least));
    }
    match missed.as_slice() {
        [] => say(format_args!("\nAll {} are met.", BOUNDS.len())),
        missed => {
            say(format_args!("\n**{} of {} are not met:** {}.", missed.len(), BOUNDS.len(), missed.join("; ")));
        }
    }
    say(format_args!("\n{}", JOBS.trim_end()));
    for (bench, raw) in found {
        say(format_args!("\n## {}\n", bench.title));
        say(format_args!("| | median, us | 10 % | 90 % | times as fast as |\n|---|---:|---:|---:|---|"));
        for rows in raw.rows.chunk_by(|one, other| one.name == other.name) {
            let RawRow { name, median, low, high, .. } = &rows[0];
            let ratios = rows.iter().filter_map(|row| Some(format!("{:.2} {}", row.ratio?, row.ratio_to.as_ref()?)));
            let ratios = ratios.collect::<Vec<_>>().join(", ");
            say(format_args!("| {name} | {median:.2} | {low:.2} | {high:.2} | {ratios} |"));
        }
    }
    (text, missed.is_empty())
}

impl Bound {
    fn found(&self, found: &[(&Bench, Raw)]) -> Option<f64> {
        let raw = self.raw(found)?;
        let ratios = |of: &&str| self.against.iter().map(|to| raw.ratio(of, to)).collect::<Option<Vec<f64>>>();
        self.of.iter().find_map(ratios)?.into_iter().min_by(f64::total_cmp)
    }

    fn found_on_the_clock(&self, found: &[(&Bench, Raw)]) -> Option<f64> {
        let (of, to) = self.on_the_clock?;
        self.raw(found)?.ratio(of, to)
    }

    fn raw<'a>(&self, found: &'a [(&Bench, Raw)]) -> Option<&'a Raw> {
        found.iter().find(|(bench, _)| bench.name == self.bench).map(|(_, raw)| raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Raw data in which each bound is met by `factor`.
    fn found(factor: f64) -> Vec<(&'static Bench, Raw)> {
        let of = |bench: &'static Bench| {
            let bounds = BOUNDS.iter().filter(|bound| bound.bench == bench.name);
            let rows = bounds.flat_map(|bound| {
                bound.against.iter().map(move |to| RawRow {
                    name: bound.of[0].into(),
                    median: 1.0,
                    low: 1.0,
                    high: 1.0,
                    ratio_to: Some((*to).into()),
                    ratio: Some(bound.least * factor),
                })
            });
            let [machine, kernel, commit, command] = ["m", "k", "c", "b"].map(String::from);
            (bench, Raw { machine, kernel, load: Some(1.0), commit, command, rows: rows.collect() })
        };
        BENCHES.iter().map(of).collect()
    }

    #[test]
    fn what_is_met_says_so_and_what_is_not_is_named() {
        let (text, met) = document(&found(1.0));
        assert!(met && text.contains("All 8 are met.") && !text.contains("**no**"));
        let (text, met) = document(&found(0.99));
        assert!(!met && text.contains("**8 of 8 are not met:**"));
        assert_eq!(text.matches("| **no** |").count(), 8);
    }

    #[test]
    fn the_best_library_counts_and_a_missing_row_is_not_met() {
        let mut found = found(2.0);
        let peers = found.iter_mut().find(|(bench, _)| bench.name == "peers").expect("it is one of them");
        let library = peers.1.rows.iter_mut().find(|row| row.ratio_to.as_deref() == Some("X25519 aws-lc"));
        library.expect("it is compared with").ratio = Some(2.0);
        let (text, met) = document(&found);
        assert!(
            !met && text.contains("| X25519, batch of 512, against the best library | 2.00 |  | 2.1 | 2.5 | **no** |")
        );

        let mut found = self::found(2.0);
        found.retain(|(bench, _)| bench.name != "hop");
        let (text, met) = document(&found);
        assert!(!met && text.contains("| not measured |  | 1.85 |  | **no** |"));
    }
}
