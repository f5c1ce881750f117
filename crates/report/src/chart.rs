//! Plots as SVG, drawn with classes instead of colours, so that a page's style sheet decides how they look on light,
//! on dark and on paper. Lines differ by dash as well as by hue; points carry their numbers as tooltips.
//!
//! All plots are drawn 440 units wide, which is about a phone's width and half a desktop's, so that text has nearly
//! its own size on both.

use maud::{Markup, html};

use crate::number::tick;

/// Width of a plot, in units of its own.
const WIDTH: f64 = 440.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 46.0;

/// Which of the page's series a mark belongs to: hue and dash follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Solid, the first hue.
    First,
    /// Dashed, the second hue.
    Second,
    /// Fine and pale: what lies behind the others.
    Behind,
}

impl Series {
    fn class(self) -> &'static str {
        match self {
            Self::First => "a",
            Self::Second => "b",
            Self::Behind => "c",
        }
    }
}

/// A scale with its ticks.
#[derive(Debug, Clone)]
pub struct Axis {
    label: String,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to 1.
    pub fn unit(label: &str) -> Self {
        Self { label: label.to_owned(), low: 0.0, high: 1.0, ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0] }
    }

    /// From `low` to `high`, with round ticks between.
    pub fn between(label: &str, low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let step = round_step((high - low) / 5.0);
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|at| at as f64 * step).map(|tick| (tick / step).round() * step).collect();
        Self { label: label.to_owned(), low, high, ticks }
    }

    /// Around all values, from tick to tick. `None` without a finite value.
    pub fn around(label: &str, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return None;
        }
        if high - low < 1e-12 {
            (low, high) = (low - 0.5, high + 0.5);
        }
        // Close to zero, zero belongs to the picture.
        if low > 0.0 && low < 0.4 * high {
            low = 0.0;
        }
        let step = round_step((high - low) / 4.0);
        Some(Self::between(label, (low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step))
    }

    /// One tick for each whole number, if they are few.
    #[must_use]
    pub fn whole(mut self) -> Self {
        let step = round_step((self.high - self.low) / 8.0).max(1.0).round();
        self.ticks = (0..=((self.high - self.low) / step) as u32).map(|at| self.low + f64::from(at) * step).collect();
        self
    }

    fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    fn text(&self, value: f64) -> String {
        let step = self.ticks.windows(2).next().map_or(1.0, |two| two[1] - two[0]);
        let largest = self.ticks.iter().fold(0.0_f64, |most, tick| most.max(tick.abs()));
        tick(value, step, largest)
    }
}

/// 1, 2 or 5 times a power of ten, the next above.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// Something drawn between the axes.
#[derive(Debug, Clone)]
pub enum Mark {
    /// Points joined by straight lines.
    Line(Series, Vec<(f64, f64)>),
    /// Points, each with its tooltip.
    Dots(Series, Vec<(f64, f64, String)>),
    /// Points that are not seen, each with its tooltip: where a line has too many to mark.
    Hints(Vec<(f64, f64, String)>),
    /// Bars from zero, each from where to where, how high, and its tooltip.
    Bars(Series, Vec<(f64, f64, f64, String)>),
    /// A straight line that is no data: what would be ideal, what chance would give.
    Guide((f64, f64), (f64, f64)),
    /// A vertical line at a place worth naming.
    Rule(f64, String),
}

/// A plot.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What stands for the plot where it is not seen.
    pub description: String,
    /// Left to right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// Drawn in this order.
    pub marks: Vec<Mark>,
    /// Height in units of which it is 440 wide.
    pub height: f64,
}

impl Chart {
    /// The plot as SVG.
    pub fn svg(&self) -> Markup {
        let bottom = self.height - BOTTOM;
        let x = |value: f64| LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| bottom - self.y.place(value) * (bottom - TOP);
        html! {
            svg class="chart" role="img" aria-label=(self.description) viewBox={ "0 0 " (WIDTH) " " (self.height) } {
                g class="grid" {
                    @for &tick in &self.y.ticks {
                        line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(fine(y(tick))) y2=(fine(y(tick))) {}
                    }
                }
                g class="ticks" {
                    @for &tick in &self.y.ticks {
                        text x=(LEFT - 8.0) y=(fine(y(tick) + 4.2)) text-anchor="end" { (self.y.text(tick)) }
                    }
                    @for &tick in &self.x.ticks {
                        line x1=(fine(x(tick))) x2=(fine(x(tick))) y1=(bottom) y2=(bottom + 5.0) {}
                        text x=(fine(x(tick))) y=(bottom + 18.0) text-anchor="middle" { (self.x.text(tick)) }
                    }
                    line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(bottom) y2=(bottom) {}
                }
                g class="names" {
                    text x="0" y="14" { (self.y.label) }
                    text x=(WIDTH - RIGHT) y=(self.height - 8.0) text-anchor="end" { (self.x.label) }
                }
                @for mark in &self.marks { (draw(mark, &x, &y, bottom)) }
            }
        }
    }
}

fn draw(mark: &Mark, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64, floor: f64) -> Markup {
    match mark {
        Mark::Line(series, points) => {
            let path: Vec<String> = points.iter().map(|&(px, py)| format!("{},{}", fine(x(px)), fine(y(py)))).collect();
            html! { polyline class={ "line " (series.class()) } points=(path.join(" ")) {} }
        }
        Mark::Dots(series, points) => html! {
            @for (px, py, title) in points {
                circle class={ "dot " (series.class()) } cx=(fine(x(*px))) cy=(fine(y(*py))) r="4" { title { (title) } }
            }
        },
        Mark::Hints(points) => html! {
            g class="hints" {
                @for (px, py, title) in points {
                    circle cx=(fine(x(*px))) cy=(fine(y(*py))) r="9" { title { (title) } }
                }
            }
        },
        Mark::Bars(series, bars) => html! {
            @for (low, high, value, title) in bars {
                rect class={ "bar " (series.class()) } x=(fine(x(*low))) y=(fine(y(*value)))
                    width=(fine((x(*high) - x(*low)).max(0.5))) height=(fine((y(0.0) - y(*value)).max(0.0))) {
                    title { (title) }
                }
            }
        },
        Mark::Guide(from, to) => html! {
            line class="guide" x1=(fine(x(from.0))) y1=(fine(y(from.1))) x2=(fine(x(to.0))) y2=(fine(y(to.1))) {}
        },
        Mark::Rule(at, label) => {
            // To the side where there is room: at the left end stands the axis's own name.
            let anchor = if x(*at) < WIDTH / 2.0 { "start" } else { "end" };
            html! {
                line class="rule" x1=(fine(x(*at))) x2=(fine(x(*at))) y1=(TOP - 6.0) y2=(fine(floor)) {}
                text class="rule-name" x=(fine(x(*at))) y=(TOP - 10.0) text-anchor=(anchor) { (label) }
            }
        }
    }
}

/// Coordinates with one decimal: a tenth of a pixel.
fn fine(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A dot with its interval on a scale from `low` to `high`, for a row of a table.
pub fn interval(value: f64, low: f64, high: f64, scale: (f64, f64), reference: Option<f64>, title: &str) -> Markup {
    let place = |value: f64| fine(4.0 + 152.0 * ((value - scale.0) / (scale.1 - scale.0)).clamp(0.0, 1.0));
    html! {
        svg class="interval" viewBox="0 0 160 16" aria-hidden="true" {
            title { (title) }
            line class="base" x1="4" x2="156" y1="8" y2="8" {}
            @if let Some(reference) = reference {
                line class="reference" x1=(place(reference)) x2=(place(reference)) y1="0" y2="16" {}
            }
            line class="span" x1=(place(low)) x2=(place(high)) y1="8" y2="8" {}
            circle class="value" cx=(place(value)) cy="8" r="4" {}
        }
    }
}

/// What a series looks like, for the legend.
pub fn swatch(series: Series) -> Markup {
    html! {
        svg class="swatch" viewBox="0 0 28 10" aria-hidden="true" {
            line class={ "line " (series.class()) } x1="1" x2="27" y1="5" y2="5" {}
        }
    }
}

/// One axis of parallel coordinates.
#[derive(Debug, Clone)]
pub struct Parallel {
    /// What stands above it.
    pub label: String,
    /// For each line, where it crosses the axis, from 0 (bottom) to 1 (top); `None` where it has no value.
    pub places: Vec<Option<f64>>,
    /// What stands beside the axis, and where.
    pub ticks: Vec<(f64, String)>,
}

/// Parallel coordinates: a line for each row, across an axis for each column. `strengths`, from 0 to 1, say how much a
/// line stands out; the first row is drawn last and strongest.
pub fn parallel(axes: &[Parallel], strengths: &[f64], titles: &[String], description: &str) -> Markup {
    let step = 118.0;
    let width = 80.0 + step * (axes.len().max(2) - 1) as f64 + 60.0;
    let (top, bottom) = (46.0, 300.0);
    let x = |at: usize| 60.0 + step * at as f64;
    let y = |place: f64| bottom - place * (bottom - top);
    let path = |row: usize| -> String {
        let points = axes.iter().enumerate().filter_map(|(at, axis)| Some((at, axis.places[row]?)));
        points.map(|(at, place)| format!("{},{}", fine(x(at)), fine(y(place)))).collect::<Vec<_>>().join(" ")
    };
    html! {
        svg class="chart parallel" role="img" aria-label=(description) viewBox={ "0 0 " (width) " 322" }
            style={ "min-width:" (fine(width * 0.8)) "px;max-width:" (fine(width * 1.25)) "px" } {
            g class="lines" {
                @for row in (0..titles.len()).rev() {
                    g class={ "run" @if row == 0 { " best" } } style={ "--strength:" (format!("{:.2}", strengths[row])) } {
                        polyline class="touch" points=(path(row)) { title { (titles[row]) } }
                        polyline class="seen" points=(path(row)) {}
                    }
                }
            }
            @for (at, axis) in axes.iter().enumerate() {
                line class="post" x1=(x(at)) x2=(x(at)) y1=(top) y2=(bottom) {}
                text class="post-name" x=(x(at)) y=(if at % 2 == 0 { 32.0 } else { 14.0 }) text-anchor="middle" {
                    (axis.label)
                }
                @for (place, text) in &axis.ticks {
                    line class="post" x1=(x(at) - 4.0) x2=(x(at)) y1=(fine(y(*place))) y2=(fine(y(*place))) {}
                    text class="post-tick" x=(x(at) - 7.0) y=(fine(y(*place) + 4.0)) text-anchor="end" { (text) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let axis = Axis::around("loss", [0.146_877, 0.610_823, 0.882_066]).unwrap();
        assert_eq!((axis.low, axis.high), (0.0, 1.0));
        let texts: Vec<String> = axis.ticks.iter().map(|&tick| axis.text(tick)).collect();
        assert_eq!(texts, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert!(Axis::around("nothing", [f64::NAN]).is_none());
        let flat = Axis::around("flat", [3.0, 3.0]).unwrap();
        assert!(flat.low < 3.0 && flat.high > 3.0);
    }

    #[test]
    fn the_name_of_a_vertical_line_stays_clear_of_the_axis_name() {
        let anchor = |at: f64| {
            let chart = Chart {
                description: "d".to_owned(),
                x: Axis::unit("x"),
                y: Axis::unit("y"),
                marks: vec![Mark::Rule(at, "kept".to_owned())],
                height: 300.0,
            };
            let svg = chart.svg().into_string();
            let (before, _) = svg.split_once(">kept<").unwrap();
            before.rsplit_once("text-anchor=").unwrap().1.to_owned()
        };
        assert_eq!((anchor(0.0), anchor(1.0)), (r#""start""#.to_owned(), r#""end""#.to_owned()));
    }

    #[test]
    fn a_point_lies_where_its_axes_put_it() {
        let chart = Chart {
            description: "d".to_owned(),
            x: Axis::unit("x"),
            y: Axis::unit("y"),
            marks: vec![Mark::Dots(Series::First, vec![(0.0, 1.0, "corner".to_owned())])],
            height: 300.0,
        };
        let svg = chart.svg().into_string();
        assert!(svg.contains(r#"cx="50" cy="28" r="4"><title>corner</title>"#), "{svg}");
    }
}
