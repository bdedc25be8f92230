//! What an experiment found.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

/// A statistic, the bounds in which it lies if the defence stands, and what the control came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The experiment: `T1` to `T11`.
    pub id: &'static str,
    /// What was measured, in a few words; unique within the experiment.
    pub statistic: String,
    /// What it came to.
    pub value: f64,
    /// From where to where it may be; an infinite end is no bound.
    pub bounds: RangeInclusive<f64>,
    /// The same with the defence taken out, where that was tried.
    pub control: Option<Control>,
}

/// The positive control of a [`Finding`]: the same code path with one knob turned.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The knob.
    pub knob: &'static str,
    /// What the statistic came to.
    pub value: f64,
    /// Where it must lie, or the experiment could not have noticed.
    pub bounds: RangeInclusive<f64>,
}

impl Finding {
    /// Without a control.
    pub fn new(id: &'static str, statistic: impl Into<String>, value: f64, bounds: RangeInclusive<f64>) -> Self {
        Self { id, statistic: statistic.into(), value, bounds, control: None }
    }

    /// With one.
    #[must_use]
    pub fn against(self, knob: &'static str, value: f64, bounds: RangeInclusive<f64>) -> Self {
        Self { control: Some(Control { knob, value, bounds }), ..self }
    }

    /// Whether the statistic is within its bounds and the control, if there is one, shows.
    pub fn passes(&self) -> bool {
        self.bounds.contains(&self.value) && self.control_is_red() != Some(false)
    }

    /// Whether the control shows what it must.
    pub fn control_is_red(&self) -> Option<bool> {
        self.control.as_ref().map(|control| control.bounds.contains(&control.value))
    }

    /// The row of `report.json`: `{id, statistic, value, low, high, knob, control, control_red, pass}`; null where there
    /// is no bound or no control.
    pub fn json(&self) -> Value {
        // JSON has no infinity, and serde_json writes null for it.
        json!({
            "id": self.id,
            "statistic": self.statistic,
            "value": self.value,
            "low": self.bounds.start(),
            "high": self.bounds.end(),
            "knob": self.control.as_ref().map(|control| control.knob),
            "control": self.control.as_ref().map(|control| control.value),
            "control_red": self.control_is_red(),
            "pass": self.passes(),
        })
    }
}

/// A line to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its place in the legend.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// Curves in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// Above it.
    pub title: String,
    /// Below it, and whether each step is ten times the one before.
    pub x: (&'static str, bool),
    /// Beside it.
    pub y: (&'static str, bool),
    /// Its lines.
    pub curves: Vec<Curve>,
}

/// All that one experiment found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// `T1` to `T11`.
    pub id: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What was done and what the adversary knows; paragraphs of Markdown.
    pub text: String,
    /// Each statistic.
    pub findings: Vec<Finding>,
    /// Pictures.
    pub figures: Vec<Figure>,
}

impl Outcome {
    /// Whether there is a finding and every one is as it must be.
    pub fn passes(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(Finding::passes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_passes_only_within_its_bounds_and_beside_a_red_control() {
        let good = Finding::new("T0", "share", 0.1, 0.0..=0.2);
        assert!(good.passes() && good.control_is_red().is_none());
        assert!(!Finding::new("T0", "share", 0.3, 0.0..=0.2).passes());
        assert!(!Finding::new("T0", "share", f64::NAN, 0.0..=0.2).passes());
        assert!(good.clone().against("knob", 0.9, 0.8..=1.0).passes());
        let green = good.against("knob", 0.1, 0.8..=1.0);
        assert_eq!((green.passes(), green.control_is_red()), (false, Some(false)));
        let row = Finding::new("T0", "share", 0.1, f64::NEG_INFINITY..=0.2).json();
        assert!(row["low"].is_null() && row["high"] == 0.2 && row["pass"] == true, "{row}");
    }
}
