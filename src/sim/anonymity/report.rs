//! What the laboratory found, written down: `report.json`, `report.md` and figures.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;

use super::{Figure, Finding, Outcome};
use crate::load::{Axis, LoadError, Panel, Series, draw};

/// All outcomes of one run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they are told.
    pub outcomes: Vec<Outcome>,
    /// The source tree that the program is of.
    pub commit: String,
    /// The command that repeats it.
    pub command: String,
}

/// Why a report is not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report: {0}\nhelp: name a directory that can be written to with --out")]
pub struct ReportError(#[from] LoadError);

impl Report {
    /// Whether everything is as it must be.
    pub fn passes(&self) -> bool {
        !self.outcomes.is_empty() && self.outcomes.iter().all(Outcome::passes)
    }

    /// Writes `report.json` (`{schema, commit, command, pass, rows}`, each row [`Finding::json`]), `report.md` and an SVG for
    /// each figure into `dir`, which is made.
    ///
    /// # Errors
    /// If something cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), ReportError> {
        let io = |source| LoadError::Io { what: format!("write into {}", dir.display()), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let rows: Vec<_> = self.outcomes.iter().flat_map(|outcome| &outcome.findings).map(Finding::json).collect();
        let json = json!({
            "schema": 1,
            "commit": self.commit,
            "command": self.command,
            "pass": self.passes(),
            "rows": rows,
        });
        std::fs::write(dir.join("report.json"), format!("{json:#}\n")).map_err(io)?;
        std::fs::write(dir.join("report.md"), self.markdown()).map_err(io)?;
        for figure in self.outcomes.iter().flat_map(|outcome| &outcome.figures) {
            draw(&dir.join(format!("{}.svg", figure.name)), &figure.title, &[panel(figure)])?;
        }
        Ok(())
    }

    /// The document.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Anonymity, measured\n\n`{}` writes this file, `report.json` and the pictures; nothing in it is changed by hand. \
             Commit {}.\n\nEach statistic has bounds in which it lies if the defence stands, and beside it stands what the \
             same code came to with one knob turned, in the same run: the control, which must fall where it says, or the \
             experiment could not have noticed anything.\n\n**{}**\n",
            self.command,
            self.commit,
            match self.passes() {
                true => "All statistics are within their bounds, all controls outside.".into(),
                false => format!("Not as it must be: {}.", self.failures().join("; ")),
            }
        );
        for outcome in &self.outcomes {
            // Writing into a string does not fail.
            let _ = write!(text, "\n## {}: {}\n\n{}\n", outcome.id, outcome.title, outcome.text.trim());
            text += "\n| statistic | value | bounds | control | its value | must be in | as it must be |\n";
            text += "|---|---:|---|---|---:|---|---|\n";
            outcome.findings.iter().for_each(|finding| text += &row(finding));
            for figure in &outcome.figures {
                let _ = write!(text, "\n![{}]({}.svg)\n", figure.title, figure.name);
            }
        }
        text
    }

    fn failures(&self) -> Vec<String> {
        let findings = self.outcomes.iter().flat_map(|outcome| &outcome.findings);
        let failed = findings.filter(|finding| !finding.passes());
        let empty = self.outcomes.iter().filter(|outcome| outcome.findings.is_empty());
        let failed = failed.map(|finding| format!("{} {}", finding.id, finding.statistic));
        failed.chain(empty.map(|outcome| format!("{} has no finding", outcome.id))).collect()
    }
}

fn row(finding: &Finding) -> String {
    let range = |low: f64, high: f64| match (low.is_finite(), high.is_finite()) {
        (true, true) if low == high => number(low),
        (true, true) => format!("{} to {}", number(low), number(high)),
        (true, false) => format!("at least {}", number(low)),
        (false, true) => format!("at most {}", number(high)),
        (false, false) => "none".into(),
    };
    let (knob, value, must) = match &finding.control {
        Some(control) => (control.knob, number(control.value), range(*control.bounds.start(), *control.bounds.end())),
        None => Default::default(),
    };
    let bounds = range(*finding.bounds.start(), *finding.bounds.end());
    let sound = if finding.passes() { "yes" } else { "**no**" };
    format!("| {} | {} | {bounds} | {knob} | {value} | {must} | {sound} |\n", finding.statistic, number(finding.value))
}

/// Four digits, without zeros behind them.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size < 0.001 && size > 0.0 => format!("{value:.2e}"),
        _ => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').into()
        }
    }
}

fn panel(figure: &Figure) -> Panel {
    let axis = |(title, log)| Axis { title, log };
    let line = |(colour, curve): (usize, &super::Curve)| Series {
        name: curve.name.clone(),
        points: curve.points.clone(),
        colour,
        faint: false,
    };
    Panel {
        title: String::new(),
        x: axis(figure.x),
        y: axis(figure.y),
        series: figure.curves.iter().enumerate().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Curve;
    use super::*;

    #[test]
    fn a_report_says_what_failed_and_draws_its_figures() {
        let finding = |value| Finding::new("T0", "share found", value, 0.0..=0.0183).against("no mix", 1.0, 0.9..=1.0);
        let curve = Curve { name: "uniform".into(), points: vec![(10.0, 0.01), (1000.0, 0.03)] };
        let figure =
            Figure { name: "t0", title: "Found".into(), x: ("rounds", true), y: ("share", false), curves: vec![curve] };
        let outcome = |value| Outcome {
            id: "T0",
            title: "linkage",
            text: "All mixes but one.".into(),
            findings: vec![finding(value)],
            figures: vec![figure.clone()],
        };
        let mut report = Report { outcomes: vec![outcome(0.016)], commit: "c0ffee".into(), command: "mixlab".into() };
        let dir = tempfile::tempdir().expect("a directory");
        report.write(&dir.path().join("new")).expect("written");
        let json = std::fs::read_to_string(dir.path().join("new/report.json")).expect("there");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert!(json["pass"] == true && json["rows"][0]["control_red"] == true, "{json}");
        assert!(dir.path().join("new/t0.svg").is_file());
        let text = report.markdown();
        assert!(text.contains("| share found | 0.016 | 0 to 0.0183 | no mix | 1 | 0.9 to 1 | yes |"), "{text}");
        report.outcomes.push(outcome(0.02));
        assert!(!report.passes() && report.markdown().contains("Not as it must be: T0 share found."));
        report.outcomes = vec![Outcome { findings: Vec::new(), ..outcome(0.0) }];
        assert!(!report.passes() && report.markdown().contains("T0 has no finding"));
        assert!(!Report::default().passes(), "nothing shows nothing");
    }
}
