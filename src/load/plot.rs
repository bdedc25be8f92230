//! Figures as SVG: panels side by side, each with a title, axes and a legend.

use std::path::Path;

use plotters::prelude::*;

use super::LoadError;

/// A figure's panel.
pub(crate) struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
}

/// What an axis shows.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub title: &'static str,
    /// Each step ten times the one before.
    pub log: bool,
}

/// A line.
pub(crate) struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    /// Which of the colours.
    pub colour: usize,
    /// What is compared with.
    pub faint: bool,
}

const PANEL: (u32, u32) = (520, 460);
/// Told apart by most who do not see all colours (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(0, 0, 0),
];
/// No time that is shown is shorter, milliseconds: an axis of powers has no zero.
const LEAST: f64 = 1e-4;

impl Axis {
    fn place(self, value: f64) -> f64 {
        if self.log { value.max(LEAST).log10() } else { value }
    }

    fn label(self, place: f64) -> String {
        let value = if self.log { 10f64.powf(place) } else { place };
        match value.abs() {
            v if v >= 1e6 => format!("{} M", trimmed(value / 1e6)),
            v if v >= 1e3 => format!("{} k", trimmed(value / 1e3)),
            _ => trimmed(value),
        }
    }

    /// From below the least value to above the greatest.
    fn range(self, values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
        let places: Vec<f64> = values.map(|value| self.place(value)).collect();
        let least = places.iter().copied().fold(f64::INFINITY, f64::min);
        let most = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !least.is_finite() {
            return 0.0..1.0;
        }
        match self.log {
            true => least.floor()..(most.floor() + 1.0),
            false => (least.min(0.0))..(most + (most - least).max(1.0) * 0.05),
        }
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// Draws `panels` under a common title into `path`.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn draw(path: &Path, title: &str, panels: &[Panel]) -> Result<(), LoadError> {
    let mut text = String::new();
    let drawn = figure(&mut text, title, panels);
    drawn.map_err(|error| LoadError::Options(format!("cannot draw {}: {error}", path.display())))?;
    std::fs::write(path, text).map_err(LoadError::io(format!("write {}", path.display())))
}

fn figure(text: &mut String, title: &str, panels: &[Panel]) -> Result<(), Box<dyn std::error::Error>> {
    let width = PANEL.0 * panels.len().max(1) as u32;
    let root = SVGBackend::with_string(text, (width, PANEL.1 + 40)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 22))?;
    for (panel, area) in panels.iter().zip(root.split_evenly((1, panels.len().max(1)))) {
        let points = || panel.series.iter().flat_map(|series| &series.points);
        let mut chart = ChartBuilder::on(&area)
            .caption(&panel.title, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(62)
            .build_cartesian_2d(panel.x.range(points().map(|(x, _)| *x)), panel.y.range(points().map(|(_, y)| *y)))?;
        chart
            .configure_mesh()
            .x_desc(panel.x.title)
            .y_desc(panel.y.title)
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|place| panel.x.label(*place))
            .y_label_formatter(&|place| panel.y.label(*place))
            .light_line_style(WHITE)
            .draw()?;
        for series in &panel.series {
            let colour = COLOURS[series.colour % COLOURS.len()];
            let style = match series.faint {
                true => colour.mix(0.35).stroke_width(1),
                false => colour.stroke_width(2),
            };
            let placed: Vec<_> = series.points.iter().map(|(x, y)| (panel.x.place(*x), panel.y.place(*y))).collect();
            chart
                .draw_series(LineSeries::new(placed.iter().copied(), style))?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            let radius = if series.faint { 2 } else { 3 };
            chart.draw_series(placed.into_iter().map(|point| Circle::new(point, radius, style.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_well_formed_and_has_its_titles_axes_and_legend() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("figure.svg");
        let axis = |title, log| Axis { title, log };
        let series = |name: &str, faint| Series {
            name: name.into(),
            points: vec![(10.0, 0.5), (1000.0, 80.0), (1e6, 0.0)],
            colour: 1,
            faint,
        };
        let panel = Panel {
            title: "a < b & c".into(),
            x: axis("bytes", true),
            y: axis("milliseconds", true),
            series: vec![series("this", false), series("that", true)],
        };
        let empty = Panel { title: "none".into(), x: axis("clients", false), y: axis("MiB", false), series: vec![] };
        draw(&path, "The figure", &[panel, empty]).expect("drawn");
        let text = std::fs::read_to_string(&path).expect("written");
        for part in ["The figure", "a &lt; b &amp; c", "bytes", "milliseconds", "this", "that", "clients", "MiB", "1 M"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Every element is closed in order.
        let mut open = Vec::new();
        for tag in text.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().expect("a name");
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) => assert_eq!(open.pop(), Some(name)),
                (false, true) => {}
                (false, false) => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}
